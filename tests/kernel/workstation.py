"""A workstation without logind and PAM: their files and processes are played, the rest is real."""

import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

from pam_spice import hook, journal, pamstack, paths, watch
from pam_spice.firewall import nft
from pam_spice.reconcile import Reconciliation
from session.records import read_records
from tests.kernel import namespace as ns

SESSIONS = Path("/run/systemd/sessions")
REFUSED = "ConnectionRefusedError"

OFFICE = f"""\
timezone: UTC
servers:
  kvm: {{host: kvm.example, addresses: [{ns.V4}, "{ns.V6}"], guarded_ports: [20001-20010],
        ca_file: /etc/pam-spice/kvm.pem}}
consoles:
  first: {{server: kvm, tls_port: {ns.GUARDED_PORT}}}
  second: {{server: kvm, tls_port: {ns.OTHER_GUARDED_PORT}}}
grants:
  - {{user: anne, console: first}}
  - {{user: ralph, console: second}}
  - {{group: staff, console: second}}
"""


def window(start: float, end: float) -> str:
    """A literal for the seconds from ``start`` to ``end``, both instants of today or tomorrow."""
    def clock(instant: float) -> str:
        return time.strftime("%H:%M:%S", time.gmtime(instant))

    return f'"{clock(start)}-{clock(end)}"'


class Workstation:
    """One test's workstation; ``log_in`` and ``log_out`` are what login and logind would do."""

    def __init__(self) -> None:
        SESSIONS.mkdir(parents=True)
        pamstack.PROFILE = Path("/run/pam-profile")  # the machine's own PAM is none of ours
        self._leaders: dict[str, tuple[int, socket.socket]] = {}

    def policy(self, text: str = OFFICE) -> None:
        path = Path(paths.POLICY)
        path.write_text(text)
        path.chmod(0o644)

    def log_in(self, session: str, user: str, hint: bool = False, **fields: str) -> int:
        """A login at the seat with a leader of its own; with ``hint`` PAM runs the hook."""
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            ns.die_with_parent()
            ours.close()
            _lead(theirs)
        theirs.close()
        self._leaders[session] = (pid, ours)
        self.state(session, user, pid, **fields)
        if hint:
            assert self.hook(session, "open") == 0
        return pid

    def state(self, session: str, user: str, leader: int, **fields: str) -> None:
        """Write logind's file about a session."""
        values = {"UID": str(ns.USERS.get(user, 4444)), "USER": user, "ACTIVE": "1",
                  "STATE": "active", "REMOTE": "0", "TYPE": "tty", "CLASS": "user",
                  "SEAT": "seat0", "SERVICE": "login", "LEADER": str(leader),
                  "MONOTONIC": str(int(time.clock_gettime(time.CLOCK_MONOTONIC) * 1e6)), **fields}
        (SESSIONS / session).write_text("".join(f"{key}={value}\n"
                                                for key, value in values.items()))

    def set_state(self, session: str, state: str) -> None:
        """What logind says of a session later: active, online, closing."""
        path = SESSIONS / session
        path.write_text("".join(
            f"STATE={state}\n" if line.startswith("STATE=") else line
            for line in path.read_text().splitlines(keepends=True)))

    def hook(self, session: str, phase: str) -> int:
        """What pam_exec does: the leader runs the hook."""
        link = self._leaders[session][1]
        link.sendall(phase[0].encode())
        return link.recv(1)[0]

    def log_out(self, session: str, hint: bool = True) -> None:
        """A proper logout: the hook runs, then the leader ends and logind forgets the session."""
        if hint:
            assert self.hook(session, "close") == 0
        self.kill(session)
        (SESSIONS / session).unlink()

    def kill(self, session: str) -> None:
        """The leader dies; neither PAM nor logind notices."""
        pid, link = self._leaders.pop(session)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        link.close()

    def reconcile(self, dry_run: bool = False) -> list[str]:
        """The timer's full run; its plan, a line each."""
        return Reconciliation().run(dry_run=dry_run).describe(journal.instant)

    def states(self) -> dict[str, str]:
        """Each recorded session's state."""
        return {session: record.state for session, record in sorted(read_records().items())}

    def chains(self) -> dict[int, int]:
        """Each user's chain that is in use: uid to the number of its rules."""
        observed = nft.observe()
        if observed is None:
            return {}
        return {uid: len(chain) for uid, chain in observed.chains.items()
                if chain is not None and uid in observed.jumps}

    def reaches(self, user: str, port: int, address: str = ns.V4) -> str:
        """What the viewer of that user gets at a port of the server."""
        return ns.try_as(ns.USERS[user], ns.VIEWER_GID, address, port)


def office() -> Workstation:
    """A workstation with the office's policy taken in, nobody logged in."""
    workstation = Workstation()
    ns.serve_here()
    workstation.policy()
    workstation.reconcile()
    return workstation


def start_watcher() -> None:
    """Fork this process, with all that it has cached by now, to be the watcher."""
    if os.fork() == 0:
        ns.die_with_parent()
        try:
            watch.watch()
        finally:
            os._exit(99)
    assert ns.until(_is_watched)


def _lead(link: socket.socket) -> None:
    while word := link.recv(1):
        link.sendall(bytes([_in_hook({b"o": "open", b"c": "close"}[word])]))
    os._exit(0)


def _in_hook(phase: str) -> int:
    pid = os.fork()
    if pid == 0:
        status = 99
        try:
            status = hook.main(phase)
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return status if status >= 0 else 100 - status


def always(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether the condition holds all this time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not condition():
            return False
        time.sleep(0.05)
    return True


def links(directory: str) -> list[str]:
    """What the symbolic links of a directory of /proc point to; some go while it is read."""
    return [os.path.realpath(each) for each in Path(directory).iterdir()]


def _is_watched() -> bool:
    try:
        os.close(os.open(paths.WAKE, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True
