"""An X screen of a user, its windows, its keyboard, and a picture of it."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Sequence
from pathlib import Path
from subprocess import CompletedProcess

from lab import seat
from lab.door import wait_until
from lab.errors import LabError, LabTimeout
from lab.workstation import Workstation

_PASSWORD_DIALOG = "Authentication required|Password|password|Connect"  # noqa: S105


class Screen:
    """An X screen that is there already: looking at it, and typing."""

    def __init__(self, workstation: Workstation, user: str, display: int, authority: str) -> None:
        self.workstation = workstation
        self.user = user
        self.env = {"DISPLAY": f":{display}", "XAUTHORITY": authority}
        """What a program needs to show itself on this screen."""

    def run(self, argv: Sequence[str], *, check: bool = True) -> CompletedProcess[str]:
        """Run an X program as the screen's user, outside of any login."""
        return self.workstation.run(argv, user=self.user, env=self.env, check=check)

    def windows(self, pattern: str = ".") -> list[str]:
        """The ids of the visible windows whose title matches a regular expression."""
        found = self.run(["xdotool", "search", "--onlyvisible", "--name", pattern], check=False)
        return found.stdout.split()

    def titles(self) -> list[str]:
        """The visible windows' titles."""
        names = [self.run(["xdotool", "getwindowname", each], check=False) for each in
                 self.windows()]  # fmt: skip
        return [name.stdout.strip() for name in names if name.stdout.strip()]

    def wait_for_window(self, pattern: str, timeout: float = 20) -> str:
        """Wait for a window with such a title and return its id.

        Raises LabTimeout, with the titles that are there.
        """
        try:
            what = f"a window like /{pattern}/"
            return wait_until(what, lambda: self.windows(pattern), timeout, 0.2)[-1]
        except LabTimeout as late:
            raise LabTimeout(f"{late}; there are {self.titles()}") from late

    def key(self, *keys: str) -> None:
        """Press keys, in xdotool's names: `Return`, `ctrl+alt+f` ..."""
        self.run(["xdotool", "key", "--clearmodifiers", *keys])

    def type_text(self, text: str) -> None:
        """Type into the window that has the keyboard."""
        self.run(["xdotool", "type", "--delay", "20", "--", text])

    def focus(self, window: str) -> None:
        """Give a window the keyboard."""
        self.run(["xdotool", "windowactivate", "--sync", window])

    def screenshot(self, path: str | Path) -> None:
        """Write a PNG picture of the whole screen to a file of the machine."""
        shot = f"/tmp/shot-{secrets.token_hex(4)}.png"  # noqa: S108
        self.run(["import", "-window", "root", shot])
        self.workstation.copy_out(shot, path)
        self.workstation.run(["rm", "--force", "--", shot])

    def answer_viewer_password(self, password: str, timeout: float = 20) -> None:
        """Wait for the viewer's password dialog, and type the password. Raises LabTimeout."""
        window = self.wait_for_window(_PASSWORD_DIALOG, timeout)
        self.focus(window)
        self.type_text(password)
        self.key("Return")


class Desktop(Screen):
    """A screen that belongs to the user's login at a virtual terminal.

    Its X server, its window manager and what start_program starts are typed at that terminal,
    so all of them are in his logind session.
    """

    def __init__(self, workstation: Workstation, user: str, display: int, tty: int) -> None:
        super().__init__(workstation, user, display, f"/home/{user}/.Xauthority")
        self._tty = tty
        self._display = display

    def start(self) -> None:
        """Start the X server and the window manager. Raises LabError, LabTimeout."""
        name = f":{self._display}"
        self._type(f"xauth -q add {name} . $(mcookie)")
        # By default an X server starts anew when its last client leaves, and the first one does.
        self._type(f"Xvfb {name} -screen 0 1024x768x24 -noreset -nolisten tcp "
                   f"-auth ~/.Xauthority >~/.xvfb.log 2>&1 &")  # fmt: skip
        wait_until(
            "the X server", lambda: not self.run(["xset", "q"], check=False).returncode, 15
        )
        self.start_program("openbox")
        wait_until("the window manager", lambda: "window id" in self.run(
            ["xprop", "-root", "_NET_SUPPORTING_WM_CHECK"]).stdout, 15)  # fmt: skip

    def start_program(self, command: str) -> None:
        """Start a program on this screen from the login's shell, in the background.

        What it prints is in ~/.program.log, after what earlier ones printed.
        """
        env = " ".join(f"{name}={shlex.quote(value)}" for name, value in self.env.items())
        self._type(f"env {env} {command} >>~/.program.log 2>&1 &")

    def start_in_front(self, command: str, password: str | None = None) -> None:
        """Start a program on this screen from the login's shell, in the foreground.

        With `password`, wait until sudo asks for it and answer. The terminal is busy until the
        program ends: read it with seat.screen, and wait for its prompt before the next command.
        """
        env = " ".join(f"{name}={shlex.quote(value)}" for name, value in self.env.items())
        seat.wait_for(self._tty, r"[$#]$")
        seat.type_line(self._tty, rf"printf '\033[H\033[2J\033[3J'; env {env} {command}")
        if password is not None:
            seat.answer_password(self._tty, r"\[sudo\] password for \w+:$", password)

    def program_log(self) -> str:
        """What the started programs have printed."""
        return self.workstation.read_file(f"/home/{self.user}/.program.log")

    def stop(self) -> None:
        """End the X server, and with it all that is on the screen."""
        self._type(f"pkill -u {self.user} -f 'Xvfb :{self._display} '; wait")

    def _type(self, command: str) -> None:
        ran = seat.run_at(self._tty, command)
        if ran.status and not command.startswith("pkill"):
            raise LabError(f"status {ran.status} at tty{self._tty}: {command}\n{ran.text}")
