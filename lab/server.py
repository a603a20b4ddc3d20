"""The KVM server: a network namespace in which QEMU offers consoles over SPICE with TLS."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

from lab import qmp
from lab.bootsector import boot_sector
from lab.door import call, spawn, wait_until
from lab.errors import LabError
from lab.ledger import Ledger
from lab.network import SERVER_ADDRESSES
from lab.pki import make_pki

HOST = "mysrv"
HOSTS = [HOST, "mysrv.example"]
"""The names in its certificate; the second is that of the example policy's server."""

PORTS = {"debianx": 20002, "leaptest": 20004}
SPARE_PORTS = {"bookkeeping": 20001}
"""Of consoles that start_console starts when somebody needs them: the example policy's."""

_ALL_PORTS = PORTS | SPARE_PORTS
_COLOURS = {"debianx": 0x1F, "leaptest": 0x2F, "bookkeeping": 0x4F}
_CHANNELS = {1: "main", 2: "display", 3: "inputs", 4: "cursor", 5: "playback", 6: "record",
             8: "smartcard", 9: "usbredir", 10: "port", 11: "webdav"}  # fmt: skip


@dataclass(frozen=True)
class Console:
    """A guest's SPICE endpoint."""

    name: str
    tls_port: int
    password: str
    pid: int
    """QEMU's."""

    @property
    def uri(self) -> str:
        """What the viewer is given."""
        return f"spice://{HOST}?tls-port={self.tls_port}"


@dataclass(frozen=True)
class Channel:
    """A connection of a viewer, as QEMU itself tells it."""

    host: str
    port: int
    """The viewer's address and port."""

    kind: str
    """main, display, inputs, cursor ..."""

    tls: bool


@dataclass(frozen=True)
class Socket:
    """A TCP socket in the server's namespace, as ss prints it."""

    state: str
    local: str
    peer: str


class KvmServer:
    """The two consoles, and what the server says of its connections. Use Lab to make one."""

    def __init__(self, ledger: Ledger, directory: Path, namespace: str) -> None:
        self._ledger = ledger
        self._directory = directory
        self.namespace = namespace
        self.consoles: dict[str, Console] = {}

    @property
    def ca_file(self) -> Path:
        """The certificate authority's certificate, on the machine."""
        return self._directory / "pki" / "ca-cert.pem"

    def start(self) -> None:
        """Make the certificates, and start the consoles. Returns when they listen."""
        self._directory.mkdir(mode=0o700)
        make_pki(self._directory / "pki", HOSTS, [address for address, _ in SERVER_ADDRESSES])
        for name in PORTS:
            self.start_console(name)

    def attach(self, consoles: Mapping[str, Mapping[str, object]]) -> None:
        """Use a server that another process started; the argument is what it wrote down."""
        for name, was in consoles.items():
            self.consoles[name] = Console(
                name, _ALL_PORTS[name], str(was["password"]), int(str(was["pid"]))
            )

    def start_console(self, name: str) -> Console:
        """Start the QEMU of a console that isn't running, with a new password."""
        password = secrets.token_hex(6)
        image = self._directory / f"{name}.img"
        image.write_bytes(boot_sector(name[:10], _COLOURS[name]))
        monitor = self._monitor(name)
        monitor.unlink(missing_ok=True)
        with open(self._directory / f"{name}.log", "ab") as output:
            qemu = spawn(
                [
                    *self._enter(),
                    *("qemu-system-x86_64", "-name", name, "-machine", "pc,accel=tcg", "-m", "16"),
                    *("-nodefaults", "-no-user-config", "-display", "none", "-vga", "qxl"),
                    *("-drive", f"file={image},format=raw,if=ide"),
                    *("-qmp", f"unix:{monitor},server=on,wait=off"),
                    *("-object", f"secret,id=pw,data={password}"),
                    "-spice",
                    f"tls-port={_ALL_PORTS[name]},addr=::,x509-dir={self._directory}/pki"
                    ",password-secret=pw",
                ],
                output=output,
            )
        self._ledger.add_process(qemu.pid)

        def listens() -> bool:
            if qemu.poll() is not None:
                why = (self._directory / f"{name}.log").read_text()
                raise LabError(f"the QEMU of {name} ended with {qemu.returncode}: {why}")
            return monitor.exists() and self._listens(_ALL_PORTS[name])

        wait_until(f"the console {name} listens", listens, 30)
        self.consoles[name] = Console(name, _ALL_PORTS[name], password, qemu.pid)
        self._remember()
        return self.consoles[name]

    def stop_console(self, name: str) -> None:
        """Kill the QEMU of a console: its connections are reset."""
        pid = self.consoles.pop(name).pid
        self._remember()
        for process in self._ledger.records.processes:
            if process.pid == pid:
                process.kill()

    def channels(self, console: str) -> list[Channel]:
        """The viewers' connections to a console, by QEMU's own word."""
        said = qmp.ask(self._monitor(console), "query-spice")
        return [
            Channel(
                host=each["host"],
                port=int(each["port"]),
                kind=_CHANNELS.get(each["channel-type"], str(each["channel-type"])),
                tls=each["tls"],
            )
            for each in said.get("channels", [])
        ]

    def wait_for_channels(self, console: str, least: int = 1, timeout: float = 20) -> list[Channel]:
        """Wait until a console has at least so many connections, and return them.

        With `least` 0 wait until it has none. Raises LabTimeout.
        """
        seen: list[Channel] = []

        def enough() -> bool:
            seen[:] = self.channels(console)
            return len(seen) >= least if least else not seen

        wait_until(f"{least} connections to {console}", enough, timeout)
        return seen

    def sockets(self) -> list[Socket]:
        """The server's TCP sockets, without those that only listen."""
        lines = self.run(["ss", "-Htn"]).stdout.splitlines()
        words = [line.split() for line in lines]
        return [Socket(each[0], each[3], each[4]) for each in words]

    def set_password(self, console: str, password: str) -> None:
        """Change a console's password; it counts from the next connection on."""
        qmp.ask(self._monitor(console), "set_password", protocol="spice", password=password)
        was = self.consoles[console]
        self.consoles[console] = Console(was.name, was.tls_port, password, was.pid)
        self._remember()

    def add_listener(self, port: int) -> int:
        """Start a TCP server that sends back what it gets, IPv4 and IPv6, and return its pid."""
        with open(self._directory / f"echo-{port}.log", "ab") as output:
            program = Path(__file__).with_name("echo_server.py")
            echo = spawn([*self._enter(), sys.executable, "-I", program, str(port)], output=output)
        self._ledger.add_process(echo.pid)
        wait_until(f"the listener on {port}", lambda: self._listens(port), 10)
        return echo.pid

    def run(
        self, argv: Sequence[str], *, check: bool = True, timeout: float = 30
    ) -> CompletedProcess[str]:
        """Run a program of the machine in the server's namespace. Raises as Workstation.run."""
        return call([*self._enter(), *argv], check=check, timeout=timeout)

    def log_of(self, console: str) -> str:
        """What the console's QEMU has printed."""
        return (self._directory / f"{console}.log").read_text()

    def _enter(self) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self.namespace}", "--"]

    def _monitor(self, name: str) -> Path:
        return self._directory / f"{name}.qmp"

    def _listens(self, port: int) -> bool:
        return bool(self.run(["ss", "-Hltn", f"sport = :{port}"]).stdout.strip())

    def _remember(self) -> None:
        self._ledger.records.facts["consoles"] = {
            name: {"password": console.password, "pid": console.pid}
            for name, console in self.consoles.items()
        }
        self._ledger.save()
