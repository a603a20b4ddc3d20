"""What the chapters play with: the lab, ready-made gestures, and the lines they tell."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lab import seat
from lab.desktop import Desktop, Screen
from lab.door import wait_until
from lab.errors import LabError, LabTimeout
from lab.lab import Lab
from lab.server import Channel

MYSELF, MYBRO = 1021, 1022
PORTS = {"debianx": 20002, "leaptest": 20004}
SERVER4, SERVER6 = "192.168.2.2", "fd00::2"
WORKSTATION = ("192.168.2.22", "fd00::22")
OPEN_PORT = 8080
UNITS = ("pam-spice-watch.service", "pam-spice-reconcile.timer", "pam-spice-reconcile.path",
         "pam-spice-doctor.timer", "pam-spice-doctor.path", "pam-spice-reconcile.service",
         "pam-spice-doctor.service")

Chapter = Callable[["Stage"], None]


@dataclass(frozen=True)
class Line:
    """A fact of the story, whether it was seen to hold, and what was seen."""

    fact: str
    holds: bool
    seen: str


def policy(myself: str = "always", mybro: str = "always", *, sudo_password: bool = False,
           services: str = "login, lightdm, lightdm-autologin", require_seat: bool = True) -> str:
    """The office's policy; `myself` and `mybro` say when their one console is open."""

    def grant(user: str, console: str, when: str) -> str:
        if when == "never":
            return ""
        window = "" if when == "always" else f', when: "{when}"'
        return f"  - {{user: {user}, console: {console}{window}}}\n"

    return f"""\
timezone: UTC
servers:
  mysrv:
    host: mysrv
    addresses: [{SERVER4}, "{SERVER6}"]
    guarded_ports: [20001-20010]
    ca_file: /etc/pam-spice/mysrv-ca.pem
consoles:
  debianx:  {{server: mysrv, tls_port: 20002}}
  leaptest: {{server: mysrv, tls_port: 20004}}
grants:
  - {{group: nobody-is-in-it, console: [debianx, leaptest]}}
{grant("myself", "debianx", myself)}{grant("mybro", "leaptest", mybro)}\
workstation:
  one_user: true
  services: [{services}]
  require_seat: {str(require_seat).lower()}
  sudo_password: {str(sudo_password).lower()}
"""


def clock(offset: float) -> str:
    """The time of day `offset` seconds from now, in UTC, as a window literal has it."""
    return datetime.fromtimestamp(time.time() + offset, UTC).strftime("%H:%M:%S")


class Stage:
    """The lab with a teller; `pictures` is where screenshots go."""

    def __init__(self, lab: Lab, tell: Callable[[Line], None], pictures: Path) -> None:
        self.lab = lab
        self.pictures = pictures
        self._tell = tell
        self._opening = 0.0
        pictures.mkdir(parents=True, exist_ok=True)
        lab.server.add_listener(OPEN_PORT)

    def line(self, fact: str, holds: object, seen: object = "") -> None:
        """Tell a fact, and whether it was seen to hold."""
        self._tell(Line(fact, bool(holds), str(seen).strip()))

    def soon(self, fact: str, probe: Callable[[], object], timeout: float = 1.0) -> None:
        """Tell a fact that has to become true within so many seconds, and after how long it did."""
        began = time.monotonic()
        holds = True
        try:
            wait_until(fact, probe, timeout)
        except LabTimeout:
            holds = False
        self.line(fact, holds, f"{time.monotonic() - began:.2f} s")

    def keep_screen(self, tty: int, name: str) -> None:
        """Keep what a virtual terminal shows, beside the pictures."""
        lines = [line for line in seat.screen(tty).splitlines() if not line.startswith("end-")]
        (self.pictures / f"{name}.txt").write_text("\n".join(lines) + "\n")

    # The workstation

    def set_policy(self, text: str) -> None:
        """Write the policy; the path unit takes it in."""
        self.lab.write_policy(text)
        wait_until("the policy is compiled", lambda: '"current": true' in self.status(), 20)

    def status(self) -> str:
        """What `pam-spice status --json` prints."""
        return self.lab.workstation.run(["pam-spice", "status", "--json"], check=False).stdout

    def chains(self) -> set[int]:
        """The uids that have a chain in the kernel."""
        listed = self.lab.workstation.run(["nft", "list", "chains", "inet"]).stdout
        return {int(line.split()[1].removeprefix("user-")) for line in listed.splitlines()
                if line.strip().startswith("chain user-")}

    def chain(self, uid: int) -> str:
        """A user's chain, as nft lists it; empty if there is none."""
        return self.lab.workstation.run(
            ["nft", "list", "chain", "inet", "pam_spice", f"user-{uid}"], check=False).stdout

    def connect(self, uid: int, port: int, *, group: str = "spicegrp",
                address: str = SERVER4) -> str:
        """Connect from a process of that uid and gid: "connected", or the error's name."""
        program = ("import socket,sys\n"
                   "try: socket.create_connection((sys.argv[1], int(sys.argv[2])), 4).close()\n"
                   "except OSError as error: print(type(error).__name__)\n"
                   "else: print('connected')\n")
        return self.lab.workstation.run(
            ["setpriv", f"--reuid={uid}", f"--regid={group}", "--clear-groups", "--",
             "/usr/bin/python3", "-I", "-c", program, address, str(port)]).stdout.strip()

    def stop_everything(self) -> None:
        """Stop every process and timer of pam-spice, as a crash of all of them would."""
        self.lab.workstation.run(["systemctl", "stop", *UNITS])

    def start_everything(self) -> None:
        """The contrary."""
        self.lab.workstation.run(["systemctl", "start", *UNITS[:5]])

    # The console

    def open_console(self, screen: Screen, console: str) -> list[Channel]:
        """Run spice-open on a screen, type the VM's password, wait for its four channels."""
        began = time.monotonic()
        if isinstance(screen, Desktop):
            screen.start_program(f"spice-open {console}")
        screen.answer_viewer_password(self.lab.server.consoles[console].password)
        channels = self.lab.server.wait_for_channels(console, 4)
        self._opening = max(self._opening, time.monotonic() - began)
        return channels

    def long_enough(self) -> int:
        """Seconds within which somebody has surely logged in and opened a console: several times
        as many as the console itself has taken here by now, where there was one."""
        return 5 + math.ceil(min(5 * self._opening or 15, 15))

    def local_sockets(self) -> str:
        """The workstation's TCP sockets to guarded ports, TIME_WAIT aside: it has no owner."""
        return self.lab.workstation.run(
            ["ss", "-Htn", "exclude", "time-wait", "( dport >= :20001 and dport <= :20010 )"],
        ).stdout

    def server_sockets(self) -> list[str]:
        """The server's TCP sockets of its consoles."""
        return [f"{socket.state} {socket.peer}" for socket in self.lab.server.sockets()
                if socket.local.rpartition(":")[2] in map(str, PORTS.values())
                and socket.state != "TIME-WAIT"]

    def is_silent(self, console: str) -> bool:
        """Whether neither side has anything left of a console's connections."""
        return (not self.lab.server.channels(console) and not self.server_sockets()
                and not self.local_sockets())

    # Between chapters

    def reset(self) -> None:
        """Nobody logged in, everything running, the office's policy in force."""
        self.lab.display_manager().stop()
        for session in self.lab.sessions():
            if session.class_ == "user":
                self.lab.workstation.run(["loginctl", "kill-session", session.id, "-s", "KILL"],
                                         check=False)
        for uid in (MYSELF, MYBRO):
            self.lab.workstation.run(["pkill", "-KILL", "-u", str(uid)], check=False)
        # logind's users are those whose service manager runs, or is stopped just now: a desktop
        # that came then would have no bus.
        wait_until("everybody is gone", self._nobody_is_known, 30)
        self.lab.renew_prompts()
        self.start_everything()
        self.set_policy(policy())
        self.lab.workstation.run(["pam-spice", "reconcile"])
        if self.chains():
            raise LabError(f"chains are left: {self.chains()}")

    def _nobody_is_known(self) -> bool:
        # It fails when somebody whom it asks about goes meanwhile.
        listed = self.lab.workstation.run(["loginctl", "--no-legend", "list-users"], check=False)
        return listed.returncode == 0 and not listed.stdout
