"""Is a console open at an instant? By the definition: look at the wall clock, look at the policy.

No interval is computed from a policy here. The instants of a question are looked at one by one,
minute by minute, and second by second where anything could begin or end; the intervals are what
was seen open.
"""

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import cache

from tests.oracle.policies import Except, Grant, Literal, Moment, Policy, Question
from tests.oracle.wallclock import (
    DAY,
    beginning_of,
    changes_between,
    instant_of,
    offset_at,
    wall_clock,
)

Open = tuple[str, int, int]
"""(console, start, end)."""


@cache
def has_holidays() -> bool:
    """Whether there is a library of public holidays with the calls of today."""
    try:
        import holidays
    except ImportError:
        return False
    return hasattr(holidays, "country_holidays")


@cache
def _public_holidays(code: str) -> Callable[[date], bool]:
    from holidays import country_holidays

    country, _, subdivision = code.partition("-")
    days = country_holidays(country, subdiv=subdivision or None)
    return lambda day: day in days


def _is_among(day: date, items: tuple[Except, ...], policy: Policy) -> bool:
    for item in items:
        if isinstance(item, str):
            calendars = [calendar for calendar in policy.calendars if calendar.name == item]
            if calendars:
                if _is_among(day, calendars[0].days, policy):
                    return True
            elif _public_holidays(item)(day):
                return True
        elif item[0] <= day <= item[1]:
            return True
    return False


def _weekdays(literal: Literal) -> set[int]:
    days = set()
    for first, last in literal.days:
        day = first
        days.add(day)
        while day != last:
            day = (day + 1) % 7
            days.add(day)
    return days


class _Recurring:
    """Literals in a zone, without some days."""

    def __init__(self, zone: str, literals: tuple[Literal, ...],
                 is_excepted: Callable[[date], bool]) -> None:
        self.zone = zone
        self.literals = literals or (Literal(),)
        self.is_excepted = is_excepted
        self._begun: dict[int, list[tuple[int, int]]] = {}

    def _spans_that_begin_on(self, ordinal: int) -> list[tuple[int, int]]:
        day = date.fromordinal(ordinal)
        spans: list[tuple[int, int]] = []
        if self.is_excepted(day):
            return spans
        for literal in self.literals:
            if literal.dates and not any(first <= day <= last for first, last in literal.dates):
                continue
            if literal.days and day.weekday() not in _weekdays(literal):
                continue
            for start, end in literal.times or ((0, DAY),):
                spans.append((start, end if end > start else end + DAY))
        return spans

    def begun(self, ordinal: int) -> list[tuple[int, int]]:
        if ordinal not in self._begun:
            self._begun[ordinal] = self._spans_that_begin_on(ordinal)
        return self._begun[ordinal]

    def holds(self, instant: int) -> bool:
        today, second = wall_clock(self.zone, instant)
        for start, end in self.begun(today):
            if start <= second < end:
                return True
        for start, end in self.begun(today - 1):
            if start <= DAY + second < end:
                return True
        return False

    def edges(self) -> set[int]:
        """Seconds after midnight at which a window may begin or end."""
        return {0} | {edge % DAY for literal in self.literals for span in literal.times
                      for edge in span}


def _bound(moment: Moment, zone: str, is_from: bool) -> int:
    if isinstance(moment, datetime):
        if moment.tzinfo is not None:
            return int(moment.timestamp())
        return instant_of(zone, moment, is_second=is_from)
    return beginning_of(zone, moment if is_from else moment + timedelta(days=1))


def _glob(pattern: str, name: str) -> bool:
    if not pattern:
        return not name
    if pattern[0] == "*":
        return _glob(pattern[1:], name) or (bool(name) and _glob(pattern, name[1:]))
    return bool(name) and pattern[0] in ("?", name[0]) and _glob(pattern[1:], name[1:])


def is_workstation(patterns: tuple[str, ...], name: str) -> bool:
    """Whether one of the globs means the machine, by its whole name or its first label."""
    return any(_glob(pattern.lower(), text.lower())
               for pattern in patterns for text in (name, re.split(r"\.", name)[0]))


class _Right:
    """A grant, ready to be asked for instants."""

    def __init__(self, policy: Policy, grant: Grant) -> None:
        zone = policy.timezone
        self.start = (None if grant.valid_from is None
                      else _bound(grant.valid_from, zone, is_from=True))
        self.end = (None if grant.valid_until is None
                    else _bound(grant.valid_until, zone, is_from=False))
        self.windows: list[_Recurring] = []
        literals = tuple(item for item in grant.when if isinstance(item, Literal))
        if literals or not grant.when:
            self.windows.append(_Recurring(zone, literals, self._excepts(policy, grant.excepted)))
        for name in grant.when:
            if isinstance(name, str):
                window = next(each for each in policy.windows if each.name == name)
                self.windows.append(_Recurring(
                    window.zone or zone, window.when,
                    self._excepts(policy, window.excepted + grant.excepted)))
        self.is_always = not grant.when and not grant.excepted

    @staticmethod
    def _excepts(policy: Policy, items: tuple[Except, ...]) -> Callable[[date], bool]:
        return lambda day: _is_among(day, items, policy)

    def holds(self, instant: int) -> bool:
        if self.start is not None and instant < self.start:
            return False
        if self.end is not None and instant >= self.end:
            return False
        if self.is_always:
            return True
        return any(window.holds(instant) for window in self.windows)


def _counts(grant: Grant, question: Question) -> bool:
    if grant.is_spoilt:
        return False
    if grant.workstations and not is_workstation(grant.workstations, question.workstation):
        return False
    return grant.subject in ((question.user,) if grant.kind == "user" else question.groups)


def _samples(rights: list[_Right], question: Question) -> list[int]:
    """Every minute, and the seconds around every instant at which anything could change."""
    start, end = question.start, question.end
    samples = {start, end - 1, *range(start + -start % 60, end, 60)}
    edges: dict[str, set[int]] = {}
    near = set()
    for right in rights:
        near |= {bound for bound in (right.start, right.end) if bound is not None}
        for window in right.windows:
            edges.setdefault(window.zone, set()).update(window.edges())
    for zone, seconds in edges.items():
        near |= set(changes_between(zone, start - 60, end + 60))
        offsets = {offset_at(zone, instant) for instant in range(start, end, 3600)}
        offsets.add(offset_at(zone, end))
        for offset in offsets:
            for midnight in range((start - 2 * DAY) // DAY * DAY, end + 2 * DAY, DAY):
                near |= {midnight - offset + second for second in seconds}
    samples |= {instant + around for instant in near for around in range(-3, 4)}
    return sorted(instant for instant in samples if start <= instant < end)


def _seen_open(rights: list[_Right], samples: list[int], end: int) -> list[tuple[int, int]]:
    """The spans in which what was looked at was open, and between two looks that differ every
    second is looked at."""
    spans: list[tuple[int, int]] = []
    was_open, before = False, samples[0]
    opened = 0

    def look(instant: int) -> None:
        nonlocal was_open, opened
        is_open = any(right.holds(instant) for right in rights)
        if is_open and not was_open:
            opened = instant
        if was_open and not is_open:
            spans.append((opened, instant))
        was_open = is_open

    for instant in samples:
        if instant - before > 1 and was_open != any(right.holds(instant) for right in rights):
            for between in range(before + 1, instant):
                look(between)
        look(instant)
        before = instant
    if was_open:
        spans.append((opened, end))
    return spans


def open_spans(policy: Policy, question: Question) -> list[Open]:
    """All that is open, sorted by start."""
    found: list[Open] = []
    for console in policy.consoles:
        rights = [_Right(policy, grant) for grant in policy.grants
                  if console in grant.consoles and _counts(grant, question)]
        if not rights or question.start >= question.end:
            continue
        spans = _seen_open(rights, _samples(rights, question), question.end)
        found += [(console, start, end) for start, end in spans]
    return sorted(found, key=lambda item: (item[1], item[2], item[0]))


def is_open(policy: Policy, question: Question, console: str, instant: int) -> bool:
    """One look at one console."""
    return any(_Right(policy, grant).holds(instant) for grant in policy.grants
               if console in grant.consoles and _counts(grant, question))
