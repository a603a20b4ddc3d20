"""Policy text to a Policy: every check there is, every error with its place."""

import gc
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import yaml

from conf.grantline import FOREVER
from conf.intervals import joined_ranges
from conf.model import (
    Console,
    Grant,
    ListedWorkstation,
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

_SECTIONS = ("servers", "consoles", "calendars", "windows", "grants", "workstations")
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
        self.workstations: dict[str, ListedWorkstation | None] = {}
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
                          ("grants", self._grants), ("workstations", self._listed)):
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
                   _good(self.calendars), tuple(self.grants), tuple(self.skipped), workstation,
                   _good(self.workstations)),
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

    def _listed(self, node: yaml.Node) -> None:
        self.named(node, "workstations", self.workstations, self._listed_workstation, _HOST,
                   "a host name", "write the workstation's name as `hostname` prints it")

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
        switches = ("one_user", "require_seat", "sudo_password")
        fields, is_good = self.read_fields(node, "workstation", (*switches, "services"))
        strict = Workstation()

        def read() -> Workstation:
            return Workstation(
                self.boolean(fields, "one_user", strict.one_user),
                self._services(fields["services"]) if "services" in fields else strict.services,
                self.boolean(fields, "require_seat", strict.require_seat),
                self.boolean(fields, "sudo_password", strict.sudo_password))

        return self.whole(
            is_good, read, *(partial(self.boolean, fields, key, True) for key in switches),
            *(partial(self._services, fields[key]) for key in fields if key == "services"))

    def _services(self, node: yaml.Node) -> tuple[str, ...]:
        return tuple(self.each(self.document.items(node, "services"), lambda item: self.match(
            _SERVICE, item, self.document.text(item, "a service"), "a PAM service",
            "write the lower-case name of a file in /etc/pam.d")))

    def _server(self, name: str, node: yaml.Node) -> Server:
        readers: dict[str, Callable[[yaml.Node], object]] = {
            "host": self._host, "addresses": self._addresses, "guarded_ports": self._ports,
            "ca_file": self._ca_file}
        fields, is_good = self.read_fields(node, f"server {name!r}", tuple(readers),
                                           required=tuple(readers))
        return self.whole(
            is_good, lambda: Server(
                name, self._host(fields["host"]), self._addresses(fields["addresses"]),
                self._ports(fields["guarded_ports"]), self._ca_file(fields["ca_file"]),
                self.document.mark(node)),
            *(partial(readers[key], value) for key, value in fields.items()))

    def _host(self, node: yaml.Node) -> str:
        return self.match(_HOST, node, self.document.text(node, "host"), "a host name",
                          "write the name that the server's certificate bears")

    def _addresses(self, node: yaml.Node) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.each(self.document.one_or_more(node, "addresses"),
                                             self.address)))

    def _ports(self, node: yaml.Node) -> tuple[tuple[int, int], ...]:
        return tuple(joined_ranges(self.each(self.document.one_or_more(node, "guarded_ports"),
                                             self.port_range)))

    def _ca_file(self, node: yaml.Node) -> str:
        return self.match(_PATH, node, self.document.text(node, "ca_file"),
                          "an absolute path of letters, digits and _ . + @ -",
                          "write it like /etc/pam-spice/mysrv-ca.pem")

    def _console(self, name: str, node: yaml.Node) -> Console:
        readers: dict[str, Callable[[yaml.Node], object]] = {
            "server": self._server_of, "tls_port": self.port}
        fields, is_good = self.read_fields(node, f"console {name!r}", tuple(readers),
                                           required=tuple(readers))
        return self.whole(
            is_good, lambda: self._guarded_console(name, node, fields),
            *(partial(readers[key], value) for key, value in fields.items()))

    def _listed_workstation(self, name: str, node: yaml.Node) -> ListedWorkstation:
        return ListedWorkstation(name, tuple(dict.fromkeys(self.each(
            self.document.one_or_more(node, "a workstation's addresses"), self.network))),
            self.document.mark(node))

    def _server_of(self, node: yaml.Node) -> Server:
        return self.reference(node, "server", self.servers)

    def _guarded_console(self, name: str, node: yaml.Node,
                         fields: dict[str, yaml.Node]) -> Console:
        server = self._server_of(fields["server"])
        port = self.port(fields["tls_port"])
        if not any(low <= port <= high for low, high in server.guarded_ports):
            ranges = ", ".join(f"{low}-{high}" for low, high in server.guarded_ports)
            raise self.document.complain(
                fields["tls_port"],
                f"port {port} is not among the guarded ports of {server.name} ({ranges})",
                f"add it to guarded_ports of {server.name}, or everybody could reach it")
        return Console(name, server, port, self.document.mark(node))

    def _grant(self, node: yaml.Node) -> Grant:
        fields, is_good = self.read_fields(
            node, "a grant", ("user", "group", "console", "when", "except", "valid",
                              "workstations", "reason"), required=("console",))

        def read() -> Grant:
            subject = self._subject(node, fields)
            consoles = self._granted(fields["console"])
            schedules, names = self.schedules(fields)
            return Grant(subject, consoles, self.document.mark(node), schedules,
                         self.validity(fields["valid"]) if "valid" in fields else (0, FOREVER),
                         self._workstations(fields.get("workstations")),
                         self._reason(fields.get("reason")), names)

        # With a key that isn't known, user or group is likely what it was meant to be.
        has_subject = ("user" in fields) != ("group" in fields)
        return self.whole(
            is_good, read,
            *([partial(self._subject, node, fields)] if is_good or has_subject else []),
            *(partial(self._granted, fields[key]) for key in fields if key == "console"),
            partial(self.schedules, {key: value for key, value in fields.items()
                                     if key == "when"}),
            partial(self.schedules, {key: value for key, value in fields.items()
                                     if key == "except"}),
            *(partial(self.validity, fields[key]) for key in fields if key == "valid"),
            partial(self._workstations, fields.get("workstations")),
            partial(self._reason, fields.get("reason")))

    def _subject(self, node: yaml.Node, fields: dict[str, yaml.Node]) -> Subject:
        if ("user" in fields) == ("group" in fields):
            raise self.document.complain(node, "a grant must name either a user or a group",
                                         "write `user:` or `group:`, one of them")
        kind = SubjectKind.USER if "user" in fields else SubjectKind.GROUP
        database = "passwd" if kind == SubjectKind.USER else "group"
        return Subject(kind, self.match(
            _SUBJECT, fields[kind], self.document.text(fields[kind], kind), f"a {kind} name",
            f"write the {kind}'s name as `getent {database}` prints it"))

    def _granted(self, node: yaml.Node) -> tuple[Console, ...]:
        return tuple(dict.fromkeys(self.each(
            self.document.one_or_more(node, "console"),
            lambda item: self.reference(item, "console", self.consoles))))

    def _workstations(self, node: yaml.Node | None) -> tuple[str, ...]:
        if node is None:
            return ()
        return tuple(self.each(
            self.document.one_or_more(node, "workstations"), lambda item: self.match(
                _HOST_GLOB, item, self.document.text(item, "a workstation"),
                "a host name or a pattern of one", "write it like pc7 or front-*")))

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
