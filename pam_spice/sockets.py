"""Live TCP connections of this network namespace: finding and destroying them.

On the login path. Found in /proc and destroyed by their four numbers: pyroute2 takes 290 ms to
import and has no call to destroy a socket; a dump of all sockets through it took 20 times as long
as /proc, which other users' sockets would lengthen; ``ss -K`` knows no uid.
"""

import sys
from _socket import (
    AF_INET,
    AF_INET6,
    AF_NETLINK,
    IPPROTO_TCP,
    SOCK_CLOEXEC,
    SOCK_RAW,
    inet_ntop,
    socket,
)
from struct import pack, unpack_from

from conf.lookup import Endpoint

_ESTABLISHED_OR_CLOSING = frozenset(range(1, 12)) - {6, 7, 10}
"""States of include/net/tcp_states.h without TIME_WAIT and CLOSE, which have no socket to
destroy, and LISTEN."""

_UNSENT = (4, 9, 11)  # FIN_WAIT1, LAST_ACK, CLOSING: the last segment is not acknowledged
_FIN_WAIT2 = 5
_NETLINK_SOCK_DIAG = 4
_MAPPED = b"\0" * 10 + b"\xff\xff"


class Connection:
    """One TCP socket with a peer."""

    __slots__ = ("address", "is_orphan", "key", "port", "uid")

    def __init__(self, uid: int, address: str, port: int, is_orphan: bool,
                 key: tuple[int, bytes, int, bytes]) -> None:
        self.uid = uid  # of an orphan, by the kernel's version, its last owner's or 0
        self.address = address  # the peer's, IPv4 in IPv6 written as IPv4
        self.port = port
        self.key = key  # local port and address, peer's port and address
        self.is_orphan = is_orphan
        """Its process has closed it and it has something left to send. The guard lets nothing but
        empty segments out without an owner, so it can't end by itself."""


def guarded_connections(endpoints: list[Endpoint]) -> list[Connection]:
    """The connections to guarded endpoints; raises OSError where /proc is not there."""
    ports = {port for _, low, high in endpoints for port in range(low, high + 1)}
    found = []
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(path, encoding="ascii") as file:
                next(file)
                for line in file:
                    # proc(5): sl local rem st queues tr retrnsmt uid timeout inode
                    fields = line.split()
                    peer, _, hex_port = fields[2].partition(":")
                    port = int(hex_port, 16)
                    state = int(fields[3], 16)
                    if port not in ports or state not in _ESTABLISHED_OR_CLOSING:
                        continue
                    uid, has_owner = int(fields[7]), fields[9] != "0"
                    if state == _FIN_WAIT2 and not has_owner:  # closed, and the server knows it
                        continue
                    packed = _packed(peer)
                    address = _readable(packed)
                    if is_guarded(endpoints, address, port):
                        local, _, local_port = fields[1].partition(":")
                        found.append(Connection(
                            uid, address, port, not has_owner and state in _UNSENT,
                            (int(local_port, 16), _packed(local), port, packed)))
        except FileNotFoundError:  # no IPv6
            continue
    return found


def is_guarded(endpoints: list[Endpoint], address: str, port: int) -> bool:
    """Whether the guard covers that endpoint."""
    return any(address == guarded and low <= port <= high for guarded, low, high in endpoints)


def _packed(text: str) -> bytes:
    """An address of /proc/net/tcp: 32-bit words, each in the machine's byte order."""
    return b"".join(int(text[at:at + 8], 16).to_bytes(4, sys.byteorder)
                    for at in range(0, len(text), 8))


def _readable(packed: bytes) -> str:
    if packed.startswith(_MAPPED):
        packed = packed[12:]
    return inet_ntop(AF_INET if len(packed) == 4 else AF_INET6, packed)


def destroy(doomed: list[Connection]) -> int:
    """Destroy these sockets: both ends see a reset. Returns how many were destroyed.

    Raises OSError.
    """
    destroyed = 0
    kernel = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, _NETLINK_SOCK_DIAG)
    try:
        for connection in doomed:
            local_port, local, port, peer = connection.key
            family = AF_INET if len(peer) == 4 else AF_INET6
            # struct nlmsghdr with SOCK_DESTROY, REQUEST and ACK; then struct inet_diag_req_v2,
            # its cookie "none": linux/sock_diag.h, linux/inet_diag.h.
            kernel.send(pack("=IHHII", 72, 21, 0x01 | 0x04, 0, 0)
                        + pack("=BBxxI", family, IPPROTO_TCP, 0xFFFFFFFF)
                        + pack(">HH16s16s", local_port, port, local, peer)
                        + pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF))
            # struct nlmsgerr after its header of 16 bytes: 0 or a negative errno.
            error, = unpack_from("=i", kernel.recv(4096), 16)
            destroyed += error == 0  # ENOENT: it ended by itself
    finally:
        kernel.close()
    return destroyed
