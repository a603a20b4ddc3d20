"""Rounds of the model test: a seed's worth of days on a workstation, in this process's namespaces.

A round is the same each time for its seed and number of days, so a failure can be played again.
"""

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import seed as seeded
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.stateful import run_state_machine_as_test

from tests.model.machine import STEPS, WorkstationMachine
from tests.model.played import Played
from tests.model.tally import Tally

STEPS_A_DAY = 50
DAYS = 25  # of a round, in the long run

GENERATE = (Phase.generate,)
AND_SHRINK = (Phase.generate, Phase.shrink)


@contextmanager
def workstation(tally: Tally | None = None) -> Iterator[Tally]:
    """What rounds are played on. To be entered in namespaces of one's own."""
    set_hypothesis_home_dir(Path(__file__).parents[2] / "build" / "hypothesis")
    with pytest.MonkeyPatch.context() as patch:
        WorkstationMachine.played = Played(patch)
        WorkstationMachine.tally = tally or Tally(tuple(STEPS))
        yield WorkstationMachine.tally


def play(seed: int, days: int = DAYS, phases: Collection[Phase] = AND_SHRINK) -> None:
    """One round. Raises AssertionError, with the steps that led there."""
    try:
        run_state_machine_as_test(seeded(seed)(WorkstationMachine), settings=settings(
            max_examples=days, stateful_step_count=STEPS_A_DAY, deadline=None, database=None,
            phases=phases, print_blob=False, report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck)))
    except BaseException as error:
        error.add_note(f"to play it again: python -m tests.model --seed {seed} --days {days} "
                       f"--rounds 1")
        raise


def play_for(seconds: float, seed: int, days: int) -> None:
    """Rounds of the seed and those after it, until the time is over. Raises AssertionError."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        play(seed, days)
        seed += 1
