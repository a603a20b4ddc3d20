"""What a packet costs on its way out of a workstation where few or many users' chains are open.

Each firewall is in a network namespace of its own, with a server on its loopback, where a connect()
is done when it returns: nothing waits for another process, or for a network card. So all that is
timed is the kernel's own way, and that is the leanest there is. It is also hard on whatever judges
outgoing packets: of the three packets of a connection one is the server's, which on a workstation
comes in.

Timed are blocks of calls: connect() on sockets that were made beforehand, by a user's uid and the
viewer's gid, and send() of 100 bytes on a connected UDP socket that nobody answers. One call in C
makes all of a block; what Python adds to each is the call and, for connect(), reading the address.
Accepting, closing (by a reset, so that nothing is left in TIME_WAIT) and reading come after the
block, and conntrack, where a firewall has asked for it, is emptied. Before each block some calls
are made that are not timed. A block in which the CPU was given to another process is done again;
that this is seldom, the measuring process has the highest priority.

One process measures all firewalls of a size, in turn; it enters their namespaces. Two processes
alike differ by up to two percent. So do two namespaces, by where the kernel has put what is in
them: so all is built several times, and the rounds are divided among the builds.
"""

from __future__ import annotations

import ctypes
import os
import resource
import socket
import statistics
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import repeat
from typing import NamedTuple

from tests.bench import rulesets
from tests.bench.isolation import in_namespaces
from tests.bench.measuring import (
    Chart,
    Effort,
    Ratio,
    Results,
    Row,
    Series,
    Times,
    in_turn,
    ratio,
)
from tests.bench.report import times as as_text
from tests.kernel import namespace as ns

_SIZES = (2, 100, 1_000, 10_000)
_FULL_BUILDS, _FULL_ROUNDS = 4, 160
_SECONDS = 100.0

_NONE, _OURS, _FLOOR = "no firewall", "pam-spice", "two empty chains of nft"
_FIREWALLS: dict[str, rulesets.Load] = {
    _NONE: rulesets.nothing,
    _OURS: rulesets.ours,
    "pam-spice, grants with windows": rulesets.ours_in_windows,
    _FLOOR: rulesets.empty_chains,
    "the article's rules, iptables legacy": rulesets.articles_iptables,
    "the article's rules, nft": rulesets.articles_nft,
}

_FEWEST, _MOST, _BLOCK = 2, 400, 0.001
"""Calls in a block: as many as take so many seconds, within these bounds."""

_TRIES = 5

_RESET = struct.pack("ii", 1, 0)  # struct linger
_DATA = bytes(100)
_CLONE_NEWNET = 0x40000000
_SO_RCVBUFFORCE = 33  # asm-generic/socket.h
_libc = ctypes.CDLL(None, use_errno=True)


class _Block(NamedTuple):
    """How long a block of calls took, and whether the CPU was meanwhile given to others."""

    seconds: float
    is_disturbed: bool


class Network:
    """A namespace with a firewall, a server, and what is measured there; it makes the calling
    process enter it. Each method returns the seconds that one call took."""

    def __init__(self, load: rulesets.Load, users: int) -> None:
        ns.new_network()
        self._namespace = os.open("/proc/self/ns/net", os.O_RDONLY)
        ns.ip("link", "set", "lo", "up")
        for address in (f"{ns.V4}/24", f"{ns.V6}/64"):
            ns.ip("addr", "add", address, "dev", "lo", *(["nodad"] if ":" in address else []))
        load(users)
        self._last = (rulesets.uid_of(users), ns.VIEWER_GID, rulesets.port_of(users))
        stranger = rulesets.uid_of(users + 1)
        self._stranger = (stranger, stranger, rulesets.UNGUARDED_PORT)
        self._calls: dict[str, int] = {}
        self._listeners = {port: _listener(port) for _, _, port in (self._last, self._stranger)}
        self._sink = socket.socket(type=socket.SOCK_DGRAM)
        self._sink.bind((ns.V4, rulesets.UDP_PORT))
        self._sink.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 22)
        self._sink.settimeout(_SECONDS)
        with _as(stranger, stranger):
            self._sender = socket.socket(type=socket.SOCK_DGRAM)
            self._sender.connect((ns.V4, rulesets.UDP_PORT))

    def unguarded(self) -> float:
        """A connection to an unguarded port, by a user who has no chain."""
        return self._seconds("unguarded", lambda calls: self._connect(calls, *self._stranger))

    def console(self) -> float:
        """A connection of the last user to his console."""
        return self._seconds("console", lambda calls: self._connect(calls, *self._last))

    def datagram(self) -> float:
        """A UDP packet, by a user who has no chain."""
        return self._seconds("datagram", self._send)

    def _seconds(self, what: str, do: Callable[[int], _Block]) -> float:
        if _libc.setns(self._namespace, _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        calls = self._calls.get(what, _FEWEST)
        for _ in range(_TRIES):
            block = do(calls)
            if not block.is_disturbed:
                break
        seconds = block.seconds / calls
        self._calls[what] = max(_FEWEST, min(_MOST, int(_BLOCK / seconds)))
        return seconds

    def _connect(self, calls: int, uid: int, gid: int, port: int) -> _Block:
        with _as(uid, gid):
            warming = [socket.socket() for _ in range(_warming(calls))]
            timed = [socket.socket() for _ in range(calls)]
        connect, to = socket.socket.connect, repeat((ns.V4, port))
        _timed(map(connect, warming, to))
        block = _timed(map(connect, timed, to))
        clients = warming + timed
        accepted = [self._listeners[port].accept()[0] for _ in clients]
        for client in clients:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            client.close()
        for server in accepted:
            server.close()
        _forget_connections()
        return block

    def _send(self, calls: int) -> _Block:
        send = self._sender.send
        _timed(map(send, repeat(_DATA, _warming(calls))))
        block = _timed(map(send, repeat(_DATA, calls)))
        for _ in range(_warming(calls) + calls):
            self._sink.recv(len(_DATA))
        return block


def _warming(calls: int) -> int:
    """How many calls to make before those that are timed: the firewall that was measured before may
    have filled the caches."""
    return max(_FEWEST, calls // 3)


def _timed(calls: Iterator[object]) -> _Block:
    clock = time.perf_counter
    before = resource.getrusage(resource.RUSAGE_THREAD)
    began = clock()
    deque(calls, maxlen=0)
    seconds = clock() - began
    after = resource.getrusage(resource.RUSAGE_THREAD)
    return _Block(seconds, before.ru_nvcsw != after.ru_nvcsw or before.ru_nivcsw != after.ru_nivcsw)


def _listener(port: int) -> socket.socket:
    server = socket.socket()
    server.bind((ns.V4, port))
    server.listen(_warming(_MOST) + _MOST)
    return server


@contextmanager
def _as(uid: int, gid: int) -> Iterator[None]:
    """Sockets that are made within belong to these, for skuid and skgid."""
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def _forget_connections() -> None:
    """Empty this namespace's conntrack: else ports that are used again would meet what is left of
    earlier connections, and it would grow until these time out."""
    with open("/proc/sys/net/netfilter/nf_conntrack_count") as count:
        if count.read() == "0\n":
            return
    # linux/netfilter/nfnetlink.h: IPCTNL_MSG_CT_DELETE of everything, to be acknowledged.
    message = struct.pack("=IHHIIBBH", 20, 0x0102, 0x5, 0, 0, 0, 0, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as kernel:
        kernel.send(message)
        error = struct.unpack_from("=i", kernel.recv(4096), 16)[0]
    if error:
        raise OSError(-error, "conntrack")


# What is measured

_KINDS: dict[str, tuple[Callable[[Network], float], float, str]] = {
    "TCP connect to an unguarded port": (Network.unguarded, 1.03, "packets-unguarded"),
    "TCP connect to the last user's console": (Network.console, 1.10, "packets-console"),
    "an unrelated UDP packet": (Network.datagram, 1.04, "packets-udp"),
}
"""What it is, how it is measured, what ours may cost at most, and the chart's name."""

Measured = dict[str, Times]
"""For each kind each firewall's figures."""


def measure(effort: Effort) -> Results:
    """Measure all firewalls at all sizes. Raises RuntimeError where that fails."""
    sizes = effort.sizes(_SIZES)
    measured = {size: _of_size(size, effort) for size in sizes}
    results = Results()
    for kind, (_, at_most, name) in _KINDS.items():
        times = {size: measured[size][kind] for size in sizes}
        ratios = {firewall: {size: ratio(times[size][firewall], times[size][_NONE])
                             for size in sizes} for firewall in _FIREWALLS if firewall != _NONE}
        results.rows += [
            _row(kind, firewall, of_sizes, at_most, ratios[_FLOOR]) if firewall == _OURS
            else _row(kind, firewall, of_sizes)
            for firewall, of_sizes in ratios.items()]
        results.charts.append(Chart(
            name, kind, "users whose chains are open", "times no firewall",
            [Series(firewall, list(of_sizes.items())) for firewall, of_sizes in ratios.items()]))
        results.medians.append((f"{kind}, {_NONE}", _microseconds(times[sizes[0]][_NONE])))
    return results


def _of_size(users: int, effort: Effort) -> Measured:
    builds = 1 if effort.is_short else _FULL_BUILDS
    rounds = effort.rounds(_FULL_ROUNDS) // builds

    def build() -> Measured:
        return _measure(users, rounds)

    built = [in_namespaces(build, _SECONDS) for _ in range(builds)]
    return {kind: {name: [figure for each in built for figure in each[kind][name]]
                   for name in _FIREWALLS} for kind in _KINDS}


def _measure(users: int, rounds: int) -> Measured:
    os.setpriority(os.PRIO_PROCESS, 0, -20)
    networks = {name: Network(load, users) for name, load in _FIREWALLS.items()}
    return {kind: in_turn({name: partial(once, network) for name, network in networks.items()},
                          rounds)
            for kind, (once, _, _) in _KINDS.items()}


def _row(kind: str, firewall: str, ratios: dict[int, Ratio], at_most: float | None = None,
         floor: dict[int, Ratio] | None = None) -> Row:
    """The worst size's row; its note tells all, and what the floor is there."""
    worst = max(ratios, key=lambda size: ratios[size].median)
    note = "with " + ", ".join(f"{size:,} users {as_text(each.median)}"
                               for size, each in ratios.items())
    if floor is not None:
        note += f"; {_FLOOR}, beside these, {as_text(floor[worst].median)}"
    return Row(f"{kind}: {firewall}, {worst:,} users", _NONE, at_most, ratios[worst], note)


def _microseconds(seconds: list[float]) -> str:
    low, median, high = (1e6 * each for each in
                         statistics.quantiles(seconds, n=4, method="inclusive"))
    return f"{median:.2f} us ({low:.2f} to {high:.2f})"
