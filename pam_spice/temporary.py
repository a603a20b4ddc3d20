"""Grants for a time, by ``pam-spice grant``: a file of policy.d like any other, which this writes.

So they are seen by check, explain, calendar and diff, and expire by their own ``valid``. Each is
one line, which is kept as it stands until then.
"""

import json
import os
import re
import stat
from collections.abc import Iterable
from datetime import UTC, datetime

from conf.files import write_atomically
from conf.grantline import GrantLine
from pam_spice import paths

HEAD = """\
# Made by pam-spice grant: each entry expires by itself, and goes when the next one is made.
# To take one back at once: pam-spice grant USER CONSOLE --end
"""
_HEAD_LINES = (
    *HEAD.splitlines(), "grants:", "grants: []",
    # What stood there before there was --end.
    "# An entry can be taken out here by hand; live sessions keep theirs, see pam-spice revoke.")
_TEXT = r'("(?:[^"\\]|\\.)*")'
_ENTRY = re.compile(rf"  - {{user: {_TEXT}, console: {_TEXT}, "
                    rf"valid: {{from: (\S+Z), until: (\S+Z)}}, reason: {_TEXT}}}")


class HandWritten(Exception):
    """The file has a line that is not of this module."""

    def __init__(self, line: int) -> None:
        super().__init__(f"line {line}")
        self.line = line


def entry_text(user: str, console: str, start: int, end: int, reason: str) -> str:
    """One grant in the policy's language. The text of a JSON string is one of YAML's too."""
    return (f"  - {{user: {json.dumps(user)}, console: {json.dumps(console)}, "
            f"valid: {{from: {_utc(start)}, until: {_utc(end)}}}, "
            f"reason: {json.dumps(reason, ensure_ascii=False)}}}\n")


def file_text(entries: Iterable[str]) -> bytes:
    """The file that holds these entries."""
    lines = "".join(entries)
    return (f"{HEAD}grants:\n{lines}" if lines else f"{HEAD}grants: []\n").encode()


def living_entries(data: bytes, now: int) -> list[str]:
    """The file's entries that have not expired, as they are written there.

    Raises HandWritten where anything stands in it that would be lost or is not understood here.
    """
    return [line for line, _, _ in _living(data, now)]


def entries_without(data: bytes, now: int, user: str, console: str) -> list[str]:
    """The same without the user's for that console."""
    return [line for line, *whose in _living(data, now) if whose != [user, console]]


def is_listed(data: bytes, user: str, console: str) -> bool:
    """Whether the file has such an entry, also one that has expired: by a clock that is put back
    later it may count again. Raises HandWritten."""
    return any(whose == [user, console] for _, *whose in _living(data, 0))


def _living(data: bytes, now: int) -> list[tuple[str, str, str]]:
    """Each with its user and console."""
    living = []
    lines = data.decode("utf-8", "replace").removesuffix("\n").split("\n")
    for number, line in enumerate(lines, 1):
        if line in _HEAD_LINES:
            continue
        entry = _parsed(line)
        if entry is None:
            raise HandWritten(number)
        user, console, end = entry
        if end > now:
            living.append((f"{line}\n", user, console))
    return living


def _parsed(line: str) -> tuple[str, str, int] | None:
    """An entry's user and console, and when it expires; None where ``entry_text`` would not have
    written exactly this."""
    match = _ENTRY.fullmatch(line)
    if match is None:
        return None
    try:
        user, console, reason = (json.loads(match[group]) for group in (1, 2, 5))
        start, end = (int(datetime.fromisoformat(match[group]).timestamp()) for group in (3, 4))
    except ValueError:
        return None
    return (user, console, end) if entry_text(
        user, console, start, end, reason) == f"{line}\n" else None


def is_temporary(grant: GrantLine) -> bool:
    """Whether an entry of this file gave it."""
    return grant.source.rpartition(":")[0] == paths.TEMPORARY


def write_file(path: str, data: bytes) -> None:
    """Replace the file; its mode, owner and group stay, a new one is for all to read.

    Raises OSError; the file can be written all the same then.
    """
    os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
    try:
        found = os.stat(path)
    except FileNotFoundError:
        write_atomically(path, data, 0o644)
    else:
        write_atomically(path, data, stat.S_IMODE(found.st_mode), owner=found.st_uid,
                         group=found.st_gid)


def put_back(path: str, before: bytes | None) -> None:
    """Make the file what it was before a write, which may have failed; None: there was none.

    Raises OSError.
    """
    try:
        with open(path, "rb") as file:
            is_as_before = file.read() == before
    except FileNotFoundError:
        is_as_before = before is None
    if is_as_before:  # a full disk would not let it be written again
        return
    if before is None:
        os.unlink(path)
    else:
        write_file(path, before)


def _utc(instant: int) -> str:
    return datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
