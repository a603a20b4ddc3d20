"""Instants as an admin types them: ISO 8601, and the words of systemd.time(7) that journalctl
takes too. Pure."""

import re
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from conf.intervals import DAY
from conf.zones import instants_of

ACCEPTED = "2026-11-23T18:00, 2026-11-23, 18:00, now, today, yesterday, tomorrow, -2h or +3d"
"""For a message; "2h ago" is -2h."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?", re.ASCII)
_UNITS = {"w": 7 * DAY, "d": DAY, "h": 3600, "m": 60, "min": 60, "s": 1}
_SPAN = re.compile(r"(?:[0-9]{1,5}(?:w|d|h|min|m|s) ?)+(?<! )", re.ASCII)
_PART = re.compile(r"([0-9]+)([a-z]+)", re.ASCII)
_FIRST, _LAST = datetime(1971, 1, 1, tzinfo=UTC), datetime(2401, 1, 1, tzinfo=UTC)


def instant_of(text: str, zone: ZoneInfo, now: int) -> int:
    """A text as seconds since the epoch, as ``now`` is. What names no offset is by the zone's
    clock: a time that comes twice is the first, one that it skips the instant of the change.

    Raises ValueError, with what is wrong.
    """
    if text == "now":
        return now
    span = _span(text)
    if span is not None:
        return _in_range(text, now + span)
    today = datetime.fromtimestamp(now, zone).date()
    if text in _DAYS:
        return _shown(zone, date.fromordinal(today.toordinal() + _DAYS[text]))
    if _CLOCK.fullmatch(text):
        return _shown(zone, today, time.fromisoformat(text))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a time like {ACCEPTED}") from None
    if not _FIRST.year <= moment.year < _LAST.year:
        raise ValueError(f"{text!r}: the year is out of range")
    if moment.tzinfo is not None:
        return int(moment.timestamp() // 1)
    return _shown(zone, moment.date(), moment.time())


def _span(text: str) -> int | None:
    """``-1d12h``, ``+3d`` or ``2h ago`` in seconds; None where it is no such thing. A day has 24
    hours, as systemd's."""
    if text.endswith(" ago"):
        sign, length = -1, text.removesuffix(" ago")
    else:
        sign, length = {"-": -1, "+": 1}.get(text[:1], 0), text[1:]
    if not sign or not _SPAN.fullmatch(length):
        return None
    return sign * sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(length))


def _in_range(text: str, instant: int) -> int:
    if not _FIRST.timestamp() <= instant < _LAST.timestamp():
        raise ValueError(f"{text!r}: the year is out of range")
    return instant


def _shown(zone: ZoneInfo, day: date, clock: time = time(0)) -> int:
    """The first instant at which the zone's clock shows this."""
    wall = datetime.combine(day, clock, UTC) - _EPOCH
    return instants_of(zone, wall.days * DAY + wall.seconds)[0]
