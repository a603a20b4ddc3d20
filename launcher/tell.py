"""Says something to the person: on the terminal, and as a notification on the desktop."""

from __future__ import annotations

import os
import sys

from launcher.language import gettext as _

TYPE_CHECKING = False  # see launcher
if TYPE_CHECKING:
    from typing import TextIO

NOTIFY = "/usr/bin/notify-send"


def has_screen() -> bool:
    """Whether a window can be shown."""
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def is_desktop() -> bool:
    """Whether the person sees windows and no terminal, as from a menu."""
    return has_screen() and not (_is_terminal(sys.stdin) and _is_terminal(sys.stderr))


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()


def say(text: str) -> None:
    """A line on stderr; never raises: the terminal may be gone, and the viewer still there."""
    try:
        sys.stderr.write(text + _line_end())
        sys.stderr.flush()
    except (OSError, ValueError):
        pass


def _line_end() -> str:
    """While sudo runs a command in a pty of its own, the terminal adds no carriage returns."""
    import termios

    try:
        is_raw = not termios.tcgetattr(2)[1] & termios.OPOST
    except termios.error:
        return "\n"
    return "\r\n" if is_raw else "\n"


def notify(text: str) -> int | None:
    """Show it on the desktop; the process that does, or None where there is no desktop.

    Nobody waits for it: without a notification service it takes its time.
    """
    return start([NOTIFY, "--app-name=spice-open", "--icon=spice-open", "--", _("Consoles"), text])


def start(command: list[str]) -> int | None:
    """Start a program that shows something, and leave it alone; None where it can't be."""
    if not has_screen():
        return None
    try:
        return os.posix_spawn(
            command[0], command, os.environ, setsigmask=(),
            file_actions=[(os.POSIX_SPAWN_OPEN, descriptor, "/dev/null", os.O_RDWR, 0)
                          for descriptor in (0, 1, 2)])
    except OSError:
        return None
