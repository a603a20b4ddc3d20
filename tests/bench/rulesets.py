"""The firewalls that are measured beside each other; each is loaded into the namespace it is called
in, for so many users with one console each, all of them on one server.

The article's rules are in the order and the shape in which fwbuilder put them, for iptables' own
interface to the kernel and for nft; nft's go without counters, which iptables' always have. In two
things they differ from the article, because the server is on the loopback. ``lo`` plays its
``eth0``, so the rule that accepts all that goes out by ``lo`` is left out. And what is measured
beside consoles, which it would drop, is accepted after all its other rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pam_spice.firewall import Chain, netlink, nft
from tests.kernel import namespace as ns

_FIRST_UID, _FIRST_PORT = 10_001, 20_001
UNGUARDED_PORT, UDP_PORT = ns.FREE_PORT, 9999
_FEWEST_PORTS = 10  # what the article guards for two users
_YEAR_2026, _YEAR_2100 = 1_767_225_600, 4_102_444_800
_SECONDS = 60.0

Load = Callable[[int], None]
"""Loads a firewall for so many users."""


def uid_of(number: int) -> int:
    """The uid of the user with that number, from 1 on; that of nobody beyond the last."""
    return _FIRST_UID - 1 + number


def port_of(number: int) -> int:
    """The port of that user's console."""
    return _FIRST_PORT - 1 + number


def nothing(_users: int) -> None:
    """No firewall."""


def empty_chains(_users: int) -> None:
    """Chains that see every packet, without a rule in them: what no guard made of nft is below."""
    nft.apply("add table inet empty\n" + "".join(
        f"add chain inet empty {hook} {{ type filter hook {hook} priority -5; policy accept; }}\n"
        for hook in ("output", "forward")))


def ours(users: int) -> None:
    """The guard and all users' chains; a console has an IPv4 and an IPv6 address."""
    _guard_and_chains(users, (0, 0))


def ours_in_windows(users: int) -> None:
    """The same, and each grant has a beginning and an end."""
    _guard_and_chains(users, (_YEAR_2026, _YEAR_2100))


def _guard_and_chains(users: int, window: tuple[int, int]) -> None:
    addresses = (ns.V4, ns.V6)
    nft.apply(nft.render_guard([(address, _FIRST_PORT, _last_guarded(users))
                                for address in addresses]))
    chains: dict[int, Chain] = {
        uid_of(number): tuple((address, port_of(number), ns.VIEWER_GID, *window)
                              for address in addresses)
        for number in range(1, users + 1)}
    netlink.change([], chains)


def _last_guarded(users: int) -> int:
    return port_of(max(users, _FEWEST_PORTS))


# The article's

def articles_iptables(users: int) -> None:
    """The article's rules, by iptables-legacy-restore."""
    rules = [
        *(f"{hook} -m state --state ESTABLISHED,RELATED -j ACCEPT"
          for hook in ("INPUT", "OUTPUT", "FORWARD")),
        "INPUT -s 192.168.44.12 -p tcp -m tcp --dport 22 -m state --state NEW,ESTABLISHED"
        " -j ACCEPT",
        "OUTPUT -d 192.168.44.12 -p tcp -m tcp --sport 22 -m state --state ESTABLISHED,RELATED"
        " -j ACCEPT",
        *(f"{hook} -i eth0 -s {ns.V4} -j spoofed" for hook in ("INPUT", "FORWARD")),
        'spoofed -j LOG --log-prefix "RULE 2 -- DENY "', "spoofed -j DROP",
        "INPUT -i lo -m state --state NEW -j ACCEPT",
        *(f"OUTPUT -p icmp -m icmp --icmp-type {kind} -m state --state NEW -j ACCEPT"
          for kind in ("3", "0/0", "8/0", "11/0")),
        "OUTPUT -p tcp -m tcp --dport 53 -m state --state NEW -j ACCEPT",
        "OUTPUT -p udp -m udp -m multiport --dports 53,67,68,123 -m state --state NEW -j ACCEPT",
        *_iptables_of_users(users),
        f"OUTPUT -p tcp -m tcp --dport {_FIRST_PORT}:{_last_guarded(users)} -j RULE_6",
        'RULE_6 -j LOG --log-prefix "RULE 6 -- DENY "', "RULE_6 -j DROP",
        f"OUTPUT -p tcp -m tcp --dport {UNGUARDED_PORT} -m state --state NEW -j ACCEPT",
        f"OUTPUT -p udp -m udp --dport {UDP_PORT} -m state --state NEW -j ACCEPT",
    ]
    chains = ["INPUT DROP", "OUTPUT DROP", "FORWARD DROP", "spoofed -", "RULE_6 -",
              *(f"{name} -" for number in range(1, users + 1) for name in _chains_of(number))]
    ns.command("iptables-legacy-restore", data="\n".join([
        "*filter", *(f":{chain}" for chain in chains), *(f"-A {rule}" for rule in rules),
        "COMMIT", ""]))


def _iptables_of_users(users: int) -> Iterator[str]:
    for number in range(1, users + 1):
        chain, second = _chains_of(number)
        yield (f"{chain} -o lo -d {ns.V4} -p tcp -m tcp --dport {port_of(number)}"
               f" -m state --state NEW -j {second}")
        yield f"{second} -s {ns.V4} -j ACCEPT"
        yield f"OUTPUT -m owner --uid-owner {uid_of(number)} -j {chain}"


def articles_nft(users: int) -> None:
    """The article's rules in nft's language."""
    icmp = "destination-unreachable, echo-reply, echo-request, time-exceeded"
    rules = [
        *(f"{hook} ct state established,related accept" for hook in ("INPUT", "OUTPUT", "FORWARD")),
        "INPUT ip saddr 192.168.44.12 tcp dport 22 ct state new,established accept",
        "OUTPUT ip daddr 192.168.44.12 tcp sport 22 ct state established,related accept",
        *(f"{hook} iifname eth0 ip saddr {ns.V4} goto spoofed" for hook in ("INPUT", "FORWARD")),
        'spoofed log prefix "RULE 2 -- DENY " drop',
        "INPUT iifname lo ct state new accept",
        f"OUTPUT icmp type {{ {icmp} }} ct state new accept",
        "OUTPUT tcp dport 53 ct state new accept",
        "OUTPUT udp dport { 53, 67, 68, 123 } ct state new accept",
        *_nft_of_users(users),
        f"OUTPUT tcp dport {_FIRST_PORT}-{_last_guarded(users)} goto RULE_6",
        'RULE_6 log prefix "RULE 6 -- DENY " drop',
        f"OUTPUT tcp dport {UNGUARDED_PORT} ct state new accept",
        f"OUTPUT udp dport {UDP_PORT} ct state new accept",
    ]
    chains = [*(f"{hook.upper()} {{ type filter hook {hook} priority 0; policy drop; }}"
                for hook in ("input", "output", "forward")), "spoofed", "RULE_6",
              *(name for number in range(1, users + 1) for name in _chains_of(number))]
    nft.apply("\n".join([
        "add table ip article", *(f"add chain ip article {chain}" for chain in chains),
        *(f"add rule ip article {rule}" for rule in rules), ""]), _SECONDS)


def _nft_of_users(users: int) -> Iterator[str]:
    for number in range(1, users + 1):
        chain, second = _chains_of(number)
        yield (f"{chain} oifname lo ip daddr {ns.V4} tcp dport {port_of(number)} ct state new"
               f" jump {second}")
        yield f"{second} ip saddr {ns.V4} accept"
        yield f"OUTPUT meta skuid {uid_of(number)} jump {chain}"


def _chains_of(number: int) -> tuple[str, str]:
    return f"Spice_VM_{number}", f"Spice_VM_{number}_source"
