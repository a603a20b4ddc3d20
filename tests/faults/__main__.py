"""``python -m tests.faults``, as root: every fault and two long storms; writes docs/faults.md.

    --seed N        of the storms; else one is drawn and printed
    --seconds N     how long each storm rages; 120
    --storms-only   writes nothing

The exit status is 1 if anything got through.
"""

import argparse
import os
import platform
import random
import sys
from pathlib import Path

from tests.faults import report, running
from tests.faults.aftermath import rage
from tests.kernel.namespace import command

_PAGE = Path(__file__).parents[2] / "docs" / "faults.md"


def main() -> int:
    """Run all; the exit status."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.faults", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--storms-only", action="store_true")
    options = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("needs root: namespaces, nft, other uids")
    print(f"seed {options.seed}", flush=True)
    storms = [rage(options.seed, options.seconds, one_user) for one_user in (False, True)]
    for storm in storms:
        print(storm.tally, *storm.problems, sep="\n", flush=True)
    problems = sum(len(storm.problems) for storm in storms)
    if not options.storms_only:
        recorded, results = running.run(lambda text: print(text, flush=True), lambda cases: cases)
        problems += sum(bool(result.problems) for result in results)
        _PAGE.write_text(report.page(recorded, results, storms, _machine()), encoding="utf-8")
        print(f"{len(results)} faults, {problems} got through; see {_PAGE}")
    return 1 if problems else 0


def _machine() -> str:
    strace = command("strace", "--version").split("\n")[0].split()[-1]
    nft = command("nft", "--version").split()[1].removeprefix("v")
    return (f"kernel {platform.release().partition('-')[0]}, Python "
            f"{command('/usr/bin/python3', '--version').split()[1]}, nftables {nft}, "
            f"strace {strace}")


if __name__ == "__main__":
    sys.exit(main())
