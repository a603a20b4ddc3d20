"""Which consoles the person has open now, by the kernel's word: his own connections to them."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # see launcher
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from launcher.consoles import Console

_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_ESTABLISHED = "01"  # linux/net/tcp_states.h
_MAPPED = b"\0" * 10 + b"\xff\xff"  # an IPv4 address in an IPv6 socket


def in_use(consoles: Sequence[Console]) -> list[str]:
    """The names of those to which this user has a connection."""
    found = set()
    for table in _TABLES:
        try:
            with open(table, encoding="ascii") as file:
                found |= peers(file, os.getuid())
        except OSError:  # no IPv6 here
            pass
    return [console.name for console in consoles
            if any((packed(address), console.port) in found for address in console.addresses)]


def peers(lines: Iterable[str], uid: int) -> set[tuple[bytes, int]]:
    """The far ends of the user's living connections: address in network order, and port.

    The lines are those of /proc/net/tcp (proc(5)), its heading too.
    """
    found = set()
    for line in lines:
        fields = line.split()
        if len(fields) > 7 and fields[3] == _ESTABLISHED and fields[7] == str(uid):
            address, _, port = fields[2].partition(":")
            found.add((_in_network_order(address), int(port, 16)))
    return found


def _in_network_order(address: str) -> bytes:
    """The kernel prints each 32 bits as a number of this machine."""
    import sys

    raw = b"".join(int(address[at:at + 8], 16).to_bytes(4, sys.byteorder)
                   for at in range(0, len(address), 8))
    return raw.removeprefix(_MAPPED)


def packed(address: str) -> bytes:
    """An address as it stands in a policy."""
    import socket

    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
