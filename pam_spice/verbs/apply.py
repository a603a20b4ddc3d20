"""``pam-spice apply --now``: the policy as it stands, for those who are logged in too."""

import argparse

from pam_spice.sessions_now import apply_policy
from pam_spice.verbs import YES, admin_lock, need_root, need_set_up, need_valid_policy


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the verb."""
    parser = verbs.add_parser(
        "apply", help="let an edit count for those who are logged in too",
        description="An edit counts from each user's next login on, without any command. This "
                    "makes it count at once: consoles that the policy no longer gives are closed, "
                    "with their live connections, and new ones are opened.")
    parser.add_argument("--now", action="store_true", required=True,
                        help="yes, at once: people may lose what they are working in")
    parser.set_defaults(run=run)


def run(_arguments: argparse.Namespace) -> int:
    """0 when it is done; nothing is done with a policy that has an error."""
    need_root()
    need_set_up()
    with admin_lock():
        need_valid_policy()
        lines = apply_policy()
    for line in lines or ["nothing changes for anyone"]:
        print(line)
    return YES
