"""``pam-spice grant USER CONSOLE --for 2h``: a console for a time, at once."""

import argparse
import re
import time

from conf.compiling import grant_lines
from conf.intervals import DAY
from conf.parser import MAX_REASON
from pam_spice import paths
from pam_spice.locking import Lock
from pam_spice.policy import current_policy
from pam_spice.sessions_now import actor, change_live_sessions, with_more
from pam_spice.temporary import entry_text, grants_at, living_entries, write_entries
from pam_spice.verbs import (
    YES,
    UsageError,
    account_of,
    add_reason,
    local,
    need_root,
    need_set_up,
    need_valid_policy,
)
from pam_spice.verbs.explain import find_console

_DURATION = re.compile(r"(?:([0-9]{1,3})d)?(?:([0-9]{1,3})h)?(?:([0-9]{1,4})m)?", re.ASCII)
_LONGEST = 31 * DAY


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the verb."""
    parser = verbs.add_parser(
        "grant", help="give a user a console for a time, at once",
        description=f"Writes an entry that expires by itself to {paths.TEMPORARY}, and opens the "
                    f"console in the user's live sessions too.")
    parser.add_argument("user", metavar="USER", help="the login name")
    parser.add_argument("console", metavar="CONSOLE", help="as the policy names it")
    parser.add_argument("--for", dest="duration", metavar="TIME", required=True,
                        help="like 2h, 90m, 1d12h; 31 days at most")
    add_reason(parser, required=True)
    parser.set_defaults(run=run)


def parse_duration(text: str) -> int:
    """``1d2h30m`` in seconds. Raises UsageError."""
    match = _DURATION.fullmatch(text)
    days, hours, minutes = (int(part or 0) for part in match.groups()) if match else (0, 0, 0)
    seconds = days * DAY + hours * 3600 + minutes * 60
    if not 0 < seconds <= _LONGEST:
        raise UsageError(f"--for {text!r} is not a time like 2h, 90m or 1d12h, of at most 31 days")
    return seconds


def run(arguments: argparse.Namespace) -> int:
    """0 when it is done."""
    need_root()
    need_set_up()
    length = parse_duration(arguments.duration)
    account = account_of(arguments.user)
    with Lock(paths.ADMIN_LOCK):
        policy = need_valid_policy()
        find_console(policy, arguments.console)
        now = int(time.time())
        reason = f"{arguments.reason} (by {actor()})"
        if len(reason) > MAX_REASON:
            raise UsageError(f"--reason is too long: {MAX_REASON} characters with who did it")
        write_entries(paths.TEMPORARY, [
            *living_entries(policy, paths.TEMPORARY, now),
            entry_text("user", account.pw_name, arguments.console, now, now + length, reason)])
        policy = need_valid_policy()
        current_policy(now)  # guard and sudoers follow before the session gets it
        lines = [line for grant in grants_at(policy, paths.TEMPORARY, now, account.pw_name,
                                             arguments.console)
                 for line in grant_lines(grant, now, now + length)]
        changed = change_live_sessions(
            with_more(account.pw_uid, lines), "grant",
            f"{account.pw_name} is granted {arguments.console} for {arguments.duration}",
            user=account.pw_name, uid=account.pw_uid, console=arguments.console,
            until=now + length, reason=arguments.reason)
    for line in changed or [f"{account.pw_name} is not logged in here; it counts from the next "
                            f"login on"]:
        print(line)
    print(f"until {local(now + length, policy)}")
    return YES

