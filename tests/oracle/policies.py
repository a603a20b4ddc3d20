"""A policy as the oracle knows it. Its YAML text is in ``writing``, its meaning in ``membership``.

Nothing here comes from the product: what both got wrong in the same place would go unnoticed.
"""

from dataclasses import dataclass
from datetime import date, datetime

Dates = tuple[date, date]
"""Both ends within."""

Except = Dates | str
"""A span of days, the name of a calendar, or a code of public holidays."""

Moment = date | datetime
"""A day, a local time (naive) or an instant (aware); a datetime is a date too, so ask for it
first."""


@dataclass(frozen=True)
class Literal:
    """``2026-12-01..2026-12-24 Mon-Fri 08:00-12:00``; what is empty is not written.

    Days are spans of weekdays, Monday is 0; times are seconds after midnight as they are written,
    so that an end at or before its start is on the next day.
    """

    dates: tuple[Dates, ...] = ()
    days: tuple[tuple[int, int], ...] = ()
    times: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Window:
    """A named window, short (literals) or long (a mapping; without ``when``: always)."""

    name: str
    when: tuple[Literal, ...] = ()
    is_long: bool = False
    zone: str | None = None
    excepted: tuple[Except, ...] = ()


@dataclass(frozen=True)
class Calendar:
    """A named list of days."""

    name: str
    days: tuple[Except, ...]


@dataclass(frozen=True)
class Grant:
    """What is empty or None is left out in the text. A spoilt one has an error in it."""

    kind: str
    subject: str
    consoles: tuple[str, ...]
    when: tuple[Literal | str, ...] = ()
    excepted: tuple[Except, ...] = ()
    valid_from: Moment | None = None
    valid_until: Moment | None = None
    workstations: tuple[str, ...] = ()
    reason: str | None = None
    is_spoilt: bool = False


@dataclass(frozen=True)
class Policy:
    """``files``: over how many files the entries are dealt out; ``is_quoted``: all is in quotes;
    ``is_bare``: one of a kind stands without a list."""

    timezone: str
    consoles: tuple[str, ...]
    windows: tuple[Window, ...] = ()
    calendars: tuple[Calendar, ...] = ()
    grants: tuple[Grant, ...] = ()
    files: int = 1
    is_quoted: bool = False
    is_bare: bool = False


@dataclass(frozen=True)
class Question:
    """What is open for a user, on a workstation, in [start, end)?"""

    user: str
    groups: tuple[str, ...]
    workstation: str
    start: int
    end: int
