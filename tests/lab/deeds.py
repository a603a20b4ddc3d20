"""What is done with other firewalls beside ours: each by its own program, as its admin would."""

from __future__ import annotations

from dataclasses import dataclass

from tests.attacks import article

GRANTED_PORT = 20005
"""Of the server, to the user who is logged in; it echoes."""

_SCRIPT = "/etc/fw/{}.fw"


@dataclass(frozen=True)
class Deed:
    """One thing that is done."""

    what: str
    """As the page says it."""

    script: str
    """For a shell on the workstation, as root."""

    drops_all: bool = False
    """Whether it is meant to stop all of the workstation's traffic."""


@dataclass(frozen=True)
class Firewall:
    """Deeds in a row, that begin on a workstation without other firewalls."""

    name: str
    deeds: tuple[Deed, ...]
    files: tuple[tuple[str, str], ...] = ()
    """Paths and texts of what its admin has written before."""

    beforehand: str = "true"
    """What it does otherwise the first time than later is done by this."""

    afterwards: str = "true"
    """Takes away what the last deed leaves, tables aside."""


def _script(variant: str) -> Firewall:
    consoles = (article.Console("myself", 1021, "debianx", GRANTED_PORT),)
    path = _SCRIPT.format(variant)
    text = article.firewall(article.Place(consoles), f"/usr/sbin/{variant}")
    opened = "; ".join(f"{variant} {words}" for words in (
        "-P INPUT ACCEPT", "-P OUTPUT ACCEPT", "-P FORWARD ACCEPT", "-F", "-X"))
    return Firewall(f"script of fwbuilder's kind, {variant}", (
        Deed(f"the article's script, by {variant}", f"sh -e {path}"),
        Deed(f"the same again, by {variant}", f"sh -e {path}"),
        Deed(f"all chains flushed and policies open, by {variant}", opened)), ((path, text),))


FIREWALLS = (
    Firewall("nftables", (
        Deed("`systemctl start nftables`", "systemctl start nftables"),
        Deed("`systemctl reload nftables`", "systemctl reload nftables"),
        Deed("`systemctl restart nftables`", "systemctl restart nftables"),
        Deed("`systemctl stop nftables`", "systemctl stop nftables"),
        Deed("`nft flush ruleset`", "nft flush ruleset"),
        Deed("the ruleset saved, flushed and loaded again, our table with it",
             "(echo flush ruleset; nft list ruleset) >/run/saved; nft -f /run/saved"),
        Deed("`nft -f /etc/nftables.conf`, ten times in a row",
             "for i in 0 1 2 3 4 5 6 7 8 9; do nft -f /etc/nftables.conf; done"))),
    # It goes on loading when systemd says that it is started.
    Firewall("firewalld", (
        Deed("`systemctl start firewalld`", "systemctl start firewalld; firewall-cmd --state"),
        Deed("`firewall-cmd --reload`", "firewall-cmd --reload"),
        Deed("`firewall-cmd --complete-reload`", "firewall-cmd --complete-reload"),
        Deed("`firewall-cmd --panic-on`", "firewall-cmd --panic-on", drops_all=True),
        Deed("`firewall-cmd --panic-off`", "firewall-cmd --panic-off"),
        Deed("`systemctl restart firewalld`", "systemctl restart firewalld; firewall-cmd --state"),
        Deed("`systemctl stop firewalld`", "systemctl stop firewalld"))),
    Firewall("ufw", (
        Deed("`ufw enable`", "ufw --force enable"),
        Deed("`ufw reload`", "ufw reload"),
        Deed("`ufw disable`", "ufw --force disable")),
        beforehand="ufw --force enable; ufw --force disable"),
    _script("iptables-nft"),
    _script("iptables-legacy"),
    Firewall("docker", (
        Deed("`systemctl start docker`", "systemctl start docker"),
        Deed("`docker network create`", "docker network create lab"),
        Deed("`systemctl restart docker`", "systemctl restart docker"),
        Deed("`docker network rm`", "docker network rm lab"),
        Deed("`systemctl stop docker`", "systemctl stop docker.socket docker containerd")),
        # systemd lets it be started three times a minute; where it finds that the machine forwards
        # already, it does not close the forward chain.
        afterwards="systemctl reset-failed docker; ip link delete docker0; "
                   "echo 0 >/proc/sys/net/ipv4/ip_forward"),
)
