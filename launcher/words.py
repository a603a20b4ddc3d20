"""Instants and consoles in plain words. Pure."""

from __future__ import annotations

from time import gmtime, strftime

from conf.intervals import DAY, UNKNOWN, Offsets
from launcher.consoles import HORIZON, Console

TYPE_CHECKING = False  # see launcher
if TYPE_CHECKING:
    from collections.abc import Sequence

_DAYS_WITHOUT_DATE = 6
"""How many days ahead a weekday's name alone says which day is meant."""


def _wall(instant: int, zone: Offsets) -> tuple[int, int]:
    """The wall clock as days since 1970-01-01 and seconds since that day's midnight."""
    offset = zone[0][1]
    for since, value in zone:
        if since <= instant and value != UNKNOWN:
            offset = value
    return divmod(instant + offset, DAY)


def clock(instant: int, zone: Offsets) -> str:
    """``12:00``; ``12:00:20`` where there are seconds."""
    _, second = _wall(instant, zone)
    text = f"{second // 3600:02}:{second // 60 % 60:02}"
    return f"{text}:{second % 60:02}" if second % 60 else text


def day_and_clock(instant: int, now: int, zone: Offsets) -> str:
    """``Tue 08:00``; ``Tue 2026-12-01 08:00`` where the weekday alone may be taken for another."""
    day, _ = _wall(instant, zone)
    today, _ = _wall(now, zone)
    is_near = 0 <= day - today <= _DAYS_WITHOUT_DATE
    # In English, whatever LC_TIME is: nothing here calls setlocale(3).
    named = strftime("%a" if is_near else "%a %Y-%m-%d", gmtime(day * DAY))
    return f"{named} {clock(instant, zone)}"


def minutes(seconds: float) -> str:
    """A time still to go, in whole minutes, rounded up."""
    count = max(1, -int(-seconds // 60))
    return f"{count} minute{'s' if count > 1 else ''}"


def state(console: Console, now: int) -> str:
    """``open until Tue 12:00``, ``open``, ``closed, next Tue 08:00`` or ``closed``."""
    if console.is_open:
        if console.until is None:
            return "open"
        return f"open until {day_and_clock(console.until, now, console.zone)}"
    if console.next is None:
        return "closed"
    return f"closed, next {day_and_clock(console.next, now, console.zone)}"


def table(consoles: Sequence[Console], now: int) -> list[str]:
    """A line for each console: name, server, state."""
    names = max((len(console.name) for console in consoles), default=0)
    hosts = max((len(console.host) for console in consoles), default=0)
    return [f"{console.name:{names}}  {console.host:{hosts}}  {state(console, now)}"
            for console in consoles]


def greeting(user: str, console: Console, now: int) -> str:
    """What is about to happen, and until when."""
    text = f"Hello {user}: opening {console.name} on {console.host}"
    return text if console.until is None else f"{text}, {state(console, now)}"


def not_now(consoles: Sequence[Console], now: int) -> str:
    """When closed consoles open: the soonest first, a line for each."""
    lines = []
    for console in sorted(consoles, key=lambda console: (console.next is None, console.next or 0)):
        if console.next is None:
            lines.append(f"not now: there is no time for {console.name} in the next "
                         f"{HORIZON // DAY} days; ask your administrator")
        else:
            lines.append(f"not now: your next time for {console.name} is "
                         f"{day_and_clock(console.next, now, console.zone)}")
    return "\n".join(lines)


def closing_soon(console: Console, now: float) -> str:
    """A warning; ``console`` has an end."""
    assert console.until is not None
    return (f"{console.name} closes in {minutes(console.until - now)}, "
            f"at {clock(console.until, console.zone)}")


def time_is_over(console: Console, ended: int, now: int) -> str:
    """Why a console closed that is now ``console``, and when it opens again."""
    text = f"your time for {console.name} ended at {clock(ended, console.zone)}"
    if console.next is None:
        return text
    return f"{text}; next {day_and_clock(console.next, now, console.zone)}"


def printable(text: str) -> str:
    """The text as it was typed, without anything that a terminal obeys."""
    return text if text.isprintable() else ascii(text)
