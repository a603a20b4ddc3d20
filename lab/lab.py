"""The lab as a whole: a workstation, a server and the wire between them."""

from __future__ import annotations

import atexit
import os
import re
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType

from lab import product, seat
from lab.desktop import Desktop
from lab.door import log, wait_until
from lab.errors import LabError
from lab.graphical import X11, DisplayManager, GraphicalLogin
from lab.kernel_log import KernelLog
from lab.ledger import Ledger, Process
from lab.network import (
    SERVER_LINK,
    THIRD_ADDRESSES,
    THIRDS_LINK,
    WORKSTATION_ADDRESSES,
    WORKSTATION_LINK,
    Network,
)
from lab.rootfs import USERS
from lab.server import KvmServer
from lab.workstation import TTYS, Workstation

PROGRAMS = ("debootstrap", "systemd-nspawn", "nsenter", "qemu-system-x86_64", "ip", "ss", "openssl")
_INSTANCES = Path("/var/tmp")  # noqa: S108
_PACKET = re.compile(r"IN=(\S*) OUT=(\S*) .*SRC=(\S+) ")
_ADDRESSES = {ip_address(address) for address in (*WORKSTATION_ADDRESSES, *THIRD_ADDRESSES)}
_WIRES = {WORKSTATION_LINK, SERVER_LINK, THIRDS_LINK}


@dataclass(frozen=True)
class Session:
    """A login, as logind sees it. The strings are logind's own."""

    id: str
    user: str
    seat: str
    tty: str
    state: str
    service: str
    kind: str
    """Its Type: tty, x11 ..."""

    class_: str
    remote: bool
    leader: int


class Lab:
    """A running lab. Lab.start() makes one; leaving its `with` block takes it down."""

    def __init__(self, ledger: Ledger, directory: Path, passwords: dict[str, str]) -> None:
        records = ledger.records
        self._ledger = ledger
        self._directory = directory
        self.passwords = passwords
        """Of the workstation's users, by name."""

        self.network = Network(ledger, records.machine)
        self.workstation = Workstation(
            ledger, directory, self.network.workstation, self.network.renew
        )
        self.server = KvmServer(ledger, directory / "server", self.network.server)
        self.kernel_log = KernelLog(records.facts.get("kernel_log"))

    @classmethod
    def start(cls, policy: str | None = None, *, install: bool = True) -> Lab:
        """Bring the lab up: server, consoles, workstation, users' passwords.

        `policy` is the text for /etc/pam-spice/policy.yaml. With `install` the checkout's
        pam-spice is set up in the workstation. Raises LabBusy when another lab is up, LabError
        when this machine can't hold one.
        """
        _look_round()
        ledger = Ledger.claim()
        lab = None
        try:
            machine = f"pslab-{secrets.token_hex(3)}"
            directory = _INSTANCES / machine
            ledger.records.machine = machine
            ledger.records.directories.append(str(directory))
            ledger.records.terminal = seat.active()
            ledger.records.nodes = _nodes()
            ledger.save()
            directory.mkdir(mode=0o700)
            passwords = {user: secrets.token_urlsafe(9) for user in USERS}
            lab = cls(ledger, directory, passwords)
            atexit.register(lab.stop)
            lab._bring_up(policy, install)
        except BaseException:
            if lab is not None:
                lab.stop()
            else:
                ledger.undo()
            raise
        return lab

    @classmethod
    def attach(cls) -> Lab:
        """Join the lab that is up, to look at it or use it; its owner takes it down.

        Raises LabError when none is up.
        """
        ledger = Ledger.join()
        if ledger is None or "leader" not in ledger.records.facts:
            raise LabError("no lab is up; bring one up with: python3 -m lab up")
        return cls._joined(ledger)

    @classmethod
    def _joined(cls, ledger: Ledger) -> Lab:
        facts = ledger.records.facts
        lab = cls(ledger, Path(ledger.records.directories[0]), dict(facts["passwords"]))
        lab.workstation.attach(Process(*facts["leader"]), Process(*facts["nspawn"]))
        lab.server.attach(facts["consoles"])
        return lab

    def detach(self) -> None:
        """Leave the lab up when this process ends; `python3 -m lab down` takes it down."""
        atexit.unregister(self.stop)
        self._ledger.detach()

    def stop(self) -> None:
        """Switch the workstation off and undo everything.

        Doing it twice does no harm, nor does it in a process that has only joined the lab.
        """
        if not self._ledger.is_ours():
            return
        atexit.unregister(self.stop)
        try:
            with suppress(LabError):
                self.workstation.poweroff(timeout=20)
        finally:
            self._ledger.undo()

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def login(self, user: str, tty: int = 1) -> Session:
        """Log in at a virtual terminal (1 to 3), which comes to the front.

        Raises seat.LoginRefused, LabTimeout.
        """
        seat.login(tty, user, self.passwords[user])
        return self.session_at(tty)

    def logout(self, tty: int = 1) -> None:
        """Leave the shell at a virtual terminal, and wait for its next login prompt."""
        seat.logout(tty)

    def renew_prompts(self) -> None:
        """Have the first two terminals ask for a login, whatever became of the last one there."""
        gettys = "getty@tty1", "getty@tty2"
        self.workstation.run(["systemctl", "stop", *gettys])
        for tty in (1, 2):
            if seat.screen(tty):  # its question, too, which nobody would hear the answer to
                seat.wipe(tty)
        self.workstation.run(["systemctl", "start", *gettys])
        for tty in (1, 2):
            seat.wait_for(tty, r"login:$", 15)

    def run_at(self, command: str, tty: int = 1, timeout: float = 60) -> seat.Ran:
        """Type a command at a virtual terminal's shell prompt, and wait for its end."""
        return seat.run_at(tty, command, timeout)

    def sessions(self) -> list[Session]:
        """Everyone who is logged in at the workstation, by logind's word."""
        listed = self.workstation.run(["loginctl", "--no-legend", "list-sessions"]).stdout
        found = []
        for line in listed.splitlines():
            shown = self.workstation.run(
                ["loginctl", "show-session", line.split()[0]], check=False
            ).stdout
            told = dict(each.split("=", 1) for each in shown.splitlines() if "=" in each)
            if "Id" in told:
                found.append(_session(told))
        return found

    def session_at(self, tty: int | str) -> Session:
        """The session at a virtual terminal. Raises LabTimeout when there is none."""

        def look() -> list[Session]:
            wanted = f"tty{tty}" if isinstance(tty, int) else tty
            return [
                each
                for each in self.sessions()
                if each.tty == wanted and each.state in ("active", "online")
            ]

        return wait_until(f"a session at {tty}", look, 10)[0]

    def desktop(self, user: str, tty: int = 1, display: int = 10) -> Desktop:
        """Start an X screen from the user's login at a virtual terminal."""
        desktop = Desktop(self.workstation, user, display, tty)
        desktop.start()
        return desktop

    def display_manager(self) -> DisplayManager:
        """The workstation's display manager, which isn't running unless it is started."""
        return DisplayManager(self.workstation)

    def graphical_login(self, user: str, desktop: str = X11, *,
                        autologin: bool = False) -> GraphicalLogin:
        """Log in at the display manager's greeter, and wait for the session.

        With `autologin` the display manager logs the user in by itself (the PAM service is then
        lightdm-autologin). Raises LabTimeout.
        """
        greeter = self.display_manager().start(desktop, autologin=user if autologin else "")
        if not autologin:
            greeter.answer(user)
            greeter.answer(self.passwords[user])
        login = GraphicalLogin(self.workstation, user, desktop)
        login.wait()
        return login

    def kernel_denials(self, prefix: str = "pam-spice deny ", after: int = -1) -> list[str]:
        """The kernel's new log records that begin with `prefix`, oldest first, of packets on the
        lab's wires and from its addresses: the log is the machine's. See KernelLog."""
        return [line for line in self.kernel_log.lines(prefix, after)
                if (found := _PACKET.search(line)) and ip_address(found[3]) in _ADDRESSES
                and not _WIRES.isdisjoint(found.groups())]

    def install(self) -> str:
        """Copy the checkout's pam-spice into the workstation, run its setup, return its output."""
        product.put_checkout(self.workstation)
        done = product.set_up(self.workstation)
        return done.stdout + done.stderr

    def renew(self, policy: str | None = None, *, install: bool = True) -> None:
        """Switch the workstation off, and start a new one, as after Lab.start; the server stays."""
        self.workstation.poweroff()
        self._furnish(policy, install)

    def write_policy(self, text: str) -> None:
        """Put a policy file in the place of the present one."""
        product.write_policy(self.workstation, text)

    def _bring_up(self, policy: str | None, install: bool) -> None:
        facts = self._ledger.records.facts
        facts["passwords"] = self.passwords
        facts["kernel_log"] = self.kernel_log.after
        # Typing at a terminal that isn't one's own is off by default in newer kernels.
        self._ledger.set_sysctl("dev/tty/legacy_tiocsti", "1")
        try:
            # Else `log` in another network namespace than the machine's own stays silent.
            self._ledger.set_sysctl("net/netfilter/nf_log_all_netns", "1")
        except OSError as why:
            log.warning("the kernel's log will not show denials: %s", why)
        seat.switch_to(1)
        self.network.make()
        self.network.renew()
        self.server.start()
        self._furnish(policy, install)

    def _furnish(self, policy: str | None, install: bool) -> None:
        self.workstation.start()
        self.workstation.run(
            ["chpasswd"], stdin="".join(f"{user}:{word}\n" for user, word in self.passwords.items())
        )
        product.put_ca(self.workstation, self.server.ca_file)
        if policy is not None:
            self.write_policy(policy)
        if install:
            self.install()


def take_down() -> bool:
    """Take down the lab that another process left up or left behind; False if there is none.

    Raises LabBusy when a living process owns it.
    """
    ledger = Ledger.join(claim=True)
    if ledger is None:
        return False
    if "leader" in ledger.records.facts:
        Lab._joined(ledger).stop()
    else:
        ledger.undo()
    return True


def _session(told: dict[str, str]) -> Session:
    return Session(
        id=told["Id"],
        user=told["Name"],
        seat=told.get("Seat", ""),
        tty=told.get("TTY", ""),
        state=told["State"],
        service=told.get("Service", ""),
        kind=told["Type"],
        class_=told["Class"],
        remote=told["Remote"] == "yes",
        leader=int(told.get("Leader", 0)),
    )


def _nodes() -> dict[str, tuple[int, int, int]]:
    """The terminals' owners and modes: a login changes them, and they are the machine's own."""
    kept = {}
    for tty in TTYS:
        stat = os.stat(f"/dev/tty{tty}")
        kept[f"/dev/tty{tty}"] = (stat.st_uid, stat.st_gid, stat.st_mode & 0o7777)
    return kept


def _look_round() -> None:
    """Say at once what this machine lacks."""
    if os.geteuid():
        raise LabError("the lab needs root")
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if missing:
        raise LabError(f"not installed: {', '.join(missing)}; see lab/packages.txt")
    if not Path("/dev/tty9").exists():
        raise LabError("this machine has no virtual terminals (/dev/tty1 to /dev/tty9)")
