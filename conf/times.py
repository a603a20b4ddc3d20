"""Window literals: ``Mon-Fri 08:00-18:00``, ``22:00-06:00``, ``2026-12-24..2027-01-02 Mon,Tue``;
dates and instants. The man page pam-spice-policy(5) defines them."""

import calendar
import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from conf.calendars import FIRST_YEAR, LAST_YEAR, day_number
from conf.intervals import DAY, EVERY_DATE, Dates, Window

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
EVERY_DAY = 0b1111111

MAX_WINDOWS = 500
"""Of one grant or named window, so that no policy can bloat a login."""

_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
                      r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2})?(?:Z|[+-][0-9]{2}:[0-9]{2})?)?",
                      re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BadWindow(ValueError):
    """A literal that can't be read: ``fact``, ``remedy`` and the ``offset`` of the bad part."""

    def __init__(self, fact: str, remedy: str, offset: int = 0) -> None:
        super().__init__(fact)
        self.fact = fact
        self.remedy = remedy
        self.offset = offset


@lru_cache(maxsize=4096)
def parse_window(text: str) -> tuple[Window, ...]:
    """Read one literal: dates, days, times of day, in this order, at least one of the three;
    several of each joined by commas.

    Times are HH:MM or HH:MM:SS, up to 24:00; an end before its start is on the next day.
    Without times it is the whole day, without days every day, without dates every date.

    Raises BadWindow.
    """
    if re.search("[\N{EN DASH}\N{EM DASH}]", text):
        raise BadWindow(f"{text!r} is not a window", "write the hyphen - between times and days")
    words = [(match.group(), match.start()) for match in re.finditer(r"[^ ]+", text)]
    kinds = [kind_of(word) for word, _ in words]
    if not words or kinds != sorted(set(kinds)):
        if kinds[:2] == [1, 1]:
            _parse_days(*words[0])  # a blank behind a comma is the likely slip
        raise BadWindow(f"{text!r} is not a window", _remedy_for(text))
    by_kind = dict(zip(kinds, words, strict=True))
    dates = parse_dates(*by_kind[0]) if 0 in by_kind else [EVERY_DATE]
    days = _parse_days(*by_kind[1]) if 1 in by_kind else EVERY_DAY
    times = _parse_times(*by_kind[2]) if 2 in by_kind else [(0, DAY)]
    if len(dates) * len(times) > MAX_WINDOWS:
        raise BadWindow(f"these come to {len(dates) * len(times)} windows",
                        f"write at most {MAX_WINDOWS}")
    return tuple((days, start, end, span) for span in dates for start, end in times)


def _remedy_for(text: str) -> str:
    if re.search(r" ?\.\. | \.\.|[0-9], ", text):
        return "write dates without blanks: 2026-12-24..2026-12-31"
    if re.search(r"[0-9] ?- | - ?[0-9]", text):
        return "write times without blanks: 08:00-12:00"
    return "write dates, days, times, in this order: 2026-12-24 Mon-Fri 08:00-18:00"


def kind_of(word: str) -> int:
    """0: begins like a date; 1: neither, so days or a name; 2: begins like a time of day."""
    if re.match(r"[0-9]{4}-[0-9]{1,2}(-|$)", word, re.ASCII):
        return 0
    return 2 if word[:1].isdigit() else 1


def _parts(text: str, offset: int) -> list[tuple[str, int]]:
    """The comma-separated parts with their offsets."""
    parts = []
    for part in text.split(","):
        parts.append((part, offset))
        offset += len(part) + 1
    return parts


def parse_dates(text: str, offset: int = 0) -> list[Dates]:
    """``2026-12-24``, ``2026-12-24..2027-01-02``, several joined by commas. Raises BadWindow."""
    spans = []
    for part, at in _parts(text, offset):
        first, dots, last = part.partition("..")
        if dots and not last:
            raise BadWindow(f"{part!r} has no end", "write the last day too: "
                            "2026-12-24..2026-12-31", at)
        start = day_number(_date(first, at))
        end = day_number(_date(last, at + len(first) + 2)) if dots else start
        if end < start:
            raise BadWindow(f"{part!r} ends before it begins", "write the earlier date first", at)
        spans.append((start, end))
    return spans


def _date(text: str, offset: int) -> date:
    if not _DATE.fullmatch(text):
        raise BadWindow(f"{text!r} is not a date",
                        "write a span of dates as first..last: 2026-12-24..2026-12-31"
                        if _DATE.match(text) and text[10:11] == "-" else
                        "write YYYY-MM-DD", offset)
    return _existing_date(text, offset)


def _existing_date(text: str, offset: int = 0) -> date:
    """A text of the form of a date. Raises BadWindow."""
    year, month = int(text[:4]), int(text[5:7])
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise BadWindow(f"the year {year} is out of range",
                        f"write a year from {FIRST_YEAR} to {LAST_YEAR}", offset)
    try:
        return date.fromisoformat(text)
    except ValueError:
        remedy = ("months are 01 to 12" if not 1 <= month <= 12 else
                  f"{calendar.month_name[month]} {year} has "
                  f"{calendar.monthrange(year, month)[1]} days")
        raise BadWindow(f"there is no {text}", remedy, offset) from None


def parse_instant(text: str) -> tuple[int, bool, bool]:
    """A date, with or without a time of day and an offset from UTC, as ISO 8601 and RFC 3339 write
    them: the seconds since the epoch, whether they are of UTC (else of a wall clock that is not
    said), and whether there is a time of day.

    Raises BadWindow.
    """
    remedy = "write 2026-12-24, 2026-12-24 18:00 or 2026-12-24T17:00:00Z"
    if not _INSTANT.fullmatch(text):
        raise BadWindow(f"{text!r} is not a date or time", remedy)
    _existing_date(text[:10])
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        if text[11:16] == "24:00":
            remedy = f"a day alone as until is to its end: {text[:10]}"
        raise BadWindow(f"{text!r} is not a date or time", remedy) from None
    is_utc = moment.tzinfo is not None
    since = (moment if is_utc else moment.replace(tzinfo=UTC)) - _EPOCH
    return since // timedelta(seconds=1), is_utc, len(text) > 10


def _parse_days(text: str, offset: int) -> int:
    mask = 0
    for part, at in _parts(text, offset):
        first, dash, last = part.partition("-")
        start = _day(first, at)
        end = _day(last, at + len(first) + 1) if dash else start
        while True:  # Sat-Mon goes over the end of the week
            mask |= 1 << start
            if start == end:
                break
            start = (start + 1) % 7
    return mask


def _day(text: str, offset: int) -> int:
    try:
        return DAYS.index(text)
    except ValueError:
        meant = text.capitalize()[:3]
        remedy = f"did you mean {meant!r}?" if meant in DAYS else f"days are {' '.join(DAYS)}"
        raise BadWindow(f"{text!r} is not a day", remedy, offset) from None


def _parse_times(text: str, offset: int) -> list[tuple[int, int]]:
    spans = []
    for part, at in _parts(text, offset):
        first, dash, last = part.partition("-")
        if not dash and ":" not in part:
            raise BadWindow(f"{part!r} is not a window",
                            "write dates as 2026-12-24, times as 08:00-18:00", at)
        if not dash:
            raise BadWindow(f"{part!r} has no end", "write a span: 08:00-18:00", at)
        start = _time(first, at)
        end = _time(last, at + len(first) + 1)
        if start == end or start == DAY:
            raise BadWindow(f"{part!r} is empty", "for a whole day write 00:00-24:00", at)
        spans.append((start, end if end > start else end + DAY))
    return spans


def _time(text: str, offset: int) -> int:
    match = _TIME.fullmatch(text)
    hour, minute, second = (int(group or 0) for group in match.groups()) if match else (0, 99, 0)
    if minute > 59 or second > 59 or hour * 3600 + minute * 60 + second > DAY:
        remedy = "write HH:MM from 00:00 to 24:00"
        if match and hour >= 24:
            remedy += "; an end on the next day is written like 02:00: Fri 22:00-02:00"
        raise BadWindow(f"{text!r} is not a time of day", remedy, offset)
    return hour * 3600 + minute * 60 + second
