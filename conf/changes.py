"""From one policy to another: who gains and loses which console when. Pure.

Subjects are users and groups as the policies write them: who is in a group isn't known here.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from conf.deciding import excepted_days, intervals_of, is_for
from conf.grantline import FOREVER
from conf.intervals import DAY, EVERY_DATE, Interval, Offsets, merged, open_intervals
from conf.model import Grant, Policy, Skipped, Subject, SubjectKind
from conf.otherchanges import other_changes
from conf.timewords import DayPieces, describe, pieces_by_day
from conf.zones import instants_of, load_zone, offsets_between

_REACH = 400  # days that are compared one by one: what names no date comes again within a year
_BEFORE, _AFTER = 21, 35  # days that are compared around each date that is named for later
_TIME_OF_DAY = re.compile("[0-9]:[0-9]")
_WALL_CLOCK: Offsets = ((0, 0),)


@dataclass(frozen=True, slots=True)
class Change:
    """What one subject gains and loses of one console: within the span that was asked for in
    instants, and for ever in words."""

    subject: Subject
    console: str
    gains: tuple[Interval, ...]
    loses: tuple[Interval, ...]
    text: str
    on: str = ""  # the other workstations that it is for; empty: the one that was asked for


@dataclass(frozen=True, slots=True)
class Changes:
    """All that a policy changes: on the workstation in question, on others, and beside the
    grants. ``loud`` is that which opens something to everybody."""

    here: tuple[Change, ...]
    elsewhere: tuple[Change, ...]
    other: tuple[str, ...]
    loud: tuple[str, ...]
    timezone: str
    """The policy's own."""

    def __bool__(self) -> bool:
        return bool(self.here or self.elsewhere or self.other or self.loud)

    def lines(self) -> list[str]:
        """All of it for people, the most important first."""
        return [*self.loud, *(change.text for change in self.here + self.elsewhere), *self.other]

    @property
    def clock(self) -> str:
        """By whose clock times of day in the lines are; empty where there are none."""
        if not any(_TIME_OF_DAY.search(change.text) for change in self.here + self.elsewhere):
            return ""
        return f"times without a zone are by the clock of {self.timezone}"


def compare(old: Policy, new: Policy, start: int, end: int, workstation: str,
            has_problems: bool = False) -> Changes:
    """What is different with ``new`` from ``start`` on.

    ``has_problems`` says that the new policy has an error, so that what was guarded stays so.
    The words are exact for 400 days, as far as a wall clock can tell the hour that it shows twice;
    public holidays and two zones' shifts against each other come again after them. Of several
    patterns of other workstations each is looked at by itself.
    """
    outcomes = _Outcomes(new.timezone, start, end)
    before, after = _touched(old, new)
    here: list[Change] = []
    elsewhere: list[Change] = []
    other, loud = other_changes(old, new, has_problems)
    told: set[int] = set()
    for subject, console in sorted(before, key=lambda key: (str(key[0]), key[1])):
        was, becomes = before[subject, console], after[subject, console]
        skipped = [each for each in new.skipped
                   if each.subject == subject and console in each.consoles]
        told |= {id(each) for each in skipped}
        found = _on_workstations(_Pair(subject, console, was, becomes, skipped), outcomes,
                                 workstation)
        here += [change for change in found if not change.on]
        elsewhere += [change for change in found if change.on]
        reasons = _reasons(becomes)
        if not found and reasons != _reasons(was):
            other.append(f"{who(subject)}, {console}: " + (
                f"the reason is now {', '.join(reasons)}" if reasons else "gives no reason now"))
    other += _newly_skipped(old, new, told)
    return Changes(tuple(here), tuple(elsewhere), tuple(other), tuple(loud), new.timezone)


def who(subject: Subject) -> str:
    """A subject for people."""
    return subject.name if subject.kind == SubjectKind.USER else f"group {subject.name}"


_Key = tuple[Subject, str]


def _identity(grant: Grant) -> tuple[object, ...]:
    """All that a grant says, without the place where it says so."""
    return (grant.subject, tuple(console.name for console in grant.consoles), grant.schedules,
            grant.valid, grant.workstations, grant.reason)


def _touched(old: Policy, new: Policy) -> tuple[dict[_Key, list[Grant]], dict[_Key, list[Grant]]]:
    """The grants before and after of each subject and console that a changed grant names."""
    before = {_identity(grant) for grant in old.grants}
    after = {_identity(grant) for grant in new.grants}
    keys = dict.fromkeys(
        (grant.subject, console.name) for policy, others in ((old, after), (new, before))
        for grant in policy.grants if _identity(grant) not in others
        for console in grant.consoles)
    return _grants_of(old, keys), _grants_of(new, keys)


def _grants_of(policy: Policy, keys: Iterable[_Key]) -> dict[_Key, list[Grant]]:
    found: dict[_Key, list[Grant]] = {key: [] for key in keys}
    subjects = {subject for subject, _ in found}
    for grant in policy.grants:
        if grant.subject in subjects:
            for console in grant.consoles:
                if (grant.subject, console.name) in found:
                    found[grant.subject, console.name].append(grant)
    return found


def _reasons(grants: list[Grant]) -> list[str]:
    return sorted({f'"{grant.reason}"' for grant in grants if grant.reason})


def _newly_skipped(old: Policy, new: Policy, told: set[int]) -> list[str]:
    known = {(each.subject, each.consoles, each.problem.fact) for each in old.skipped}
    return [f"{_place(each)} has an error and is skipped: {each.problem.fact}"
            for each in new.skipped if id(each) not in told
            and (each.subject, each.consoles, each.problem.fact) not in known]


def _place(skipped: Skipped) -> str:
    return f"the entry at {skipped.problem.mark.file}:{skipped.problem.mark.line}"


# Workstations

@dataclass(frozen=True, slots=True)
class _Pair:
    """The grants of one subject and console, before and after."""

    subject: Subject
    console: str
    old: list[Grant]
    new: list[Grant]
    skipped: list[Skipped]

    def outcome(self, outcomes: "_Outcomes", patterns: set[tuple[str, ...]]) -> "_Outcome":
        """On a workstation that is meant by just these patterns."""
        return outcomes.of(*([grant for grant in grants
                              if not grant.workstations or grant.workstations in patterns]
                             for grants in (self.old, self.new)))

    def change(self, outcome: "_Outcome", on: str = "", lead: str = "",
               tail: str = "") -> Change | None:
        """The outcome in words; None where nothing changes."""
        if not outcome.verb:
            return None
        text = f"{lead}{who(self.subject)} {outcome.words(self.console)}{tail}"
        reasons = [reason for reason in _reasons(self.new) if reason not in _reasons(self.old)]
        if outcome.verb != LOSES and reasons:
            text += f", reason: {', '.join(reasons)}"
        if outcome.verb != GAINS and self.skipped:
            text += f": {_place(self.skipped[0])} has an error"
        return Change(self.subject, self.console, outcome.gains, outcome.loses, text, on)


def _on_workstations(pair: _Pair, outcomes: "_Outcomes", workstation: str) -> list[Change]:
    """The changes on the workstation, and on others as far as they are different there."""
    by_patterns = {grant.workstations: is_for(grant, workstation)
                   for grant in pair.old + pair.new if grant.workstations}
    ours = {patterns for patterns, is_ours in by_patterns.items() if is_ours}
    here = pair.outcome(outcomes, ours)
    rest = pair.outcome(outcomes, set()) if ours else here
    by_names = {", ".join(patterns): (pair.outcome(outcomes, {patterns}), is_ours)
                for patterns, is_ours in by_patterns.items()}
    but = "; ".join(names for names, (outcome, _) in by_names.items() if outcome != rest)
    but = f" (except on {but})" if but else ""
    lead = f"on {workstation}: " if here != rest else ""
    found = [pair.change(here, lead=lead, tail="" if lead else but)]
    if here != rest:
        found.append(pair.change(rest, "other workstations", "on other workstations: ", but))
    found += [pair.change(outcome, names, f"on {names}: ")
              for names, (outcome, is_ours) in by_names.items()
              if outcome != (here if is_ours else rest)]
    return [change for change in found if change is not None]


# Times

GAINS, LOSES, HAS = "gains", "loses", "has"


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What times are gained and lost: instants within the span, words for all the time to come."""

    gains: tuple[Interval, ...]
    loses: tuple[Interval, ...]
    gain_words: str
    lose_words: str
    old_words: str
    new_words: str

    @property
    def verb(self) -> str:
        """GAINS, LOSES, HAS for both, or empty for neither."""
        if self.gain_words:
            return HAS if self.lose_words else GAINS
        return LOSES if self.lose_words else ""

    def words(self, console: str) -> str:
        """The difference, or what holds from now on and what did before if that is shorter."""
        lost = "altogether" if self.lose_words == "always" else self.lose_words
        parts = [f"{verb} {words}" for verb, words in ((GAINS, self.gain_words), (LOSES, lost))
                 if words]
        difference = "; ".join(parts)
        if self.old_words and self.new_words and self.old_words != self.new_words:
            instead = (f"{self.verb} {console}{'' if self.verb == HAS else ':'} {self.new_words} "
                       f"instead of {self.old_words}")
            # Of what is as long, people read better what holds than two differences.
            if len(instead) < len(difference) + len(console) + (5 if self.verb == HAS else 0):
                return instead
        return difference.replace(" ", f" {console} ", 1)


class _Outcomes:
    """The outcomes of changed grants; the same question, which a change of a named window asks for
    each who has it, is answered once."""

    def __init__(self, timezone: str, start: int, end: int) -> None:
        self.timezone = timezone
        self.start = start
        self.end = end
        self._known: dict[object, _Outcome] = {}

    def of(self, old: list[Grant], new: list[Grant]) -> _Outcome:
        """The outcome for somebody who has just these grants, wherever they count."""
        key = tuple(frozenset((grant.schedules, grant.valid) for grant in grants)
                    for grants in (old, new))
        if key not in self._known:
            was, becomes = (intervals_of(grants, self.start, self.end) for grants in (old, new))
            self._known[key] = _Outcome(
                tuple(without(becomes, was)), tuple(without(was, becomes)),
                self._words(old, new), self._words(new, old),
                self._words([], old), self._words([], new))
        return self._known[key]

    def _words(self, old: list[Grant], new: list[Grant]) -> str:
        """What ``new`` has more, on that zone's clock that needs the fewest phrases."""
        zones = {schedule.timezone for grant in old + new for schedule in grant.schedules or ()}
        candidates = (list(zones) if len(zones) == 1
                      else [self.timezone, *sorted(zones - {self.timezone})])
        return min((self._phrases(zone, old, new) for zone in candidates),
                   key=lambda found: found[0])[1]

    def _phrases(self, zone: str, old: list[Grant], new: list[Grant]) -> tuple[int, str]:
        """How many phrases it takes by a zone's clock, and the phrases."""
        clock = _Clock(zone, self.start)
        days: list[DayPieces] = []
        for first, end in clock.spans(old + new):
            days += pieces_by_day(clock.more(old, new, first - 1, end + 1), first, end)
        phrases = describe(days, clock.since)
        text = "; ".join(phrases)
        if zone != self.timezone and text not in ("", "always"):
            text += f" ({zone})"
        return len(phrases), text


class _Clock:
    """A zone's wall clock."""

    def __init__(self, zone: str, start: int) -> None:
        self.name = zone
        self.zone = load_zone(zone)
        # What it shows from the start on; less than now if it is about to be set back.
        self.since = min(max(since, start) + offset for since, offset in offsets_between(
            self.zone, start, start + DAY))

    def wall(self, instant: int) -> int:
        """What it shows at an instant."""
        offsets = offsets_between(self.zone, instant, instant + 1)
        return instant + offsets[0][1]

    def spans(self, grants: list[Grant]) -> list[Interval]:
        """The days [first, end) that decide everything: the coming ones, and those around each
        date that the grants name for later."""
        today = self.since // DAY
        dates = [self.wall(bound) // DAY for grant in grants for bound in grant.valid
                 if 0 < bound < FOREVER]
        for schedule in (schedule for grant in grants for schedule in grant.schedules or ()):
            named = (*(window[3] for window in schedule.windows), *schedule.exceptions.dates)
            dates += [day for span in named if span != EVERY_DATE for day in span]
        # Of yesterday an overnight window may still be open.
        return merged([(today - 1, today + _REACH),
                       *((day - _BEFORE, day + _AFTER) for day in set(dates)
                         if day + _AFTER > today + _REACH)])

    def more(self, old: list[Grant], new: list[Grant], first: int, end: int) -> list[Interval]:
        """What it shows while one of ``new`` counts and none of ``old``, on the days [first, end).

        Windows of its own zone are compared by the clock itself, which no shift can disturb; all
        else by instants.
        """
        if all(schedule.timezone == self.name for grant in old + new
               for schedule in grant.schedules or ()) and all(
                   self._is_plain(bound) for grant in old + new for bound in grant.valid):
            return without(*(self._by_clock(grants, first * DAY, end * DAY)
                             for grants in (new, old)))
        low, high = (instants_of(self.zone, day * DAY)[0] for day in (first, end))
        return self._shown(without(*(intervals_of(grants, low, high) for grants in (new, old))),
                           offsets_between(self.zone, low, high))

    @staticmethod
    def _shown(intervals: list[Interval], offsets: Offsets) -> list[Interval]:
        since = [change for change, _ in offsets]
        set_back = [change for (change, offset), (_, before) in zip(
            offsets[1:], offsets, strict=False) if offset < before]

        def shown(instant: int, at: int) -> int:
            return instant + offsets[max(bisect_right(since, at) - 1, 0)][1]

        found = []
        for start, end in intervals:
            cuts = [start, *(change for change in set_back if start < change < end), end]
            # An end is shown by the clock as it ran until then.
            found += [(shown(opens, opens), shown(closes, closes - 1))
                      for opens, closes in pairwise(cuts)]
        return merged(found)

    def _is_plain(self, instant: int) -> bool:
        """Whether the clock shows that instant's time just once."""
        return not 0 < instant < FOREVER or (
            instants_of(self.zone, self.wall(instant)) == (instant, instant))

    def _by_clock(self, grants: list[Grant], start: int, end: int) -> list[Interval]:
        found: list[Interval] = []
        for grant in grants:
            low, high = (bound if bound in (0, FOREVER) else self.wall(bound)
                         for bound in grant.valid)
            opens, closes = max(start, low), min(end, high)
            if grant.schedules is None:
                found.append((opens, closes))
                continue
            for schedule in grant.schedules if opens < closes else ():
                found += open_intervals(schedule.windows, _WALL_CLOCK, opens, closes,
                                        excepted_days(schedule.exceptions, opens, closes))
        return merged(found)


def without(intervals: list[Interval], taken: list[Interval]) -> list[Interval]:
    """What of the first lies outside the second; both merged."""
    left: list[Interval] = []
    index = 0
    for start, end in intervals:
        while index < len(taken) and taken[index][1] <= start:
            index += 1
        at = index
        while at < len(taken) and taken[at][0] < end:
            if start < taken[at][0]:
                left.append((start, taken[at][0]))
            start = max(start, taken[at][1])
            at += 1
        if start < end:
            left.append((start, end))
    return left
