"""``python -m tests.model``: the model test for long, in several processes.

    python -m tests.model [--steps 100000] [--jobs 2] [--seed S]
    python -m tests.model --seed S --rounds 1 [--days 25]       a round that failed, again

Needs root. Prints how often each step was taken; a failure with the steps that led there, made
as few as possible within five minutes.
"""

import argparse
import os
import random
import sys
import time
import traceback

from tests.kernel import namespace as ns
from tests.model.machine import STEPS
from tests.model.rounds import DAYS, GENERATE, play, workstation
from tests.model.tally import Tally

_SECONDS = 6 * 3600
_PROGRESS = 60.0


def _work(tally: Tally, job: int, arguments: argparse.Namespace) -> None:
    tally.take_row(job)
    with workstation(tally):
        seed = arguments.seed + job
        for number in range(arguments.rounds or sys.maxsize):
            if not arguments.rounds and tally.of_row() * arguments.jobs >= arguments.steps:
                return
            which = seed + number * arguments.jobs
            try:
                play(which, arguments.days, GENERATE)
            except BaseException:
                # What fails only now and then is lost where it is tried again with fewer steps.
                traceback.print_exc()
                play(which, arguments.days)
                raise


def _start(tally: Tally, job: int, arguments: argparse.Namespace) -> int:
    pid = os.fork()
    if pid == 0:
        failure = ns.in_child(lambda: _work(tally, job, arguments), _SECONDS)
        if failure:
            print(failure, flush=True)
        os._exit(1 if failure else 0)
    return pid


def main() -> int:
    """0 where the table was the model's after every step."""
    parser = argparse.ArgumentParser(prog="python -m tests.model")
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=random.randrange(10**9))
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--rounds", type=int)
    arguments = parser.parse_args()
    if arguments.rounds:
        arguments.jobs = 1
    print(f"seeds from {arguments.seed} on, {arguments.jobs} processes", flush=True)
    tally = Tally(tuple(STEPS), arguments.jobs)
    began = told = time.monotonic()
    running = [_start(tally, job, arguments) for job in range(arguments.jobs)]
    failed = 0
    while running:
        time.sleep(0.5)
        for pid in list(running):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                running.remove(pid)
                failed += status != 0
        if time.monotonic() > told + _PROGRESS or not running:
            told = time.monotonic()
            print(f"{tally.total()} steps in {told - began:.0f} s", flush=True)
    for name, count in sorted(tally.by_name().items()):
        print(f"{count:8} {name}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
