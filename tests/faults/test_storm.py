"""A machine on which anything may be killed at any moment: the short form, 10 s each."""

import os
import random

import pytest

from tests.faults.aftermath import rage

SECONDS = 10
SEED = int(os.environ.get("FAULTS_SEED") or random.randrange(10**6))


@pytest.mark.parametrize("one_user", [False, True])
def test_in_a_storm_of_kills_nothing_is_open_for_who_is_not_here(
        one_user: bool, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f" FAULTS_SEED={SEED}", end=" ", flush=True)
    storm = rage(SEED, SECONDS, one_user)
    assert storm.problems == (), f"FAULTS_SEED={SEED}"
    assert storm.tally.logouts > 5 and storm.tally.hooks_killed > 0
    assert storm.tally.looks > 5 and storm.tally.most_open > 0
