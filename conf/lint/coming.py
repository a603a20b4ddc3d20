"""When windows are open and grants count in the coming 400 days, each worked out but once."""

from collections.abc import Iterator
from itertools import pairwise

from conf.deciding import excepted_days, intervals_of
from conf.intervals import DAY, Interval, Window, merged, open_intervals
from conf.model import Exceptions, Grant, Schedule
from conf.zones import load_zone, offsets_between, told

REACH = 400 * DAY
"""How far lint looks ahead; what doesn't name a date comes again within a year."""


_SOON = 8 * DAY  # in which most of what is ever open is open
_MAX_KEPT = 2_000  # schedules whose intervals are remembered; each may have thousands


class Coming:
    """The time from ``now``, in seconds since the epoch, as far as lint looks. ``zone`` is the
    policy's, in which instants are told."""

    def __init__(self, now: int, zone: str) -> None:
        self.now = now
        self.end = now + REACH
        self._zone = zone
        self._kept: dict[tuple[Schedule, int, int], list[Interval]] = {}
        self._skips: dict[tuple[str, Exceptions, Window], tuple[tuple[int, int], ...]] = {}

    def told(self, instant: int) -> str:
        """An instant for a person."""
        return told(instant, self._zone)

    def blocks(self, length: int) -> Iterator[Interval]:
        """The coming time in pieces, in order."""
        for start in range(self.now, self.end, length):
            yield start, min(start + length, self.end)

    def open_in(self, schedule: Schedule, start: int, end: int) -> list[Interval]:
        """When its windows are open in [start, end)."""
        key = schedule, start, end
        if key not in self._kept:
            if len(self._kept) >= _MAX_KEPT:
                self._kept.clear()
            self._kept[key] = open_intervals(
                schedule.windows, offsets_between(load_zone(schedule.timezone), start, end),
                start, end, excepted_days(schedule.exceptions, start, end))
        return self._kept[key]

    def opens(self, schedule: Schedule) -> bool:
        """Whether its windows are open at all."""
        return bool(self.open_in(schedule, self.now, self.now + _SOON)
                    or self.open_in(schedule, self.now, self.end))

    def counts_in(self, grant: Grant, start: int, end: int) -> list[Interval]:
        """When a grant counts in [start, end), merged."""
        low, high = max(start, grant.valid[0]), min(end, grant.valid[1])
        if grant.schedules is None or low >= high:
            return merged([(low, high)])
        return merged([(max(low, opens), min(high, closes)) for schedule in grant.schedules
                       for opens, closes in self.open_in(schedule, start, end)])

    def counts_ever(self, grant: Grant) -> bool:
        """Whether it counts within 400 days from now, or from when it becomes valid."""
        start = max(self.now, grant.valid[0])
        return any(intervals_of([grant], start, min(grant.valid[1], start + reach))
                   for reach in (_SOON, REACH))

    def skips(self, schedule: Schedule, window: Window) -> tuple[tuple[int, int], ...]:
        """(day, instant): the days on which the clock, set forward at the instant, leaves the
        whole of a window out."""
        key = schedule.timezone, schedule.exceptions, window
        if key not in self._skips:
            excepted = excepted_days(schedule.exceptions, self.now, self.end)
            days, opens, closes, (first, last) = window
            self._skips[key] = tuple(
                (day, instant) for low, high, instant in self._gaps(schedule.timezone)
                for day in range(low // DAY - 1, high // DAY + 1)
                if low <= day * DAY + opens and day * DAY + closes <= high
                and days & 1 << (day + 3) % 7 and first <= day <= last
                and not any(begin <= day <= end for begin, end in excepted))
        return self._skips[key]

    def _gaps(self, zone: str) -> list[tuple[int, int, int]]:
        """(low, high, instant): the wall-clock times [low, high) that never come, and when."""
        return [(since + before, since + after, since) for (_, before), (since, after) in
                pairwise(offsets_between(load_zone(zone), self.now, self.end)) if after > before]
