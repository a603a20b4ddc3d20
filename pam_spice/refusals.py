"""The last refusals, from the journal: few, and read in bounded time, however much it holds."""

from collections.abc import Iterable
from dataclasses import dataclass

from pam_spice.auditlog import Event, Reader, last_refusals
from pam_spice.naming import granted_consoles, user_of, viewer_gid

SPAN = 86400  # seconds back
MOST = 5
_LINES = 1000
_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """The last of several refusals that differ in nothing but their time, and how many."""

    event: Event
    times: int


def is_refusal(event: Event) -> bool:
    """A packet or a login that was refused, or a live connection that the kernel ended."""
    return event.event in ("deny", "refuse") or (event.event, event.source) == ("cut", "kernel")


def last_of(events: Iterable[Event], most: int = MOST) -> list[Refusal]:
    """The last refusals of events that are in the order of time, the very last one last. A
    program that tries again is told once."""
    found: dict[tuple[object, ...], Refusal] = {}
    for event in filter(is_refusal, events):
        key = event.source, event.event, event.uid, event.user, event.consoles, event.reason
        before = found.pop(key, None)
        found[key] = Refusal(event, before.times + 1 if before else 1)
    return list(found.values())[-most:]


class Refusals:
    """Reads again only what is new."""

    def __init__(self) -> None:
        self._reader = Reader(user_of, granted_consoles(), viewer_gid())
        self._lines: dict[bytes, Event | None] = {}
        self._read_at: int | None = None

    def read(self, now: int) -> list[Refusal]:
        """The last ones of the last day. Raises NoJournal."""
        since = now - SPAN if self._read_at is None else self._read_at - 1
        for line in last_refusals(since, _LINES, _SECONDS):
            if line not in self._lines:
                self._lines[line] = self._reader.event(line)
        self._read_at = now
        for line in list(self._lines)[:-2 * _LINES]:
            del self._lines[line]
        return last_of(event for event in self._lines.values()
                       if event is not None and event.time >= (now - SPAN) * 1_000_000)
