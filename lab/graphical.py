"""A login through a display manager: lightdm, with Xvfb in the place of a graphics card."""

from __future__ import annotations

import shlex
import time

from lab.desktop import Screen
from lab.door import wait_until
from lab.errors import LabTimeout
from lab.workstation import Workstation

_CONFIG = "/etc/lightdm/lightdm.conf.d/50-lab.conf"
# Without lock-memory=false lightdm dies of a null pointer when its greeter answers: libgcrypt takes
# memory that it can't lock for a fault ("not locked while in FIPS mode") and gives it none.
_SETTINGS = """\
[LightDM]
lock-memory=false
logind-check-graphical=false

[Seat:*]
xserver-command=/usr/local/sbin/lab-xserver
user-session=openbox
greeter-session=lightdm-gtk-greeter
"""
# Programs that are to be in the session have to be started by something that is. It ends with the
# X server, or the session would stay in logind's state `closing`.
_AUTOSTART = """\
rm -f ~/.lab-run
mkfifo -m 600 ~/.lab-run
while :; do
    while read -r line; do
        eval "$line" >>~/.program.log 2>&1 &
    done <~/.lab-run
done &
runner=$!
( xprop -root -spy >/dev/null 2>&1; rm -f ~/.lab-run; kill $runner ) &
"""


class GraphicalLogin(Screen):
    """A user's graphical session on seat0."""

    def __init__(self, workstation: Workstation, user: str, password: str) -> None:
        super().__init__(workstation, user, 0, f"/home/{user}/.Xauthority")
        self._password = password

    def start(self, *, greeter: bool = False, timeout: float = 15) -> None:
        """Start the display manager and log in. Raises LabTimeout when no session comes."""
        settings = _SETTINGS
        if not greeter:
            settings += f"autologin-user={self.user}\nautologin-user-timeout=0\n"
        self.workstation.write_file(_CONFIG, settings)
        home = f"/home/{self.user}/.config/openbox"
        owner = f"{self.user}:{self.user}"
        self.workstation.run(["mkdir", "--parents", home], user=self.user)
        self.workstation.write_file(f"{home}/autostart", _AUTOSTART, owner=owner)
        self.workstation.run(["rm", "--force", self._fifo])
        self.workstation.run(["systemctl", "start", "lightdm.service"])
        try:
            if greeter:
                self._answer_greeter(timeout)
            wait_until("the graphical session", self._is_there, timeout, 0.2)
        except LabTimeout as late:
            journal = self.workstation.run(["journalctl", "-n", "40", "-u", "lightdm"]).stdout
            raise LabTimeout(f"{late}\n{journal}") from late

    def start_program(self, command: str) -> None:
        """Start a program in the session. What it prints is in ~/.program.log."""
        self.workstation.shell(
            f"printf '%s\\n' {shlex.quote(command)} >{self._fifo}", user=self.user, timeout=10
        )

    def program_log(self) -> str:
        """What the started programs have printed."""
        return self.workstation.read_file(f"/home/{self.user}/.program.log")

    def logout(self, timeout: float = 30) -> None:
        """Leave the session as its menu does, wait for its end, and stop the display manager."""
        patience = time.monotonic() + timeout / 4

        def asked_and_gone() -> bool:
            # Asked again while it is there: openbox overlooks it when it is busy with a window.
            if self._is_there():
                self.run(["openbox", "--exit"], check=False)
            # About one openbox in ten waits for a lock of its own for ever (futex_wait), with any
            # program in it. The display manager sees the same end of its session when it is killed.
            if time.monotonic() > patience:
                self.workstation.run(["pkill", "-KILL", "-u", self.user, "-x", "openbox"],
                                     check=False)
            return not self._is_there()

        wait_until("the session's end", asked_and_gone, timeout, 0.5)
        self.workstation.run(["systemctl", "stop", "lightdm.service"])
        self.workstation.run(["rm", "--force", _CONFIG])

    @property
    def _fifo(self) -> str:
        return f"/home/{self.user}/.lab-run"

    def _is_there(self) -> bool:
        # Not the session alone: the desktop in it has to be able to start programs.
        listed = self.workstation.run(["loginctl", "--no-legend", "list-sessions"]).stdout
        for line in listed.splitlines():
            number, _, user = line.split()[:3]
            if user == self.user:
                told = self.workstation.run(
                    ["loginctl", "show-session", number, "-p", "Type", "-p", "State"], check=False
                ).stdout
                if "Type=x11" in told and "State=closing" not in told:
                    test = self.workstation.run(["test", "-p", self._fifo], check=False)
                    return not test.returncode
        return False

    def _answer_greeter(self, timeout: float) -> None:
        greeter = Screen(self.workstation, "root", 0, "/var/run/lightdm/root/:0")
        for number, answer in enumerate((self.user, self._password), start=1):

            def asked(number: int = number) -> bool:
                said = self.workstation.read_file("/var/log/lightdm/lightdm.log")
                return said.count("Prompt greeter") == number and bool(greeter.windows())

            wait_until(f"the greeter's question {number}", asked, timeout, 0.1)
            greeter.type_text(answer)
            greeter.key("Return")
