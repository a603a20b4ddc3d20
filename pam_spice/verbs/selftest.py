"""``pam-spice selftest``: a login is made and ended, and what opens and closes is shown."""

import argparse
import json
import os
import time
from typing import TYPE_CHECKING

from pam_spice.naming import viewer_gid
from pam_spice.policy import is_in_force
from pam_spice.verbs import (
    NO,
    USAGE,
    YES,
    UsageError,
    account_of,
    admin_lock,
    need_root,
    print_json,
)

if TYPE_CHECKING:
    from session.logind import LogindSession

_LEAVING = 15.0  # seconds that what is left of a login that is over may take to end

def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the verb."""
    parser = verbs.add_parser("selftest", help="make and end a login, and show what it opens")
    parser.add_argument("user", metavar="USER")
    parser.add_argument("--service", default="login", help="the PAM service (default: login)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    # Its own child, which is the login: terminal and PAM's environment.
    parser.add_argument("--hold", help=argparse.SUPPRESS)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0: all was as it should be; 1: something was not; 2: it can't be tried now."""
    need_root()
    if arguments.hold is not None:
        return _hold(arguments)
    from pam_spice.doctor.selftest import Selftest, Step, free_place
    from pam_spice.policy import current_policy

    account = account_of(arguments.user)
    if not is_in_force() or viewer_gid() is None:
        raise UsageError("nothing is enforced here yet: see pam-spice doctor")
    _need_service(arguments.service)
    _need_python_pam()
    with admin_lock():
        policy = current_policy(int(time.time()))
        taken = _look_who_is_here(account.pw_name, account.pw_uid, policy.settings.one_user)
        place = free_place(taken)
        if place.note and policy.settings.require_seat:
            return _not_tried(arguments, account.pw_name, place.note)
        test = Selftest(account.pw_name, account.pw_uid, account.pw_gid, arguments.service, policy,
                        place)
        steps: list[Step] = []
        for step in test.steps():
            steps.append(step)
            if not arguments.json:
                print(_line(step), flush=True)
    is_well = all(step.holds is not False for step in steps)
    if arguments.json:
        print_json({"ok": is_well, "tried": True, "user": account.pw_name,
                    "service": arguments.service,
                    "steps": [{"step": step.name, "wanted": step.wanted, "seen": step.seen,
                               "holds": step.holds} for step in steps]})
    else:
        print("fine" if is_well else "not as it should be: see the lines with NO")
    return YES if is_well else NO


def _not_tried(arguments: argparse.Namespace, user: str, note: str) -> int:
    """That such a login does not count is right, and tells nothing of those that do."""
    reason = f"{note}, and the policy counts logins at a seat only (require_seat)"
    if arguments.json:
        print_json({"ok": None, "tried": False, "user": user, "service": arguments.service,
                    "reason": reason, "steps": []})
    else:
        print(f"not tried: {reason}")
        print("try it at a workstation with a screen; pam-spice explain tells what the policy "
              "gives")
    return USAGE


def _line(step: object) -> str:
    from pam_spice.doctor.selftest import Step

    assert isinstance(step, Step)
    mark = {True: "ok", False: "NO", None: "  "}[step.holds]
    wanted = f" (wanted: {step.wanted})" if step.holds is False else ""
    return f"{mark}  {step.name}: {step.seen}{wanted}"


def _need_service(service: str) -> None:
    from pam_spice.pamstack import DIRECTORIES

    if not service.isprintable() or "/" in service or not any(
            (directory / service).is_file() for directory in DIRECTORIES):
        raise UsageError(f"there is no PAM service {service!r} here")


def _need_python_pam() -> None:
    from importlib.util import find_spec

    if find_spec("pam") is None:
        raise UsageError("this needs python-pam: apt install python3-pampy")


def _look_who_is_here(user: str, uid: int, one_user: bool) -> list[int]:
    """The VTs that are taken. Raises UsageError where a login now would show nothing, or disturb
    somebody."""
    from pam_spice.sessions_now import actor
    from session.logind import LogindSilent
    from session.records import OPEN, WAITING, read_records

    try:
        sessions = _sessions_when_left(uid)
    except LogindSilent as error:
        raise UsageError(f"logind's sessions can't be read ({error}): see pam-spice "
                         f"doctor") from None
    for record in read_records().values():
        if record.state not in (OPEN, WAITING):
            continue
        if record.uid == uid:
            raise UsageError(f"{user} is logged in here: what is open already shows nothing; let "
                             f"him log out first")
        if one_user:
            raise UsageError(
                f"{record.user} is logged in here, and one user at a time has consoles: a login "
                f"would open nothing now\n  " + (
                    "log out, and run it over ssh or as root on a text console (Ctrl+Alt+F3)"
                    if record.user == actor() else
                    f"let him log out first, or end his login: loginctl terminate-session "
                    f"{record.session}"))
    for session in sessions:
        # What opens for the test is open for the uid.
        if _is_login_of(uid, session):
            if session.state == "closing":
                raise UsageError(f"a login of {user}'s is over, but programs of it run on: try "
                                 f"again, or end them: loginctl terminate-session {session.id}")
            raise UsageError(f"{user} has another login here ({session.service or session.id}), to "
                             f"which the test would open his consoles: let him log out first")
    return [vt for session in sessions if (vt := _vt_of(session.id))]


def _sessions_when_left(uid: int) -> "list[LogindSession]":
    """All sessions there are; a login of his that is over, but that logind still knows as it stops
    what was started in it, is waited for. Raises LogindSilent."""
    from session.logind import read_sessions

    end = time.monotonic() + _LEAVING
    while True:
        sessions = read_sessions()
        is_leaving = any(_is_login_of(uid, session) and session.state == "closing"
                         for session in sessions)
        if not is_leaving or time.monotonic() >= end:
            return sessions
        time.sleep(0.1)


def _is_login_of(uid: int, session: "LogindSession") -> bool:
    # A user's own systemd is no login.
    return session.uid == uid and not session.class_.startswith("manager")


def _vt_of(session: str) -> int:
    try:
        with open(f"/run/systemd/sessions/{session}", encoding="utf-8", errors="replace") as file:
            fields = dict(line.strip().partition("=")[::2] for line in file)
        return int(fields.get("VTNR", "0"))
    except (OSError, ValueError):
        return 0


def _hold(arguments: argparse.Namespace) -> int:
    from pam_spice.doctor.pamsession import hold

    os.chdir("/")
    tty, environment = json.loads(arguments.hold)
    hold(arguments.user, arguments.service, tty, environment)
    return YES
