"""The benchmark's arithmetic: contenders in turn, ratios round by round."""

import statistics
from collections.abc import Callable
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.measuring import Effort, in_turn, milliseconds, minus, ratio

DURATIONS = st.floats(1e-6, 1e3)


def test_the_short_form_does_a_tenth_of_the_rounds_but_three_at_least() -> None:
    assert [Effort(is_short=True).rounds(full) for full in (2, 10, 40, 100)] == [3, 3, 4, 10]
    assert Effort().rounds(40) == 40


def test_the_short_form_does_the_first_two_sizes() -> None:
    assert Effort(is_short=True).sizes((2, 100, 10_000)) == [2, 100]
    assert Effort(is_short=True).sizes((2,)) == [2]
    assert Effort().sizes((2, 100, 10_000)) == [2, 100, 10_000]


def test_each_contender_is_measured_once_a_round_and_each_in_its_turn_first() -> None:
    order: list[str] = []
    clock = count(1)

    def contender(name: str) -> Callable[[], float]:
        def measure() -> float:
            order.append(name)
            return float(next(clock))
        return measure

    times = in_turn({name: contender(name) for name in "abc"}, rounds=4)
    assert "".join(order) == "abc" + "abc" + "bca" + "cab" + "abc"
    assert times == {"a": [4, 9, 11, 13], "b": [5, 7, 12, 14], "c": [6, 8, 10, 15]}


def test_what_is_measured_before_the_first_round_does_not_count() -> None:
    cold = iter([1000.0, 1.0, 2.0, 3.0])
    assert in_turn({"one": lambda: next(cold)}, rounds=3) == {"one": [1, 2, 3]}


def test_ratios_are_taken_within_a_round() -> None:
    """The machine slowed down fourfold; of that nothing is left."""
    found = ratio([2, 4, 8], [1, 2, 4])
    assert (found.low, found.median, found.high, found.rounds) == (2, 2, 2, 3)


def test_half_of_the_ratios_lie_between_the_quartiles() -> None:
    found = ratio([5, 1, 3, 2, 4], [1, 1, 1, 1, 1])
    assert (found.low, found.median, found.high) == (2, 3, 4)


@given(st.lists(st.tuples(DURATIONS, DURATIONS), min_size=2))
def test_quartiles_lie_among_the_ratios_on_both_sides_of_the_median(
        pairs: list[tuple[float, float]]) -> None:
    found = ratio([ours for ours, _ in pairs], [theirs for _, theirs in pairs])
    ratios = [ours / theirs for ours, theirs in pairs]
    assert found.median == pytest.approx(statistics.median(ratios))
    assert min(ratios) <= found.low * (1 + 1e-9)
    assert found.low <= found.median * (1 + 1e-9)
    assert found.median <= found.high * (1 + 1e-9)
    assert found.high <= max(ratios) * (1 + 1e-9)


def test_rounds_that_one_of_them_lacks_are_an_error() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratio([1, 2, 3], [1, 2])


def test_minus_takes_the_median_of_the_base_from_each_round() -> None:
    assert minus([5, 6, 7], [1, 100, 2]) == [3, 4, 5]


def test_milliseconds_are_told_with_their_quartiles() -> None:
    assert milliseconds([0.001, 0.002, 0.003, 0.004, 0.005]) == "3.00 ms (2.00 to 4.00)"
