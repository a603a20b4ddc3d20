"""``pam-spice revoke USER``: take a user's consoles back at once."""

import argparse
import time

from pam_spice import paths
from pam_spice.locking import Lock
from pam_spice.revocations import Revocation, read_revocations, write_revocations
from pam_spice.sessions_now import actor, change_live_sessions, renew, without
from pam_spice.verbs import (
    YES,
    UsageError,
    account_of,
    add_reason,
    local,
    need_root,
    need_set_up,
    parse_instant,
    zone_of_policy,
)


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the verb."""
    parser = verbs.add_parser(
        "revoke", help="take a user's consoles back at once",
        description="Closes all consoles of the user in his live sessions, with their "
                    "connections. Without --until his next login has them again; with it he has "
                    "none before that time, in no session.")
    parser.add_argument("user", metavar="USER", help="the login name")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--until", metavar="TIME", help="like 2026-11-30 or 2026-11-23T18:00")
    how.add_argument("--lift", action="store_true",
                     help="end an earlier revocation; the policy counts again, at once")
    add_reason(parser, required=False)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0 when it is done."""
    need_root()
    need_set_up()
    account = account_of(arguments.user)
    user, uid = account.pw_name, account.pw_uid
    now = int(time.time())
    zone = zone_of_policy()
    until = parse_instant(arguments.until, zone) if arguments.until else None
    if until is not None and until <= now:
        raise UsageError(f"--until {arguments.until} is over already; --lift ends a revocation")
    with Lock(paths.ADMIN_LOCK):
        if until is not None or arguments.lift:
            _write(user, uid, until, arguments.reason, now)
        if arguments.lift:
            lines = change_live_sessions(
                lambda record, fresh: renew(record, fresh) if record.uid == uid else record,
                "revocation-lifted", f"{user} has the consoles of the policy again", user=user,
                uid=uid)
        else:
            lines = change_live_sessions(without(uid, until), "revoke",
                                         f"the consoles of {user} are revoked", user=user, uid=uid,
                                         until=until, reason=arguments.reason)
    for line in lines or [f"{user} has no console open"]:
        print(line)
    if until is not None:
        print(f"{user} has no console before {local(until, zone)}")
    return YES


def _write(user: str, uid: int, until: int | None, reason: str, now: int) -> None:
    try:
        revocations = read_revocations(now)
    except ValueError as error:
        raise UsageError(f"{paths.REVOKED} is damaged, so nobody's login opens anything: {error}; "
                         f"delete it, and revoke anew who is to be revoked") from None
    if until is None:
        if revocations.pop(uid, None) is None:
            raise UsageError(f"{user} is not revoked; pam-spice status shows who is")
    else:
        revocations[uid] = Revocation(uid, until, user, actor(), reason)
    write_revocations(revocations)
