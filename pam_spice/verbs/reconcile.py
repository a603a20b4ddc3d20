"""``pam-spice reconcile``: make what is what should be."""

import argparse
import time

from conf.lookup import CompiledPolicy, Unusable
from pam_spice import journal, paths
from pam_spice.reconcile import Reconciliation
from pam_spice.verbs import YES, need_root

# systemd.path(5): while the unit that it starts is active, a path unit sees no edit.
_MOST_ROUNDS = 5


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the verb."""
    parser = verbs.add_parser(
        "reconcile", help="put firewall, sudo and PAM right now (a timer does it every minute)")
    parser.add_argument("--dry-run", action="store_true",
                        help="print what would be done to the kernel and the records")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0 when everything is as it should be."""
    need_root()
    for _ in range(1 if arguments.dry_run else _MOST_ROUNDS):
        plan = Reconciliation().run(dry_run=arguments.dry_run)
        for line in plan.describe(_told):
            print(line)
        if _is_taken_in():
            break
    if not arguments.dry_run:
        try:
            journal.deliver()
        except OSError:  # still busy, or gone: the next run tries again
            pass
    return YES


def _told(instant: int) -> str:
    # Here: a timer runs this every minute, and seldom has anything to tell.
    from conf.zones import told, zone_to_tell_in

    try:
        zone = CompiledPolicy(paths.COMPILED).timezone
    except Unusable:
        zone = None
    return told(instant, zone_to_tell_in(zone))


def _is_taken_in() -> bool:
    """Whether the policy was not edited since it was compiled; True too where it can't be."""
    try:
        return CompiledPolicy(paths.COMPILED).is_current(int(time.time()))
    except Unusable:
        return True
