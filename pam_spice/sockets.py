"""Live TCP connections of this network namespace: finding and destroying them.

On the login path up to ``destroy``: /proc is read without imports; pyroute2, 290 ms, is imported
only where there is something to destroy.
"""

from conf.lookup import Endpoint

_ESTABLISHED_OR_CLOSING = frozenset(range(1, 12)) - {6, 7, 10}
"""States of include/net/tcp_states.h without TIME_WAIT and CLOSE, which have no socket to
destroy, and LISTEN."""
_UNSENT = (4, 9, 11)  # FIN_WAIT1, LAST_ACK, CLOSING: the last segment is not acknowledged


class Connection:
    """One TCP socket with a peer."""

    __slots__ = ("address", "is_orphan", "port", "uid")

    def __init__(self, uid: int, address: str, port: int, is_orphan: bool) -> None:
        self.uid = uid  # of an orphan, by the kernel's version, its last owner's or 0
        self.address = address  # the peer's, IPv4 in IPv6 written as IPv4
        self.port = port
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
                    address = _address(peer)
                    if is_guarded(endpoints, address, port):
                        found.append(Connection(
                            int(fields[7]), address, port,
                            int(fields[9]) == 0 and state in _UNSENT))
        except FileNotFoundError:  # no IPv6
            continue
    return found


def is_guarded(endpoints: list[Endpoint], address: str, port: int) -> bool:
    """Whether the guard covers that endpoint."""
    return any(address == guarded and low <= port <= high for guarded, low, high in endpoints)


def _address(text: str) -> str:
    """An address of /proc/net/tcp: 32-bit words, each in the machine's byte order."""
    import sys
    from _socket import AF_INET, AF_INET6, inet_ntop

    data = b"".join(int(text[at:at + 8], 16).to_bytes(4, sys.byteorder)
                    for at in range(0, len(text), 8))
    if len(data) == 16 and data[:12] == b"\0" * 10 + b"\xff\xff":
        data = data[12:]
    return inet_ntop(AF_INET if len(data) == 4 else AF_INET6, data)


def destroy(doomed: list[Connection]) -> int:
    """Destroy these sockets: both ends see a reset. Returns how many were destroyed.

    Found again by uid and peer, so that one that ended meanwhile harms no other. ``ss -K`` is no
    help: it knows no uid. Raises OSError.
    """
    import socket
    import struct

    from pam_spice.libraries import allow_third_party_modules

    allow_third_party_modules()
    from pyroute2.netlink import NETLINK_SOCK_DIAG
    from pyroute2.netlink.diag import DiagSocket

    wanted = {(connection.uid, connection.address, connection.port, connection.is_orphan)
              for connection in doomed}
    destroyed = 0
    with DiagSocket() as lister, socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as killer:
        lister.bind()
        states = sum(1 << state for state in _ESTABLISHED_OR_CLOSING)
        for family in (socket.AF_INET, socket.AF_INET6):
            for found in lister.get_sock_stats(family=family, states=states):
                address = found["idiag_dst"].removeprefix("::ffff:")
                is_orphan = found["idiag_inode"] == 0 and found["idiag_state"] in _UNSENT
                if (found["idiag_uid"], address, found["idiag_dport"], is_orphan) not in wanted:
                    continue
                source, peer = (socket.inet_pton(family, found[field])
                                for field in ("idiag_src", "idiag_dst"))
                # pyroute2 has no call for SOCK_DESTROY: struct nlmsghdr with its type, REQUEST
                # and ACK, then struct inet_diag_req_v2 (linux/sock_diag.h, linux/inet_diag.h).
                killer.send(
                    struct.pack("=IHHII", 72, 21, 0x01 | 0x04, 0, 0)
                    + struct.pack("=BBxxI", family, socket.IPPROTO_TCP, states)
                    + struct.pack(">HH16s16s", found["idiag_sport"], found["idiag_dport"],
                                  source, peer)
                    + struct.pack("=IQ", found["idiag_if"], found["idiag_cookie"]))
                # struct nlmsgerr after its header of 16 bytes: 0 or a negative errno.
                error, = struct.unpack_from("=i", killer.recv(4096), 16)
                destroyed += error == 0  # ENOENT: it ended by itself
    return destroyed
