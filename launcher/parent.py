"""Stays beside the viewer: warns, and says why the console closed.

It enforces nothing: the kernel ends the connection to the second, whether this lives or not.
"""

from __future__ import annotations

from launcher.refusal import NO, YES
from launcher.words import closing_soon, time_is_over

TYPE_CHECKING = False  # see launcher
if TYPE_CHECKING:
    import signal

    from launcher.consoles import Console
    from launcher.surroundings import Surroundings
else:
    import _signal as signal  # without its enums: they take 5 ms

WARN_BEFORE = (600, 300, 60)
"""Seconds before the end at which the person is warned."""

LONGEST_WAIT = 5.0
"""Seconds. The timer of a wait stands still in suspend, and clocks get set: so look this often."""

_UNTIL_STARTED = 0.5
_LEAVE_VIEWER = 10.0
"""Seconds after the end in which the viewer shows what has happened."""

_LEAVE_SUDO = 5.0


def accompany(world: Surroundings, console: Console) -> int:
    """Wait for the viewer's end; an exit status: 0 unless it wasn't opened, or failed."""
    started = False
    warned = warnings_due(console, world.now())
    while True:
        started = started or world.has_started()
        status = world.status()
        now = world.now()
        logged_in, current = world.console()
        why = why_closed(console, logged_in, current, now)
        if why is not None:
            world.announce(why)
            _see_off(world, _LEAVE_VIEWER)
            return YES
        assert current is not None
        console = current
        if status is not None:
            text, result = why_ended(console.name, status, started)
            world.tell(text)
            return result
        due = warnings_due(console, now)
        if due > warned:
            world.announce(closing_soon(console, now))
        warned = due  # falls again when the clock is set back or the time is made longer
        if world.wait(next_look(console, now, started)):
            _see_off(world, 0)
            world.tell("closed" if started else f"{console.name} was not opened")
            return YES if started else NO


def warnings_due(console: Console, now: float) -> int:
    """How many of the warnings' instants have come."""
    if console.until is None:
        return 0
    return sum(console.until - now <= before for before in WARN_BEFORE)


def next_look(console: Console, now: float, started: bool) -> float:
    """Seconds until there may be something to say."""
    longest = LONGEST_WAIT if started else _UNTIL_STARTED
    if console.until is None:
        return longest
    instants = [console.until - before for before in (*WARN_BEFORE, 0)]
    # An interval timer and the clock may differ by a little: never busy-wait for the rest.
    return max(0.01, min([longest, *(instant - now for instant in instants if instant > now)]))


def why_closed(before: Console, logged_in: bool, current: Console | None,
               now: float) -> str | None:
    """Why the console that was open ``before`` is not any more; None: it is open."""
    if not logged_in:
        return f"{before.name} was closed: your login has ended, or your consoles were taken back"
    if current is not None and current.is_open:
        return None
    if current is not None and before.until is not None and before.until <= now:
        return time_is_over(current, before.until, int(now))
    return f"{before.name} was closed by the administrator; spice-open --list shows what you have"


def why_ended(name: str, status: int, started: bool) -> tuple[str, int]:
    """Words and exit status for a viewer that ended while its console was open."""
    if status == 0 or status in (-signal.SIGINT, -signal.SIGTERM, -signal.SIGHUP):
        return "closed", YES
    if status < 0:
        return f"the viewer of {name} was ended by signal {-status}; try again", NO
    if not started and status == 1:
        return f"{name} was not opened: see the message above", NO
    return (f"the viewer of {name} ended with an error (status {status}); try again, or ask your "
            f"administrator"), NO


def _see_off(world: Surroundings, grace: float) -> None:
    """Leave the viewer ``grace`` seconds to end by itself, then end it.

    Left alone it would stand there with a dead console, and with sudo's terminal settings.
    """
    end = world.now() + grace
    wants_end = False
    while world.status() is None and world.now() < end and not wants_end:
        wants_end = world.wait(max(0.01, min(LONGEST_WAIT, end - world.now())))
    if world.status() is None:
        world.stop()
        for _ in range(int(_LEAVE_SUDO * 10)):
            if world.status() is not None:
                break
            world.wait(0.1)
