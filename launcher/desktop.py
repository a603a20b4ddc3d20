"""Windows for a person without a terminal, each in a program of its own.

So the launcher, which stays beside the viewer for hours, holds neither the toolkit nor a connection
to the screen. Where the toolkit is missing, notifications say the same.
"""

from __future__ import annotations

import os

from launcher.tell import notify, start

TYPE_CHECKING = False  # see launcher
if TYPE_CHECKING:
    from collections.abc import Sequence

    from launcher.consoles import Console

WINDOW = "/usr/lib/pam-spice/window"
ASKPASS = "/usr/lib/pam-spice/askpass"

CONSOLE_VARIABLE = "PAM_SPICE_CONSOLE"
NOTES_VARIABLE = "PAM_SPICE_NOTES"

ANSWERED, CANCELLED, NO_WINDOW = "a", "c", "n"
"""What ``askpass`` notes, a letter for each time that sudo called it."""

CHOSEN, NOTHING, NO_TOOLKIT = 0, 1, 3
"""Exit statuses of WINDOW."""


class NoToolkit(Exception):
    """A window can't be shown here."""


def choose(consoles: Sequence[Console], now: int, in_use: Sequence[str]) -> str | None:
    """Let the person choose from a list; a name, or None if he doesn't want any.

    Raises NoToolkit.
    """
    import json
    import subprocess

    from launcher.words import not_now, state

    rows = [{"name": console.name, "server": console.host, "state": state(console, now),
             "in_use": console.name in in_use,
             "refusal": "" if console.is_open else not_now([console], now)}
            for console in sorted(consoles, key=lambda console: not console.is_open)]
    try:
        answer = subprocess.run([WINDOW, "list"], input=json.dumps(rows),  # noqa: S603
                                stdout=subprocess.PIPE, encoding="utf-8", check=False)
    except OSError:
        raise NoToolkit from None
    if answer.returncode not in (CHOSEN, NOTHING):
        raise NoToolkit
    return answer.stdout.removesuffix("\n") if answer.returncode == CHOSEN else None


def show(text: str) -> int | None:
    """Show it in a window that stays until the person closes it, or in a notification; the process
    that does. Nobody waits for it."""
    pid = start([WINDOW, "message", text])
    return notify(text) if pid is None else pid


class PasswordNotes:
    """Where ``askpass``, which sudo starts anew for each attempt, finds and leaves a word."""

    def __init__(self, console: str) -> None:
        """What sudo is started with from now on knows of it, through the environment."""
        self._file = os.memfd_create("askpass")
        os.environ["SUDO_ASKPASS"] = ASKPASS
        os.environ[CONSOLE_VARIABLE] = console
        os.environ[NOTES_VARIABLE] = f"/proc/{os.getpid()}/fd/{self._file}"

    def read(self) -> str:
        """The letters noted so far."""
        return os.pread(self._file, 100, 0).decode("ascii", "replace")
