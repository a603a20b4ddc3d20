"""Users' chains, told to the kernel itself: linux/netfilter/nf_tables.h over nfnetlink.

On the login path. For a chain this makes what ``nft.render_open`` makes (a test compares what the
kernel lists), but without nft: that costs 4 ms to start, and it looks numeric uids up in NSS, where
a directory server may hang while a logout waits.

A message is a header, then attributes: length, type, value, filled up to four bytes; a value may
itself be attributes. Numbers are big-endian; what a register is compared with is as the packet or
the kernel holds it.
"""

from _socket import (
    AF_INET,
    AF_INET6,
    AF_NETLINK,
    MSG_DONTWAIT,
    SOCK_CLOEXEC,
    SOCK_RAW,
    SOL_SOCKET,
    inet_pton,
    socket,
)
from os import strerror
from struct import pack, unpack_from

from pam_spice.firewall import SESSIONS, TABLE_NAME, Chain, KernelRefused, Rule, chain_name

_NETLINK_NETFILTER = 12
_SO_SNDBUFFORCE = 32  # asm-generic/socket.h
_ENOBUFS = 105  # ``errno`` would be one more module to import
_NFPROTO_INET = 1

# linux/netfilter/nfnetlink.h, and enum nf_tables_msg_types after NFNL_SUBSYS_NFTABLES.
_BATCH_BEGIN, _BATCH_END = 16, 17
SUBSYSTEM = 10
_NEWCHAIN, _DELCHAIN, _NEWRULE, _DELRULE, _NEWSETELEM, _DELSETELEM = (
    SUBSYSTEM << 8 | number for number in (3, 5, 6, 8, 12, 14))

# linux/netlink.h
_REQUEST, _ACK, _CREATE, _APPEND = 0x1, 0x4, 0x400, 0x800
_ERROR = 2
_NESTED = 0x8000

_OURS = 0xE0000000
"""Our messages are numbered from here on: those of nft count from 0, and iptables' are the time."""

_REGISTER, _VERDICT = 1, 0  # enum nft_registers
_EQUAL, _LESS, _NOT_LESS = 0, 2, 5  # enum nft_cmp_ops
_JUMP, _ACCEPT = -3, 1  # enum nft_verdicts; NF_ACCEPT
_NETWORK, _TRANSPORT = 1, 2  # enum nft_payload_bases
_NFPROTO, _L4PROTO, _SKGID, _TIME_NS = 15, 16, 11, 30  # enum nft_meta_keys
_TCP = 6


class Connection:
    """To the kernel's nf_tables, within ``with``.

    Its end waits until the kernel has freed what was deleted, 5 to 15 ms: what else there is to do
    comes before that.
    """

    def __enter__(self) -> "Connection":
        self._socket: socket | None = None
        return self

    def __exit__(self, *_: object) -> None:
        if self._socket is not None:
            self._socket.close()

    def change(self, close: list[int], chains: dict[int, Chain],
               strays: tuple[int, ...] = ()) -> None:
        """Take out what others have put into ``sessions`` for the uids ``strays``, take the chains
        of the users ``close`` away, whether or not they are there, and put exactly these rules into
        the others' and send their packets there: one transaction, all or nothing.

        Raises KernelRefused (there may be no table), OSError.
        """
        if not close and not chains and not strays:
            return
        if self._socket is None:
            self._socket = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, _NETLINK_NETFILTER)
        _commit(self._socket, _messages(close, chains, strays))


def change(close: list[int], chains: dict[int, Chain], strays: tuple[int, ...] = ()) -> None:
    """The same, with a connection for it alone."""
    with Connection() as kernel:
        kernel.change(close, chains, strays)


def is_ours(number: int) -> bool:
    """Whether a message of that number (nlmsg_seq) is one of ``change``; the kernel tells others of
    a change under the number with which it was asked for."""
    return number >> 28 == _OURS >> 28


def _messages(close: list[int], chains: dict[int, Chain],
              strays: tuple[int, ...] = ()) -> list[tuple[int, int, bytes]]:
    """Each message's type, flags and attributes."""
    # All are emptied first: what is deleted may not be where another one's rule jumps to.
    messages = [(_DELSETELEM, 0, _element(uid)) for uid in strays]
    messages += [message for uid in (*close, *sorted(chains)) for message in (
        (_NEWCHAIN, _CREATE, _text(3, chain_name(uid))),  # what is deleted is added first
        (_DELRULE, 0, _text(2, chain_name(uid))))]
    for uid in close:
        messages += [(_NEWSETELEM, _CREATE, _jump(uid)), (_DELSETELEM, 0, _jump(uid)),
                     (_DELCHAIN, 0, _text(3, chain_name(uid)))]
    for uid, rules in sorted(chains.items()):
        chain = _text(2, chain_name(uid))
        messages += [*((_NEWRULE, _CREATE | _APPEND, chain + _attributes(4, *_rule(rule)))
                       for rule in rules),
                     (_NEWSETELEM, _CREATE, _jump(uid))]
    return messages


def _commit(kernel: socket, messages: list[tuple[int, int, bytes]]) -> None:
    table = _text(1, TABLE_NAME)
    batch = [_message(_BATCH_BEGIN, 0, 0, 0, SUBSYSTEM)]
    for number, (kind, flags, attributes) in enumerate(messages, 1):
        # The last one is to be answered; one that fails is answered in any case.
        flags |= _ACK if number == len(messages) else 0
        batch.append(_message(kind, flags, _OURS + number, _NFPROTO_INET, 0,
                              table + attributes))
    data = b"".join([*batch, _message(_BATCH_END, 0, len(batch), 0, SUBSYSTEM)])
    kernel.setsockopt(SOL_SOCKET, _SO_SNDBUFFORCE, len(data) + 4096)
    kernel.sendto(data, (0, 0))
    # The kernel has done all of it by now: its answers are waiting.
    answers = _answers(kernel)
    for number, error in answers:
        if error:
            raise KernelRefused(f"message {number} of {len(messages)}: {strerror(-error)}")
    if (len(messages), 0) not in answers:
        raise KernelRefused("no answer")


def _answers(kernel: socket) -> list[tuple[int, int]]:
    """(number of the message, 0 or a negative errno), for each that was answered."""
    found: list[tuple[int, int]] = []
    while True:
        try:
            data = kernel.recv(65536, MSG_DONTWAIT)
        except BlockingIOError:
            return found
        except OSError as lost:
            if lost.errno != _ENOBUFS:
                raise
            continue  # of more errors than fit, the first ones are there
        at = 0
        while at + 20 <= len(data):
            # struct nlmsghdr, then struct nlmsgerr's errno.
            length, kind, _, number, _, error = unpack_from("=IHHIIi", data, at)
            if kind == _ERROR:
                found.append((number - _OURS, error))
            at += max(length + 3 & ~3, 16)


def _message(kind: int, flags: int, number: int, family: int, resource: int,
             attributes: bytes = b"") -> bytes:
    """struct nlmsghdr and struct nfgenmsg, then the attributes."""
    return pack("=IHHII", 20 + len(attributes), kind, _REQUEST | flags, number, 0) + pack(
        ">BBH", family, 0, resource) + attributes


# Attributes

def _attribute(kind: int, value: bytes) -> bytes:
    return pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _attributes(kind: int, *values: bytes) -> bytes:
    return _attribute(kind | _NESTED, b"".join(values))


def _text(kind: int, text: str) -> bytes:
    return _attribute(kind, text.encode() + b"\0")


def _number(kind: int, number: int) -> bytes:
    return _attribute(kind, pack(">I", number & 0xFFFFFFFF))


# Elements and rules

def _verdict(*values: bytes) -> bytes:
    return _attributes(2, _attributes(2, *values))  # NFTA_*_DATA, NFTA_DATA_VERDICT


def _jump(uid: int) -> bytes:
    """The element of the map that sends the user's packets to his chain."""
    return _element(uid, _verdict(_number(1, _JUMP), _text(2, chain_name(uid))))


def _element(uid: int, verdict: bytes = b"") -> bytes:
    element = _attributes(1, _attributes(1, _attribute(1, pack("=I", uid))), verdict)
    return _text(2, SESSIONS) + _attributes(3, element)


def _rule(rule: Rule) -> list[bytes]:
    """The rule's expressions, those that nft makes of its text."""
    address, port, gid, start, end = rule
    family, protocol, offset = (AF_INET6, 10, 24) if ":" in address else (AF_INET, 2, 16)
    packed = inet_pton(family, address)
    expressions = [*_meta(_NFPROTO, bytes([protocol])),
                   *_payload(_NETWORK, offset, packed),
                   *_meta(_L4PROTO, bytes([_TCP])),
                   *_payload(_TRANSPORT, 2, pack(">H", port)),
                   *_meta(_SKGID, pack("=I", gid))]
    for seconds, how in ((start, _NOT_LESS), (end, _LESS)):
        if seconds:  # bytes are compared from the left, so the number is turned round
            load, compare = _meta(_TIME_NS, pack(">Q", seconds * 1_000_000_000), how)
            turn = _expression("byteorder", _number(1, _REGISTER), _number(2, _REGISTER),
                               _number(3, 1), _number(4, 8), _number(5, 8))
            expressions += [load, turn, compare]
    return [*expressions, _expression("counter"),
            _expression("immediate", _number(1, _VERDICT), _verdict(_number(1, _ACCEPT)))]


def _expression(name: str, *attributes: bytes) -> bytes:
    return _attributes(1, _text(1, name), _attributes(2, *attributes))


def _meta(key: int, value: bytes, how: int = _EQUAL) -> tuple[bytes, bytes]:
    return (_expression("meta", _number(2, key), _number(1, _REGISTER)),
            _compare(value, how))


def _payload(base: int, offset: int, value: bytes) -> tuple[bytes, bytes]:
    return (_expression("payload", _number(1, _REGISTER), _number(2, base), _number(3, offset),
                        _number(4, len(value))), _compare(value))


def _compare(value: bytes, how: int = _EQUAL) -> bytes:
    return _expression("cmp", _number(1, _REGISTER), _number(2, how),
                       _attributes(3, _attribute(1, value)))
