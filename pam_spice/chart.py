"""A week of a policy as a chart: consoles as rows, who may reach them as bars, where nobody may and
where several may at once. Pure: everything is passed in.

All instants are seconds since the epoch, all spans are [start, end). The week is one of ISO 8601,
by the wall clock of the policy's zone: its days have 23 or 25 hours where the clock is changed.
"""

import string
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from itertools import chain, pairwise

from conf.calendars import date_of, day_number
from conf.deciding import intervals_of, is_for, names
from conf.intervals import DAY, Interval, Offsets, merged
from conf.model import Console, Grant, Policy, Subject, SubjectKind
from conf.zones import clock, instants_of, load_zone, offsets_between

HOUR = 3600

NO_KEY = "?"
"""The key of the subjects for whom no letter is left."""

_KEYS = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class Hour:
    """A full hour of the wall clock. ``by_change``: it begins the hour before a change of the
    clock, or is where the change leads: one that comes twice, or the two beside one that is
    skipped."""

    at: int
    number: int
    by_change: bool


@dataclass(frozen=True, slots=True)
class Change:
    """An instant at which the wall clock is set: what it would have shown and what it shows, in
    seconds since 1970-01-01T00:00 by that clock, and the zone's abbreviations."""

    at: int
    before: int
    after: int
    name_before: str
    name_after: str


@dataclass(frozen=True, slots=True)
class Day:
    """A calendar day. It is empty where the clock skips the whole of it."""

    date: date
    start: int
    end: int
    hours: tuple[Hour, ...]
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """A span of the week in which a subject may reach a console. It is cut at the week's ends;
    ``from_before`` and ``goes_on`` say where. ``grants`` are those that make it up."""

    subject: Subject
    start: int
    end: int
    from_before: bool
    goes_on: bool
    grants: tuple[Grant, ...]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A span of the week throughout which the same subjects may reach a console."""

    start: int
    end: int
    subjects: tuple[Subject, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A console's week. ``stretches`` fill all of it without a hole. ``overlaps`` are those of two
    or more subjects: SPICE has one seat. ``lanes`` keep the bars that overlap apart."""

    console: Console
    bars: tuple[Bar, ...]
    stretches: tuple[Stretch, ...]
    overlaps: tuple[Stretch, ...]
    lanes: dict[Subject, int]

    @property
    def gaps(self) -> tuple[Stretch, ...]:
        """When nobody may reach the console."""
        return tuple(each for each in self.stretches if not each.subjects)

    def bars_of(self, subject: Subject) -> tuple[Bar, ...]:
        """The subject's bars by time."""
        return tuple(bar for bar in self.bars if bar.subject == subject)


@dataclass(frozen=True, slots=True)
class Chart:
    """A week of a policy. ``user`` is whom it was asked for, if for one; then it has his bars only,
    and those of his groups. ``now`` is None outside the week."""

    week: str
    zone: str
    offsets: Offsets
    days: tuple[Day, ...]
    rows: tuple[Row, ...]
    keys: dict[Subject, str]
    workstation: str
    user: str | None
    now: int | None

    @property
    def start(self) -> int:
        """The instant at which the week begins."""
        return self.days[0].start

    @property
    def end(self) -> int:
        """The first instant behind it."""
        return self.days[-1].end

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """All who have a bar: users by name, then groups by name."""
        return tuple(self.keys)

    def wall_clock(self, instant: int) -> int:
        """What the clock shows, in seconds since 1970-01-01T00:00 by that clock."""
        return instant + _offset(self.offsets, instant)

    def abbreviation(self, instant: int) -> str:
        """The zone's abbreviation at an instant, like CEST."""
        return _abbreviation(self.zone, instant)


def monday_of(week: str) -> date:
    """The first day of a week written like 2026-W43. Raises ValueError."""
    year, found, number = week.partition("-W")
    if not (found and len(year) == 4 and len(number) == 2 and (year + number).isascii()
            and (year + number).isdigit() and 1971 <= int(year) <= 2399):
        raise ValueError(f"{week!r} is not a week like 2026-W43")
    try:
        return date.fromisocalendar(int(year), int(number), 1)
    except ValueError:
        raise ValueError(f"the year {year} has no week {number}") from None


def week_at(instant: int, zone: str) -> str:
    """The week in which an instant lies by the zone's clock."""
    year, number, _ = clock(instant, zone).isocalendar()
    return f"{year:04d}-W{number:02d}"


def chart_of(policy: Policy, week: str, now: int, workstation: str = "",
             console: Console | None = None, user: str | None = None,
             groups: frozenset[str] = frozenset()) -> Chart:
    """The chart of a week written like 2026-W43: of all consoles, of one, or of those that some
    grant gives a user. Raises ValueError for what is no week."""
    monday = day_number(monday_of(week))
    zone = load_zone(policy.timezone)
    bounds = [instants_of(zone, day * DAY)[0] for day in range(monday, monday + 8)]
    start, end = bounds[0], bounds[-1]
    offsets = offsets_between(zone, start - DAY, end + DAY)
    grants = [grant for grant in policy.grants if is_for(grant, workstation)
              and (user is None or names(grant.subject, user, groups))]
    # A second more on each side tells whether it goes on there.
    spans = [intervals_of([grant], start - 1, end + 1) for grant in grants]
    by_console: dict[str, list[tuple[Grant, list[Interval]]]] = {}
    for grant, own in zip(grants, spans, strict=True):
        for each in grant.consoles:
            by_console.setdefault(each.name, []).append((grant, own))
    shown = [each for each in policy.consoles.values()
             if console in (None, each) and (user is None or each.name in by_console)]
    rows = tuple(_row(each, by_console.get(each.name, []), start, end, user is None)
                 for each in shown)
    return Chart(week, policy.timezone, offsets,
                 tuple(_day(monday + index, policy.timezone, offsets, *span)
                       for index, span in enumerate(pairwise(bounds))),
                 rows, _keys(bar.subject for row in rows for bar in row.bars), workstation, user,
                 now if start <= now < end else None)


def _offset(offsets: Offsets, instant: int) -> int:
    return next((offset for since, offset in reversed(offsets) if since <= instant),
                offsets[0][1])


def _abbreviation(zone: str, instant: int) -> str:
    return clock(instant, zone).tzname() or ""


def _day(number: int, zone: str, offsets: Offsets, start: int, end: int) -> Day:
    changes = tuple(
        Change(at, at + before, at + after, _abbreviation(zone, at - 1), _abbreviation(zone, at))
        for (_, before), (at, after) in pairwise(offsets) if start <= at < end)
    hours = []
    bounds = [start, *(change.at for change in changes if change.at > start), end]
    for low, high in pairwise(bounds):
        offset = _offset(offsets, low)
        for at in range(low + -(low + offset) % HOUR, high, HOUR):
            by_change = any(change.at - HOUR <= at <= change.at for change in changes)
            hours.append(Hour(at, (at + offset) % DAY // HOUR, by_change))
    return Day(date_of(number), start, end, tuple(hours), changes)


def _row(console: Console, own: list[tuple[Grant, list[Interval]]], start: int, end: int,
         has_overlaps: bool) -> Row:
    by_subject: dict[Subject, list[tuple[Grant, list[Interval]]]] = {}
    for grant, spans in own:
        by_subject.setdefault(grant.subject, []).append((grant, spans))
    bars = []
    for subject in sorted(by_subject, key=_order):
        for opens, closes in merged([span for _, spans in by_subject[subject] for span in spans]):
            if opens >= end or closes <= start:  # all of it in the second more
                continue
            first, last = max(opens, start), min(closes, end)
            grants = tuple(grant for grant, spans in by_subject[subject]
                           if any(low < last and first < high for low, high in spans))
            bars.append(Bar(subject, first, last, opens < start, closes > end, grants))
    stretches = _stretches(bars, start, end)
    overlaps = tuple(each for each in stretches if has_overlaps and len(each.subjects) > 1)
    return Row(console, tuple(bars), stretches, overlaps, _lanes(bars))


def _stretches(bars: list[Bar], start: int, end: int) -> tuple[Stretch, ...]:
    instants = sorted({start, end, *(instant for bar in bars for instant in (bar.start, bar.end))})
    events: dict[int, list[Bar]] = {}
    for bar in bars:
        events.setdefault(bar.start, []).append(bar)
        events.setdefault(bar.end, []).append(bar)
    open_now: set[Subject] = set()
    found = []
    for low, high in pairwise(instants):
        for bar in events.get(low, ()):
            if bar.end == low:
                open_now.discard(bar.subject)
        open_now |= {bar.subject for bar in events.get(low, ()) if bar.start == low}
        found.append(Stretch(low, high, tuple(sorted(open_now, key=_order))))
    return tuple(found)


def _lanes(bars: list[Bar]) -> dict[Subject, int]:
    """A subject's bars share a lane; a lane takes another subject where no bars overlap."""
    lanes: list[list[Bar]] = []
    found: dict[Subject, int] = {}
    own: dict[Subject, list[Bar]] = {}
    for bar in bars:
        own.setdefault(bar.subject, []).append(bar)
    for subject, mine in own.items():
        number = next((index for index, lane in enumerate(lanes)
                       if not any(bar.start < other.end and other.start < bar.end
                                  for bar in mine for other in lane)), len(lanes))
        if number == len(lanes):
            lanes.append([])
        lanes[number] += mine
        found[subject] = number
    return found


def _keys(subjects: Iterable[Subject]) -> dict[Subject, str]:
    """A letter for each: one of his name where it can be, small for a user, great for a group."""
    keys: dict[Subject, str] = {}
    taken = set()
    for subject in sorted(set(subjects), key=_order):
        name = subject.name.lower() if subject.kind == SubjectKind.USER else subject.name.upper()
        keys[subject] = next((letter for letter in chain(name, _KEYS)
                              if letter in _KEYS and letter not in taken), NO_KEY)
        taken.add(keys[subject])
    return keys


def _order(subject: Subject) -> tuple[bool, str]:
    return subject.kind == SubjectKind.GROUP, subject.name
