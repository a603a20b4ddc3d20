"""``pam-spice server-rules SERVER``: the rules that a KVM host itself is to have."""

import argparse

from pam_spice import paths, serverrules
from pam_spice.verbs import YES, UsageError, read_policy


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the verb."""
    parser = verbs.add_parser(
        "server-rules", help="print nftables rules for a KVM host: only the workstations get in",
        description="Prints a file for nft on the KVM host: of all machines only the policy's "
                    "workstations reach the console ports, each those consoles that a grant gives "
                    "on it. Loads nothing, and needs no root. See docs/server.md.")
    parser.add_argument("server", metavar="SERVER", help="as the policy names it")
    parser.add_argument("--policy", metavar="FILE", help=f"ask this policy, not {paths.POLICY}")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0. Raises UsageError, and prints nothing then."""
    parsed = read_policy(arguments.policy)
    # What other verbs leave out of a policy with an error would be shut out here.
    if parsed.policy is None or parsed.problems:
        raise UsageError("the policy has an error, see pam-spice check: rules made of it would "
                         "shut out people whom it lets in")
    policy = parsed.policy
    if arguments.server not in policy.servers:
        raise UsageError(f"the policy has no server {arguments.server!r}; it has: "
                         f"{', '.join(policy.servers) or 'none'}")
    if not policy.workstations:
        raise UsageError("the policy does not say which addresses the workstations have\n"
                         "  add `workstations: {front-1: 192.168.2.22}`, or yours: host names "
                         "and addresses or networks")
    print(serverrules.render(policy, policy.servers[arguments.server]), end="")
    return YES
