"""Questions to a policy: who may what, when, and why not. Pure: everything is passed in."""

from dataclasses import dataclass

from conf.intervals import DAY, Interval, merged, open_intervals
from conf.model import Console, Grant, Policy, Subject, SubjectKind
from conf.zones import load_zone, offsets_between

_SEARCH = 400 * DAY
"""How far ahead an end or a beginning is looked for."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A grant that has to do with a question, and what it lacks to count (nothing: it counts)."""

    grant: Grant
    lacks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer. ``until`` is when it stops to hold if it is a yes, None for never; ``next`` is
    when the console opens (again), None for never; both in seconds since the epoch."""

    allowed: bool
    until: int | None
    next: int | None
    reason: str
    entries: tuple[Entry, ...]


def names(grant: Grant, user: str, groups: frozenset[str]) -> bool:
    """Whether the grant is this user's, by name or by group."""
    return (grant.subject == Subject(SubjectKind.USER, user)
            or (grant.subject.kind == SubjectKind.GROUP and grant.subject.name in groups))


def intervals_of(policy: Policy, grants: list[Grant], start: int, end: int) -> list[Interval]:
    """The merged intervals of [start, end) in which any of the grants counts."""
    offsets = offsets_between(load_zone(policy.timezone), start, end)
    found: list[Interval] = []
    for grant in grants:
        found += ([(start, end)] if grant.windows is None
                  else open_intervals(grant.windows, offsets, start, end))
    return merged(found)


def windows_of(policy: Policy, user: str, groups: frozenset[str], start: int, end: int,
               console: Console | None = None) -> list[tuple[str, int, int]]:
    """(console, start, end) of all that is open for a user in [start, end), sorted by start."""
    result = []
    for candidate in [console] if console else policy.consoles.values():
        grants = [grant for grant in policy.grants
                  if candidate in grant.consoles and names(grant, user, groups)]
        result += [(opens, closes, candidate.name)
                   for opens, closes in intervals_of(policy, grants, start, end)]
    return [(name, opens, closes) for opens, closes, name in sorted(result)]


def explain(policy: Policy, user: str, groups: frozenset[str], console: Console,
            at: int) -> Verdict:
    """Whether the user may reach the console at an instant, and what decides it."""
    entries = []
    own = []
    for grant in policy.grants:
        is_named = names(grant, user, groups)
        if is_named and console in grant.consoles:
            own.append(grant)
        lacks = []
        if not is_named:
            lacks.append(f"it is for {grant.subject.kind} {grant.subject.name}")
        if console not in grant.consoles:
            lacks.append("it is for another console")
        if len(lacks) < 2:
            if is_named and not intervals_of(policy, [grant], at, at + 1):
                lacks.append("its window is not open then")
            entries.append(Entry(grant, tuple(lacks)))
    entries.sort(key=lambda entry: len(entry.lacks))
    coming = intervals_of(policy, own, at, at + _SEARCH)
    allowed = bool(coming) and coming[0][0] == at
    until = coming[0][1] if allowed and coming[0][1] < at + _SEARCH else None
    later = coming[1:] if allowed else coming
    following = later[0][0] if later else None
    if allowed:
        reason = f"granted at {entries[0].grant.mark.file}:{entries[0].grant.mark.line}"
    elif own:
        reason = "none of the windows is open then"
    else:
        reason = f"no grant gives {user} this console"
    return Verdict(allowed, until, following, reason, tuple(entries))
