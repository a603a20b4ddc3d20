"""``pam-spice revoke USER``: take a user's consoles back at once."""

import argparse
import time

from conf.zones import told
from pam_spice import paths
from pam_spice.errors import NotDone
from pam_spice.revocations import Revocation, read_revocations, write_revocations
from pam_spice.run import CommandFailed
from pam_spice.sessions_now import actor, lift, revoke, revoke_what_is_new
from pam_spice.verbs import (
    YES,
    UsageError,
    add_reason,
    admin_lock,
    need_root,
    need_set_up,
    parse_instant,
    person_of,
    zone_of_policy,
)
from session.records import read_records


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the verb."""
    parser = verbs.add_parser(
        "revoke", help="take a user's consoles back at once",
        description="Closes all consoles of the user in his open logins, with their "
                    "connections. Without --until his next login has them again; with it he has "
                    "none before that time, in no login.")
    parser.add_argument("user", metavar="USER",
                        help="the login name; of somebody who is logged in also the uid")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--until", metavar="TIME",
                     help="like 18:00, +2h, tomorrow or 2026-11-30: he has them again from the "
                          "beginning of that day on")
    how.add_argument("--lift", action="store_true",
                     help="end an earlier revocation; the policy counts again, at once")
    add_reason(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0 when it is done."""
    need_root()
    need_set_up()
    user, uid = person_of(arguments.user)
    until = zone = None
    if arguments.until:
        zone = zone_of_policy()
        until = parse_instant(arguments.until, zone)
        if until <= time.time():
            raise UsageError(f"--until {arguments.until} is over already; --lift ends a revocation")
    if arguments.lift:
        with admin_lock():
            lines = _lift(user, uid, arguments.reason)
    else:
        lines = _revoke(user, uid, until, arguments.reason)
    for line in lines or ([] if arguments.lift else [f"{user} has no console open"]):
        print(line)
    if until is not None and zone is not None:
        print(f"{user} has no console before {told(until, zone)}")
    elif arguments.lift:
        print(f"the policy counts for {user} again")
    else:
        # What that is is asked of nobody: a directory that is down would not say who is in a group.
        print(f"the next login of {user} has what the policy gives him then; to keep that from him "
              f"too: --until TIME")
    return YES


def _revoke(user: str, uid: int, until: int | None, reason: str) -> list[str]:
    # Who is in loses his consoles first, whatever stands in the way of the rest.
    lines = revoke(uid, until, user, reason=reason)
    try:
        with admin_lock():
            if until is not None:
                _write(user, uid, until, reason)
            revoke_what_is_new(uid, until)
    except (OSError, UsageError, CommandFailed) as error:
        raise NotDone(f"{error}\nopen logins are without them, but who logs in from now on may get "
                      f"in", lines) from None
    return lines


def _lift(user: str, uid: int, reason: str) -> list[str]:
    was_listed = _write(user, uid, None, reason)
    if not was_listed and not any(record.uid == uid and record.revoked
                                  for record in read_records().values()):
        raise UsageError(f"{user} is not revoked; pam-spice status shows who is")
    return lift(uid, user, reason=reason)


def _write(user: str, uid: int, until: int | None, reason: str) -> bool:
    """Put it into the list, or take it out of it; whether it was there."""
    try:
        revocations = read_revocations(int(time.time()))
    except ValueError as error:
        raise UsageError(f"{paths.REVOKED} is damaged, so nobody's login opens anything: {error}; "
                         f"delete it, and revoke anew who is to be revoked") from None
    was_listed = revocations.pop(uid, None) is not None
    if until is not None:
        revocations[uid] = Revocation(uid, until, user, actor(), reason)
    write_revocations(revocations)
    return was_listed
