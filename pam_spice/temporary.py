"""Grants for a time, by ``pam-spice grant``: a file of policy.d like any other, which this writes.

So they are seen by check, explain, calendar and diff, and expire by their own ``valid``.
"""

import json
import os
from collections.abc import Iterable
from datetime import UTC, datetime

from conf.files import write_atomically
from conf.model import Grant, Policy

HEAD = """\
# Made by pam-spice grant: each entry expires by itself, and goes when the next one is made.
# An entry can be taken out here by hand; live sessions keep theirs, see pam-spice revoke.
"""


def entry_text(kind: str, name: str, console: str, start: int, end: int, reason: str) -> str:
    """One grant in the policy's language. The text of a JSON string is one of YAML's too."""
    return (f"  - {{{kind}: {json.dumps(name)}, console: {json.dumps(console)}, "
            f"valid: {{from: {_utc(start)}, until: {_utc(end)}}}, "
            f"reason: {json.dumps(reason, ensure_ascii=False)}}}\n")


def living_entries(policy: Policy, path: str, now: int) -> list[str]:
    """The entries of the file that have not expired."""
    return [entry_text(str(grant.subject.kind), grant.subject.name, console.name, *grant.valid,
                       grant.reason)
            for grant in policy.grants if grant.mark.file == path and grant.valid[1] > now
            for console in grant.consoles]


def write_entries(path: str, entries: Iterable[str]) -> None:
    """Replace the file. Raises OSError."""
    os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
    write_atomically(path, (HEAD + "grants:\n" + "".join(entries)).encode(), 0o644)


def grants_at(policy: Policy, path: str, start: int, user: str, console: str) -> list[Grant]:
    """The user's grants of the console in that file that began at an instant."""
    return [grant for grant in policy.grants
            if grant.mark.file == path and grant.valid[0] == start
            and grant.subject.name == user and console in {each.name for each in grant.consoles}]


def _utc(instant: int) -> str:
    return datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
