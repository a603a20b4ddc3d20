"""The table ``inet pam_spice`` in nft's language: rendering, applying, reading it back.

Users' chains are not written here: ``netlink``.
"""

import calendar
import gc
import hashlib
import json
import time
from functools import cache
from socket import AF_INET, AF_INET6, inet_pton
from typing import Any
from zlib import crc32

from conf.files import write_atomically
from conf.intervals import joined_ranges
from conf.lookup import Endpoint
from pam_spice import paths
from pam_spice.firewall import SESSIONS, TABLE_NAME, Chain, Observed, Rule, chain_name
from pam_spice.run import CommandFailed, run

TABLE = f"inet {TABLE_NAME}"
DELETE_TABLE = f"add table {TABLE}\ndelete table {TABLE}\n"
"""Added first, so that it can't fail where there is none. A packet that is being judged at this
very moment may be judged by halves, so this is for a table that can't be mended otherwise."""

_SESSIONS = f"add map {TABLE} {SESSIONS} {{ typeof meta skuid : verdict; }}"
_NOBODY = f"add set {TABLE} nobody {{ typeof meta skuid; }}"
BASE = f"add table {TABLE}\n{_SESSIONS}\n{_NOBODY}\n"
"""What users' chains need, and ``if_there``; refuses nothing."""

_OWNED = "meta skuid != @nobody"
"""Any owner at all: the match fails only where a packet has no socket any more."""

# A user may route his packets (RFC 8754; IPv4 options), so that the guard sees another address.
_DETOURS = ("exthdr rt exists goto deny", "ip option lsrr exists goto deny",
            "ip option ssrr exists goto deny")
# Version and header length: an IPv4 packet without options goes straight on. To look for detours in
# each packet costs 100 ns, and to name these fields instead of their byte 50 ns.
_UNUSUAL = "@nh,0,8 != 0x45 jump unusual"

_LOOSE, _LARGEST, _MOST_BLOCKS = 16, 16384, 4
"""How many times as many ports may be in blocks as are guarded, in a block, and how many blocks."""

_OURS = frozenset(("ports", "nobody", "guarded4", "guarded6", "doubt4", "doubt6", "cut4", "cut6",
                   "sessions", "output", "forward", "forwarded", "guard", "unusual", "refuse",
                   "doubt", "empty", "cut", "deny"))
"""The names of all that render_guard puts into the table."""

DENY_PREFIX = "pam-spice deny "
CUT_PREFIX = "pam-spice cut "
# After NAT of local packets (-100), whose new destination must be seen; before the other filters.
PRIORITY = -5
_ELEMENTS_PER_LINE = 500

_unwritten: tuple[str | None, str] | None = None
"""What ``paths.GUARD_SEEN`` holds and what it should hold, where it could not be written."""

# What the rules of users' chains match, as nft lists it: the left side and the operator.
_DADDR = [({"payload": {"protocol": protocol, "field": "daddr"}}, "==")
          for protocol in ("ip", "ip6")]
_DPORT = ({"payload": {"protocol": "tcp", "field": "dport"}}, "==")
_SKGID = ({"meta": {"key": "skgid"}}, "==")
_FROM, _UNTIL = [({"meta": {"key": "time"}}, operator) for operator in (">=", "<")]


def render_guard(endpoints: list[Endpoint]) -> str:
    """The guard as one transaction that can be loaded at any time; users' chains stay."""
    lines = [f"add table {TABLE}"]
    ranges = joined_ranges([endpoint[1:] for endpoint in endpoints])
    near = _port_matches(ranges)
    for family, type_ in ((4, "ipv4_addr"), (6, "ipv6_addr")):
        lines += [f"add set {TABLE} guarded{family} "
                  f"{{ type {type_} . inet_service; flags interval; }}",
                  f"flush set {TABLE} guarded{family}"]
        elements = [f"{address} . {low}-{high}" if low != high else f"{address} . {low}"
                    for address, low, high in endpoints if (":" in address) == (family == 6)]
        for at in range(0, len(elements), _ELEMENTS_PER_LINE):
            some = ", ".join(elements[at:at + _ELEMENTS_PER_LINE])
            lines.append(f"add element {TABLE} guarded{family} {{ {some} }}")
        # Connections of which a packet was dropped, and those that were reset towards the server;
        # see the chains of these names.
        lines += [f"add set {TABLE} {name}{family} {{ type {type_} . inet_service . {type_} . "
                  f"inet_service; flags dynamic,timeout; timeout 30s; size 65535; }}"
                  for name in ("doubt", "cut")]
    lines += [
        f"add set {TABLE} ports {{ type inet_service; flags interval; }}",
        f"flush set {TABLE} ports",
        *(f"add element {TABLE} ports {{ {low}-{high} }}"
          for low, high in ranges),
        # Empty for ever. "Not in it" holds for every packet that has an owner; a number to compare
        # with would be looked up in NSS by nft, which can hang.
        _NOBODY,
        f"flush set {TABLE} nobody",
        _SESSIONS,
        f"add chain {TABLE} output "
        f"{{ type filter hook output priority {PRIORITY}; policy accept; }}",
        f"add chain {TABLE} forward "
        f"{{ type filter hook forward priority {PRIORITY}; policy accept; }}",
    ]
    chains: dict[str, list[str]] = {
        # No "established accept" anywhere: a window's end must reach live connections.
        "output": [f"{port} goto guard" for port in near],
        "forward": [f"{port} goto forwarded" for port in near],
        # Users' chains come before the look at what is guarded, which costs 220 ns: they only
        # accept, and what isn't guarded is accepted anyway.
        "guard": [_UNUSUAL, f"meta skuid vmap @{SESSIONS}", "tcp dport != @ports accept",
                  "ip daddr . tcp dport @guarded4 goto refuse",
                  "ip6 daddr . tcp dport @guarded6 goto refuse",
                  # Each server has one such address on each of its networks, declared or not.
                  "ip6 daddr fe80::/10 goto refuse"],
        # A forwarded packet has no uid (containers, NAT of virtual machines): always refused.
        "forwarded": [_UNUSUAL, "ip daddr . tcp dport @guarded4 goto deny",
                      "ip6 daddr . tcp dport @guarded6 goto deny"],
        # Ports alone: on a detour the address is not the last one.
        "unusual": ["ip6 nexthdr tcp return", "tcp dport != @ports return", *_DETOURS],
        "refuse": [
            # A reset opens nothing, and without it the server would keep its half of a
            # connection that was cut, and with it the VM's seat.
            "tcp flags & rst == rst accept",
            "tcp flags & syn == syn goto deny",
            f"{_OWNED} jump doubt",
            # Segments without data: header lengths equal the packet's length.
            *(f"ip hdrlength 5 tcp doff {words} ip length {20 + 4 * words} goto empty"
              for words in range(5, 16)),
            *(f"ip6 nexthdr tcp tcp doff {words} ip6 length {4 * words} goto empty"
              for words in range(5, 16)),
            "goto cut",
        ],
        # When somebody flushes the ruleset, for a moment the kernel (6.18) finds nothing in a map
        # any more while rules still hold, and a packet of who may go on comes here. His connection
        # must not end of that: the first one is only dropped, and judged when it is sent again.
        "doubt": [
            "ip saddr . tcp sport . ip daddr . tcp dport @doubt4 return",
            "ip6 saddr . tcp sport . ip6 daddr . tcp dport @doubt6 return",
            "add @doubt4 { ip saddr . tcp sport . ip daddr . tcp dport } drop",
            "add @doubt6 { ip6 saddr . tcp sport . ip6 daddr . tcp dport } drop",
        ],
        "empty": [
            f"{_OWNED} tcp flags & fin == fin goto cut",
            # An acknowledgement. The local half is reset; the server, unanswered, sends again,
            # meets no socket, and gets its reset from that.
            f"{_OWNED} goto deny",
            # FIN, TIME_WAIT and last ACKs of cleanly closed connections have no socket any more.
            "accept",
        ],
        # What the sender sends again: its first packet becomes a reset, which ends the
        # server's half (its data is not delivered), its next one is denied and ends the local
        # half. A denial alone would leave the server's half, and with it the VM's seat.
        "cut": [
            "ip saddr . tcp sport . ip daddr . tcp dport @cut4 goto deny",
            "ip6 saddr . tcp sport . ip6 daddr . tcp dport @cut6 goto deny",
            # Without an owner it is what a viewer that ended had not sent yet: nothing to tell.
            f"{_OWNED} limit rate 10/second burst 20 packets "
            f'log prefix "{CUT_PREFIX}" flags skuid',
            "add @cut4 { ip saddr . tcp sport . ip daddr . tcp dport } "
            "tcp flags set rst counter accept",
            "add @cut6 { ip6 saddr . tcp sport . ip6 daddr . tcp dport } "
            "tcp flags set rst counter accept",
            "goto deny",
        ],
        "deny": [f'limit rate 10/second burst 20 packets log prefix "{DENY_PREFIX}" flags skuid',
                 "counter reject with tcp reset"],
    }
    lines += [f"add chain {TABLE} {name}" for name in chains if name not in ("output", "forward")]
    lines += [f"flush chain {TABLE} {name}" for name in chains]
    lines += [f"add rule {TABLE} {name} {rule}" for name, rules in chains.items()
              for rule in rules]
    return "\n".join([*lines, ""])


def _port_matches(ranges: list[tuple[int, int]]) -> list[str]:
    """Matches of which one holds for each TCP packet to one of these ports, and for few others.

    All that leaves the workstation is tried: the mask costs it 10 ns, ``tcp dport @ports`` 120 and
    more. The mask comes before the protocol, which takes longer to tell.
    """
    blocks = _blocks(ranges) if ranges else []
    if len(blocks) > _MOST_BLOCKS:
        return ["tcp dport @ports"]
    return [f"@th,0,32 & {0x10000 - size:#x} == {first:#x} meta l4proto tcp"
            for first, size in blocks]


def _blocks(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """(first port, how many): blocks that hold these ports, which are sorted, and at most _LOOSE
    times as many. A block's size is a power of two, and its first port a multiple of that, so one
    mask tells who is in it."""
    low, high = ranges[0][0], ranges[-1][1]
    size = 1 << (low ^ high).bit_length()
    if size <= min(_LARGEST, _LOOSE * sum(last - first + 1 for first, last in ranges)):
        return [(low & -size, size)]
    middle = high & -(size // 2)
    return [*_blocks([(first, min(last, middle - 1)) for first, last in ranges if first < middle]),
            *_blocks([(max(first, middle), last) for first, last in ranges if last >= middle])]


def endpoints_of(guard: str) -> list[Endpoint]:
    """The endpoints that ``render_guard`` made a text of; of a damaged one those that are left."""
    found: list[Endpoint] = []
    for line in guard.split("\n"):
        what, _, elements = line.removesuffix(" }").partition(" { ")
        if what not in (f"add element {TABLE} guarded4", f"add element {TABLE} guarded6"):
            continue
        for element in elements.split(", "):
            address, _, ports = element.partition(" . ")
            low, _, high = ports.partition("-")
            try:
                endpoint = address, int(low), int(high or low)
                inet_pton(AF_INET6 if ":" in address else AF_INET, address)
            except (ValueError, OSError):
                continue
            if 0 < endpoint[1] <= endpoint[2] < 65536:  # with another one nft would refuse them all
                found.append(endpoint)
    return found


def render_reload(guard: str, foreign: list[tuple[str, str]]) -> str:
    """The guard in place of the one that is there, and out with what others put into our table
    (kind and name): after our own rules, which may have used it, are made anew. Elements
    are ``netlink``'s to take out."""
    named = [each for each in foreign if each[0] in ("chain", "set", "map")]
    return "".join([guard,
                    *(f"flush {kind} {TABLE} {name}\n" for kind, name in named),
                    *(f"delete {kind} {TABLE} {name}\n" for kind, name in named)])


def if_there(text: str) -> str:
    """The same guard, that is refused where the table has gone, and users' chains with it."""
    return f"flush set {TABLE} nobody\n{text}"


def apply(text: str, timeout: float = 10.0) -> None:
    """Commit a text as one transaction: all of it or nothing. Raises CommandFailed."""
    run([paths.NFT, "-f", "-"], text.encode(), timeout=timeout)


def tells_of_nothing_there(error: CommandFailed) -> bool:
    """Whether nft failed because what it was asked for doesn't exist."""
    return "No such file or directory" in error.error_output


def observe() -> Observed | None:
    """What the kernel holds; None where there is no table. Raises CommandFailed.

    Must be called after the table is known to exist, or is not: nft tells both by exit status 1.
    """
    try:
        listing = run([paths.NFT, "-j", "-nn", "list", "table", *TABLE.split()]).output
    except CommandFailed as error:
        if tells_of_nothing_there(error):
            return None
        raise
    try:
        return parse_listing(listing)
    except ValueError:
        # nft 1.0.6 prints broken JSON for a dormant table. Whatever this is, it is not ours.
        return Observed("unreadable", {}, set(), [])


def seen_guard() -> str | None:
    """The digest of the guard as it was after we had loaded it; None if that isn't known."""
    try:
        with open(paths.GUARD_SEEN, encoding="utf-8", errors="replace") as file:
            kept: str | None = file.read()
    except OSError:
        kept = None
    return _unwritten[1] if _unwritten is not None and _unwritten[0] == kept else kept


def digest(observed: Observed, text: str) -> str:
    """What the kernel makes of which guard: of the table as it is, and of the text."""
    return f"{observed.guard} {crc32(text.encode()):08x}"


def remember_guard(observed: Observed, text: str) -> None:
    """Keep the digest for ``seen_guard``. A full disk only costs the next process a reload; in this
    one it is known all the same, else the watcher would load the guard for ever: it hears of it."""
    global _unwritten
    seen = digest(observed, text)
    try:
        write_atomically(paths.GUARD_SEEN, seen.encode())
        _unwritten = None
    except OSError:
        _unwritten = None
        _unwritten = seen_guard(), seen


def parse_listing(listing: bytes) -> Observed:
    """Read what ``nft -j list table`` prints (libnftables-json(5)); raises ValueError."""
    was_collecting = gc.isenabled()
    # Of 1,000 users' chains nothing is garbage, and looking for it takes as long as reading them.
    gc.disable()
    try:
        return _parse_entries(json.loads(listing)["nftables"])
    finally:
        if was_collecting:
            gc.enable()


def _parse_entries(entries: list[dict[str, Any]]) -> Observed:
    chains: dict[int, Chain | None] = {}
    jumps: set[int] = set()
    static: list[object] = []
    foreign: list[tuple[str, str]] = []
    for entry in entries:
        (kind, value), = entry.items()
        if kind == "metainfo":
            continue
        value.pop("handle", None)
        name = value.get("chain") if kind == "rule" else value.get("name")
        uid = _uid_of(name) if kind in ("rule", "chain") else None
        if uid is not None:
            chains.setdefault(uid, ())
            rules = chains[uid]
            if kind == "rule" and rules is not None:
                rule = _parse_rule(value["expr"])
                chains[uid] = None if rule is None else (*rules, rule)
            continue
        if kind == "map" and name == "sessions":
            for key, verdict in value.pop("elem", []):
                if verdict == {"jump": {"target": f"user-{key}"}}:
                    jumps.add(key)
                else:
                    foreign.append(("element", str(key)))
                    static.append(("foreign jump", key, verdict))
        if kind == "set" and name in ("doubt4", "doubt6", "cut4", "cut6"):
            value.pop("elem", None)  # packets add them
        for expression in value.get("expr", []):
            if "counter" in expression:
                expression["counter"] = None
        static.append(entry)
        if kind not in ("table", "rule") and name not in _OURS:
            foreign.append((kind, str(name)))
    digest = hashlib.sha256(json.dumps(static, sort_keys=True).encode()).hexdigest()
    return Observed(digest, chains, jumps, foreign)


def _uid_of(chain: object) -> int | None:
    if isinstance(chain, str) and chain.startswith("user-") and chain[5:].isdecimal():
        uid = int(chain[5:])
        if uid < 2**32 and chain == chain_name(uid):
            return uid
    return None


def _parse_rule(expressions: list[dict[str, Any]]) -> Rule | None:
    """The rule, if it is one that ``netlink`` makes."""
    try:
        *matches, counter, verdict = expressions
        what = [(each["match"]["left"], each["match"]["op"]) for each in matches]
        address, port, gid, *times = (each["match"]["right"] for each in matches)
        seconds = list(map(_seconds, times))
    except (KeyError, TypeError, ValueError):
        return None
    if (what[0] not in _DADDR or what[1:3] != [_DPORT, _SKGID]
            or what[3:] not in ([], [_FROM], [_UNTIL], [_FROM, _UNTIL])
            or "counter" not in counter or "accept" not in verdict
            or not isinstance(address, str) or not isinstance(port, int)
            or not isinstance(gid, int)):
        return None
    return (address, port, gid, seconds[0] if _FROM in what else 0,
            seconds[-1] if _UNTIL in what else 0)


@cache
def _seconds(text: str) -> int:
    """A time that nft has printed; strptime takes 10 us, and many rules have the same times."""
    return calendar.timegm(time.strptime(text, "%Y-%m-%d %H:%M:%S"))
