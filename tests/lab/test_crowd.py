"""Many users in and out through PAM; for long: ``python -m tests.lab.crowd``."""

from lab.lab import Lab
from lab.story import Stage
from tests.lab.crowd import crowd


def test_of_a_crowd_that_comes_and_goes_no_chain_is_lost_or_left_over(
        lab: Lab, stage: Stage) -> None:
    stage.reset()
    outcome = crowd(lab, users=30, at_once=8)
    assert outcome.problems == []
    assert outcome.most_in > 1, "nobody was in beside another"
