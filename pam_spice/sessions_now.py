"""The admin's hand in live sessions: apply, revoke, grant. Each is one reconcile that amends the
sessions' records; chains, sudo and live connections follow from them."""

import os
import pwd
from collections.abc import Callable

from conf.compiling import VALID
from conf.grantline import FOREVER, GrantLine, format_grant
from conf.intervals import Offsets
from pam_spice import journal
from pam_spice.errors import NotDone
from pam_spice.reconcile import Reconciliation
from pam_spice.temporary import is_temporary
from session.records import CLOSED, SHUT, Record

_UNSET = 2**32 - 1

Amend = Callable[[Record, Record | None], Record]
"""A session's record, and the one that a login would make now, to the record as it should be."""


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


def renewed(record: Record, fresh: Record) -> Record:
    """What the policy gives the session now, as if it had logged in at this moment; what was
    revoked for as long as the login lasts stays so."""
    if record.state == CLOSED:  # logged out; logind has not noticed yet
        return record
    if fresh.state == SHUT:
        return fresh
    if record.state != SHUT and _content(fresh) == _content(record):
        return record
    state = fresh.state if record.state == SHUT else record.state
    return fresh.in_state(state).revoked_until(record.revoked)


def apply_policy() -> list[str]:
    """Let the policy count for live sessions too; what became of each that changed, a line each.

    Raises NotDone where the policy has an error by now, or nobody can tell what it gives somebody.
    """
    return _renew(lambda _record: True, lambda record, fresh: renewed(record, fresh), "apply",
                  "the policy is applied to live sessions")


def lift(uid: int, user: str, **fields: object) -> list[str]:
    """Let the policy count again for a user whose consoles were revoked. Raises NotDone."""
    return _renew(lambda record: record.uid == uid,
                  lambda record, fresh: renewed(record, fresh).revoked_until(0),
                  "lift", f"{user} has the consoles of the policy again", user=user, uid=uid,
                  **fields)


def _renew(concerns: Callable[[Record], bool], amend: Callable[[Record, Record], Record],
           event: str, message: str, **fields: object) -> list[str]:
    unknown: list[Record] = []

    def amend_if_known(record: Record, fresh: Record | None) -> Record:
        if not concerns(record):
            return record
        if fresh is None or run.policy is None or run.policy.outcome != VALID:
            unknown.append(record)
            return record
        return amend(record, fresh)

    run = Reconciliation(amend=amend_if_known, renew=True)
    lines = _carry_out(run, event, message, fields)
    left = [each for each in unknown if each.session in run.records and each.state != CLOSED]
    if run.policy is None or run.policy.outcome != VALID:
        raise NotDone("the policy has an error by now, see pam-spice check; open logins are as "
                      "they were", lines)
    if left:
        raise NotDone("not done for " + ", ".join(
            f"session {each.session} of {each.user}" for each in left)
            + ": logind or the directory of users does not answer, see journalctl -t pam-spice",
            lines)
    return lines


def revoke(uid: int, until: int | None, user: str, **fields: object) -> list[str]:
    """Take a user's consoles back, until an instant or for as long as his logins last; what became
    of his sessions, a line each. This closes, and waits for nobody: not for the directory of
    users, nor for a policy to be compiled. Raises NotDone."""
    return _carry_out(Reconciliation(phase="close", amend=_revoking(uid, until)), "revoke",
                      f"the consoles of {user} are revoked",
                      {"user": user, "uid": uid, "until": until and journal.instant(until),
                       **fields})


def revoke_what_is_new(uid: int, until: int | None) -> None:
    """The same for a login of his that is not recorded yet. Raises OSError, CommandFailed."""
    Reconciliation(amend=_revoking(uid, until)).run()


def _revoking(uid: int, until: int | None) -> Amend:
    def amend(record: Record, _fresh: Record | None) -> Record:
        if record.uid != uid or record.revoked == FOREVER:
            return record
        return record.revoked_until(FOREVER if until is None else until)

    return amend


def grant_now(uid: int, lines: list[GrantLine], user: str, console: str,
              **fields: object) -> list[str]:
    """Give a user's live sessions these grants beside what they have; what became of them, a line
    each. The grants need no zone. Raises NotDone."""

    def amend(record: Record, _fresh: Record | None) -> Record:
        has = set(map(format_grant, record.granted))
        new = [line for line in lines if format_grant(line) not in has]
        return record.with_more(new) if record.uid == uid and new else record

    return _carry_out(Reconciliation(amend=amend), "grant", f"{user} is granted {console}",
                      {"user": user, "uid": uid, "consoles": journal.granted(lines), **fields})


def end_grant(uid: int, user: str, console: str, **fields: object) -> list[str]:
    """Take the temporary grants of a console from a user's live sessions; what became of them, a
    line each. As ``revoke``, this waits for nobody. Raises NotDone."""
    return _carry_out(Reconciliation(phase="close", amend=_ending(uid, console)), "end",
                      f"the temporary grant of {console} for {user} is ended",
                      {"user": user, "uid": uid, **fields})


def end_what_is_new(uid: int, console: str) -> list[Record]:
    """The same for a login of his that is not recorded yet, but may have looked the grant up: it is
    recorded here, without. Those that could not be. Raises OSError, CommandFailed."""
    run = Reconciliation(amend=_ending(uid, console))
    run.run()
    return run.failed


def temporary_grants(record: Record, console: str) -> list[GrantLine]:
    """What a session that is not over has of that console by ``pam-spice grant``."""
    return [] if record.state == CLOSED else [
        grant for grant in record.granted if grant.console == console and is_temporary(grant)]


def _ending(uid: int, console: str) -> Amend:
    def amend(record: Record, _fresh: Record | None) -> Record:
        ended = temporary_grants(record, console) if record.uid == uid else []
        return record.without(ended) if ended else record

    return amend


def _carry_out(run: Reconciliation, event: str, message: str,
               fields: dict[str, object]) -> list[str]:
    before: dict[str, Record] = {}
    amend = run.amend
    assert amend is not None

    def noted(record: Record, fresh: Record | None) -> Record:
        before[record.session] = record
        return amend(record, fresh)

    run.amend = noted
    try:
        plan = run.run()
    except Exception as error:
        by = actor()
        journal.log(journal.ERROR, f"{event}: NOT done: {message} (by {by}): {error!r}",
                    event=event, by=by, error=repr(error), revision=_revision(run), **fields)
        raise
    by = actor()  # which may ask a directory of users: after what it closes
    journal.log(journal.NOTICE, f"{event}: {message} (by {by})", event=event, by=by,
                revision=_revision(run), **fields)
    lines = [_change(before.get(record.session), record, run.now) for record in plan.write]
    if run.failed:
        raise NotDone("not done for " + ", ".join(
            f"session {each.session} of {each.user}" for each in run.failed)
            + ": it can't be recorded, see journalctl -t pam-spice", lines)
    return lines


def _revision(run: Reconciliation) -> str | None:
    return None if run.policy is None else run.policy.revision


def _content(record: Record) -> tuple[str, list[str], dict[str, Offsets]]:
    return record.revision, sorted(map(format_grant, record.granted)), record.offsets


def _change(before: Record | None, after: Record, now: int) -> str:
    had, has = ({grant.console for grant in record.grants if grant.valid[0] <= now < grant.valid[1]}
                if record and record.state not in (CLOSED, SHUT) else set()
                for record in (before, after))
    words = [f"{verb} {', '.join(sorted(consoles))}" for verb, consoles in
             (("has", has & had), ("gains", has - had), ("loses", had - has)) if consoles]
    none = "its consoles are revoked" if after.revoked > now else "has no console"
    return f"session {after.session} of {after.user}: {'; '.join(words) or none}"
