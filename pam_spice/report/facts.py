"""What a report tells, from the journal's events and sudo's lines. Pure.

What can be of any number is summed, so that nobody can make the page long by trying often.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pam_spice import journal
from pam_spice.auditlog import Event
from pam_spice.report.sessions import (
    Session,
    Span,
    clipped,
    merged,
    name_of,
    sessions_of,
    told_at,
)
from pam_spice.report.sudolog import SudoLog, Use

_OF_SESSIONS = ("open", "change", "extend", "close", "gone", "selftest")
_CHANGES = ("edit", "policy", "grant", "end", "apply", "revoke", "lift", "setup",
            "uninstall")
_REFUSALS = ("refuse", "wait", "shut", "deny")
_GAPS = ("suppressed", "missed")
_SELFTEST = 60  # seconds that one takes at most, most often
NO_CONSOLE = "?"
"""Of a use of which no line tells the console."""
MOST_KINDS = 30
"""Of what and why, told of one person by one teller: what sudo says can be the user's own words."""
OTHER = "other"
"""What more there is, in sum."""


@dataclass(frozen=True, slots=True)
class Tally:
    """The same, several times: how often, the first and the last time."""

    by: str  # who says so
    who: str
    what: str
    reason: str
    count: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Row:
    """A user and a console: when it was open for him, and when his viewer ran."""

    user: str
    console: str
    open: tuple[Span, ...]
    used: tuple[Span, ...]
    end_unknown: frozenset[Span]
    """Of ``used``: they ended then at the latest, or go on."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that happened from an instant to another, each part oldest first."""

    since: int
    until: int
    sessions: tuple[Session, ...]
    tests: tuple[Session, ...]  # which the selftest made
    rows: tuple[Row, ...]
    refusals: tuple[Tally, ...]
    cuts: tuple[Tally, ...]
    mends: tuple[Event, ...]
    placed: tuple[Event, ...]  # by the first policy
    notes: tuple[Tally, ...]  # of the doctor's, and no faults
    changes: tuple[Event, ...]
    faults: tuple[Tally, ...]
    gaps: tuple[Tally, ...]


def facts_of(events: Iterable[Event], sudo: SudoLog, since: int, until: int,
             boot: str | None = None) -> Facts:
    """What ``events`` tell. ``boot``: which is running at ``until``, None being the last of which
    they tell. They may begin before ``since``: a session from then may go on. They are taken one by
    one, and what the kernel says is summed at once: it can be millions. ``sudo`` is asked when
    there are no more."""
    refusals, cuts, faults, gaps, notes = (_Tallies() for _ in range(5))
    known: list[Event] = []
    heard: dict[str | None, int] = {}  # boots in their order
    tested: dict[int, int] = {}  # accounts, and until when a selftest may be at work
    for event in events:
        at = told_at(event)
        if at > until:
            continue
        heard[event.boot] = max(at, heard.get(event.boot, at))
        if event.source == "pam-spice":
            known.append(event)
        event = _noted(event, at, tested)
        if at >= since:
            _sum(event, at, refusals, cuts, notes if _is_note(event) else faults, gaps)
    if boot is not None:
        heard[boot] = heard.pop(boot, until)
    known.sort(key=told_at)  # a record that was kept comes late
    for denial in sudo.denials():
        if since <= denial.time <= until:
            refusals.add("sudo", denial.user or f"uid {denial.uid}",
                         denial.console or "another command line", denial.reason, denial.time)
    every = [session for session in sessions_of(known, heard)
             if session.start < until and (session.end is None or session.end >= since)]
    sessions = tuple(session for session in every if session.tested_by is None)
    tests = tuple(session for session in every if session.tested_by is not None)
    done = [event for event in known if told_at(event) >= since]
    return Facts(since, until, sessions, tests, tuple(_rows(sessions, sudo.uses(), since, until)),
                 refusals.all(), cuts.all(),
                 tuple(event for event in done if event.event == "mend"),
                 tuple(event for event in done if _is_placing(event)), notes.all(),
                 tuple(event for event in done if event.event in _CHANGES
                       and not _is_placing(event)
                       # The same text was compiled anew, or there is none yet.
                       and not (event.event == "policy" and event.details.get(
                           "before", "none") == event.revision)),
                 faults.all(), gaps.all())


def _noted(event: Event, at: int, tested: dict[int, int]) -> Event:
    """With what a refusal may be about: a selftest connects for its user where he may not."""
    if event.uid is None:
        return event
    if event.event == "selftest":
        tested[event.uid] = at + _SELFTEST
    elif event.event in ("open", "wait"):  # a login after it
        tested.pop(event.uid, None)
    elif event.source == "kernel" and at <= tested.get(event.uid, 0):
        return replace(event, reason=f"{event.reason}; while pam-spice selftest tried")
    return event


def _is_note(event: Event) -> bool:
    return event.event == "finding" and event.priority == journal.INFO


def _is_placing(event: Event) -> bool:
    return event.event == "setup" and "what" in event.details


def _sum(event: Event, at: int, refusals: "_Tallies", cuts: "_Tallies", faults: "_Tallies",
         gaps: "_Tallies") -> None:
    who, by = _who(event), event.source
    if event.event in _REFUSALS:
        refusals.add(by, who, _target(event), event.reason or event.message, at)
    elif event.event == "cut":
        cuts.add(by, who, _target(event), event.reason or "", at, event.count or 1)
    elif event.event in _GAPS:
        gaps.add(by, who, event.event, event.message, at)
    elif event.event not in (*_OF_SESSIONS, *_CHANGES, "mend"):
        faults.add(by, who, event.event, event.message.removeprefix(f"{event.event}: "), at)
    if "lost" in event.details:
        gaps.add(by, "-", "lost", f"{event.details['lost']} records before this one could not be "
                 "written", at)
    if "kept_since" in event.details:
        gaps.add(by, "-", "late", "the journal did not take records in time; they were kept and "
                 "written later", at)


class _Tallies:
    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str, str], Tally] = {}
        self._kinds: dict[tuple[str, str], int] = {}

    def add(self, by: str, who: str, what: str, reason: str, at: int, count: int = 1) -> None:
        key = by, who, what, reason
        before = self._found.get(key)
        if before is None:
            kinds = self._kinds[by, who] = self._kinds.get((by, who), 0) + 1
            if kinds > MOST_KINDS:
                key = by, who, OTHER, OTHER
                before = self._found.get(key)
        self._found[key] = (Tally(*key, count, at, at) if before is None
                            else replace(before, count=before.count + count, last=at))

    def all(self) -> tuple[Tally, ...]:
        return tuple(sorted(self._found.values(), key=lambda tally: tally.first))


def _who(event: Event) -> str:
    if event.user is not None:
        return event.user
    return "-" if event.uid is None else f"uid {event.uid}"


def _target(event: Event) -> str:
    if not event.consoles:
        service = event.details.get("service")
        return f"login by {service}" if service else "login"
    return " or ".join(dict.fromkeys(map(name_of, event.consoles)))


def _rows(sessions: Sequence[Session], uses: Sequence[Use], since: int,
          until: int) -> list[Row]:
    reach: dict[tuple[str, str], list[Span]] = {}
    for session in sessions:
        user = _name(session.user, session.uid)
        for console, spans in session.reach(until).items():
            reach.setdefault((user, console), []).extend(clipped(spans, since, until))
    used: dict[tuple[str, str], list[Span]] = {}
    unknown: dict[tuple[str, str], set[Span]] = {}
    for use in uses:
        end = use.end if use.end is not None else _latest_end(use, sessions, until)
        # A viewer that died within its first second counts too.
        if use.start > until or end < since:
            continue
        span = Span(max(use.start, since), max(min(end, until), max(use.start, since)))
        key = _name(use.user, use.uid), use.console or NO_CONSOLE
        used.setdefault(key, []).append(span)
        if use.end is None:
            unknown.setdefault(key, set()).add(span)
    keys = sorted({key for key, spans in reach.items() if spans} | set(used))
    return [Row(*key, tuple(merged(reach.get(key, ()))), tuple(sorted(used.get(key, ()))),
                frozenset(unknown.get(key, ()))) for key in keys]


def _latest_end(use: Use, sessions: Sequence[Session], until: int) -> int:
    """A viewer can do nothing any more once its user's last session is over."""
    ends = [until if session.end is None else session.end for session in sessions
            if session.uid == use.uid and session.boot == use.boot
            and session.start <= use.start and (session.end is None or use.start < session.end)]
    return max(ends, default=until)


def _name(user: str | None, uid: int | None) -> str:
    return user if user is not None else f"uid {uid}"


