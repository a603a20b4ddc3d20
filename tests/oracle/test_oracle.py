"""Random policies around everything odd that clocks do: the product's intervals are exactly the
instants at which the clock on the wall lies in a window."""

import os

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.oracle.asking import difference
from tests.oracle.membership import has_holidays, open_spans
from tests.oracle.oddities import ODD_YEARS, changes_in, odd_by_rule, zones_with_oddities
from tests.oracle.policies import Policy, Question
from tests.oracle.reading import read_policy
from tests.oracle.strategies import cases
from tests.oracle.writing import policy_files

ROUNDS = int(os.environ.get("ORACLE_ROUNDS", "5"))
"""How many rounds for each zone. A round is short, for within one Hypothesis likes to vary what it
has drawn before."""

ROUND = 10

LEAST = 2000
"""How many different policies for all zones together, at least."""

ZONES = zones_with_oddities()
SHARE = -(-LEAST // len(ZONES))
"""Each zone's part of them: several processes may share the zones."""

_differ: set[str] = set()


@pytest.mark.parametrize("zone", ZONES)
def test_what_is_open_is_what_the_wall_clock_says(zone: str) -> None:
    compared: set[str] = set()
    # What breaks one zone breaks most: minutes of shrinking are well spent once.
    phases = (Phase.generate,) if _differ else (Phase.generate, Phase.shrink)

    # Where CI is set Hypothesis draws the same in each round.
    @settings(max_examples=ROUND, deadline=None, phases=phases, derandomize=False,
              suppress_health_check=list(HealthCheck))
    @given(cases(zone))
    def compare(case: tuple[Policy, Question]) -> None:
        compared.add(repr(case))
        found = difference(*case) or ""
        if found:
            _differ.add(zone)
        assert found == ""

    rounds = 0
    while rounds < ROUNDS or (len(compared) < SHARE and rounds < 5 * ROUNDS):
        compare()
        rounds += 1
    assert len(compared) >= SHARE


def test_of_the_zones_that_are_odd_alike_one_at_least_is_compared() -> None:
    assert all(set(alike) & set(ZONES) for alike in odd_by_rule().values())


def test_the_oracle_knows_public_holidays() -> None:
    assert has_holidays(), "pip install '.[dev]'"


def test_every_year_that_is_named_for_a_zone_s_clock_changes_it() -> None:
    assert [(zone, year) for zone, years in ODD_YEARS.items() for year in years
            if not changes_in(zone, year)] == []


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases("Europe/Berlin"))
def test_the_oracle_reads_what_it_writes(case: tuple[Policy, Question]) -> None:
    policy, question = case
    # Dealt out over files its entries come in another order, which means nothing.
    assert open_spans(read_policy(policy_files(policy)), question) == open_spans(policy, question)
