"""Live TCP connections of this network namespace: finding and destroying them.

On the login path, so netlink is spoken by hand: pyroute2 takes 290 ms to import and has no call to
destroy a socket; ``ss -K`` knows no uid. The kernel picks by port: finding 11,000 connections takes
20 ms, 1,000 among them, on other ports, 8 ms; reading /proc/net/tcp took 100 ms.

Numbers and structures: linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h.
"""

from _socket import (
    AF_INET,
    AF_INET6,
    AF_NETLINK,
    IPPROTO_TCP,
    MSG_TRUNC,
    SOCK_CLOEXEC,
    SOCK_RAW,
    inet_ntop,
    socket,
)
from errno import EMSGSIZE, ENOENT, EOPNOTSUPP, EPROTO, ESTALE
from os import strerror
from struct import Struct, pack, unpack_from

from conf.intervals import joined_ranges
from conf.lookup import Endpoint

TYPE_CHECKING = False  # typing and collections are slow to import, and a login needs neither
if TYPE_CHECKING:
    from collections.abc import Iterator

_NETLINK_SOCK_DIAG = 4
_GETSOCK, _SOCK_DESTROY = 18, 21
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_ERROR, _DONE = 2, 3
_REQ_BYTECODE = 1
_JUMP, _PORT_GE, _PORT_LE = 1, 4, 5  # INET_DIAG_BC_JMP, _D_GE, _D_LE
_EVERY = 0xFFFFFFFF

_ESTABLISHED_OR_CLOSING = sum(1 << state for state in (1, 2, 3, 4, 5, 8, 9, 11))
"""States of include/net/tcp_states.h without TIME_WAIT and CLOSE, which have no socket to
destroy, and LISTEN."""

_UNSENT = (4, 9, 11)  # FIN_WAIT1, LAST_ACK, CLOSING: the last segment is not acknowledged
_OVER = (5, 7)  # FIN_WAIT2; CLOSE, in the moment before it is gone
_MAPPED = b"\0" * 10 + b"\xff\xff"

_DATAGRAM = 65536  # the kernel fills at most 32 KiB
_MOST_RANGES = 100
"""The kernel tries them one by one: with so many, 11,000 sockets take 5 ms longer."""

_HAS_ENDED = (ENOENT, ESTALE, EOPNOTSUPP)
"""ESTALE: another connection has its place; EOPNOTSUPP: it is in TIME_WAIT, in older kernels."""

_BATCH = 128
"""Even if each request is answered, the answers fit into a socket's default buffer (208 KiB)."""


class Connections:
    """The TCP connections of one uid to one endpoint."""

    __slots__ = ("address", "family", "is_orphan", "port", "sockets", "uid")

    def __init__(self, uid: int, address: str, port: int, is_orphan: bool, family: int,
                 sockets: list[bytes]) -> None:
        self.uid = uid  # of orphans, by the kernel's version, their last owner's or 0
        self.address = address  # the peer's, IPv4 in IPv6 written as IPv4
        self.port = port
        self.is_orphan = is_orphan
        """Their process has closed them and they have something left to send. The guard lets
        nothing but empty segments out without an owner, so they can't end by themselves."""
        self.family = family
        self.sockets = sockets  # struct inet_diag_sockid of each


def guarded_connections(endpoints: list[Endpoint]) -> list[Connections]:
    """The connections to guarded endpoints; raises OSError."""
    if not endpoints:
        return []
    found: dict[tuple[int, int, bool, bytes, bytes], list[bytes]] = {}
    for family, state, id_, uid, inode in _dump(_filter(endpoints)):
        if not inode and state in _OVER:  # closed, and the server knows it
            continue
        key = uid, family, not inode and state in _UNSENT, id_[2:4], id_[20:36]
        ids = found.get(key)
        if ids is None:
            found[key] = [id_]
        else:
            ids.append(id_)
    guarded: dict[str, list[tuple[int, int]]] = {}
    for address, low, high in endpoints:
        guarded.setdefault(address, []).append((low, high))
    connections = []
    # Anybody may have thousands of sockets on these ports at other addresses.
    for (uid, family, is_orphan, port, peer), ids in found.items():
        address, number = _readable(family, peer), int.from_bytes(port, "big")
        if any(low <= number <= high for low, high in guarded.get(address, ())):
            connections.append(Connections(uid, address, number, is_orphan, family, ids))
    return connections


def guarded_sockets(endpoints: list[Endpoint]) -> list[tuple[int, str, int, int]]:
    """The same one by one: uid, the peer's address and port, and the socket's inode, 0 where no
    process has it any more. For people, not for logins; raises OSError."""
    found = []
    for family, state, id_, uid, inode in _dump(_filter(endpoints)) if endpoints else ():
        address, port = _readable(family, id_[20:36]), int.from_bytes(id_[2:4], "big")
        if (inode or state not in _OVER) and is_guarded(endpoints, address, port):
            found.append((uid, address, port, inode))
    return sorted(found)


def is_guarded(endpoints: list[Endpoint], address: str, port: int) -> bool:
    """Whether the guard covers that endpoint."""
    return any(address == guarded and low <= port <= high for guarded, low, high in endpoints)


def _readable(family: int, peer: bytes) -> str:
    if family == AF_INET:
        return inet_ntop(AF_INET, peer[:4])
    if peer.startswith(_MAPPED):
        return inet_ntop(AF_INET, peer[12:])
    return inet_ntop(AF_INET6, peer)


def _filter(endpoints: list[Endpoint]) -> bytes:
    """A program that the kernel runs for each socket: whether its peer's port is one of these.

    It is made of struct inet_diag_bc_op: code, how far to go on where it holds, how far where it
    does not. The end accepts; one step beyond it refuses.
    """
    ranges = joined_ranges([endpoint[1:] for endpoint in endpoints])
    if len(ranges) > _MOST_RANGES:
        ranges = [(ranges[0][0], ranges[-1][1])]
    program = pack("=BBH", _JUMP, 4, 8)
    for low, high in reversed(ranges):
        program = (pack("=BBHxxH", _PORT_GE, 8, 20, low) + pack("=BBHxxH", _PORT_LE, 8, 12, high)
                   + pack("=BBH", _JUMP, 4, 4 + len(program))) + program
    return program


def _dump(program: bytes) -> "Iterator[tuple[int, int, bytes, int, int]]":
    """Family, state, struct inet_diag_sockid, uid and inode of each TCP socket that the program
    accepts; raises OSError."""
    # The older of two requests (struct inet_diag_req): it alone walks through the kernel's table
    # once for IPv4 and IPv6 together, and a walk takes 3 ms even where there is no socket.
    body = pack("=52xII", _ESTABLISHED_OR_CLOSING, 0) + pack(
        "=HH", 4 + len(program), _REQ_BYTECODE) + program
    # struct nlmsghdr's length and type, then struct inet_diag_msg.
    unpack = Struct("=IH10xBBxx48s12xII").unpack_from
    buffer = bytearray(_DATAGRAM + 88)
    kernel = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, _NETLINK_SOCK_DIAG)
    try:
        kernel.send(pack("=IHHII", 16 + len(body), _GETSOCK, _REQUEST | _DUMP, 0, 0) + body)
        while True:
            size = kernel.recv_into(buffer, _DATAGRAM, MSG_TRUNC)
            if size > _DATAGRAM:
                raise OSError(EMSGSIZE, "the kernel's answer was truncated")
            at = 0
            while at < size:
                length, kind, family, state, id_, uid, inode = unpack(buffer, at)
                if kind != _GETSOCK:
                    error, = unpack_from("=i", buffer, at + 16)
                    if kind != _DONE or error:
                        raise OSError(-error, strerror(-error))
                    return
                yield family, state, id_, uid, inode
                at += length + 3 & ~3
    finally:
        kernel.close()


def destroy(doomed: list[Connections]) -> int:
    """Destroy these connections: both ends see a reset. Returns how many were destroyed; those
    that ended by themselves are no error.

    Raises OSError where the kernel refuses to destroy one; all others are seen to before.
    """
    requests = [(each.family, id_) for each in doomed for id_ in each.sockets]
    refused = 0
    destroyed = 0
    kernel = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, _NETLINK_SOCK_DIAG)
    try:
        for at in range(0, len(requests), _BATCH):
            batch = requests[at:at + _BATCH]
            kernel.send(b"".join(_request(number, *each, is_last=number == len(batch))
                                 for number, each in enumerate(batch, 1)))
            destroyed += len(batch)
            for error in _errors(kernel, len(batch)):
                destroyed -= 1
                if error not in _HAS_ENDED:
                    refused = error
    finally:
        kernel.close()
    if refused:
        raise OSError(refused, strerror(refused))
    return destroyed


def can_destroy() -> bool:
    """Whether this kernel destroys sockets at all (CONFIG_INET_DIAG_DESTROY): it is asked to for
    one that there is not. Raises OSError where it can't be asked."""
    nothing = bytes(40) + b"\xff" * 8  # INET_DIAG_NOCOOKIE
    kernel = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, _NETLINK_SOCK_DIAG)
    try:
        kernel.send(_request(1, AF_INET, nothing, is_last=True))
        return list(_errors(kernel, 1)) == [ENOENT]
    finally:
        kernel.close()


def _request(number: int, family: int, id_: bytes, is_last: bool) -> bytes:
    """struct nlmsghdr and struct inet_diag_req_v2. The last one of a batch is to be answered, one
    that fails is answered in any case."""
    return pack("=IHHIIBBxxI48s", 72, _SOCK_DESTROY, _REQUEST | _ACK if is_last else _REQUEST,
                number, 0, family, IPPROTO_TCP, _EVERY, id_)


def _errors(kernel: socket, last: int) -> "Iterator[int]":
    """The errno of each request of a batch that failed; raises OSError."""
    while True:
        # struct nlmsghdr, then struct nlmsgerr's 0 or negative errno: one answer a datagram.
        kind, number, error = unpack_from("=4xH2xI4xi", kernel.recv(4096))
        if kind != _ERROR:
            raise OSError(EPROTO, strerror(EPROTO))
        if error:
            yield -error
        if number == last:
            return
