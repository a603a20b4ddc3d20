"""The windows that policies of the model test name, and when they are open, by the manual."""

from dataclasses import dataclass
from functools import cache, lru_cache

from tests.oracle.wallclock import DAY, changes_between, wall_clock

BASE = 1792411200
"""Monday, 2026-10-19 12:00:00 UTC, when the model's clock begins: the week before the clocks of
Europe go back."""

SPAN = 60 * DAY
"""How far the model's clock goes on."""

EVER = 1 << 60
"""Later than any instant."""


@dataclass(frozen=True)
class Window:
    """Recurring times: seconds after midnight on days of the week (0: Monday) in a zone. Where
    the end is not after the start it is a time of the next day."""

    literal: str
    zone: str
    days: frozenset[int]
    start: int
    end: int


_ALL = frozenset(range(7))
WINDOWS = {
    "office": Window("Mon-Fri 08:00-18:00", "UTC", frozenset(range(5)), 28800, 64800),
    "nights": Window("22:00-06:00", "Europe/Berlin", _ALL, 79200, 21600),
    "weekend": Window("Sat,Sun", "Europe/Berlin", frozenset((5, 6)), 0, DAY),
    "twice": Window("Sun 02:15-02:45", "Europe/Berlin", frozenset((6,)), 8100, 9900),
    "midnight": Window("Sat-Mon 23:59:50-00:00:10", "UTC", frozenset((5, 6, 0)), 86390, 10),
    "moment": Window("12:00:03-12:00:05", "UTC", _ALL, 43203, 43205),
}


@lru_cache(maxsize=1 << 20)
def is_open(name: str, instant: int) -> bool:
    """By the manual: there is a day, that of the wall clock or the one before, among the window's
    days, so that the wall clock is at or after the first time on that day and before the second."""
    window = WINDOWS[name]
    end = window.end if window.end > window.start else window.end + DAY
    ordinal, second = wall_clock(window.zone, instant)
    return any(
        # Day 1 of the calendar was a Monday.
        (ordinal - before - 1) % 7 in window.days and window.start <= second + before * DAY < end
        for before in (0, 1))


@cache
def edges_of(name: str) -> tuple[int, ...]:
    """Every instant at which a window begins or ends while the model's clock runs."""
    window = WINDOWS[name]
    first, last = BASE - 3 * DAY, BASE + SPAN + 12 * DAY
    candidates = set(changes_between(window.zone, first, last))
    for midnight in range(first // DAY * DAY, last, DAY):
        # Berlin is one hour ahead of UTC, or two.
        candidates |= {midnight + edge - ahead for edge in (0, window.start, window.end)
                       for ahead in (0, 3600, 7200)}
    return tuple(sorted(instant for instant in candidates
                        if is_open(name, instant) != is_open(name, instant - 1)))
