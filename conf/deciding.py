"""Questions to a policy: who may what, when, and why not. Pure: everything is passed in."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from conf.calendars import holiday_dates
from conf.grantline import FOREVER
from conf.intervals import DAY, EVERY_DATE, Dates, Interval, merged, open_intervals
from conf.model import Console, Exceptions, Grant, Policy, Subject, SubjectKind
from conf.problems import Mark
from conf.zones import load_zone, offsets_between, told

_STEP = 400 * DAY
"""How far ahead an end or a beginning is looked for after the last date that a grant names; what
doesn't name a date comes again within a year."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A grant that has to do with a question, and what it lacks to count (nothing: it counts)."""

    mark: Mark
    subject: Subject | None  # None: it can't be read
    consoles: tuple[str, ...]
    lacks: tuple[str, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer. ``until`` is when it stops to hold if it is a yes, None for never; ``next`` is
    when the console opens (again), None for never; both in seconds since the epoch."""

    allowed: bool
    until: int | None
    next: int | None
    reason: str
    entries: tuple[Entry, ...]


def names(subject: Subject | None, user: str, groups: frozenset[str]) -> bool:
    """Whether the subject is this user, by name or by group."""
    return subject is not None and (
        subject.name == user if subject.kind == SubjectKind.USER else subject.name in groups)


def fits(glob: str, workstation: str) -> bool:
    """Whether a grant's pattern fits the workstation of that host name."""
    pattern, name = glob.lower(), workstation.lower()
    return fnmatchcase(name, pattern) or fnmatchcase(name.partition(".")[0], pattern)


def is_for(grant: Grant, workstation: str) -> bool:
    """Whether the grant counts on the workstation of that host name."""
    return not grant.workstations or any(fits(glob, workstation) for glob in grant.workstations)


def excepted_days(exceptions: Exceptions, start: int, end: int) -> tuple[Dates, ...]:
    """The excepted days that matter within [start, end)."""
    return exceptions.dates + tuple(
        day for code in exceptions.holidays for day in holiday_dates(code, start, end))


def intervals_of(grants: Iterable[Grant], start: int, end: int) -> list[Interval]:
    """The merged intervals of [start, end) in which any of the grants counts."""
    found: list[Interval] = []
    for grant in grants:
        opens, closes = max(start, grant.valid[0]), min(end, grant.valid[1])
        if grant.schedules is None:
            found.append((opens, closes))
            continue
        for schedule in grant.schedules if opens < closes else ():
            found += open_intervals(
                schedule.windows, offsets_between(load_zone(schedule.timezone), start, end),
                opens, closes, excepted_days(schedule.exceptions, opens, closes))
    return merged(found)


def windows_of(policy: Policy, user: str, groups: frozenset[str], start: int, end: int,
               console: Console | None = None,
               workstation: str = "") -> list[tuple[str, int, int]]:
    """(console, start, end) of all that is open for a user in [start, end), sorted by start."""
    result = []
    own: dict[str, list[Grant]] = {}
    for grant in policy.grants:
        if names(grant.subject, user, groups) and is_for(grant, workstation):
            for each in grant.consoles:
                own.setdefault(each.name, []).append(grant)
    for name in [console.name] if console else policy.consoles:
        result += [(opens, closes, name)
                   for opens, closes in intervals_of(own.get(name, ()), start, end)]
    return [(name, opens, closes) for opens, closes, name in sorted(result)]


def explain(policy: Policy, user: str, groups: frozenset[str], console: Console,
            at: int, workstation: str = "") -> Verdict:
    """Whether the user may reach the console at an instant, and what decides it."""
    entries = []
    own = []
    for grant in policy.grants:
        lacks = [] if names(grant.subject, user, groups) else [
            f"it is for {grant.subject.kind} {grant.subject.name}"]
        if console not in grant.consoles:
            lacks.append("it is for another console")
        if len(lacks) > 1:
            continue
        if not is_for(grant, workstation):
            lacks.append(f"it is for other workstations ({', '.join(grant.workstations)})")
        elif not lacks:
            own.append(grant)
        lacks += _lacks_in_time(policy, grant, at)
        entries.append(Entry(grant.mark, grant.subject,
                             tuple(each.name for each in grant.consoles), tuple(lacks),
                             grant.reason))
    for skipped in policy.skipped:
        if names(skipped.subject, user, groups) or console.name in skipped.consoles:
            entries.append(Entry(skipped.problem.mark, skipped.subject, skipped.consoles,
                                 (f"it is skipped because of an error: {skipped.problem.fact}",)))
    # What is nearest to count comes first; of equals, what names the user and the console.
    entries.sort(key=lambda entry: (len(entry.lacks), not names(entry.subject, user, groups),
                                    console.name not in entry.consoles))
    coming = _coming(own, at)
    first = next(coming, None)
    allowed = first is not None and first[0] == at
    until = first[1] if allowed and first is not None and first[1] != FOREVER else None
    later = next(coming, None) if allowed else first
    if allowed:
        reason = f"granted at {entries[0].mark.file}:{entries[0].mark.line}"
    else:
        nearest = next((entry for entry in entries if names(entry.subject, user, groups)
                        and console.name in entry.consoles), None)
        reason = (f"no grant gives {user} this console" if nearest is None else
                  f"the grant at {nearest.mark.file}:{nearest.mark.line} does not count: "
                  f"{nearest.lacks[0]}")
    return Verdict(allowed, until, later[0] if later else None, reason, tuple(entries))


def _lacks_in_time(policy: Policy, grant: Grant, at: int) -> list[str]:
    start, end = grant.valid
    if at < start:
        return [f"it is not valid before {told(start, policy.timezone)}"]
    if at >= end:
        return [f"it has expired at {told(end, policy.timezone)}"]
    if intervals_of([grant], at, at + 1):
        return []
    without = replace(grant, schedules=tuple(
        replace(schedule, exceptions=Exceptions()) for schedule in grant.schedules or ()))
    return ["that day is excepted" if intervals_of([without], at, at + 1) else
            "its window is not open then"]


def _coming(grants: list[Grant], at: int) -> Iterator[Interval]:
    """The intervals from ``at`` on; the last one ends at FOREVER if it has no end."""
    limit = max([at, *(_last_date(grant) for grant in grants)]) + _STEP
    held: Interval | None = None
    for start in range(at, limit, _STEP):
        end = min(start + _STEP, limit)
        for found in intervals_of(grants, start, end):
            if held is not None and held[1] == found[0]:
                held = held[0], found[1]
            else:
                if held is not None:
                    yield held
                held = found
    if held is not None:
        yield held[0], FOREVER if held[1] == limit else held[1]


def _last_date(grant: Grant) -> int:
    """The last instant that is named in the grant, a day late at most; 0 if there is none."""
    instants = [bound for bound in grant.valid if bound != FOREVER]
    for schedule in grant.schedules or ():
        spans = [dates for _, _, _, dates in schedule.windows if dates != EVERY_DATE]
        instants += [(last + 2) * DAY for _, last in (*spans, *schedule.exceptions.dates)]
    return max(instants, default=0)
