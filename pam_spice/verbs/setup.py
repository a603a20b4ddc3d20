"""``pam-spice setup``: put it onto this workstation, or put right what is missing."""

import argparse
import os

from conf.viewer import VIEWER
from pam_spice import journal
from pam_spice.installing import carry_out, is_checkout, is_packaged, setup_notes, setup_steps
from pam_spice.sessions_now import actor
from pam_spice.verbs import YES, UsageError, mend_lock, need_root


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the verb."""
    parser = verbs.add_parser("setup", help="install on this workstation; can be run at any time")
    parser.add_argument("--dry-run", action="store_true", help="print what would be done")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0 when all is in place."""
    need_root()
    if not os.path.exists(VIEWER):
        raise UsageError(f"{VIEWER} is missing: install virt-viewer")
    if is_packaged() and is_checkout():
        raise UsageError("pam-spice is installed here by a package: update that, or remove it "
                         "before this one is set up")
    if arguments.dry_run:
        carry_out(setup_steps(), dry_run=True)
    else:
        with mend_lock():
            carry_out(setup_steps(), dry_run=False)
        by = actor()
        journal.log(journal.NOTICE, f"setup: pam-spice is set up here (by {by})", event="setup",
                    by=by)
    for note in setup_notes():
        print(note)
    return YES
