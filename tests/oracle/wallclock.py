"""What a clock on the wall shows, and when it shows it: ``datetime`` and ``zoneinfo``, asked
directly."""

from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

DAY = 86400
_EPOCH = datetime(1970, 1, 1)
_FAR = 50 * 3600
"""Further from UTC than any wall clock, a day that was left out included."""


@lru_cache(maxsize=1 << 18)
def wall_clock(zone: str, instant: int) -> tuple[int, int]:
    """The number of the day that the calendar shows, and the seconds that the clock shows."""
    wall = datetime.fromtimestamp(instant, ZoneInfo(zone))
    return wall.toordinal(), wall.hour * 3600 + wall.minute * 60 + wall.second


def wall_text(zone: str, instant: int) -> str:
    """The wall clock for a person who reads of a difference."""
    return datetime.fromtimestamp(instant, ZoneInfo(zone)).strftime("%a %F %T %z")


def offset_at(zone: str, instant: int) -> int:
    """Seconds that the wall clock is ahead of UTC."""
    offset = datetime.fromtimestamp(instant, ZoneInfo(zone)).utcoffset()
    assert offset is not None
    return offset // timedelta(seconds=1)


def _shown(local: datetime) -> tuple[int, int]:
    return local.toordinal(), local.hour * 3600 + local.minute * 60 + local.second


@lru_cache(maxsize=1 << 12)
def instants_that_show(zone: str, local: datetime) -> tuple[int, ...]:
    """Every instant at which the wall clock shows a local time: none, one or two."""
    as_utc = (local - _EPOCH) // timedelta(seconds=1)
    offsets = {offset_at(zone, instant)
               for instant in range(as_utc - _FAR, as_utc + _FAR, 900)}
    return tuple(sorted(as_utc - offset for offset in offsets
                        if wall_clock(zone, as_utc - offset) == _shown(local)))


@lru_cache(maxsize=1 << 12)
def instant_of(zone: str, local: datetime, is_second: bool) -> int:
    """The instant of a local time: of two the first or the second, where there is none that at
    which the clock jumps over it."""
    found = instants_that_show(zone, local)
    if found:
        return found[-1] if is_second else found[0]
    as_utc = (local - _EPOCH) // timedelta(seconds=1)
    shown = _shown(local)
    for minute in range(as_utc - _FAR, as_utc + _FAR, 60):
        if wall_clock(zone, minute) < shown < wall_clock(zone, minute + 60):
            return next(instant for instant in range(minute, minute + 61)
                        if wall_clock(zone, instant) > shown)
    raise AssertionError(f"no clock in {zone} ever passed {local}")


@lru_cache(maxsize=1 << 12)
def beginning_of(zone: str, day: date) -> int:
    """The first instant at which the calendar shows a day, or a later one where it is left out."""
    noon = (day - _EPOCH.date()).days * DAY + DAY // 2
    for minute in range(noon - _FAR, noon + _FAR, 60):
        if wall_clock(zone, minute + 60)[0] >= day.toordinal():
            return next(instant for instant in range(minute, minute + 61)
                        if wall_clock(zone, instant)[0] >= day.toordinal())
    raise AssertionError(f"no calendar in {zone} ever came to {day}")


@lru_cache(maxsize=1 << 12)
def changes_between(zone: str, start: int, end: int, step: int = 900) -> tuple[int, ...]:
    """The instants in (start, end] from which on the wall clock has another offset; none that is
    taken back within ``step`` seconds."""
    found = []
    for instant in range(start, end, step):
        before, after = instant, min(instant + step, end)
        if offset_at(zone, before) == offset_at(zone, after):
            continue
        old = offset_at(zone, before)
        while after - before > 1:
            middle = (before + after) // 2
            if offset_at(zone, middle) == old:
                before = middle
            else:
                after = middle
        found.append(after)
    return tuple(found)
