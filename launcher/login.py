"""Reads what ``whoami`` judges: the process, logind, the records."""

import os

from launcher.language import gettext as _
from launcher.refusal import Refused
from launcher.whoami import (
    Caller,
    find_login,
    open_record,
    refuse_foreign_account,
    who_else,
)
from session.eligibility import is_alive
from session.logind import LogindSession, LogindSilent, read_sessions
from session.records import DIRECTORY, OPEN, Record, read_record


def current_caller() -> Caller:
    """This process."""
    try:
        with open("/proc/self/cgroup", encoding="utf-8", errors="replace") as file:
            cgroup = file.read()
    except OSError:
        cgroup = ""
    return Caller(os.getuid(), os.geteuid(), cgroup, os.environ.get("SUDO_UID"),
                  os.environ.get("XDG_SESSION_ID"))


def own_record() -> tuple[LogindSession, Record]:
    """The caller's login with its open record; raises Refused."""
    caller = current_caller()
    refuse_foreign_account(caller)
    try:
        sessions = read_sessions()
    except LogindSilent:
        raise Refused(_("Nobody can tell who is logged in here (systemd-logind is not running). "
                        "Ask your administrator.")) from None
    login = find_login(caller, sessions, _record_of)
    record = open_record(login, lambda: who_else(caller.uid, sessions, _is_alive, _has_record))
    return login.session, record


def still_open(session: LogindSession) -> Record | None:
    """The login's record as it is now; None when it is not open any more."""
    record = _record_of(session)
    return record if record is not None and record.state == OPEN else None


def is_set_up() -> bool:
    """Whether there are records at all: a removal of pam-spice takes them, and closes nothing."""
    return os.path.isdir(DIRECTORY)


def _record_of(session: LogindSession) -> Record | None:
    try:
        record = read_record(session.id)
    except OSError:  # another user's, for one
        return None
    return record if record is not None and record.is_of(session.uid, session.leader) else None


def _is_alive(session: LogindSession) -> bool:
    try:
        return is_alive(session)
    except OSError:  # proc(5) hidepid: others' processes can't be looked at
        return False


def _has_record(session: LogindSession) -> bool:
    return os.path.exists(f"{DIRECTORY}/{session.id}")
