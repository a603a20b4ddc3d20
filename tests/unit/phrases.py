"""Reads the words of ``conf.changes`` back into times on the wall clock."""

import re
from datetime import date

from conf.intervals import DAY, Interval, merged
from conf.times import DAYS, parse_dates, parse_window

_EPOCH = date(1970, 1, 1).toordinal()
_NAMES = {f"{name}s": DAYS[index] for index, name in enumerate(
    ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"))}
_DATE = r"\d{4}-\d\d-\d\d"
_SPAN = re.compile(rf"(?:^| )(?:from (?P<first>{_DATE}(?: \d\d:\d\d)?) (?:on|to (?P<last>{_DATE}"
                   rf"(?: \d\d:\d\d)?))|until (?P<until>{_DATE}(?: \d\d:\d\d)?))$")


def read(text: str, first: int, end: int) -> list[Interval]:
    """What phrases say for the days [first, end): seconds since 1970-01-01T00:00 by the clock."""
    return merged([interval for phrase in text.split("; ") if phrase
                   for interval in _phrase(phrase, first, end)])


def _phrase(phrase: str, first: int, end: int) -> list[Interval]:
    if re.match(rf"on {_DATE}", phrase):
        return [interval for group in phrase.removeprefix("on ").split(" and ")
                for interval in _windows(group, range(first, end))]
    phrase, _, excepted = phrase.partition(" except ")
    low, high = first * DAY, end * DAY
    span = _SPAN.search(phrase)
    if span:
        phrase = phrase[:span.start()]
        low = _moment(span["first"]) if span["first"] else low
        last = span["last"] or span["until"]
        high = _moment(last) + (DAY if last and " " not in last else 0) if last else high
    if phrase in ("", "always") and not excepted:
        return [(low, high)]
    without = {day for start, stop in (parse_dates(excepted) if excepted else ())
               for day in range(start, stop + 1)}
    days = [day for day in range(low // DAY, (high - 1) // DAY + 1) if day not in without]
    return [interval for group in phrase.split(" and ")
            for interval in _windows(_literal(group), days)]


def _literal(group: str) -> str:
    """A group in the policy's own language."""
    group = group.removeprefix("on ").removeprefix("daily ").removesuffix(" all day")
    return "Mon-Sun" if group == "always" else _NAMES.get(group, group)


def _windows(literal: str, days: "range | list[int]") -> list[Interval]:
    return [(day * DAY + start, day * DAY + stop)
            for mask, start, stop, (first, last) in parse_window(literal) for day in days
            if mask >> (day + 3) % 7 & 1 and first <= day <= last]


def _moment(text: str) -> int:
    day, _, time = text.partition(" ")
    hours, _, minutes = time.partition(":")
    return ((date.fromisoformat(day).toordinal() - _EPOCH) * DAY
            + (int(hours) * 3600 + int(minutes) * 60 if time else 0))
