"""The admin's hand in live sessions: apply, revoke, grant. Each is one reconcile that amends the
sessions' records; chains, sudo and live connections follow from them."""

import os
import pwd
from collections.abc import Callable

from conf.grantline import GrantLine, format_grant
from pam_spice import journal
from pam_spice.reconcile import Reconciliation
from session.records import CLOSED, Record

_UNSET = 2**32 - 1


def actor() -> str:
    """Who is at the keyboard: the user who logged in, whoever he has become by su or sudo since.

    The kernel keeps that, proc(5) /proc/PID/loginuid; root may have started this by himself.
    """
    try:
        with open("/proc/self/loginuid", encoding="ascii") as file:
            uid = int(file.read())
    except (OSError, ValueError):
        uid = _UNSET
    if uid == _UNSET:
        try:
            uid = int(os.environ.get("SUDO_UID", ""))
        except ValueError:
            uid = os.getuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def renew(record: Record, fresh: Record | None) -> Record:
    """What the policy gives the session now, as if it had logged in at this moment."""
    if fresh is None or fresh.state == CLOSED:
        return fresh or record
    if _content(fresh) == _content(record):
        return record
    return fresh.in_state(record.state)


def without(uid: int, until: int | None) -> Callable[[Record, Record | None], Record]:
    """Take a user's consoles back: until an instant, or for as long as his logins last."""

    def amend(record: Record, _fresh: Record | None) -> Record:
        if record.uid != uid or not record.grants:
            return record
        return record.with_grants([] if until is None else
                                  [grant.valid_from(until) for grant in record.grants])

    return amend


def with_more(uid: int, lines: list[GrantLine]) -> Callable[[Record, Record | None], Record]:
    """Give a user's live sessions these grants beside what they have. The grants need no zone."""

    def amend(record: Record, _fresh: Record | None) -> Record:
        return record if record.uid != uid else record.with_grants([*record.grants, *lines])

    return amend


def change_live_sessions(amend: Callable[[Record, Record | None], Record], event: str,
                         message: str, **fields: object) -> list[str]:
    """Do it, write who did it to the journal, and return what became of each session, a line each.

    Raises OSError or CommandFailed: then nothing more is open than before.
    """
    before: dict[str, Record] = {}

    def noted(record: Record, fresh: Record | None) -> Record:
        before[record.session] = record
        return amend(record, fresh)

    by = actor()
    journal.log(journal.NOTICE, f"{message} (by {by})", event=event, by=by, **fields)
    run = Reconciliation(amend=noted)
    plan = run.run()
    return [_change(before.get(record.session), record, run.now) for record in plan.write]


def _content(record: Record) -> tuple[str, list[str]]:
    return record.revision, sorted(map(format_grant, record.grants))


def _change(before: Record | None, after: Record, now: int) -> str:
    had, has = ({grant.console for grant in record.grants if grant.valid[0] <= now < grant.valid[1]}
                if record and record.state != CLOSED else set() for record in (before, after))
    words = [f"{verb} {', '.join(sorted(consoles))}" for verb, consoles in
             (("has", has & had), ("gains", has - had), ("loses", had - has)) if consoles]
    return f"session {after.session} of {after.user}: {'; '.join(words) or 'has no console'}"
