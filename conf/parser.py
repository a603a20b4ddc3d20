"""Policy text to a Policy: every check there is, every error with its place."""

import gc
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

import yaml

from conf.grantline import FOREVER
from conf.intervals import joined_ranges
from conf.model import (
    Console,
    Grant,
    ParsedPolicy,
    Policy,
    Server,
    Skipped,
    Subject,
    SubjectKind,
    Workstation,
)
from conf.problems import Problem
from conf.when import WhenReader
from conf.yamlnodes import BadEntry, Document
from conf.zones import UnknownZone, load_zone, local_zone_name

_T = TypeVar("_T")

# What NSS hands out beside useradd's own names: DOM\user, user@corp, "domain users".
_SUBJECT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\$ -]{0,254}(?<! )", re.ASCII)
_HOST = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
                   r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*", re.ASCII)  # RFC 1123
_HOST_GLOB = re.compile(r"[A-Za-z0-9*?][A-Za-z0-9.*?-]{0,252}", re.ASCII)
_PATH = re.compile(r"(?:/[A-Za-z0-9_.+@-]+)+", re.ASCII)
# libpam lower-cases service names.
_SERVICE = re.compile(r"[a-z0-9][a-z0-9_.@-]{0,63}", re.ASCII)
MAX_REASON = 200
"""Characters of a grant's reason."""

_SECTIONS = ("servers", "consoles", "calendars", "windows", "grants")
_SETTINGS = ("timezone", "workstation")


def parse_policy(data: bytes, file: str) -> ParsedPolicy:
    """Read a policy of one file; never raises: what is wrong is in the result's problems."""
    return parse_files([(file, data)])


def parse_files(files: Sequence[tuple[str, bytes | Problem]]) -> ParsedPolicy:
    """Read a policy of several files, each its name and its text, or the problem that it can't be
    read for. The first is the main one, without which nothing counts. Never raises."""
    # A tree of a million objects is made and none is dropped: looking for garbage in it takes 60 %
    # of the time (100,000 grants: 10.4 s with it, 4.4 s without).
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return _PolicyParser([Document(name, data) for name, data in files]).parse()
    finally:
        if was_enabled:
            gc.enable()


class _PolicyParser(WhenReader):
    def __init__(self, documents: list[Document]) -> None:
        super().__init__(documents[0])
        self.documents = documents
        self.is_usable = False
        self.servers: dict[str, Server | None] = {}  # None: there, but bad
        self.consoles: dict[str, Console | None] = {}
        self.grants: list[Grant] = []
        self.skipped: list[Skipped] = []

    def parse(self) -> ParsedPolicy:
        fields = [(document, self._top_of(document)) for document in self.documents]
        self.document, settings = fields[0]
        zone = self._or_none(self._own_timezone, settings.get("timezone"))
        workstation = self._or_none(self._workstation, settings.get("workstation"))
        if zone is not None:
            self.zone = zone
        # One section of all files after the other, so that they can refer to each other. All of
        # it is read whatever was wrong before, to show all that is wrong.
        for key, read in (("servers", self._servers), ("calendars", self._calendars),
                          ("consoles", self._consoles), ("windows", self._named_windows),
                          ("grants", self._grants)):
            for self.document, sections in fields:
                if key in sections:
                    read(sections[key])
        problems = tuple(problem for document in self.documents
                         for problem in sorted(document.problems, key=lambda each: (
                             each.mark.line, each.mark.column)))
        # These colour every entry: if one is bad, no grant can be trusted to mean what it says.
        if not self.is_usable or zone is None or workstation is None:
            return ParsedPolicy(None, problems)
        return ParsedPolicy(
            Policy(zone, _good(self.servers), _good(self.consoles), _good(self.windows),
                   _good(self.calendars), tuple(self.grants), tuple(self.skipped), workstation),
            problems)

    # Files and sections

    def _top_of(self, document: Document) -> dict[str, yaml.Node]:
        """The sections of a file; one with a wrong key may mean anything, and is spoilt."""
        self.document = document
        root = document.root
        if root is None:
            return {}
        is_main = document is self.documents[0]
        what = "the policy" if is_main else "a file of policy.d"
        keys = (*_SETTINGS, *_SECTIONS) if is_main else _SECTIONS
        try:
            sections, is_good = self.read_fields(root, what, keys)
        except BadEntry:
            sections, is_good = {}, False
        if is_main:
            self.is_usable = is_good
        else:
            document.is_spoilt = not is_good
        return sections

    @staticmethod
    def _or_none(read: Callable[..., _T], *arguments: object) -> _T | None:
        try:
            return read(*arguments)
        except BadEntry:
            return None

    def _servers(self, node: yaml.Node) -> None:
        self.named(node, "servers", self.servers, self._server)

    def _calendars(self, node: yaml.Node) -> None:
        self.named(node, "calendars", self.calendars, self.calendar)

    def _consoles(self, node: yaml.Node) -> None:
        self.named(node, "consoles", self.consoles, self._console)

    def _named_windows(self, node: yaml.Node) -> None:
        self.named(node, "windows", self.windows, self.named_window)

    def _grants(self, node: yaml.Node) -> None:
        try:
            items = self.document.items(node, "grants")
        except BadEntry:
            return
        for item in items:
            before = len(self.document.problems)
            try:
                grant = self._grant(item)
            except BadEntry:
                self.skipped.append(self._skipped(item, self.document.problems[before]))
                continue
            if self.document.is_spoilt:
                self.skipped.append(self._skipped(item, self.document.problems[0]))
            else:
                self.grants.append(grant)

    def _skipped(self, node: yaml.Node, problem: Problem) -> Skipped:
        """Whom and what a bad grant was for, as far as it says so."""
        found: dict[str, list[str]] = {"user": [], "group": [], "console": []}
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                values = value.value if isinstance(value, yaml.SequenceNode) else [value]
                found.get(str(key.value), []).extend(
                    each.value for each in values if isinstance(each, yaml.ScalarNode))
        subjects = [Subject(kind, name) for kind in SubjectKind for name in found[kind]
                    if _SUBJECT.fullmatch(name)]
        return Skipped(subjects[0] if len(subjects) == 1 else None, tuple(found["console"]),
                       problem)

    # Entries

    def _own_timezone(self, node: yaml.Node | None) -> str:
        if node is not None:
            return self.timezone(node)
        name = local_zone_name()
        try:
            load_zone(name)
        except UnknownZone:
            self.document.add(1, 1, f"the workstation's own time zone {name!r} is unknown",
                              "add `timezone: Europe/Berlin`, or yours")
            raise BadEntry from None
        return name

    def _workstation(self, node: yaml.Node | None) -> Workstation:
        if node is None:
            return Workstation()
        keys = ("one_user", "services", "require_seat", "sudo_password")
        fields = self.fields(node, "workstation", keys)
        strict = Workstation()
        services = strict.services
        if "services" in fields:
            services = tuple(
                self.match(_SERVICE, item, self.document.text(item, "a service"), "a PAM service",
                           "write the lower-case name of a file in /etc/pam.d")
                for item in self.document.items(fields["services"], "services"))
        return Workstation(self.boolean(fields, "one_user", strict.one_user), services,
                           self.boolean(fields, "require_seat", strict.require_seat),
                           self.boolean(fields, "sudo_password", strict.sudo_password))

    def _server(self, name: str, node: yaml.Node) -> Server:
        keys = ("host", "addresses", "guarded_ports", "ca_file")
        fields = self.fields(node, f"server {name!r}", keys, required=keys)
        host = self.match(_HOST, fields["host"], self.document.text(fields["host"], "host"),
                          "a host name", "write the name that the server's certificate bears")
        addresses = tuple(dict.fromkeys(
            self.address(item)
            for item in self.document.one_or_more(fields["addresses"], "addresses")))
        ports = [self.port_range(item) for item in
                 self.document.one_or_more(fields["guarded_ports"], "guarded_ports")]
        ca_file = self.match(_PATH, fields["ca_file"],
                             self.document.text(fields["ca_file"], "ca_file"),
                             "an absolute path of letters, digits and _ . + @ -",
                             "write it like /etc/pam-spice/mysrv-ca.pem")
        return Server(name, host, addresses, tuple(joined_ranges(ports)), ca_file,
                      self.document.mark(node))

    def _console(self, name: str, node: yaml.Node) -> Console:
        keys = ("server", "tls_port")
        fields = self.fields(node, f"console {name!r}", keys, required=keys)
        server = self.reference(fields["server"], "server", self.servers)
        port_node = fields["tls_port"]
        port = self.port(port_node)
        if not any(low <= port <= high for low, high in server.guarded_ports):
            ranges = ", ".join(f"{low}-{high}" for low, high in server.guarded_ports)
            raise self.document.complain(
                port_node,
                f"port {port} is not among the guarded ports of {server.name} ({ranges})",
                f"add it to guarded_ports of {server.name}, or everybody could reach it")
        return Console(name, server, port, self.document.mark(node))

    def _grant(self, node: yaml.Node) -> Grant:
        fields = self.fields(
            node, "a grant", ("user", "group", "console", "when", "except", "valid",
                              "workstations", "reason"), required=("console",))
        if ("user" in fields) == ("group" in fields):
            raise self.document.complain(node, "a grant must name either a user or a group",
                                         "write `user:` or `group:`, one of them")
        kind = SubjectKind.USER if "user" in fields else SubjectKind.GROUP
        subject = Subject(kind, self.match(
            _SUBJECT, fields[kind], self.document.text(fields[kind], kind), f"a {kind} name",
            f"write the {kind}'s name as `getent` prints it"))
        consoles = tuple(dict.fromkeys(
            self.reference(item, "console", self.consoles)
            for item in self.document.one_or_more(fields["console"], "console")))
        schedules, names = self.schedules(fields)
        return Grant(subject, consoles, self.document.mark(node), schedules,
                     self.validity(fields["valid"]) if "valid" in fields else (0, FOREVER),
                     self._workstations(fields.get("workstations")),
                     self._reason(fields.get("reason")), names)

    def _workstations(self, node: yaml.Node | None) -> tuple[str, ...]:
        if node is None:
            return ()
        return tuple(
            self.match(_HOST_GLOB, item, self.document.text(item, "a workstation"),
                       "a host name or a pattern of one", "write it like pc7 or front-*")
            for item in self.document.one_or_more(node, "workstations"))

    def _reason(self, node: yaml.Node | None) -> str:
        if node is None:
            return ""
        if isinstance(node, yaml.MappingNode):
            raise self.document.complain(node, "reason must be text, this is a mapping",
                                         "put text with a colon and a blank in quotes")
        text = self.document.text(node, "reason")
        if not text.strip() or not text.isprintable():
            raise self.document.complain(node, "reason is not one line of text",
                                         "write printable characters, in quotes, on one line")
        if len(text) > MAX_REASON:
            raise self.document.complain(node, f"reason is {len(text)} characters long",
                                         f"write at most {MAX_REASON}")
        return text


def _good(entries: dict[str, _T | None]) -> dict[str, _T]:
    return {name: entry for name, entry in entries.items() if entry is not None}
