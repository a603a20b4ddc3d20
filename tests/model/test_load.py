"""200 users in and out as fast as their hooks can; and what is broken there is noticed."""

import pytest

from tests.model.load import Storm


def test_of_200_users_who_come_and_go_no_chain_is_lost_or_left_over_and_no_hook_is_late() -> None:
    outcome = Storm(users=200, at_once=8).blow()
    assert outcome.problems == [], outcome
    assert (len(outcome.hooks), outcome.most_in) == (400, 200)
    assert outcome.listings > 10


@pytest.mark.parametrize("phase", ["open", "close"])
def test_a_hook_that_does_nothing_is_noticed(phase: str) -> None:
    problems = Storm(users=12, at_once=4, before=f'[ "$1" = {phase} ] && exit 0').blow().problems
    lacks = {"open": "lacks", "close": "reaches"}[phase]
    assert sum(f"{lacks} his console after {phase}" in each for each in problems) == 12


def test_a_hook_that_is_late_is_noticed() -> None:
    problems = Storm(users=2, at_once=2, limit=1.5, before="sleep 1.5").blow().problems
    assert sum(" took " in each for each in problems) == 4


def test_a_chain_that_is_lost_is_noticed() -> None:
    before = "/usr/sbin/nft flush map inet pam_spice sessions"
    problems = Storm(users=12, at_once=4, before=before).blow().problems
    assert any("is in and lacks his chain" in each for each in problems)
