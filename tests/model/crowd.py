"""A crowd on a workstation: its accounts and policy, the leaders of its sessions with the real hook
script, and an observer who asks the kernel all the time who has a chain."""

import json
import os
import signal
import socket
import struct
import time
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path

from pam_spice.firewall import nft
from tests.kernel import namespace as ns

ROOT = Path(__file__).parents[2]
FIRST_UID = 3000
PORTS = range(20001, 20011)

PYTHON = "/usr/bin/python3"
_ENVIRONMENT = {"PATH": "/usr/bin:/bin"}
_REPORT = struct.Struct("=idd?")


def policy(users: int) -> str:
    """Each user has a console, one in four a second one at times; all are in a group with one."""
    consoles = "".join(f"  c{at}: {{server: kvm, tls_port: {port}}}\n"
                       for at, port in enumerate(PORTS))
    grants = "".join(f"  - {{user: u{user}, console: c{user % 9}}}\n" for user in range(users))
    grants += "".join(f"  - {{user: u{user}, console: c{(user + 1) % 9}, when: office}}\n"
                      for user in range(0, users, 4))
    return (f"timezone: Europe/Berlin\n"
            f"servers:\n  kvm: {{host: kvm.example, addresses: [{ns.V4}, '{ns.V6}'],\n"
            f"    guarded_ports: 20001-20010, ca_file: /etc/pam-spice/kvm.pem}}\n"
            f"consoles:\n{consoles}windows:\n  office: Mon-Fri 08:00-18:00\n"
            f"workstation: {{one_user: false}}\n"
            f"grants:\n{grants}  - {{group: staff, console: c9}}\n")


def write_accounts(users: int) -> None:
    """u0, u1 and so on, all in the group of the staff."""
    names = {f"u{user}": FIRST_UID + user for user in range(users)}
    Path("/etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n" + "".join(
        f"{name}:x:{uid}:{uid}::/:/bin/sh\n" for name, uid in names.items()))
    Path("/etc/group").write_text(
        f"root:x:0:\nspicegrp:x:{ns.VIEWER_GID}:\nstaff:x:{ns.OTHER_GID}:{','.join(names)}\n")


def script(name: str) -> str:
    """The installed script of that name, for this checkout."""
    text = (ROOT / "conf/system/bin" / name).read_text()
    prefix = "/usr/lib/pam-spice"
    assert prefix in text
    return executable(name, text.replace(prefix, str(ROOT)))


def executable(name: str, text: str) -> str:
    """The path of a program of that text."""
    path = Path("/run/bin", name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def start_service(*argv: str) -> int:
    """As a unit of systemd does; it ends with this process."""
    pid = os.fork()
    if pid == 0:
        ns.die_with_parent()
        os.dup2(os.open(os.devnull, os.O_RDWR), 1)
        os.execve(argv[0], argv, _ENVIRONMENT)
    return pid


# Leaders

@dataclass(frozen=True)
class Hook:
    """One hook that has ended."""

    user: int
    phase: str
    status: int
    seconds: float
    is_reachable: bool  # the user's console, right afterwards


class Leader:
    """The process that holds a user's session, and runs his hooks."""

    def __init__(self, user: int, hook: str) -> None:
        self.user = user
        self.phase = ""
        self.link, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            ns.die_with_parent()
            self.link.close()
            self._lead(theirs, hook)
        theirs.close()

    def _lead(self, link: socket.socket, hook: str) -> None:
        uid, port = FIRST_UID + self.user, PORTS[self.user % 9]
        while word := link.recv(1):
            began = time.monotonic()
            phase = {b"o": "open", b"c": "close"}[word]
            pid = os.posix_spawn(hook, [hook, phase], _ENVIRONMENT)
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            ended = time.monotonic()
            reached = ns.try_as(uid, ns.VIEWER_GID, ns.V4, port) == "yes"
            link.sendall(_REPORT.pack(status, began, ended, reached))
        os._exit(0)

    def run_hook(self, phase: str) -> None:
        """Begin with a hook; ``ended_hook`` tells how it went."""
        self.phase = phase
        self.link.sendall(phase[0].encode())

    def ended_hook(self) -> Hook:
        """To be called when the link can be read."""
        status, began, ended, reached = _REPORT.unpack(
            self.link.recv(_REPORT.size, socket.MSG_WAITALL))
        return Hook(self.user, self.phase, status, ended - began, reached)

    def end(self) -> None:
        """Its session is over."""
        os.kill(self.pid, signal.SIGKILL)  # others that were forked later hold its link too
        os.waitpid(self.pid, 0)
        self.link.close()


# Who must have a chain

class Whereabouts:
    """Since when each user is in (above 0) or out (below 0), or 0 on the way; shared with the
    process that watches."""

    def __init__(self, users: int) -> None:
        self.users = users
        self._memory = mmap(-1, 8 * (users + 1))

    def set(self, user: int, where: float) -> None:
        """In or out from now on, or on the way."""
        struct.pack_into("=d", self._memory, 8 * user, where)

    def all(self) -> tuple[float, ...]:
        """Of each user."""
        return struct.unpack_from(f"={self.users}d", self._memory)

    def count(self) -> None:
        """One more listing was looked at."""
        struct.pack_into("=d", self._memory, 8 * self.users, self.counted() + 1)

    def counted(self) -> int:
        """How many there were."""
        return int(struct.unpack_from("=d", self._memory, 8 * self.users)[0])


def chains_of_users() -> tuple[set[int], set[int]]:
    """The uids that have a chain with rules and are sent there, and those that have any of it."""
    listing = ns.command("nft", "-j", "-nn", "list", "table", *nft.TABLE.split())
    chains, rules, jumps = set(), set(), set()
    for entry in json.loads(listing)["nftables"]:
        (kind, value), = entry.items()
        if kind == "chain" and value["name"].startswith("user-"):
            chains.add(int(value["name"][5:]))
        elif kind == "rule" and value["chain"].startswith("user-"):
            rules.add(int(value["chain"][5:]))
        elif kind == "map" and value["name"] == "sessions":
            jumps = {uid for uid, verdict in value.get("elem", [])
                     if verdict == {"jump": {"target": f"user-{uid}"}}}
    return rules & jumps, chains | jumps


def watch_the_kernel(whereabouts: Whereabouts, problems: int) -> None:
    """Until the parent ends this: each who was in, or out, all the time of a listing is there, or
    is not."""
    while True:
        before = whereabouts.all()
        whole, parts = chains_of_users()
        after = whereabouts.all()
        for user in range(whereabouts.users):
            if before[user] and before[user] == after[user]:
                uid = FIRST_UID + user
                if before[user] > 0 and uid not in whole:
                    os.write(problems, f"u{user} is in and lacks his chain\n".encode())
                if before[user] < 0 and uid in parts:
                    os.write(problems, f"u{user} is out and has a chain\n".encode())
        whereabouts.count()
        time.sleep(0.02)
