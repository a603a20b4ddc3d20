"""A user's screen, on X11 or Wayland: its windows, its keyboard, and a picture of it."""

from __future__ import annotations

import json
import re
import secrets
import shlex
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from lab import seat
from lab.door import wait_until
from lab.errors import LabError, LabTimeout
from lab.rfb import Keyboard
from lab.workstation import Workstation, runtime_directory

_PASSWORD_DIALOG = "Authentication required|Password|password|Connect"  # noqa: S105


class Display(ABC):
    """Somebody's windows and keyboard: looking at them, and typing."""

    def __init__(self, workstation: Workstation, user: str, env: Mapping[str, str]) -> None:
        self.workstation = workstation
        self.user = user
        self.env = dict(env)
        """What a program needs to show itself here."""

    def run(self, argv: Sequence[str], *, check: bool = True) -> CompletedProcess[str]:
        """Run a program that uses the display as the display's user, outside of any login."""
        return self.workstation.run(argv, user=self.user, env=self.env, check=check)

    @abstractmethod
    def windows(self, pattern: str = ".") -> list[str]:
        """The ids of the visible windows whose title matches a regular expression."""

    @abstractmethod
    def titles(self) -> list[str]:
        """The visible windows' titles."""

    @abstractmethod
    def key(self, *keys: str) -> None:
        """Press keys one after another, in X's names: `Return`, `Down` ..."""

    @abstractmethod
    def type_text(self, text: str) -> None:
        """Type into the window that has the keyboard."""

    @abstractmethod
    def focus(self, window: str) -> None:
        """Give a window the keyboard."""

    @abstractmethod
    def screenshot(self, path: str | Path) -> None:
        """Write a PNG picture of the whole screen to a file of the machine."""

    def wait_for_window(self, pattern: str, timeout: float = 20) -> str:
        """Wait for a window with such a title and return its id.

        Raises LabTimeout, with the titles that are there.
        """
        try:
            what = f"a window like /{pattern}/"
            return wait_until(what, lambda: self.windows(pattern), timeout, 0.2)[-1]
        except LabTimeout as late:
            raise LabTimeout(f"{late}; there are {self.titles()}") from late

    def answer_viewer_password(self, password: str, timeout: float = 20) -> None:
        """Wait for the viewer's password dialog, and type the password. Raises LabTimeout."""
        window = self.wait_for_window(_PASSWORD_DIALOG, timeout)
        self.focus(window)
        self.type_text(password)
        self.key("Return")

    def _shoot(self, command: Sequence[str], path: str | Path) -> None:
        shot = f"/tmp/shot-{secrets.token_hex(4)}.png"  # noqa: S108
        self.run([*command, shot])
        self.workstation.copy_out(shot, path)
        self.workstation.run(["rm", "--force", "--", shot])


class Screen(Display):
    """An X screen that is there already."""

    def __init__(self, workstation: Workstation, user: str, display: int, authority: str) -> None:
        super().__init__(workstation, user, {"DISPLAY": f":{display}", "XAUTHORITY": authority})

    def windows(self, pattern: str = ".") -> list[str]:
        """See Display."""
        found = self.run(["xdotool", "search", "--onlyvisible", "--name", pattern], check=False)
        return found.stdout.split()

    def titles(self) -> list[str]:
        """See Display."""
        names = [self.run(["xdotool", "getwindowname", each], check=False) for each in
                 self.windows()]  # fmt: skip
        return [name.stdout.strip() for name in names if name.stdout.strip()]

    def key(self, *keys: str) -> None:
        """See Display."""
        self.run(["xdotool", "key", "--clearmodifiers", *keys])

    def type_text(self, text: str) -> None:
        """See Display."""
        self.run(["xdotool", "type", "--delay", "20", "--", text])

    def focus(self, window: str) -> None:
        """See Display."""
        self.run(["xdotool", "windowactivate", "--sync", window])

    def click(self, x: int, y: int) -> None:
        """Press the mouse's first button there."""
        self.run(["xdotool", "mousemove", str(x), str(y), "click", "1"])

    def screenshot(self, path: str | Path) -> None:
        """See Display."""
        self._shoot(["import", "-window", "root"], path)


class WaylandDisplay(Display):
    """sway's screen, with a keyboard through VNC."""

    def __init__(self, workstation: Workstation, user: str) -> None:
        directory = runtime_directory(user)
        socket = workstation.shell(f"ls {directory}/sway-ipc.*.sock").stdout.strip()
        super().__init__(workstation, user, {
            "XDG_RUNTIME_DIR": directory, "WAYLAND_DISPLAY": "wayland-1", "SWAYSOCK": socket})

    def windows(self, pattern: str = ".") -> list[str]:
        """See Display."""
        return [str(node["id"]) for node in self._nodes() if re.search(pattern, node["name"])]

    def titles(self) -> list[str]:
        """See Display."""
        return [node["name"] for node in self._nodes()]

    def key(self, *keys: str) -> None:
        """See Display."""
        with self._keyboard() as keyboard:
            keyboard.press(*keys)

    def press(self, modifier: str, key: str) -> None:
        """Press a key with another one held: `logo`, `ctrl`."""
        with self._keyboard() as keyboard:
            keyboard.chord(modifier, key)

    def type_text(self, text: str) -> None:
        """See Display."""
        self.key(*text)

    def focus(self, window: str) -> None:
        """See Display."""
        self.run(["swaymsg", f"[con_id={window}]", "focus"])

    def screenshot(self, path: str | Path) -> None:
        """See Display."""
        self._shoot(["grim"], path)

    def _keyboard(self) -> Keyboard:
        directory = self.env["XDG_RUNTIME_DIR"]
        return Keyboard(Path(f"/proc/{self.workstation.pid}/root{directory}/wayvnc"))

    def _nodes(self) -> list[dict[str, Any]]:
        """The windows: what has a process."""
        todo = [json.loads(self.run(["swaymsg", "--raw", "--type", "get_tree"]).stdout)]
        found = []
        while todo:
            node = todo.pop(0)
            todo += node["nodes"] + node["floating_nodes"]
            if "pid" in node and node["name"]:
                found.append(node)
        return found


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

    def stop(self) -> None:
        """End the X server, and with it all that is on the screen."""
        self._type(f"pkill -u {self.user} -f 'Xvfb :{self._display} '; wait")

    def _type(self, command: str) -> None:
        ran = seat.run_at(self._tty, command)
        if ran.status and not command.startswith("pkill"):
            raise LabError(f"status {ran.status} at tty{self._tty}: {command}\n{ran.text}")
