"""The server's half of the guard: nftables rules for a KVM host, made of a policy. Pure.

The workstations' own guard stops their users; whoever brings another computer, or goes through a
third one, is stopped here: by address, as the server knows nothing else of who connects.

QEMU listens on the host itself, so its connections come through the input hook, and the rules need
no conntrack: what is no longer admitted is refused in the middle of a connection too.
"""

from ipaddress import collapse_addresses
from typing import Any

from conf.deciding import is_for
from conf.intervals import joined_ranges
from conf.model import Console, ListedWorkstation, Network, Policy, Server

TABLE = "inet pam_spice_server"
LOG_PREFIX = "pam-spice server deny "
# Behind destination NAT (-100), whose new port must be seen; before the other filters (0).
_PRIORITY = -5


def render(policy: Policy, server: Server) -> str:
    """The rules for the host of a server, as a file for ``nft -f``.

    To load it again replaces what is there, in one transaction. An entry of ``servers`` that shares
    an address with this one is the same host under another name: its ports are in the file too.
    """
    names = [each.name for each in policy.servers.values()
             if set(each.addresses) & set(server.addresses)]
    addresses = dict.fromkeys(address for name in names
                              for address in policy.servers[name].addresses)
    ports = joined_ranges([ports for name in names
                           for ports in policy.servers[name].guarded_ports])
    consoles = sorted((console for console in policy.consoles.values()
                       if console.server.name in names),
                      key=lambda each: (each.tls_port, each.name))
    admitted = {console.name: admitted_to(policy, console) for console in consoles}
    by_port: dict[int, list[ListedWorkstation]] = {}
    for console in consoles:
        by_port.setdefault(console.tls_port, []).extend(admitted[console.name])
    return "\n".join([
        f"# Who may connect to the consoles of {' and '.join(names)} ({', '.join(addresses)}),",
        f"# made by: pam-spice server-rules {server.name}",
        "# Load it with `nft -f FILE`; to load it again replaces it. To take it away:",
        f"# nft delete table {TABLE}",
        "#",
        *(f"# {console.tls_port} {console.name}: "
          + (", ".join(each.name for each in admitted[console.name]) or "nobody")
          for console in consoles),
        "",
        f"add table {TABLE}",  # so that the next line can't fail
        f"delete table {TABLE}",
        f"table {TABLE} {{",
        *_set("admitted4", "ipv4_addr", _elements(by_port, 4)),
        *_set("admitted6", "ipv6_addr", _elements(by_port, 6)),
        "    chain input {",
        f"        type filter hook input priority {_PRIORITY}; policy accept;",
        f"        tcp dport {{ {', '.join(map(_range, ports))} }} goto consoles",
        "    }",
        "    chain consoles {",
        "        # Of this host itself, whatever address it says: tunnels end here.",
        '        iif "lo" goto refuse',
        "        ip saddr . tcp dport @admitted4 accept",
        "        ip6 saddr . tcp dport @admitted6 accept",
        "        goto refuse",
        "    }",
        "    chain refuse {",
        f'        limit rate 10/second burst 20 packets log prefix "{LOG_PREFIX}"',
        "        counter reject with tcp reset",
        "    }",
        "}",
        ""])


def admitted_to(policy: Policy, console: Console) -> list[ListedWorkstation]:
    """The workstations on which any grant for the console counts, whenever that is: time is the
    workstations' affair."""
    grants = [grant for grant in policy.grants if console in grant.consoles]
    return [workstation for workstation in policy.workstations.values()
            if any(is_for(grant, workstation.name) for grant in grants)]


def _elements(by_port: dict[int, list[ListedWorkstation]], version: int) -> list[str]:
    """``network . ports`` of one IP version, none of them overlapping another: nft would refuse
    the file."""
    ports_of: dict[Network, list[tuple[int, int]]] = {}
    for port, workstations in by_port.items():
        networks: list[Any] = [network for each in workstations for network in each.networks
                               if network.version == version]
        for network in collapse_addresses(networks):  # to networks that are apart
            ports_of.setdefault(network, []).append((port, port))
    return [f"{_address(network)} . {_range(ports)}"
            for network in sorted(ports_of, key=lambda each: (int(each[0]), each.prefixlen))
            for ports in joined_ranges(ports_of[network])]


def _set(name: str, type_: str, elements: list[str]) -> list[str]:
    lines = [f"    set {name} {{",
             f"        type {type_} . inet_service",
             "        flags interval"]
    if elements:  # an empty list is a syntax error
        lines += ["        elements = {", *(f"            {each}," for each in elements),
                  "        }"]
    return [*lines, "    }"]


def _address(network: Network) -> str:
    return str(network.network_address if network.num_addresses == 1 else network)


def _range(ports: tuple[int, int]) -> str:
    low, high = ports
    return str(low) if low == high else f"{low}-{high}"
