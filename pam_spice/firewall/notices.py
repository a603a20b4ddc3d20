"""What the kernel tells of changes to our table: nfnetlink's multicast group for nf_tables."""

import errno
import socket
import struct

from pam_spice.firewall import TABLE_NAME
from pam_spice.firewall.netlink import SUBSYSTEM, is_ours

_NETLINK_NETFILTER = 12
_NFNLGRP_NFTABLES = 7  # linux/netfilter/nfnetlink.h
_NEWGEN = SUBSYSTEM << 8 | 15  # the last word of each transaction

# Attribute 1 of a message about a table, chain, rule, set, element or object is the table's name.
_TABLE = b"\1\0" + TABLE_NAME.encode() + b"\0"


class Notices:
    """A socket to ``poll``: readable when somebody may have changed the table. Needs
    CAP_NET_ADMIN. Raises OSError."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC,
            _NETLINK_NETFILTER)
        self._is_touched = False  # by the transaction that is being told
        self._socket.bind((0, 1 << _NFNLGRP_NFTABLES - 1))

    def fileno(self) -> int:
        return self._socket.fileno()

    def read(self) -> bool:
        """Take what has come; whether any of it is a change of our table that ``netlink`` did not
        make: what our own nft does counts as somebody's."""
        is_changed = False
        while True:
            try:
                is_changed |= self._hear(self._socket.recv(65536))
            except BlockingIOError:
                return is_changed
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                is_changed = True  # more came than there was room for

    def _hear(self, data: bytes) -> bool:
        is_changed = False
        at = 0
        while at + 20 <= len(data):
            length, kind, _, number, _ = struct.unpack_from("=IHHII", data, at)
            # struct nlmsghdr and struct nfgenmsg, then the attributes, of which the name is the
            # first. Elements come without the number of who asked, so it is the last word's.
            if kind == _NEWGEN:
                is_changed |= self._is_touched and not is_ours(number)
                self._is_touched = False
            elif kind >> 8 == SUBSYSTEM and data.startswith(_TABLE, at + 22):
                self._is_touched = True
            at += max(length + 3 & ~3, 16)
        return is_changed
