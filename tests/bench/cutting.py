"""Cutting a user's 1,000 live connections among 10,000 of others, whose consoles stay open.

The workstation and the server are network namespaces with a veth pair between them. Eleven users
are logged in, each with a console and 1,000 connections to it, all through the guard. In each round
the eleventh logs in anew, connects anew, and is cut by one contender. Timed is from the contender's
start until it has ended and the kernel counts the 1,000 as gone on both sides (proc(5),
/proc/net/sockstat): that many, so none of the others'.

The contenders:

* The cut, in this process: what a revocation does once the user's rules are gone, for all guarded
  ports, IPv4 and IPv6. The rules were taken away before, which is not timed.
* ``ss -K``, a process of its own, after the same. It knows no uid: it is given the port, which here
  is his alone. It is asked for IPv4 alone.
* A whole logout: the hook's process as pam_exec starts it, with all that it does beside the cut.
"""

from __future__ import annotations

import itertools
import os
import resource
import select
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

from pam_spice import sockets
from pam_spice.desired import allows
from pam_spice.firewall import chain_name, nft
from tests.bench.isolation import in_namespaces
from tests.bench.measuring import Effort, Results, Row, Times, in_turn, milliseconds, ratio
from tests.kernel import namespace as ns
from tests.kernel.workstation import SESSIONS, Workstation

_FULL_ROUNDS = 40
_CONNECTIONS = 1000
_USERS = [(f"user{number}", 1100 + number, 20001 + number) for number in range(11)]
"""Name, uid and the port of the console."""

_LEAVER, _UID, _PORT = _USERS[-1]
_ADDRESS = "10.78.0.1"
_ENDPOINTS = [(_ADDRESS, _USERS[0][2], _PORT)]
_SS = ["/usr/bin/ss", "-K", "-Htn4", "dport", "=", f":{_PORT}"]
_ROOT = Path(__file__).parents[2]
_HOOK = "/run/hook"
_PATIENCE = 5.0
_SECONDS = 170


def measure(effort: Effort) -> Results:
    """Measure the three. Raises RuntimeError where what should die doesn't, or others die too."""
    times: Times = in_namespaces(lambda: _measure(effort.rounds(_FULL_ROUNDS)), _SECONDS)
    others = (len(_USERS) - 1) * _CONNECTIONS
    those = f"{_CONNECTIONS:,} live connections among {others:,} of others"
    yardstick = "`ss -K` of the same"
    return Results(
        rows=[Row(f"revocation with {those}: all dead on both sides", yardstick, 1.2,
                  ratio(times["cut"], times["ss"]),
                  "the cut alone, without the start of a process"),
              Row(f"logout with {those}: all dead on both sides", yardstick, 1.2,
                  ratio(times["hook"], times["ss"]),
                  "the hook's whole process, which changes rules and record too")],
        medians=[(f"cutting {those}", milliseconds(times["cut"])),
                 (yardstick, milliseconds(times["ss"])),
                 ("the hook's process at a logout with the same", milliseconds(times["hook"]))])


def _measure(rounds: int) -> Times:
    office = _Office()
    return in_turn({"cut": office.timed_cut, "ss": office.timed_ss, "hook": office.timed_hook},
                   rounds)


class _Office:
    """The workstation, its users and their server."""

    def __init__(self) -> None:
        server = _start_server()
        self._sessions = itertools.count(1)
        self._workstation = Workstation()
        self._workstation.policy(_policy())
        with open("/etc/passwd", "a") as passwd:
            passwd.writelines(f"{name}:x:{uid}:{uid}::/:/bin/sh\n" for name, uid, _ in _USERS)
        _write_hook()
        self._holders = [_Holder(uid, port) for _, uid, port in _USERS]
        for (name, uid, _), holder in zip(_USERS[:-1], self._holders, strict=False):
            self._workstation.state(name, name, holder.pid, UID=str(uid))
        self._workstation.reconcile()
        self._counts = [os.open(f"/proc/{pid}/net/sockstat", os.O_RDONLY)
                        for pid in (os.getpid(), server)]
        self._listeners = [_in_use(count) for count in self._counts]
        for holder in self._holders[:-1]:
            holder.connect()
        observed = nft.observe()
        assert observed is not None
        self._chains = observed.chains

    def timed_cut(self) -> float:
        """What ``pam_spice.reconcile`` does after the rules are gone."""

        def cut() -> None:
            now = time.time()
            sockets.destroy([each for each in sockets.guarded_connections(_ENDPOINTS)
                             if each.is_orphan or not allows(self._chains.get(each.uid) or (),
                                                             each.address, each.port, now)])

        return self._timed(cut, rules_are_gone=True)

    def timed_ss(self) -> float:
        return self._timed(lambda: _run(_SS), rules_are_gone=True)

    def timed_hook(self) -> float:
        return self._timed(lambda: _run([_HOOK, "close"]), rules_are_gone=False)

    def _timed(self, contender: Callable[[], object], rules_are_gone: bool) -> float:
        """Seconds that the contender takes to leave none of the leaver's connections."""
        session = str(next(self._sessions))
        self._workstation.state(session, _LEAVER, os.getpid(), UID=str(_UID))
        _run([_HOOK, "open"])
        self._holders[-1].connect()
        self._wait_for(len(_USERS) * _CONNECTIONS)
        if rules_are_gone:
            ns.nft(f"flush chain inet pam_spice {chain_name(_UID)}\n")
        began = time.perf_counter()
        contender()
        self._wait_for((len(_USERS) - 1) * _CONNECTIONS)
        taken = time.perf_counter() - began
        if rules_are_gone:
            _run([_HOOK, "close"])
        (SESSIONS / session).unlink()
        return taken

    def _wait_for(self, number: int) -> None:
        """Until each side has so many live connections."""
        end = time.monotonic() + _PATIENCE
        expected = [number + listeners for listeners in self._listeners]
        while (found := [_in_use(count) for count in self._counts]) != expected:
            if time.monotonic() > end:
                raise RuntimeError(f"{found} live sockets on the two sides, not {expected}")


class _Holder:
    """A process with a user's uid and the viewer's gid, which holds his connections; his sessions'
    leader too."""

    def __init__(self, uid: int, port: int) -> None:
        self._link, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            self._link.close()
            ns.become(uid, ns.VIEWER_GID)
            ns.die_with_parent()  # only now: another uid makes the kernel forget it
            _allow_descriptors()
            while theirs.recv(1):
                held = [socket.socket() for _ in range(_CONNECTIONS)]
                for connection in held:
                    connection.connect((_ADDRESS, port))
                for connection in held:
                    connection.recv(1)
                theirs.sendall(b"d")
            os._exit(0)
        theirs.close()

    def connect(self) -> None:
        """Make new connections in the place of the old ones."""
        self._link.sendall(b"c")
        assert self._link.recv(1) == b"d"


def _start_server() -> int:
    """Listeners for all consoles, in a network namespace at the other end of a cable; the pid of a
    process in it."""
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        ns.die_with_parent()
        ns.new_network()
        os.write(tell, b"n")
        assert ns.until(lambda: os.path.exists("/run/linked"))
        for _, _, port in _USERS:
            listener = socket.create_server((_ADDRESS, port), backlog=_CONNECTIONS)
            if os.fork() == 0:
                ns.die_with_parent()
                _serve(listener)
        os.write(tell, b"l")
        while True:
            signal.pause()
    os.read(told, 1)
    ns.link(pid, "cable", [f"{_ADDRESS}/24"], ["10.78.0.2/24"])
    Path("/run/linked").touch()
    os.read(told, 1)
    return pid


def _serve(listener: socket.socket) -> None:
    """Accept, greet with a byte, and close what the other side has ended."""
    _allow_descriptors()
    accepted: dict[int, socket.socket] = {}
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    while True:
        for descriptor, _ in poll.poll():
            if descriptor == listener.fileno():
                connection = listener.accept()[0]
                accepted[connection.fileno()] = connection
                connection.send(b"g")
                poll.register(connection, select.EPOLLIN)
            else:
                accepted.pop(descriptor).close()


def _allow_descriptors() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _in_use(sockstat: int) -> int:
    """How many TCP sockets over IPv4 listen, or are neither closed nor in TIME_WAIT."""
    words = os.pread(sockstat, 512, 0).split()
    return int(words[words.index(b"TCP:") + 2])


def _run(argv: list[str]) -> None:
    """Run a program, with as little beside it as can be. Raises RuntimeError where it fails."""
    pid = os.posix_spawn(argv[0], argv, {"PATH": "/usr/bin:/bin"},
                         file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)])
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status != 0:
        raise RuntimeError(f"{argv}: status {status}")


def _write_hook() -> None:
    """The hook script, with the checkout as its prefix."""
    script = (_ROOT / "conf/system/bin/hook").read_text()
    assert "/usr/lib/pam-spice" in script
    hook = Path(_HOOK)
    hook.write_text(script.replace("/usr/lib/pam-spice", str(_ROOT)))
    hook.chmod(0o755)


def _policy() -> str:
    lines = ["timezone: UTC",
             f"servers: {{kvm: {{host: kvm.example, addresses: [{_ADDRESS}], "
             f"guarded_ports: [{_USERS[0][2]}-{_PORT}], ca_file: /etc/pam-spice/kvm.pem}}}}",
             "workstation: {one_user: false}", "consoles:"]
    lines += [f"  of-{name}: {{server: kvm, tls_port: {port}}}" for name, _, port in _USERS]
    lines += ["grants:", *(f"  - {{user: {name}, console: of-{name}}}" for name, _, _ in _USERS)]
    return "\n".join([*lines, ""])
