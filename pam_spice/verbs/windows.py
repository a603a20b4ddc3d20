"""``pam-spice windows USER [CONSOLE]``: what is open for him between two instants."""

import argparse

from conf.deciding import windows_of
from conf.zones import told
from pam_spice.verbs import (
    YES,
    UsageError,
    add_common,
    iso,
    need_policy,
    parse_instant,
    print_json,
)
from pam_spice.verbs.explain import add_asker, find_console, groups_of


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the verb."""
    parser = verbs.add_parser("windows", help="list when a user's consoles are open")
    parser.add_argument("user", metavar="USER", help="the login name")
    parser.add_argument("console", metavar="CONSOLE", nargs="?")
    parser.add_argument("--from", dest="start", metavar="TIME", required=True,
                        help="like 2026-11-23T18:00, today or now; a day is its beginning")
    parser.add_argument("--to", dest="end", metavar="TIME", required=True,
                        help="the same, or +7d: of a day its beginning, so write the one after "
                             "the last")
    add_asker(parser)
    add_common(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0, also where nothing is open."""
    policy = need_policy(arguments.policy)
    start, end = (parse_instant(text, policy.timezone) for text in (arguments.start, arguments.end))
    if end < start:
        raise UsageError("--to is before --from")
    console = find_console(policy, arguments.console) if arguments.console else None
    found = windows_of(policy, arguments.user, groups_of(arguments.user, arguments.groups),
                       start, end, console, arguments.workstation)
    if arguments.json:
        print_json([{"console": name, "start": iso(opens), "end": iso(closes)}
                    for name, opens, closes in found])
    else:
        for name, opens, closes in found:
            print(f"{name}: {told(opens, policy.timezone)} - {told(closes, policy.timezone)}")
        if not found:
            print(f"nothing is open for {arguments.user} in that time")
    return YES
