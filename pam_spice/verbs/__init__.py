"""One module per verb of ``pam-spice``, and what several of them need.

What parses a policy is imported where it is called: ``reconcile``, which a timer runs every minute,
can do without.
"""

from __future__ import annotations

import argparse
import os
import pwd
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING

from pam_spice import paths
from pam_spice.locking import Lock
from session.eligibility import is_ordinary
from session.records import read_records

if TYPE_CHECKING:
    from conf.model import ParsedPolicy, Policy
    from conf.sources import Content

_PATIENCE, _MENDING_PATIENCE = 10.0, 60.0  # seconds

YES, NO, USAGE = 0, 1, 2
"""The exit statuses: yes or fine; no, denied or findings; wrong usage or unusable input."""


NO_REASON = "-"
"""Of ``add_reason``, where none was given."""


class UsageError(Exception):
    """The command line, or what it names, can't be used."""


def need_root() -> None:
    """Raises UsageError for anybody else."""
    if os.geteuid() != 0:
        raise UsageError("this needs root: put sudo before it")


def need_valid_policy() -> Policy:
    """The workstation's policy. Raises UsageError where it has an error: what would be taken from
    people then, or given to them, is not what the admin has written."""
    parsed = read_policy(None)
    if parsed.policy is None or parsed.problems:
        raise UsageError("the policy has an error, see pam-spice check; nothing is changed")
    return parsed.policy


def need_set_up() -> None:
    """Raises UsageError where pam-spice setup was not run."""
    if not os.path.isdir(paths.STATE):
        raise UsageError("pam-spice is not set up here: run pam-spice setup")


def admin_lock() -> AbstractContextManager[None]:
    """One admin's command at a time works on live sessions. Raises UsageError, OSError."""
    return _one_at_a_time(paths.ADMIN_LOCK, _PATIENCE)


def mend_lock() -> AbstractContextManager[None]:
    """One setup, uninstall or doctor at a time puts the pieces into place or takes them away: what
    the one writes starts the other. Raises UsageError, OSError."""
    return _one_at_a_time(paths.MEND_LOCK, _MENDING_PATIENCE)


@contextmanager
def _one_at_a_time(path: str, patience: float) -> Iterator[None]:
    os.makedirs(paths.RUN, 0o711, exist_ok=True)
    with ExitStack() as held:
        try:
            held.enter_context(Lock(path, patience))
        except BlockingIOError:
            raise UsageError("another pam-spice command is at work; try again") from None
        yield


def account_of(user: str) -> pwd.struct_passwd:
    """The account of that name, which must be a person's. Raises UsageError."""
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        raise UsageError(f"there is no user {user!r} here") from None
    if not is_ordinary(account.pw_uid):
        raise UsageError(f"{user} is not a person's account and never has consoles")
    return account


def person_of(name: str) -> tuple[str, int]:
    """Who is meant: an account, a uid, or the name in a live session's record, for a directory
    that is down must not keep anybody in. Raises UsageError."""
    for record in read_records().values():
        if name in (record.user, str(record.uid)):
            return record.user, record.uid
    account = account_of(name)
    return account.pw_name, account.pw_uid


def add_reason(parser: argparse.ArgumentParser) -> None:
    """The option that says why, for the journal."""

    def one_line(text: str) -> str:
        if not text.strip() or not text.isprintable():
            raise argparse.ArgumentTypeError("one line of printable text")
        return text

    parser.add_argument("--reason", metavar="TEXT", type=one_line, default=NO_REASON,
                        help="why, in a line; it is written to the journal")


def read_contents(path: str | None) -> list[Content]:
    """The text of the policy at ``path``, whoever owns it; or of the workstation's own, as a login
    reads it. Raises UsageError where the file can't be read."""
    from conf.sources import read_any, read_trusted

    if path is None:
        return read_trusted(paths.POLICY)
    try:
        return read_any(path)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None


def read_policy(path: str | None) -> ParsedPolicy:
    """What that text means. Raises UsageError where the file can't be read."""
    from conf.parser import parse_files

    return parse_files(read_contents(path))


def need_policy(path: str | None) -> Policy:
    """The same, for questions: its bad entries are left out. Raises UsageError for an unusable
    policy."""
    parsed = read_policy(path)
    if parsed.policy is None:
        raise UsageError("\n".join(["the policy is unusable:", *map(str, parsed.problems)]))
    if parsed.problems:
        places = ", ".join(dict.fromkeys(f"{problem.mark.file}:{problem.mark.line}"
                                         for problem in parsed.problems[:5]))
        more = f" and {len(parsed.problems) - 5} more" if len(parsed.problems) > 5 else ""
        print(f"note: entries with an error are left out, see pam-spice check ({places}{more})",
              file=sys.stderr)
    return parsed.policy


def zone_of_policy() -> str:
    """The zone in which the times of this workstation's policy are meant and told. The text is
    parsed only where it was edited since it was compiled: a large one takes seconds."""
    import time

    from conf.lookup import CompiledPolicy, Unusable
    from conf.zones import zone_to_tell_in

    try:
        compiled = CompiledPolicy(paths.COMPILED)
        if compiled.is_current(int(time.time())):
            return zone_to_tell_in(compiled.timezone)
    except Unusable:
        pass
    policy = read_policy(None).policy
    return zone_to_tell_in(policy.timezone if policy is not None else None)


def parse_instant(text: str, timezone: str) -> int:
    """See ``instants.instant_of``, with the zone of that name and the present instant. Raises
    UsageError."""
    import time

    from conf.zones import load_zone
    from pam_spice.instants import instant_of

    try:
        return instant_of(text, load_zone(timezone), int(time.time()))
    except ValueError as error:
        raise UsageError(str(error)) from None


def iso(instant: int | None) -> str | None:
    """An instant as ISO 8601 in UTC, for programs."""
    from datetime import UTC, datetime

    return None if instant is None else datetime.fromtimestamp(instant, UTC).isoformat()


def add_common(parser: argparse.ArgumentParser) -> None:
    """The options of the verbs that ask a policy."""
    parser.add_argument("--policy", metavar="FILE",
                        help=f"ask this policy, not {paths.POLICY}; needs no root")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def print_json(document: object) -> None:
    """One JSON document on standard output."""
    import json

    print(json.dumps(document, indent=2))
