"""Instants and consoles in plain words, in the person's language and by his conventions."""

from __future__ import annotations

from time import gmtime, strftime

from conf.intervals import DAY, UNKNOWN, Offsets
from launcher.consoles import HORIZON, Console
from launcher.conventions import conventions
from launcher.language import gettext as _
from launcher.language import ngettext

TYPE_CHECKING = False  # see launcher
if TYPE_CHECKING:
    from collections.abc import Sequence

_DAYS_WITHOUT_DATE = 6
"""How many days ahead a weekday's name alone says which day is meant."""

_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday; Monday is 0


def _offset(instant: int, zone: Offsets) -> int:
    offset = zone[0][1]
    for since, value in zone:
        if since <= instant and value != UNKNOWN:
            offset = value
    return offset


def _wall(instant: int, zone: Offsets) -> tuple[int, int]:
    """The wall clock as days since 1970-01-01 and seconds since that day's midnight."""
    return divmod(instant + _offset(instant, zone), DAY)


def clock(instant: int, zone: Offsets) -> str:
    """``12:00``; ``12:00:20`` where there are seconds."""
    _day, second = _wall(instant, zone)
    pattern = conventions().seconds if second % 60 else conventions().clock
    return strftime(pattern, gmtime(second))


def day_and_clock(instant: int, now: int, zone: Offsets) -> str:
    """``Tue 08:00``; ``Tue 2026-12-01 08:00`` where the weekday alone may be taken for another."""
    day, _second = _wall(instant, zone)
    today, _second = _wall(now, zone)
    names = (_("Mon"), _("Tue"), _("Wed"), _("Thu"), _("Fri"), _("Sat"), _("Sun"))
    words = [names[(day + _EPOCH_WEEKDAY) % 7], clock(instant, zone)]
    if not 0 <= day - today <= _DAYS_WITHOUT_DATE:
        words.insert(1, strftime(conventions().date, gmtime(day * DAY)))
    return " ".join(words)


def _zone(instant: int, console: Console) -> str:
    """`` Europe/Berlin`` where the workstation's own clock shows another time, else nothing."""
    here = conventions().offset(instant)
    is_known = here is not None and console.zone_name
    return f" {console.zone_name}" if is_known and here != _offset(instant, console.zone) else ""


def _moment(instant: int, now: int, console: Console) -> str:
    return day_and_clock(instant, now, console.zone) + _zone(instant, console)


def _time_of_day(instant: int, console: Console) -> str:
    return clock(instant, console.zone) + _zone(instant, console)


def state(console: Console, now: int) -> str:
    """``open until Tue 12:00``, ``open``, ``closed, next Tue 08:00`` or ``closed``."""
    if console.is_open:
        if console.until is None:
            return _("open")
        return _("open until {time}").format(time=_moment(console.until, now, console))
    if console.next is None:
        return _("closed")
    return _("closed, next {time}").format(time=_moment(console.next, now, console))


def table(consoles: Sequence[Console], now: int, in_use: Sequence[str] = ()) -> list[str]:
    """A line for each console: name, server, state, and whether the person has it open."""
    names = max((len(console.name) for console in consoles), default=0)
    hosts = max((len(console.host) for console in consoles), default=0)
    return [f"{console.name:{names}}  {console.host:{hosts}}  {state(console, now)}"
            + (f"  {_('in use by you')}" if console.name in in_use else "")
            for console in consoles]


def greeting(user: str, console: Console, now: int) -> str:
    """What is about to happen, and until when."""
    if console.until is None:
        return _("Hello {user}: opening {console} on {server}.").format(
            user=user, console=console.name, server=console.host)
    return _("Hello {user}: opening {console} on {server}, open until {time}.").format(
        user=user, console=console.name, server=console.host,
        time=_moment(console.until, now, console))


def not_now(consoles: Sequence[Console], now: int) -> str:
    """When closed consoles open: the soonest first, a line for each."""
    lines = []
    for console in sorted(consoles, key=lambda console: (console.next is None, console.next or 0)):
        if console.next is None:
            lines.append(_("Not now: there is no time for {console} in the next {count} days. Ask "
                           "your administrator.").format(console=console.name,
                                                        count=HORIZON // DAY))
        else:
            lines.append(_("Not now: your next time for {console} is {time}.").format(
                console=console.name, time=_moment(console.next, now, console)))
    return "\n".join(lines)


def closing_soon(console: Console, now: float) -> str:
    """A warning; ``console`` has an end. The minutes to go are rounded up."""
    assert console.until is not None
    count = max(1, -int(-(console.until - now) // 60))
    return ngettext("{console} closes in {count} minute, at {time}.",
                    "{console} closes in {count} minutes, at {time}.", count).format(
        console=console.name, count=count, time=_time_of_day(console.until, console))


def time_is_over(console: Console, ended: int, now: int) -> str:
    """Why a console closed that is now ``console``, and when it opens again."""
    when = _time_of_day(ended, console)
    if console.next is None:
        return _("Your time for {console} ended at {time}.").format(console=console.name, time=when)
    return _("Your time for {console} ended at {time}. The next one is {next}.").format(
        console=console.name, time=when, next=_moment(console.next, now, console))


def printable(text: str) -> str:
    """The text as it was typed, without anything that a terminal obeys."""
    return text if text.isprintable() else ascii(text)
