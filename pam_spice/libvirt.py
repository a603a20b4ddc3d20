"""Domains of libvirt to the ``servers:`` and ``consoles:`` of a policy, and what needs attention.

Guarded are the TLS ports, and every other port that shows the same screen: a plain SPICE port, or
a VNC port beside it, would be the console without a grant. A plain SPICE port is guarded even
where its domain gets no console.
"""

import ipaddress
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from conf.intervals import joined_ranges
from conf.reading import NAME
from pam_spice.libvirtxml import Domain, Graphics, Listen

_PLAIN = re.compile(r"(?!(?:y|n|yes|no|on|off|true|false|null)\Z)[A-Za-z/][A-Za-z0-9_./-]*",
                    re.ASCII | re.IGNORECASE)  # what YAML takes for text without quotes


@dataclass(frozen=True, slots=True)
class Note:
    """What needs attention: of what, a line of fact, a line of remedy."""

    about: str
    fact: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.about}: {self.fact}\n  {self.remedy}"


@dataclass(frozen=True, slots=True)
class ServerFields:
    """What the admin said of the server; what is empty is taken from the domains or left open."""

    name: str
    host: str = ""
    addresses: tuple[str, ...] = ()
    ca_file: str = ""


@dataclass(frozen=True, slots=True)
class _Found:
    """What one domain brings: a TLS port if it gets a console, all its ports, its addresses."""

    domain: Domain
    tls_port: int | None
    ports: tuple[int, ...]
    addresses: tuple[str, ...] = ()


def import_domains(domains: Iterable[Domain], server: ServerFields) -> tuple[str, list[Note]]:
    """The policy's text, empty where there is nothing to guard; and what needs attention."""
    notes: list[Note] = []
    found: list[_Found] = []
    files: dict[str, str] = {}  # by uuid, of each domain that has a console
    for domain in domains:
        look = _Look(domain, server, notes)
        if domain.uuid in files:
            look.note(f"is in {files[domain.uuid]} already, and passed over here",
                      "give one dump of each domain")
            continue
        entry = look.found()
        if entry is not None:
            found.append(entry)
            if entry.tls_port is not None and domain.uuid:
                files[domain.uuid] = domain.file
    if not found:
        return "", notes
    notes.extend(_shared_ports(found, server))
    filled, missing = _filled_in(found, server)
    notes.extend(missing)
    ports = [port for entry in found for port in entry.ports]
    text = "# Written by pam-spice import-libvirt. It grants nothing yet: add grants.\n"
    return text + server_text(filled, ports) + _consoles_text(found, server.name, notes), notes


def server_text(server: ServerFields, ports: Iterable[int]) -> str:
    """The section ``servers:``, with this one."""
    ranges = joined_ranges([(port, port) for port in ports])
    shown = ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in ranges)
    return (f"servers:\n"
            f"  {_scalar(server.name)}:\n"
            f"    host: {_scalar(server.host)}\n"
            f"    addresses: [{', '.join(map(_address_scalar, server.addresses))}]\n"
            f"    guarded_ports: [{shown}]\n"
            f"    ca_file: {_scalar(server.ca_file)}\n")


class _Look:
    """One domain, looked at; what is wrong with it goes into the notes."""

    def __init__(self, domain: Domain, server: ServerFields, notes: list[Note]) -> None:
        self.domain = domain
        self.server = server
        self.notes = notes

    def note(self, fact: str, remedy: str) -> None:
        self.notes.append(Note(_about(self.domain), fact, remedy))

    def found(self) -> _Found | None:
        """What the domain brings; None if nothing."""
        spice = [graphics for graphics in self.domain.graphics if graphics.kind == "spice"]
        ports = tuple(port for graphics in spice for port in (graphics.tls_port, graphics.port)
                      if port)
        addresses = _addresses(spice)
        reason = self._why_no_console(spice)
        if reason is not None:
            self.note(f"no console: {reason[0]}", reason[1])
            return _Found(self.domain, None, ports, addresses) if ports else None
        [graphics] = spice
        assert graphics.tls_port is not None
        self._judge_ports(graphics, graphics.tls_port)
        for listen in filter(_is_on_network, graphics.listens):
            self._judge_listen(listen)
        others = [each for each in self.domain.graphics
                  if each.kind in ("vnc", "rdp") and any(map(_is_reachable, each.listens))]
        for other in others:
            self._judge_other(other)
            ports += tuple(port for port in (other.port, other.websocket) if port)
        return _Found(self.domain, graphics.tls_port, ports,
                      tuple(dict.fromkeys(addresses + _addresses(others))))

    def _why_no_console(self, spice: list[Graphics]) -> tuple[str, str] | None:
        """A fact and a remedy; None where there is a console."""
        if not self.domain.name:
            return "has no <name>", "give it as virsh dumpxml prints it"
        if not spice:
            kinds = ", ".join(sorted({graphics.kind for graphics in self.domain.graphics}))
            return (f"has no SPICE, only {kinds[:40]!r}, which stays unguarded" if kinds
                    else "has no graphics"), _GIVE_IT
        if len(spice) > 1:
            return (f"has {len(spice)} SPICE graphics, and QEMU can have one",
                    "keep one of them (virsh edit)")
        [graphics] = spice
        if not any(map(_is_on_network, graphics.listens)):
            is_socket = graphics.listens[0].kind == "socket"
            return (f"listens {'on a socket file' if is_socket else 'nowhere'}, not on the network",
                    _GIVE_IT)
        if graphics.tls_port is not None:
            return None
        if graphics.port is not None:
            return (f"port {graphics.port} is open without TLS, and there is no TLS port",
                    f"{_fix('PORT')}, and spice_tls = 1 in the server's /etc/libvirt/qemu.conf")
        if graphics.autoport == "no":
            return "opens no port", _GIVE_IT
        return ("its port is chosen when it starts",
                f"{_fix('PORT')}; or dump it while it runs, without --inactive and --migratable")

    def _judge_ports(self, graphics: Graphics, tls_port: int) -> None:
        facts = []
        if graphics.autoport == "yes":
            facts.append(f"TLS port {tls_port} was chosen when it started, and may be another "
                         "domain's next time")
        if graphics.port is not None:
            facts.append(f"port {graphics.port} is open without TLS")
        if graphics.default_mode == "insecure":
            facts.append("defaultMode='insecure' refuses TLS")
        if facts:
            self.note("; ".join(facts), _fix(tls_port))
        if graphics.insecure_channels:
            names = ", ".join(graphics.insecure_channels)[:80]
            self.note(f"channels that refuse TLS: {names!r}",
                      "delete <channel mode='insecure'> (virsh edit)")

    def _judge_listen(self, listen: Listen) -> None:
        address = _parsed(listen.address)
        if address is not None and address.is_loopback:
            self.note(f"listens on {address}, which no workstation reaches", _LISTEN)
        elif _server_address(listen) is not None:
            self._judge_given(listen)
        elif address is not None and address.is_unspecified:
            return  # which addresses those are is a question about the server, asked once
        elif listen.kind == "network" and not listen.address:
            if not self.server.addresses:
                self.note(f"listens on the address of the network {listen.network[:80]!r}, shown "
                          "only while it runs", "give --address, or dump the running domain")
        elif not listen.address:
            self.note("listens where spice_listen in the server's qemu.conf says, by default on "
                      "loopback only", _LISTEN)
        else:
            self.note(f"listens on {listen.address[:80]!r}, which is not the address of one host",
                      _LISTEN)

    def _judge_given(self, listen: Listen) -> None:
        address = _server_address(listen)
        if self.server.addresses and address and address not in self.server.addresses:
            self.note(f"listens on {address}, which is not among the given addresses",
                      "add --address, or import it under a --server of its own")

    def _judge_other(self, graphics: Graphics) -> None:
        """A screen of this console beside SPICE."""
        port = graphics.port or graphics.websocket
        self.note(f"its screen is on {graphics.kind.upper()} too, "
                  + (f"port {port}, which is guarded" if port else
                     "on a port chosen when it starts, which is not guarded"),
                  f"delete that <graphics type='{graphics.kind}'> (virsh edit)")
        for listen in graphics.listens:
            self._judge_given(listen)


_GIVE_IT = ("for a console give it (virsh edit): <graphics type='spice' autoport='no' "
            "tlsPort='PORT' listen='ADDRESS' defaultMode='secure'/>")
_LISTEN = ("let it listen on the server's own address (virsh edit): <listen type='address' "
           "address='ADDRESS'/>, and no listen= above it")


def _fix(tls_port: object) -> str:
    return ("write in its <graphics type='spice'> (virsh edit): autoport='no' "
            f"tlsPort='{tls_port}' defaultMode='secure', and no port")


def _about(domain: Domain) -> str:
    return f"{domain.file}: domain {domain.name[:80]!r}"


# Addresses

def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _server_address(listen: Listen) -> str | None:
    """The address, if it is one of the server's own that a workstation can name."""
    address = _parsed(listen.address)
    if (address is None or address.is_loopback or address.is_unspecified or address.is_multicast
            or (address.version == 6 and (address.ipv4_mapped or address.scope_id))):
        return None
    return str(address)


def _addresses(all_graphics: Iterable[Graphics]) -> tuple[str, ...]:
    listens = [listen for graphics in all_graphics for listen in graphics.listens]
    return tuple(dict.fromkeys(filter(None, map(_server_address, listens))))


def _is_on_network(listen: Listen) -> bool:
    return listen.kind not in ("socket", "none")


def _is_reachable(listen: Listen) -> bool:
    """Whether workstations can reach it; where no address is given, libvirt takes loopback."""
    address = _parsed(listen.address)
    return (_is_on_network(listen) and bool(listen.address or listen.network)
            and not (address is not None and address.is_loopback))


# All domains together

def _shared_ports(found: list[_Found], server: ServerFields) -> list[Note]:
    users: dict[int, list[str]] = {}
    for entry in found:
        for port in dict.fromkeys(entry.ports):
            users.setdefault(port, []).append(entry.domain.name)
    tls_ports = sorted({entry.tls_port for entry in found if entry.tls_port is not None})
    return [Note(f"server {server.name!r}",
                 f"port {port} belongs to several domains, whoever may reach one may reach all: "
                 + ", ".join(repr(name[:80]) for name in users[port]),
                 "give each a port of its own (virsh edit); for domains of several hosts run this "
                 "once per host, with --server")
            for port in tls_ports if len(users[port]) > 1]


def _filled_in(found: list[_Found], server: ServerFields) -> tuple[ServerFields, list[Note]]:
    """The server with all its fields, and what is to be said of those."""
    about = f"server {server.name!r}"
    notes = []
    addresses = server.addresses or tuple(dict.fromkeys(
        address for entry in found for address in entry.addresses))
    if not server.addresses and len({entry.addresses for entry in found if entry.addresses}) > 1:
        notes.append(Note(about, f"its domains listen on different addresses: "
                                 f"{', '.join(addresses)}",
                          "if these are several hosts, run this once per host, with --server"))
    missing = [option for option, value in (("--host", server.host), ("--address", addresses),
                                            ("--ca-file", server.ca_file)) if not value]
    if missing:
        notes.append(Note(about, "the domains don't tell what must stand where the text says "
                                 "FILL IN",
                          f"give {', '.join(missing)}, or write it there"))
    return ServerFields(server.name, server.host or "FILL IN: the name in its certificate",
                        addresses or ("FILL IN: its own address",),
                        server.ca_file or "FILL IN: like /etc/pam-spice/"
                        f"{server.name}-ca.pem"), notes


def _consoles_text(found: list[_Found], server: str, notes: list[Note]) -> str:
    entries = [entry for entry in found if entry.tls_port is not None]
    names = _console_names([entry.domain.name for entry in entries])
    lines = ["consoles:\n"] if entries else []
    for entry, name in zip(entries, names, strict=True):
        line = f"  {_scalar(name)}: {{server: {_scalar(server)}, tls_port: {entry.tls_port}}}"
        if name != entry.domain.name:
            line += f"  # domain {entry.domain.name[:80]!r}"
            notes.append(Note(_about(entry.domain), f"is the console {name!r}",
                              "a console's name is unique, and of letters, digits and _ . -"))
        lines.append(f"{line}\n")
    return "".join(lines)


def _console_names(wanted: list[str]) -> list[str]:
    """A name for each, valid and unique; the first that is valid as it is stays so."""
    result = [""] * len(wanted)
    taken: set[str] = set()
    counts: dict[str, int] = {}
    for index in sorted(range(len(wanted)), key=lambda i: not NAME.fullmatch(wanted[i])):
        base = name = _valid_name(wanted[index])
        while name in taken:
            counts[base] = counts.get(base, 1) + 1
            suffix = f"-{counts[base]}"
            name = base[:64 - len(suffix)] + suffix
        taken.add(name)
        result[index] = name
    return result


def _valid_name(text: str) -> str:
    if NAME.fullmatch(text):
        return text
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", plain).strip("-.")[:64] or "console"


# YAML

def _scalar(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else _quoted(text)


def _address_scalar(text: str) -> str:
    # YAML takes four numbers with dots for text, but not every IPv6 address.
    return text if re.fullmatch(r"[0-9]+(?:\.[0-9]+){3}", text, re.ASCII) else _quoted(text)


def _quoted(text: str) -> str:
    """In double quotes, in ASCII: what the parser can't take it shall say, not fail at."""
    return '"' + "".join(
        f"\\{c}" if c in '"\\' else c if " " <= c <= "~" else f"\\U{ord(c):08x}"
        for c in text) + '"'
