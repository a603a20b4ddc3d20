"""``pam-spice reconcile``: make what is what should be."""

import argparse

from pam_spice import journal
from pam_spice.reconcile import Reconciliation
from pam_spice.verbs import YES, need_root


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
    plan = Reconciliation().run(dry_run=arguments.dry_run)
    for line in plan.describe():
        print(line)
    if not arguments.dry_run:
        try:
            journal.deliver()
        except OSError:  # still busy, or gone: the next run tries again
            pass
    return YES
