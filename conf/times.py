"""Window literals: ``Mon-Fri 08:00-18:00``, ``Mon,Tue``, ``22:00-06:00``."""

import re

from conf.intervals import DAY, Window

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
EVERY_DAY = 0b1111111

_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?", re.ASCII)


class BadWindow(ValueError):
    """A literal that can't be read: ``fact``, ``remedy`` and the ``offset`` of the bad part."""

    def __init__(self, fact: str, remedy: str, offset: int) -> None:
        super().__init__(fact)
        self.fact = fact
        self.remedy = remedy
        self.offset = offset


def parse_window(text: str) -> tuple[Window, ...]:
    """Read one literal: days, times of day, or both; several of each joined by commas.

    Times are HH:MM or HH:MM:SS, up to 24:00; an end at or before its start is on the next day.
    Days without times are whole days, times without days are every day.

    Raises BadWindow.
    """
    words = [(match.group(), match.start()) for match in re.finditer(r"[^ ]+", text)]
    if not words or len(words) > 2:
        raise BadWindow(f"{text!r} is not a window",
                        "write days, times or both: Mon-Fri 08:00-18:00", 0)
    days = EVERY_DAY
    if not words[0][0][0].isdigit():
        days = _parse_days(*words.pop(0))
    if not words:
        return ((days, 0, DAY),)
    return tuple((days, start, end) for start, end in _parse_times(*words[0]))


def _parts(text: str, offset: int) -> list[tuple[str, int]]:
    """The comma-separated parts with their offsets."""
    parts = []
    for part in text.split(","):
        parts.append((part, offset))
        offset += len(part) + 1
    return parts


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
        raise BadWindow(f"{text!r} is not a day", f"days are {' '.join(DAYS)}", offset) from None


def _parse_times(text: str, offset: int) -> list[tuple[int, int]]:
    spans = []
    for part, at in _parts(text, offset):
        first, dash, last = part.partition("-")
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
    hour, minute, second = (int(group or 0) for group in match.groups()) if match else (99, 0, 0)
    if minute > 59 or second > 59 or hour * 3600 + minute * 60 + second > DAY:
        raise BadWindow(f"{text!r} is not a time of day", "write HH:MM from 00:00 to 24:00",
                        offset)
    return hour * 3600 + minute * 60 + second
