"""Which sessions count: a person at this workstation's own screen and keyboard."""

from conf.lookup import Settings
from session.logind import LogindSession
from session.processes import started_before

FIRST_USER_UID = 1000  # login.defs(5) UID_MIN; below are system accounts
NOBODY_UID = 65534
LAST_UID = 2**32 - 2  # 2**32 - 1 is "no uid"


LIVING_STATES = ("opening", "online", "active")
"""logind's states of a login that is not ending: sd_session_get_state(3)."""


def is_ordinary(uid: int) -> bool:
    """Whether the uid is a person's: not root, not a service, not nobody."""
    return FIRST_USER_UID <= uid <= LAST_UID and uid != NOBODY_UID


def why_not_eligible(session: LogindSession, settings: Settings) -> str | None:
    """What keeps the session from counting, in words for its user; None if it counts."""
    if not is_ordinary(session.uid):
        return "this is not an ordinary user's account"
    if session.remote:
        return "you are logged in from elsewhere, consoles open only at the workstation itself"
    if session.class_ != "user":
        return f"this is a session of class {session.class_!r}, not a person's"
    if settings.require_seat and not session.seat:
        return "this login is not at the workstation's own screen and keyboard"
    if session.service not in settings.services:
        return f"logins through {session.service or 'an unknown service'!r} don't open consoles"
    if session.state not in LIVING_STATES:
        return "this login is ending"
    return None


def is_alive(session: LogindSession) -> bool:
    """Whether the process that holds the session still lives.

    logind goes on calling a session active whose leader was killed.
    """
    return started_before(session.leader, session.since)
