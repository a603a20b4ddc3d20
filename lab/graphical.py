"""Logins through a display manager: lightdm with its GTK greeter, Xfce on X11, sway on Wayland.

There is no graphics card: Xvfb takes the X server's place, and sway draws into memory.
"""

from __future__ import annotations

import shlex

from lab.desktop import Display, Screen, WaylandDisplay
from lab.door import wait_until
from lab.errors import LabTimeout
from lab.rootfs import USERS
from lab.workstation import Workstation

X11, WAYLAND = "xfce", "sway"
"""The desktops that there are, by the names that the display manager has for their sessions."""

_CONFIG = "/etc/lightdm/lightdm.conf.d/50-lab.conf"
_LOG = "/var/log/lightdm/lightdm.log"
# Without lock-memory=false lightdm dies of a null pointer when its greeter answers: libgcrypt takes
# memory that it can't lock for a fault ("not locked while in FIPS mode") and gives it none.
_SETTINGS = """\
[LightDM]
lock-memory=false
logind-check-graphical=false

[Seat:*]
xserver-command=/usr/local/sbin/lab-xserver
greeter-session=lightdm-gtk-greeter
user-session={desktop}
"""


class Greeter(Screen):
    """The display manager's screen, at which a person types her name, and then her password."""

    def __init__(self, workstation: Workstation, display: int, earlier: int) -> None:
        """`earlier`: how many questions were asked before it came."""
        authority = f"/var/run/lightdm/root/:{display}"
        super().__init__(workstation, "root", display, authority)
        self._asked = earlier

    def wait_for_question(self, timeout: float = 15) -> None:
        """Wait until it asks something that it hasn't been answered. Raises LabTimeout."""
        wait_until("the greeter's question", lambda: _questions(self.workstation) > self._asked
                   and self.windows(), timeout, 0.1)  # fmt: skip

    def answer(self, text: str) -> None:
        """Wait for a question, and answer it. Raises LabTimeout."""
        self.wait_for_question()
        self._asked += 1
        self.type_text(text)
        self.key("Return")


class DisplayManager:
    """lightdm, started and stopped for a test."""

    def __init__(self, workstation: Workstation) -> None:
        self._workstation = workstation

    def start(self, desktop: str = X11, *, autologin: str = "") -> Greeter:
        """Start it; each login gets this desktop. With `autologin` that user is logged in."""
        settings = _SETTINGS.format(desktop=desktop)
        if autologin:
            settings += f"autologin-user={autologin}\nautologin-user-timeout=0\n"
        self._workstation.write_file(_CONFIG, settings)
        # What people chose the last time would count for more; and Xfce opens what it had saved.
        for user in USERS:
            self._workstation.shell(f"cd /home/{user}; rm -rf .dmrc .cache/sessions .lab-run")
        self._workstation.shell("rm -f ~lightdm/.cache/lightdm-gtk-greeter/state")
        self._workstation.run(["systemctl", "start", "lightdm.service"])
        return Greeter(self._workstation, 0, 0)

    def next_greeter(self, display: int) -> Greeter:
        """The one that comes when a person asks for another login beside hers; take it before."""
        return Greeter(self._workstation, display, _questions(self._workstation))

    def stop(self) -> None:
        """Stop it, and with it everybody's graphical login."""
        self._workstation.run(["systemctl", "stop", "lightdm.service"])
        self._workstation.run(["rm", "--force", _CONFIG])

    def log(self) -> str:
        """What it has written last."""
        return self._workstation.run(["journalctl", "-n", "40", "-u", "lightdm"]).stdout


class GraphicalLogin:
    """A user's graphical session on seat0."""

    def __init__(self, workstation: Workstation, user: str, desktop: str = X11) -> None:
        self.user = user
        self._workstation = workstation
        self._desktop = desktop
        self._manager = DisplayManager(workstation)

    def wait(self, timeout: float = 20) -> None:
        """Wait until the session is there, and its desktop can start programs.

        Raises LabTimeout, with what the display manager wrote.
        """
        try:
            wait_until("the graphical session", self._is_there, timeout, 0.2)
        except LabTimeout as late:
            raise LabTimeout(f"{late}\n{self._manager.log()}") from late

    def screen(self, display: int = 0) -> Display:
        """What is seen of it, once it is there; on X11 the server's number has to be said."""
        if self._desktop == WAYLAND:
            return WaylandDisplay(self._workstation, self.user)
        return Screen(self._workstation, self.user, display, f"/home/{self.user}/.Xauthority")

    def start_program(self, command: str) -> None:
        """Start a program in the session. What it prints is in ~/.program.log."""
        self._workstation.shell(
            f"printf '%s\\n' {shlex.quote(command)} >{self._fifo}", user=self.user, timeout=10
        )

    def wait_for_end(self, timeout: float = 30) -> None:
        """Wait until the session has gone. Raises LabTimeout."""
        wait_until("the session's end", lambda: not self._is_there(), timeout, 0.2)

    @property
    def _fifo(self) -> str:
        return f"/home/{self.user}/.lab-run"

    def _is_there(self) -> bool:
        listed = self._workstation.run(["loginctl", "--no-legend", "list-sessions"]).stdout
        for line in listed.splitlines():
            number, _, user = line.split()[:3]
            if user == self.user:
                told = self._workstation.run(
                    ["loginctl", "show-session", number, "-p", "Type", "-p", "State"], check=False
                ).stdout
                if "Type=tty" not in told and "State=closing" not in told:
                    test = self._workstation.run(["test", "-p", self._fifo], check=False)
                    return not test.returncode
        return False


def _questions(workstation: Workstation) -> int:
    """How many questions lightdm has had its greeters ask since it was started."""
    said = workstation.run(["grep", "--count", "Prompt greeter", _LOG], check=False).stdout
    return int(said or 0)
