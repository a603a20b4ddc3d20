"""``pam-spice uninstall``: give viewer, PAM, sudo and the firewall back as they were."""

import argparse

from pam_spice import journal
from pam_spice.installing import carry_out, is_packaged, uninstall_steps
from pam_spice.sessions_now import actor
from pam_spice.verbs import YES, mend_lock, need_root


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the verb."""
    parser = verbs.add_parser("uninstall", help="take it off this workstation; the policy stays")
    parser.add_argument("--dry-run", action="store_true", help="print what would be done")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0 when all is gone."""
    need_root()
    if arguments.dry_run:
        carry_out(uninstall_steps(), dry_run=True)
        return YES
    by = actor()
    with mend_lock():
        # Said first: from here on nothing is guarded any more.
        journal.log(journal.WARNING, f"uninstall: pam-spice is taken off (by {by})",
                    event="uninstall", by=by)
        carry_out(uninstall_steps(), dry_run=False)
    if is_packaged():
        print("The package is still here, and is in force again at the next boot: remove it too.")
    return YES
