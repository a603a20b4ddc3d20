"""Policy text to a Policy: every check there is, every error with its place."""

import difflib
import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import TypeVar

import yaml

from conf.intervals import Window, joined_ranges
from conf.model import (
    Console,
    Grant,
    ParsedPolicy,
    Policy,
    Server,
    Subject,
    SubjectKind,
    Workstation,
)
from conf.times import DAYS, BadWindow, parse_window
from conf.yamlnodes import BadEntry, Document
from conf.zones import UnknownZone, load_zone, local_zone_name

_T = TypeVar("_T")

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", re.ASCII)
# What NSS hands out beside useradd's own names: DOM\user, user@corp, "domain users".
_SUBJECT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\$ -]{0,254}(?<! )", re.ASCII)
_HOST = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
                   r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*", re.ASCII)  # RFC 1123
_PATH = re.compile(r"(?:/[A-Za-z0-9_.+@-]+)+", re.ASCII)
# libpam lower-cases service names.
_SERVICE = re.compile(r"[a-z0-9][a-z0-9_.@-]{0,63}", re.ASCII)
_PORT = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_PORTS = re.compile(r"([1-9][0-9]{0,4})(?:-([1-9][0-9]{0,4}))?", re.ASCII)


def parse_policy(data: bytes, file: str) -> ParsedPolicy:
    """Read a policy; never raises: what is wrong is in the result's problems."""
    return _PolicyParser(Document(file, data)).parse()


class _PolicyParser:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.servers: dict[str, Server | None] = {}  # None: there, but bad
        self.consoles: dict[str, Console | None] = {}
        self.windows: dict[str, tuple[Window, ...] | None] = {}

    def parse(self) -> ParsedPolicy:
        root = self.document.root
        policy = None
        if root is not None:
            try:
                policy = self._policy(root)
            except BadEntry:
                policy = None
        return ParsedPolicy(policy, tuple(self.document.problems))

    def _policy(self, root: yaml.Node) -> Policy:
        keys = ("timezone", "servers", "consoles", "windows", "grants", "workstation")
        # These three colour every entry: if one is bad, no grant can be trusted to mean what it
        # says. The rest is read all the same, to show all that is wrong.
        section, are_keys_good = self._read_fields(root, "the policy", keys, required=())
        timezone = self._or_none(self._timezone, root, section.get("timezone"))
        workstation = self._or_none(self._workstation, section.get("workstation"))
        self._named(section.get("servers"), "servers", self.servers, self._server)
        self._named(section.get("consoles"), "consoles", self.consoles, self._console)
        self._named(section.get("windows"), "windows", self.windows, self._named_window)
        grants = []
        if "grants" in section:
            for node in self._items_or_none(section["grants"], "grants"):
                try:
                    grants.append(self._grant(node))
                except BadEntry:
                    continue
        if not are_keys_good or timezone is None or workstation is None:
            raise BadEntry
        return Policy(timezone,
                      {name: server for name, server in self.servers.items() if server},
                      {name: console for name, console in self.consoles.items() if console},
                      tuple(grants), workstation)

    # Sections

    @staticmethod
    def _or_none(read: Callable[..., _T], *arguments: object) -> _T | None:
        try:
            return read(*arguments)
        except BadEntry:
            return None

    def _items_or_none(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        try:
            return self.document.items(node, what)
        except BadEntry:
            return []

    def _named(self, node: yaml.Node | None, what: str, into: dict[str, _T | None],
               read: Callable[[str, yaml.Node], _T]) -> None:
        """Read a section of named entries; a bad one stays known by name as None."""
        if node is None:
            return
        try:
            pairs = list(self.document.pairs(node, what))
        except BadEntry:
            return
        twice = {name for name, count in Counter(
            str(key_node.value) for key_node, _ in node.value).items() if count > 1}
        for name, key_node, value in pairs:
            into[name] = None
            if name in twice:  # already complained of; nobody knows which of the two is meant
                continue
            try:
                self._match(_NAME, key_node, name, "a name", "use letters, digits and _ . -")
                into[name] = read(name, value)
            except BadEntry:
                continue

    def _fields(self, node: yaml.Node, what: str, known: tuple[str, ...],
                required: tuple[str, ...]) -> dict[str, yaml.Node]:
        """The entries of a mapping whose keys are given; raises BadEntry after listing all that
        is wrong with the keys."""
        fields, are_good = self._read_fields(node, what, known, required)
        if not are_good:
            raise BadEntry
        return fields

    def _read_fields(self, node: yaml.Node, what: str, known: tuple[str, ...],
                     required: tuple[str, ...]) -> tuple[dict[str, yaml.Node], bool]:
        """The entries with known keys, and whether there was nothing wrong with the keys."""
        before = len(self.document.problems)
        fields = {}
        for key, key_node, value in self.document.pairs(node, what):
            if key in known:
                fields[key] = value
            else:
                self.document.complain(key_node, f"{what} has no key {key!r}",
                                       self._meant(key, known))
        for key in required:
            if key not in fields:
                self.document.complain(node, f"{what} lacks the key {key!r}", f"add `{key}:`")
        return fields, len(self.document.problems) == before

    def _timezone(self, root: yaml.Node, node: yaml.Node | None) -> str:
        name = local_zone_name() if node is None else self.document.text(node, "timezone")
        try:
            load_zone(name)
        except UnknownZone:
            if node is None:
                raise self.document.complain(
                    root, f"the workstation's own time zone {name!r} is unknown",
                    "add `timezone: Europe/Berlin`, or yours") from None
            raise self.document.complain(node, f"there is no time zone {name!r}",
                                         "write it as Europe/Berlin or UTC") from None
        return name

    def _workstation(self, node: yaml.Node | None) -> Workstation:
        if node is None:
            return Workstation()
        keys = ("one_user", "services", "require_seat", "sudo_password")
        fields = self._fields(node, "workstation", keys, required=())
        strict = Workstation()
        services = strict.services
        if "services" in fields:
            services = tuple(
                self._match(_SERVICE, item, self.document.text(item, "a service"), "a PAM service",
                            "write the lower-case name of a file in /etc/pam.d")
                for item in self.document.items(fields["services"], "services"))
        return Workstation(self._boolean(fields, "one_user", strict.one_user), services,
                           self._boolean(fields, "require_seat", strict.require_seat),
                           self._boolean(fields, "sudo_password", strict.sudo_password))

    def _server(self, name: str, node: yaml.Node) -> Server:
        keys = ("host", "addresses", "guarded_ports", "ca_file")
        fields = self._fields(node, f"server {name!r}", keys, required=keys)
        host = self._match(_HOST, fields["host"], self.document.text(fields["host"], "host"),
                           "a host name", "write the name that the server's certificate bears")
        addresses = tuple(dict.fromkeys(
            self._address(item)
            for item in self.document.one_or_more(fields["addresses"], "addresses")))
        ports = [self._port_range(item) for item in
                 self.document.one_or_more(fields["guarded_ports"], "guarded_ports")]
        ca_file = self._match(_PATH, fields["ca_file"],
                              self.document.text(fields["ca_file"], "ca_file"),
                              "an absolute path of letters, digits and _ . + @ -",
                              "write it like /etc/pam-spice/mysrv-ca.pem")
        return Server(name, host, addresses, tuple(joined_ranges(ports)), ca_file,
                      self.document.mark(node))

    def _console(self, name: str, node: yaml.Node) -> Console:
        keys = ("server", "tls_port")
        fields = self._fields(node, f"console {name!r}", keys, required=keys)
        server = self._reference(fields["server"], "server", self.servers)
        port_node = fields["tls_port"]
        port = self._port(port_node)
        if not any(low <= port <= high for low, high in server.guarded_ports):
            ranges = ", ".join(f"{low}-{high}" for low, high in server.guarded_ports)
            raise self.document.complain(
                port_node,
                f"port {port} is not among the guarded ports of {server.name} ({ranges})",
                f"add it to guarded_ports of {server.name}, or everybody could reach it")
        return Console(name, server, port, self.document.mark(node))

    def _named_window(self, name: str, node: yaml.Node) -> tuple[Window, ...]:
        if name.startswith(DAYS):
            raise self.document.complain(node, f"the name {name!r} begins like a day",
                                         "choose another name")
        return self._literals(self.document.one_or_more(node, f"window {name!r}"))

    def _grant(self, node: yaml.Node) -> Grant:
        fields = self._fields(node, "a grant", ("user", "group", "console", "when"),
                              required=("console",))
        if ("user" in fields) == ("group" in fields):
            raise self.document.complain(node, "a grant must name either a user or a group",
                                         "write `user:` or `group:`, one of them")
        kind = SubjectKind.USER if "user" in fields else SubjectKind.GROUP
        subject = Subject(kind, self._match(
            _SUBJECT, fields[kind], self.document.text(fields[kind], kind), f"a {kind} name",
            f"write the {kind}'s name as `getent` prints it"))
        consoles = tuple(dict.fromkeys(
            self._reference(item, "console", self.consoles)
            for item in self.document.one_or_more(fields["console"], "console")))
        windows = self._when(fields["when"]) if "when" in fields else None
        return Grant(subject, consoles, windows, self.document.mark(node))

    # Values

    def _when(self, node: yaml.Node) -> tuple[Window, ...]:
        windows: list[Window] = []
        items = self.document.one_or_more(node, "when")
        self._refuse_torn_literals(items)
        for item in items:
            text = self.document.raw(item, "when")
            if text in self.windows:
                named = self.windows[text]
                if named is None:
                    raise self.document.complain(item, f"window {text!r} has an error itself",
                                                 "mend the window")
                windows.extend(named)
            else:
                windows.extend(self._literal(item, text))
        return tuple(dict.fromkeys(windows))

    def _refuse_torn_literals(self, nodes: list[yaml.Node]) -> None:
        """``[Wed,Thu 08:00-12:00]`` without quotes is two items to YAML, and the first would be
        open the whole day. A blank after the comma says that two were meant."""
        for left, right in pairwise(nodes):
            if (isinstance(left, yaml.ScalarNode) and isinstance(right, yaml.ScalarNode)
                    and not left.style and not right.style
                    and left.end_mark.line == right.start_mark.line
                    and left.end_mark.column + 1 == right.start_mark.column
                    and " " not in left.value and " " in right.value):
                raise self.document.complain(
                    left, f"it is not clear whether {left.value!r} is a window of its own",
                    f'write "{left.value},{right.value}" in quotes, or a blank after the comma')

    def _literals(self, nodes: list[yaml.Node]) -> tuple[Window, ...]:
        self._refuse_torn_literals(nodes)
        return tuple(dict.fromkeys(window for node in nodes for window in
                                   self._literal(node, self.document.raw(node, "a window"))))

    def _literal(self, node: yaml.Node, text: str) -> tuple[Window, ...]:
        try:
            return parse_window(text)
        except BadWindow as error:
            close = difflib.get_close_matches(text, self.windows, 1)
            remedy = f"did you mean the window {close[0]!r}?" if close else error.remedy
            raise self.document.complain(node, error.fact, remedy, error.offset) from None

    def _reference(self, node: yaml.Node, what: str, known: dict[str, _T | None]) -> _T:
        name = self.document.text(node, what)
        if name not in known:
            raise self.document.complain(node, f"there is no {what} {name!r}",
                                         self._meant(name, known))
        entry = known[name]
        if entry is None:
            raise self.document.complain(node, f"{what} {name!r} has an error itself",
                                         f"mend the {what}")
        return entry

    def _boolean(self, fields: dict[str, yaml.Node], key: str, default: bool) -> bool:
        if key not in fields:
            return default
        text = self.document.raw(fields[key], key)
        if text not in ("true", "false") or not fields[key].tag.endswith(":bool"):
            raise self.document.complain(fields[key], f"{key} must be true or false",
                                         "write true or false, without quotes")
        return text == "true"

    def _match(self, pattern: re.Pattern[str], node: yaml.Node, text: str, what: str,
               remedy: str) -> str:
        if not pattern.fullmatch(text):
            raise self.document.complain(node, f"{text!r} is not {what}", remedy)
        return text

    def _address(self, node: yaml.Node) -> str:
        text = self.document.text(node, "an address")
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            raise self.document.complain(node, f"{text!r} is not an IP address",
                                         "write one like 192.168.2.2 or \"fd00::2\"") from None
        if address.version == 6 and (address.ipv4_mapped or address.scope_id):
            raise self.document.complain(node, f"{text!r} is a mapped or link-local address",
                                         "write the plain IPv4 or a global IPv6 address")
        if address.is_multicast or address.is_unspecified:
            raise self.document.complain(node, f"{text!r} is not the address of one host",
                                         "write the server's own address")
        return str(address)

    def _port(self, node: yaml.Node) -> int:
        text = self.document.raw(node, "a port")
        if not node.tag.endswith(":int") or not _PORT.fullmatch(text) or int(text) > 65535:
            raise self.document.complain(node, f"{text!r} is not a port",
                                         "write a number from 1 to 65535, without quotes")
        return int(text)

    def _port_range(self, node: yaml.Node) -> tuple[int, int]:
        text = self.document.raw(node, "a port range")
        match = _PORTS.fullmatch(text)
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not low <= high <= 65535:
            raise self.document.complain(node, f"{text!r} is not a range of ports",
                                         "write low-high from 1 to 65535: 20001-20010")
        return low, high

    @staticmethod
    def _meant(name: str, known: Iterable[str]) -> str:
        names = list(known)
        close = difflib.get_close_matches(name, names, 1)
        if close:
            return f"did you mean {close[0]!r}?"
        return f"known are: {', '.join(names)}" if 0 < len(names) <= 12 else "define it first"
