"""The wire between the workstation and the server: two network namespaces and a veth pair."""

from __future__ import annotations

import gc
from pathlib import Path

from pyroute2 import NetNS, netns

from lab.door import call
from lab.ledger import Ledger, namespace_processes

SERVER_ADDRESSES = (("192.168.2.2", 24), ("fd00::2", 64))
WORKSTATION_ADDRESSES = ("192.168.2.22", "fd00::22")
THIRD_ADDRESSES = ("192.168.2.3", "fd00::3")
SERVER_LINK = "lan0"
WORKSTATION_LINK = "eth0"
THIRDS_LINK = "lan3"
"""The server's, to the third machine."""

_IFA_F_NODAD = 0x02


def _inside(namespace: str) -> NetNS:
    """A netlink socket in a namespace."""
    # pyroute2 leaves event loops open and forks; where the collector meets one of them first in
    # the child, a traceback is printed.
    gc.collect()
    return NetNS(namespace)


class Network:
    """The names of the two namespaces, and the making of them."""

    def __init__(self, ledger: Ledger, machine: str) -> None:
        self._ledger = ledger
        self.server = f"{machine}-kvmserver"
        self.workstation = f"{machine}-pc"
        self.third = f"{machine}-third"

    def make(self) -> None:
        """Make the server's namespace."""
        self._ledger.records.namespaces += [self.server, self.workstation]
        self._ledger.save()
        netns.create(self.server)
        with _inside(self.server) as there:
            there.link("set", index=there.link_lookup(ifname="lo")[0], state="up")

    def renew(self) -> None:
        """Give the workstation a namespace as a machine that is switched on has it.

        It holds the network card, without an address, and no firewall rules. What was there
        before goes away, with all its connections.
        """
        with _inside(self.server) as there:
            for index in there.link_lookup(ifname=SERVER_LINK):
                there.link("del", index=index)
            if Path("/run/netns", self.workstation).exists():
                netns.remove(self.workstation)
            netns.create(self.workstation)
            there.link(
                "add",
                ifname=SERVER_LINK,
                kind="veth",
                peer={"ifname": WORKSTATION_LINK, "net_ns_fd": self.workstation},
            )
            index = there.link_lookup(ifname=SERVER_LINK)[0]
            for address, length in SERVER_ADDRESSES:
                there.addr(
                    "add", index=index, address=address, prefixlen=length, flags=_IFA_F_NODAD
                )
            there.link("set", index=index, state="up")

    def pull_the_plug(self) -> None:
        """Take the cable out: the workstation's card has no carrier any more."""
        call(["ip", "-n", self.server, "link", "set", SERVER_LINK, "down"])

    def plug_in(self) -> None:
        """Put the cable in again. The server's IPv6 address went with it and comes back too."""
        call(["ip", "-n", self.server, "link", "set", SERVER_LINK, "up"])
        for address, length in SERVER_ADDRESSES:
            call(["ip", "-n", self.server, "address", "replace", f"{address}/{length}",
                  "dev", SERVER_LINK, *(["nodad"] if ":" in address else [])])

    def add_third(self) -> None:
        """Make the namespace `third`: a third machine, with a wire of its own to the server and
        another one to the workstation, as long as that is not switched off."""
        self._ledger.records.namespaces.append(self.third)
        self._ledger.save()
        netns.create(self.third)
        for address in THIRD_ADDRESSES:
            call(["ip", "-n", self.third, "address", "add", address, "dev", "lo",
                  *(["nodad"] if ":" in address else [])])
        call(["ip", "-n", self.third, "link", "set", "lo", "up"])
        servers = SERVER_ADDRESSES[0][0], SERVER_ADDRESSES[1][0]
        for other, link, addresses in ((self.server, THIRDS_LINK, servers),
                                       (self.workstation, "eth3", WORKSTATION_ADDRESSES)):
            end = f"to-{link}"
            call(["ip", "-n", other, "link", "add", link, "type", "veth",
                  "peer", "name", end, "netns", self.third])
            self._route(other, link, "fe80::a", THIRD_ADDRESSES, addresses, "fe80::b")
            self._route(self.third, end, "fe80::b", addresses, THIRD_ADDRESSES, "fe80::a")

    @staticmethod
    def _route(namespace: str, link: str, own: str, to: tuple[str, str], source: tuple[str, str],
               gateway: str) -> None:
        """Single addresses by that link. Over IPv6 by the gateway's own address on it: for another
        one, which lies on another link of his, nobody would answer."""
        ip = ["ip", "-n", namespace]
        call([*ip, "address", "add", f"{own}/64", "dev", link, "nodad"])
        call([*ip, "link", "set", link, "up"])
        call([*ip, "route", "add", to[0], "dev", link, "src", source[0]])
        call([*ip, "route", "add", to[1], "via", gateway, "dev", link, "src", source[1]])

    def remove_third(self) -> None:
        """The contrary; what runs there ends first."""
        for process in namespace_processes(self.third):
            process.kill()
        netns.remove(self.third)
        self._ledger.records.namespaces.remove(self.third)
        self._ledger.save()
