"""Random policies around everything odd that clocks do: the product's intervals are exactly the
instants at which the clock on the wall lies in a window."""

import os

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.oracle.asking import difference
from tests.oracle.membership import SEEN, has_holidays, open_spans
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

# In one process, where several share the tests: the last one counts what all have compared.
pytestmark = pytest.mark.xdist_group("oracle")

ZONES = zones_with_oddities()
_compared: dict[str, set[str]] = {}
_differ: set[str] = set()


@pytest.mark.parametrize("zone", ZONES)
def test_what_is_open_is_what_the_wall_clock_says(zone: str) -> None:
    _compared[zone] = set()
    # What breaks one zone breaks most: minutes of shrinking are well spent once.
    phases = (Phase.generate,) if _differ else (Phase.generate, Phase.shrink)

    # Where CI is set Hypothesis draws the same in each round.
    @settings(max_examples=ROUND, deadline=None, phases=phases, derandomize=False,
              suppress_health_check=list(HealthCheck))
    @given(cases(zone))
    def compare(case: tuple[Policy, Question]) -> None:
        _compared[zone].add(repr(case))
        found = difference(*case) or ""
        if found:
            _differ.add(zone)
        assert found == ""

    for _ in range(ROUNDS):
        compare()


def test_at_least_2000_policies_and_every_odd_zone_were_compared(
        capsys: pytest.CaptureFixture[str]) -> None:
    if set(_compared) != set(ZONES):
        pytest.skip("only a part of the zones was asked for")
    policies = sum(map(len, _compared.values()))
    names = sum(map(len, odd_by_rule().values()))
    with capsys.disabled():
        print(f"\noracle: {policies} policies in {len(ZONES)} zones ({len(ODD_YEARS)} of them "
              f"named; {names} names of zones are odd by rule), {SEEN['instants']} looks at the "
              f"clock on the wall")
    assert policies >= LEAST
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
