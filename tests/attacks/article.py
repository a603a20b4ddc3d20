"""The article's setup as text: its firewall script, sudoers line, launcher and boot unit.

As printed, in fwbuilder's order. Arguments are what differs from place to place: the interface, the
addresses, the users with their consoles.
"""

from __future__ import annotations

from dataclasses import dataclass

VIEWER = "/usr/bin/remote-viewer"
VIEWER_GROUP = "spicegrp"
VIEWER_MODE = 0o750
"""Of the viewer, which is root's and the viewer group's."""

LAUNCHER_MODE = 0o755
SCRIPT = "/etc/fw/firewall.fw"
_ADMIN_HOST = "192.168.44.12"
DENY_PREFIX = "RULE 6 -- DENY "


@dataclass(frozen=True)
class Console:
    """A VM and the one user who may reach it."""

    user: str
    uid: int
    vm: str
    port: int
    has_password: bool = False
    """Whether sudo asks the user for his password."""


@dataclass(frozen=True)
class Place:
    """Where the article's setup is built."""

    consoles: tuple[Console, ...] = (Console("myself", 1021, "debianx", 20002),
                                     Console("mybro", 1022, "leaptest", 20004))
    interface: str = "eth0"
    workstation: str = "192.168.2.22"
    server: str = "192.168.2.2"
    server_name: str = "mysrv"


def firewall(place: Place, iptables: str = "/usr/sbin/iptables") -> str:
    """The script that a service runs once at boot; IPv4 alone."""
    chains = [line for number, console in enumerate(place.consoles, 1)
              for line in _chains(place, console, number)]
    users = [f"$IPTABLES -A OUTPUT -m owner --uid-owner {console.uid} -j Spice_VM_{number}"
             for number, console in enumerate(place.consoles, 1)]
    return "\n".join([
        "#!/bin/sh",
        f'IPTABLES="{iptables}"',
        "$IPTABLES -P OUTPUT DROP",
        "$IPTABLES -P INPUT DROP",
        "$IPTABLES -P FORWARD DROP",
        "$IPTABLES -F",
        "$IPTABLES -X",
        "# accept established sessions",
        *(f"$IPTABLES -A {hook} -m state --state ESTABLISHED,RELATED -j ACCEPT"
          for hook in ("INPUT", "OUTPUT", "FORWARD")),
        "# backup ssh access",
        f"$IPTABLES -A INPUT -p tcp -m tcp -s {_ADMIN_HOST}/255.255.255.255 --dport 22"
        " -m state --state NEW,ESTABLISHED -j ACCEPT",
        f"$IPTABLES -A OUTPUT -p tcp -m tcp -d {_ADMIN_HOST}/255.255.255.255 --sport 22"
        " -m state --state ESTABLISHED,RELATED -j ACCEPT",
        *chains,
        "# anti spoofing rule",
        "$IPTABLES -N In_RULE_0",
        *(f"$IPTABLES -A {hook} -i {place.interface} -s {place.workstation} -j In_RULE_0"
          for hook in ("INPUT", "FORWARD")),
        '$IPTABLES -A In_RULE_0 -j LOG --log-level info --log-prefix "RULE 0 -- DENY "',
        "$IPTABLES -A In_RULE_0 -j DROP",
        "# loopback",
        "$IPTABLES -A INPUT -i lo -m state --state NEW -j ACCEPT",
        "$IPTABLES -A OUTPUT -o lo -m state --state NEW -j ACCEPT",
        "# useful ICMP, DNS, DHCP, NTP",
        *(f"$IPTABLES -A OUTPUT -p icmp -m icmp --icmp-type {kind} -m state --state NEW -j ACCEPT"
          for kind in ("3", "0/0", "8/0", "11/0")),
        "$IPTABLES -A OUTPUT -p tcp -m tcp --dport 53 -m state --state NEW -j ACCEPT",
        "$IPTABLES -A OUTPUT -p udp -m udp -m multiport --dports 53,67,68 -m state --state NEW"
        " -j ACCEPT",
        "$IPTABLES -A OUTPUT -p udp -m udp --dport 123 -m state --state NEW -j ACCEPT",
        "# who may reach which VM",
        *users,
        "$IPTABLES -N RULE_6",
        "$IPTABLES -A OUTPUT -p tcp -m tcp --dport 20001:20010 -j RULE_6",
        f'$IPTABLES -A RULE_6 -j LOG --log-level info --log-prefix "{DENY_PREFIX}"',
        "$IPTABLES -A RULE_6 -j DROP",
        "",
    ])


def _chains(place: Place, console: Console, number: int) -> list[str]:
    name = f"Spice_VM_{number}"
    return [
        f"# {console.vm}",
        f"$IPTABLES -N {name}",
        f"$IPTABLES -N {name}_1",
        f"$IPTABLES -A {name} -o {place.interface} -p tcp -m tcp -d {place.server}"
        f" --dport {console.port} -m state --state NEW -j {name}_1",
        f"$IPTABLES -A {name}_1 -s {place.workstation} -j ACCEPT",
    ]


def sudoers(place: Place) -> str:
    """The lines in sudoers; the `?` of the URI is not escaped."""
    lines = ["Defaults always_set_home", "Defaults env_reset",
             'Defaults env_keep = "LANG LC_ADDRESS LC_CTYPE LC_COLLATE LC_IDENTIFICATION'
             " LC_MEASUREMENT LC_MESSAGES LC_MONETARY LC_NAME LC_NUMERIC LC_PAPER LC_TELEPHONE"
             ' LC_ATIME LC_ALL LANGUAGE LINGUAS XDG_SESSION_COOKIE"',
             "Defaults !insults", "#Defaults targetpw", "#ALL ALL=(ALL) ALL",
             "root ALL=(ALL) ALL"]
    for console in place.consoles:
        tag = "" if console.has_password else "NOPASSWD: "
        lines += [f'Defaults:{console.user} env_keep += "DISPLAY"',
                  f"{console.user} ALL=({console.user}:{VIEWER_GROUP}) {tag}"
                  f"{VIEWER} -- {_uri(place, console)}"]
    return "\n".join([*lines, ""])


def _uri(place: Place, console: Console) -> str:
    return f"spice\\://{place.server_name}?tls-port={console.port}"


def launcher(place: Place) -> str:
    """What people run to see their VM."""
    cases = "".join(f"""\
{'if' if number == 1 else 'elif'} [ "$UID" = {console.uid} ]; then
    echo "Hi, {console.user}!"
    echo "Starting the SPICE console of {console.vm}."
    sudo -u "#$UID" -g {VIEWER_GROUP} {VIEWER} -- \
"spice://{place.server_name}?tls-port={console.port}"
""" for number, console in enumerate(place.consoles, 1))
    return f"""#!/bin/bash
if [ -n "$SUDO_UID" ] && [ "$SUDO_UID" != "$UID" ]; then
    echo "You are not allowed to do this as another user."
    exit 1
fi
{cases}else
    echo "You are not allowed to access VMs."
    exit 1
fi
"""


def boot_unit() -> str:
    """The service that runs the firewall script at start."""
    return f"""[Unit]
Description=Firewall
After=network.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={SCRIPT}

[Install]
WantedBy=multi-user.target
"""
