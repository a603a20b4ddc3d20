"""Sessions and what each could reach when, from pam-spice's records. Pure.

A record of a session says what the kernel was told from then on, until the session's next one;
docs/journal.md. Of a session that has no end in the journal the last word of its boot counts.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pam_spice.auditlog import Event, Reach

_REACHING = ("open", "change", "extend", "mend")
MACHINE_STOPPED = "not told: the machine was switched off or crashed"
NOT_TOLD = "not told: its id was given to another login"


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """From an instant to another, in seconds since the epoch."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """In seconds."""
        return self.end - self.start


@dataclass(slots=True)
class Session:
    """A login that got consoles, or waited for them."""

    id: str
    user: str | None
    uid: int | None
    boot: str | None
    start: int
    is_start_known: bool  # or there is no record of its beginning
    end: int | None = None  # None: it goes on
    why: str | None = None  # it ended
    waited: bool = False
    tested_by: str | None = None  # who ran the selftest that made it; then it is no login of his
    told: list[tuple[int, tuple[Reach, ...]]] = field(default_factory=list)

    def reach(self, until: int) -> dict[str, list[Span]]:
        """The spans in which each console was open for it, up to an instant."""
        last = until if self.end is None else min(self.end, until)
        found: dict[str, list[Span]] = {}
        bounds = [at for at, _ in self.told[1:]] + [last]
        for (at, consoles), bound in zip(self.told, bounds, strict=True):
            for each in consoles:
                start = at if each.start is None else max(at, each.start)
                end = bound if each.end is None else min(bound, each.end)
                if start < end:
                    found.setdefault(name_of(each), []).append(Span(start, min(end, last)))
        return {name: merged(spans) for name, spans in found.items()}


def name_of(reach: Reach) -> str:
    """The console's name; where it has none, its endpoint."""
    return reach.console or f"{','.join(reach.addresses)} port {reach.port}"


def merged(spans: Iterable[Span]) -> list[Span]:
    """In order, none touching another."""
    found: list[Span] = []
    for span in sorted(spans):
        if found and span.start <= found[-1].end:
            found[-1] = Span(found[-1].start, max(found[-1].end, span.end))
        else:
            found.append(span)
    return found


def clipped(spans: Iterable[Span], start: int, end: int) -> list[Span]:
    """What of them lies within."""
    return [Span(max(span.start, start), min(span.end, end)) for span in spans
            if span.start < end and start < span.end]


def told_at(event: Event) -> int:
    """When it happened, in seconds: a record that was kept says so, and comes later."""
    try:
        return int(datetime.strptime(event.details["kept_since"], "%Y-%m-%dT%H:%M:%SZ")
                   .replace(tzinfo=UTC).timestamp())
    except (KeyError, ValueError):
        return event.time // 1_000_000


def sessions_of(events: Iterable[Event], heard: dict[str | None, int]) -> list[Session]:
    """All of them, by their start. ``events``: pam-spice's, in the order in which they happened;
    ``heard``: the boots, in their order, and when something was last told of each."""
    found: list[Session] = []
    live: dict[tuple[str | None, str], Session] = {}
    for event in events:
        at = told_at(event)
        if event.event == "uninstall":
            for session in live.values():
                _end(session, at, "pam-spice was uninstalled")
            live.clear()
        elif event.session is not None:
            _take(event, at, found, live)
    for session in live.values():
        if session.boot != next(reversed(heard)):  # the last goes on
            _end(session, heard[session.boot], MACHINE_STOPPED)
    return sorted(found, key=lambda session: (session.start, session.id))


def _take(event: Event, at: int, found: list[Session],
          live: dict[tuple[str | None, str], Session]) -> None:
    key = event.boot, event.session or ""
    session = live.get(key)
    if event.event in ("close", "gone"):
        if session is not None:
            _end(live.pop(key), at, event.reason)
        return
    if event.event == "selftest" and session is not None and session.uid == event.uid:
        session.tested_by = event.by or "-"
    if event.event not in (*_REACHING, "wait", "shut"):
        return
    is_new = event.reason == "login" and event.event == "open"
    if session is not None and (session.uid != event.uid or is_new):
        _end(live.pop(key), at, NOT_TOLD)
        session = None
    if session is None:
        session = Session(key[1], event.user, event.uid, event.boot, at,
                          is_new or event.event == "wait")
        live[key] = session
        found.append(session)
    session.waited |= event.event == "wait"
    session.told.append((at, event.consoles if event.event in _REACHING else ()))


def _end(session: Session, at: int, why: str | None) -> None:
    session.end, session.why = at, why
