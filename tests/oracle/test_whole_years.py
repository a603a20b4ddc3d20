"""Whole years, minute by minute: no change of a clock is missed however long the span is."""

from datetime import date

import pytest

from tests.oracle.asking import difference
from tests.oracle.policies import Grant, Literal, Policy, Question, Window
from tests.oracle.wallclock import beginning_of
from tests.oracle.writing import spans_of

HOUR = 3600

YEARS = [("Africa/Casablanca", 2026), ("Asia/Gaza", 2023), ("Australia/Lord_Howe", 2026),
         ("Pacific/Apia", 2011)]


@pytest.mark.parametrize(("zone", "year"), YEARS)
def test_a_year_is_open_as_the_wall_clock_says(zone: str, year: int) -> None:
    nights = Window("nights", (Literal(times=((22 * HOUR, 2 * HOUR + 1800),)),), is_long=True,
                    zone=zone, excepted=spans_of([date(year, 3, 1), date(year, 12, 29)]))
    policy = Policy(zone, ("webdev",), (nights,), grants=(
        Grant("user", "anne", ("webdev",), ("nights",)),
        Grant("user", "anne", ("webdev",),
              (Literal(days=((5, 0),), times=((12 * HOUR, 12 * HOUR + 1),)),))))
    start, end = beginning_of(zone, date(year, 1, 1)), beginning_of(zone, date(year + 1, 1, 1))
    assert (difference(policy, Question("anne", (), "", start, end)) or "") == ""
