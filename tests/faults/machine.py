"""A workstation with pam-spice installed, and what can be seen of it from outside."""

import json
import os
import re
import select
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

from pam_spice import paths
from pam_spice.firewall import Chain, nft
from pam_spice.run import CommandFailed, run
from session.records import DIRECTORY
from tests.faults.installed import install
from tests.kernel import namespace as ns
from tests.kernel.workstation import SESSIONS, Workstation

_NETLINK_NETFILTER, _GETGEN, _GEN_ID = 12, 10 << 8 | 16, 1
_TRIES = 100
_JOURNAL = "/run/systemd/journal/socket"
_VOLATILE = ("doubt4", "doubt6", "cut4", "cut6", "sessions")  # packets and logins change them


@dataclass(frozen=True, slots=True)
class Table:
    """The kernel's table at one instant."""

    guard: str  # all that is not a user's, in one order
    is_ours: bool  # nothing of anybody else's is in it
    chains: dict[int, Chain | None]
    jumps: frozenset[int]

    def what_is_open(self, uid: int, chain: Chain) -> str:
        """Whether the user has his chain: "whole", some rules of it ("part"), "nothing", or what
        is wrong."""
        if uid not in self.chains and uid not in self.jumps:
            return "nothing"
        if uid not in self.chains or uid not in self.jumps:
            return "torn: " + ("a jump" if uid in self.jumps else "a chain") + " alone"
        rules = self.chains[uid]
        if rules == chain:
            return "whole"
        return "part" if rules and set(rules) < set(chain) else f"torn: {rules}"


class Machine:
    """The workstation; there can be one in a namespace."""

    def __init__(self) -> None:
        self.workstation = Workstation()
        install()
        ns.serve_here()
        _read_what_is_told()

    def table(self) -> Table | None:
        """What the kernel holds now; None where there is no table."""
        for _ in range(_TRIES):
            before = _generation()
            try:
                listing = run([paths.NFT, "-j", "-nn", "list", "table", *nft.TABLE.split()]).output
            except CommandFailed as error:
                assert "No such file" in error.error_output, error
                listing = b""
            # nft asks several times for what makes up one listing, and 1.0.6 lists rules twice
            # where there was a change in between.
            if _generation() == before:
                break
        else:
            raise AssertionError("the table never stays as it is for long enough to be read")
        if not listing:
            return None
        observed = nft.parse_listing(listing)
        return Table(_guard(listing), not observed.foreign, observed.chains,
                     frozenset(observed.jumps))


def _read_what_is_told() -> None:
    """A process in the place of journald and of the watcher, which reads what they are told."""
    # Of this network namespace alone; systemd raises the machine's to this at boot.
    Path("/proc/sys/net/unix/max_dgram_qlen").write_text("512")
    os.makedirs(os.path.dirname(_JOURNAL))
    journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    journal.bind(_JOURNAL)
    os.makedirs(paths.RUN, 0o711)
    os.mkfifo(paths.WAKE, 0o600)
    # For writing too: else the last hook to close it would leave it at end of file.
    fifo = os.open(paths.WAKE, os.O_RDWR | os.O_CLOEXEC)
    if os.fork() == 0:
        ns.die_with_parent()
        poll = select.poll()
        poll.register(journal, select.POLLIN)
        poll.register(fifo, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll():
                os.read(descriptor, 65536)
    journal.close()
    os.close(fifo)


def _generation() -> int:
    """How often the firewall was changed: NFT_MSG_GETGEN, linux/netfilter/nf_tables.h."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as kernel:
        kernel.send(struct.pack("=IHHIIBBH", 20, _GETGEN, 1, 0, 0, 0, 0, 0))
        answer = kernel.recv(4096)
    assert struct.unpack_from("=HH", answer, 20) == (8, _GEN_ID), answer
    return int.from_bytes(answer[24:28], "big")


def _guard(listing: bytes) -> str:
    """Sets, maps and chains in the order of their names, each chain's rules in their own order.

    ``Observed.guard`` is no use here: it differs where the same was made in another order.
    """
    parts: list[tuple[str, str]] = []
    for entry in json.loads(listing)["nftables"]:
        (kind, value), = entry.items()
        name = str(value.get("chain") if kind == "rule" else value.get("name"))
        if kind == "metainfo" or name.startswith("user-"):
            continue
        for volatile in ("handle", "elem" if name in _VOLATILE else "handle"):
            value.pop(volatile, None)
        text = re.sub(r'"(packets|bytes)": \d+', "", json.dumps(entry, sort_keys=True))
        parts.append((name, text))
    return "\n".join(text for _, text in sorted(parts, key=lambda part: part[0]))


def expected_chain(*ports: int) -> Chain:
    """The chain of who may reach these ports of the server at any time."""
    return tuple((address, port, ns.VIEWER_GID, 0, 0) for address in sorted((ns.V4, ns.V6))
                 for port in sorted(ports))


def files() -> set[str]:
    """Every file of pam-spice's, wherever it keeps some."""
    places = (paths.RUN, DIRECTORY, paths.STATE, "/etc/pam-spice", os.path.dirname(paths.SUDOERS))
    return {str(path) for place in places for path in Path(place).iterdir()}


def forget_session(session: str) -> None:
    """logind forgets a session."""
    (SESSIONS / session).unlink(missing_ok=True)
