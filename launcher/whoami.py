"""Whose login this is, and why consoles don't open in it. Pure: what is read is passed in."""

from __future__ import annotations

from itertools import pairwise

from launcher.language import gettext as _
from launcher.refusal import Refused
from session.eligibility import LIVING_STATES, is_ordinary
from session.records import OPEN, WAITING

TYPE_CHECKING = False  # see launcher
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from session.logind import LogindSession
    from session.records import Record


class Caller:
    """The process that asks, and what it says of itself."""

    __slots__ = ("cgroup", "effective_uid", "session_hint", "sudo_uid", "uid")

    def __init__(self, uid: int, effective_uid: int, cgroup: str, sudo_uid: str | None = None,
                 session_hint: str | None = None) -> None:
        self.uid = uid
        self.effective_uid = effective_uid
        self.cgroup = cgroup  # /proc/self/cgroup
        self.sudo_uid = sudo_uid  # SUDO_UID, which sudo sets
        # XDG_SESSION_ID: anyone can set it, so it only decides between the caller's own logins.
        self.session_hint = session_hint


class Login:
    """A login of the caller's and its record, if there is one."""

    __slots__ = ("record", "session")

    def __init__(self, session: LogindSession, record: Record | None) -> None:
        self.session = session
        self.record = record


def refuse_foreign_account(caller: Caller) -> None:
    """Raises Refused for root, for whoever borrows an account, and for accounts of services."""
    if caller.uid == 0 or caller.effective_uid == 0:
        raise Refused(_("As root you have no consoles. Log in as yourself and run spice-open "
                        "without sudo."))
    borrowed = caller.sudo_uid is not None and caller.sudo_uid != str(caller.uid)
    if borrowed or caller.uid != caller.effective_uid:
        raise Refused(_("This is a borrowed account. Log in as yourself and run spice-open without "
                        "sudo."))
    if not is_ordinary(caller.uid):
        raise Refused(_("This is not a person's account. Log in as yourself."))


def unit_of(cgroup: str) -> tuple[str | None, int | None]:
    """The session whose scope the process is in, or the user whose service manager started it.

    ``cgroup`` is the text of /proc/PID/cgroup, of cgroups v1, v2 or both.
    """
    for line in cgroup.splitlines():
        parts = line.partition(":")[2].partition(":")[2].split("/")
        # The unit is what follows the slices. Further down a user may name cgroups as he likes.
        for above, part in pairwise(parts):
            if not above.endswith(".slice"):
                continue
            session = _within(part, "session-", ".scope")
            if session.isascii() and session.isalnum():
                return session, None
            manager = _within(part, "user@", ".service")
            if manager.isascii() and manager.isdecimal():
                return None, int(manager)
    return None, None


def _within(text: str, prefix: str, suffix: str) -> str:
    """What stands between the two; empty where it doesn't begin and end so."""
    if text.startswith(prefix) and text.endswith(suffix):
        return text[len(prefix):-len(suffix)]
    return ""


def find_login(caller: Caller, sessions: Sequence[LogindSession],
               record_of: Callable[[LogindSession], Record | None]) -> Login:
    """The caller's own login.

    A desktop starts programs from the user's service manager, which belongs to no session; then
    it is the login that has consoles. Raises Refused where there is none, or it is another's.
    """
    session_id, manager = unit_of(caller.cgroup)
    if session_id is not None:
        for session in sessions:
            if session.id == session_id:
                if session.uid != caller.uid:
                    raise Refused(_("This is {user}'s login, not yours. Log in here as "
                                    "yourself.").format(user=session.user))
                return Login(session, record_of(session))
        raise Refused(_("This login has ended. Log in again."))
    if manager is not None and manager != caller.uid:
        raise Refused(_("This is another user's login, not yours. Log in here as yourself."))
    own = [Login(session, record_of(session)) for session in sessions
           if session.uid == caller.uid]
    if not own:
        raise Refused(_("You are not logged in at this workstation's own screen and keyboard. Log "
                        "in there."))
    return max(own, key=lambda login: _rank(login, caller.session_hint))


def _rank(login: Login, hint: str | None) -> tuple[bool, ...]:
    session, record = login.session, login.record
    return (record is not None and record.state == OPEN,
            record is not None and record.state == WAITING,
            session.state == "active", session.id == hint, bool(session.seat),
            not session.remote)


def open_record(login: Login, others: Callable[[], str | None]) -> Record:
    """The login's record, if its consoles may be opened here and now; raises Refused.

    ``others`` tells who else has logged in here, where that is known.
    """
    session, record = login.session, login.record
    if session.remote:
        raise Refused(_("You are logged in from elsewhere. Consoles open only at the workstation's "
                        "own screen and keyboard."))
    if record is None and not session.seat:  # with a record, the policy does without a seat
        raise Refused(_("This login is not at the workstation's own screen and keyboard. Log in "
                        "there."))
    if session.state not in LIVING_STATES:
        raise Refused(_("This login has ended. Log in again."))
    if session.state != "active":
        raise Refused(_("This login is in the background. Switch to its screen and try again."))
    if record is None or record.state not in (OPEN, WAITING):
        raise Refused(_("Your consoles were not opened at this login. Log out and in again, or ask "
                        "your administrator (journalctl -t pam-spice)."))
    if record.state == WAITING:
        other = others()
        if other is None:
            raise Refused(_("{user}: another user is logged in here. Your consoles open when "
                            "another user has logged out.").format(user=record.user))
        raise Refused(_("{user}: {other} is logged in here. Your consoles open when {other} has "
                        "logged out.").format(user=record.user, other=other))
    return record


def who_else(uid: int, sessions: Iterable[LogindSession],
             is_alive: Callable[[LogindSession], bool],
             has_record: Callable[[LogindSession], bool]) -> str | None:
    """The name of the user who has the workstation, as far as his colleague can tell.

    Others' records can't be read, but that they exist can be seen.
    """
    living = [session for session in sessions
              if session.uid != uid and is_ordinary(session.uid) and not session.remote
              and session.class_ == "user" and session.state in LIVING_STATES and is_alive(session)]
    eldest = min(living, key=lambda session: (not has_record(session), session.since),
                 default=None)
    return eldest.user if eldest else None
