"""Stays beside the viewer: warns, and says why the console closed.

It enforces nothing: the kernel ends the connection to the second, whether this lives or not.
"""

from __future__ import annotations

from launcher.desktop import CANCELLED, NO_WINDOW
from launcher.language import gettext as _
from launcher.refusal import NO, YES
from launcher.words import closing_soon, time_is_over

TYPE_CHECKING = False  # see launcher
if TYPE_CHECKING:
    import signal

    from launcher.consoles import Console
    from launcher.diagnosis import Diagnosis
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
    warned = 0
    while True:
        started = started or world.has_started()
        status = world.status()
        now = world.now()
        logged_in, current = world.console()
        why = why_closed(console, logged_in, current, now)
        if why is not None:
            world.explain(why)
            _see_off(world, _LEAVE_VIEWER)
            return YES
        assert current is not None
        console = current
        heard = world.heard()
        failure = heard.failure(console)
        if failure is not None:
            _see_off(world, 0)  # it shows that it is unable to connect, and not why
            world.explain(failure)
            return NO
        if status is not None:
            text, result = why_ended(console, status, started, heard, world.password_notes())
            # What the person has done himself needs no window.
            is_known = text in (_("Closed."), not_opened(console))
            (world.tell if is_known else world.explain)(text)
            return result
        # Before, sudo may be asking; who opens late is told at once how long he has.
        due = warnings_due(console, now) if started else 0
        if due > warned:
            world.announce(closing_soon(console, now))
        warned = due  # falls again when the clock is set back or the time is made longer
        if world.wait(next_look(console, now, started)):
            _see_off(world, 0)
            world.tell(_("Closed.") if started else not_opened(console))
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
        return _("{console} was closed: your login has ended, or your consoles were taken "
                 "back.").format(console=before.name)
    if current is not None and current.is_open:
        return None
    if current is not None and before.until is not None and before.until <= now:
        return time_is_over(current, before.until, int(now))
    return _("{console} was closed by your administrator. Open Consoles again to see what you "
             "have.").format(console=before.name)


def not_opened(console: Console) -> str:
    """What is said where the person himself has broken it off."""
    return _("{console} was not opened.").format(console=console.name)


def why_ended(console: Console, status: int, started: bool, heard: Diagnosis,
              notes: str) -> tuple[str, int]:
    """Words and exit status for a viewer that ended while its console was open."""
    name = console.name
    if status == 0:
        why = heard.ending(console)
        return (_("Closed."), YES) if why is None else (why, YES if heard.was_opened else NO)
    if status in (-signal.SIGINT, -signal.SIGTERM, -signal.SIGHUP):
        return _("Closed."), YES
    if status < 0:
        return _("The viewer of {console} was ended by signal {number}. Try again.").format(
            console=name, number=-status), NO
    if not started and status == 1:
        return _why_not_started(console, heard, notes), NO
    return _("The viewer of {console} ended with an error (status {status}). Try again, or ask "
             "your administrator.").format(console=name, status=status), NO


def _why_not_started(console: Console, heard: Diagnosis, notes: str) -> str:
    if notes.endswith(CANCELLED):
        return not_opened(console)
    if notes.endswith(NO_WINDOW):
        return _("{console} was not opened: there is no window here that could ask for your "
                 "password. Run spice-open in a terminal.").format(console=console.name)
    if heard.last:
        return _("{console} was not opened. This is what sudo says: {words}").format(
            console=console.name, words=heard.last.removeprefix("sudo: "))
    return _("{console} was not opened. See the message above.").format(console=console.name)


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
        for _attempt in range(int(_LEAVE_SUDO * 10)):
            if world.status() is not None:
                break
            world.wait(0.1)
