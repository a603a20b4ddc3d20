"""Wall-clock windows to absolute intervals, in integers.

On the login path: imports nothing. ``datetime`` and ``zoneinfo`` take 13 ms to import, so the
offsets of a zone are looked up when the policy is compiled (``conf.zones``) and passed in here.

All instants are seconds since 1970-01-01T00:00:00Z; all intervals are [start, end).
"""

DAY = 86400

Dates = tuple[int, int]
"""(first, last): a span of calendar days, both within, counted from 1970-01-01."""

EVERY_DATE: Dates = (-999_999, 999_999)
"""All the dates there are: until the year 4707."""

Window = tuple[int, int, int, Dates]
"""(days, start, end, dates): bit 0 of ``days`` is Monday; ``start`` and ``end`` are seconds after
the midnight that begins the day; an overnight window has ``end`` > DAY and belongs to the day on
which it starts, which must be among ``dates``."""

Interval = tuple[int, int]

Offsets = tuple[tuple[int, int], ...]
"""(since, offset): from the instant ``since`` on, the wall clock is UTC + ``offset`` seconds.
Sorted; the first entry also holds for all time before it, the last one for all time after it:
what ends somewhere ends with UNKNOWN."""

UNKNOWN = 999_999
"""Stands for an offset: from there on nobody knows the wall clock, so no window is open."""


def merged(intervals: list[Interval]) -> list[Interval]:
    """Sort intervals and join those that overlap or touch; empty ones are dropped."""
    result: list[Interval] = []
    for start, end in sorted(intervals):
        if start >= end:
            continue
        if result and start <= result[-1][1]:
            if end > result[-1][1]:
                result[-1] = (result[-1][0], end)
        else:
            result.append((start, end))
    return result


def joined_ranges(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges of ports, both ends within: sorted, those that overlap or touch made one, for nft
    refuses overlapping elements."""
    return [(low, end - 1) for low, end in merged([(low, high + 1) for low, high in ranges])]


def open_intervals(windows: tuple[Window, ...], offsets: Offsets, start: int, end: int,
                   excepted: tuple[Dates, ...] = ()) -> list[Interval]:
    """The instants in [start, end) at which the wall clock lies in one of the windows, merged.
    Windows that begin on an ``excepted`` day are left out.

    The wall clock is a clock that is set forward or back at each offset change. Between two
    changes it runs evenly, so there a window's instants are its wall-clock times minus the offset;
    times that a change leaves out never come, times that it repeats come twice. Where the offset
    is UNKNOWN nothing is open.
    """
    result: list[Interval] = []
    for index, (since, offset) in enumerate(offsets):
        low = start if index == 0 else max(start, since)
        high = min(end, offsets[index + 1][0]) if index + 1 < len(offsets) else end
        if low >= high or offset == UNKNOWN:
            continue
        # Local day numbers; a window that started the day before may still be open.
        for day in range((low + offset) // DAY - 1, (high + offset - 1) // DAY + 1):
            weekday_bit = 1 << (day + 3) % 7  # day 0, 1970-01-01, was a Thursday
            midnight = day * DAY - offset
            if any(first <= day <= last for first, last in excepted):
                continue
            for days, opens, closes, (first, last) in windows:
                if days & weekday_bit and first <= day <= last:
                    result.append((max(low, midnight + opens), min(high, midnight + closes)))
    return merged(result)
