"""``pam-spice check``: is the policy right?"""

import argparse
import sys

from conf.problems import Problem
from pam_spice.verbs import NO, USAGE, YES, add_common, print_json, read_policy


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the verb."""
    parser = verbs.add_parser("check", help="check the policy")
    add_common(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0: no problem; 1: entries with problems, which are skipped; 2: nothing of it is usable."""
    parsed = read_policy(arguments.policy)
    status = USAGE if parsed.policy is None else NO if parsed.problems else YES
    if arguments.json:
        print_json({"ok": status == YES, "usable": parsed.policy is not None,
                    "problems": [_problem(problem) for problem in parsed.problems]})
        return status
    for problem in parsed.problems:
        print(problem, file=sys.stderr)
    if status == YES and parsed.policy is not None:
        print(f"fine: {len(parsed.policy.servers)} servers, {len(parsed.policy.consoles)} "
              f"consoles, {len(parsed.policy.grants)} grants")
    elif parsed.policy is None:
        print("this policy grants nothing", file=sys.stderr)
    else:
        print(f"{len(parsed.problems)} problems; an entry with a problem is skipped",
              file=sys.stderr)
    return status


def _problem(problem: Problem) -> dict[str, object]:
    return {"file": problem.mark.file, "line": problem.mark.line, "column": problem.mark.column,
            "fact": problem.fact, "remedy": problem.remedy, "source": problem.source_line}
