"""Policies as an admin writes them: their text, and what pam-spice-policy(5) says they mean."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from tests.kernel import namespace as ns
from tests.model.windows import EVER, WINDOWS, is_open

Endpoint = tuple[str, int]


@dataclass(frozen=True)
class Server:
    """A KVM host; its guarded ports are one range, both ends within."""

    addresses: tuple[str, ...]
    low: int
    high: int

    @property
    def endpoints(self) -> frozenset[Endpoint]:
        """All that is closed for those who have no grant."""
        return frozenset((address, port) for address in self.addresses
                         for port in range(self.low, self.high + 1))


SERVERS = {"kvm": Server((ns.V4, ns.V6), 20001, 20004),
           "spare": Server(("10.77.0.2",), 30001, 30002)}
CONSOLES = {"first": ("kvm", 20001), "second": ("kvm", 20002), "third": ("spare", 30001)}


def endpoints_of(console: str) -> tuple[Endpoint, ...]:
    """Where a console is."""
    server, port = CONSOLES[console]
    return tuple((address, port) for address in SERVERS[server].addresses)


ENDPOINTS = tuple(endpoint for console in CONSOLES for endpoint in endpoints_of(console))
"""Where all consoles are."""


@dataclass(frozen=True)
class Right:
    """One console for one subject, at certain times."""

    console: str
    windows: tuple[str, ...] = ()
    start: int = 0
    end: int = EVER
    is_temporary: bool = False  # by ``pam-spice grant``

    def holds(self, instant: int) -> bool:
        """Whether it counts at that instant."""
        return self.start <= instant < self.end and (
            not self.windows or any(is_open(name, instant) for name in self.windows))


@dataclass(frozen=True, repr=False)
class Grant:
    """An entry of ``grants``."""

    kind: str
    subject: str
    consoles: tuple[str, ...]
    windows: tuple[str, ...] = ()
    valid: tuple[int, int] | None = None
    workstations: str | None = None
    is_misspelt: bool = False

    def __repr__(self) -> str:
        return self.text.strip()

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text(repr(self))  # as Hypothesis tells what it has drawn

    @property
    def text(self) -> str:
        """The entry in YAML."""
        parts = [f"{self.kind}: {self.subject}", f"console: [{', '.join(self.consoles)}]"]
        if self.windows:
            parts.append(f"when: [{', '.join(self.windows)}]")
        if self.valid:
            start, end = map(_utc, self.valid)
            parts.append(f'valid: {{from: "{start}", until: "{end}"}}')
        if self.workstations:
            parts.append(f'workstations: "{self.workstations}"')
        if self.is_misspelt:
            parts.append("wen: Mon")
        return f"  - {{{', '.join(parts)}}}\n"


class Flaw(StrEnum):
    """What is wrong with a policy."""

    NONE = "none"
    BAD_WINDOW = "the window nights ends at 25:00"
    BAD_CONSOLE = "the console second has a port that is not guarded"
    BAD_SERVER = "the server kvm has no address"
    TWICE = "the console first stands there twice"
    BAD_WORKSTATION = "workstation has an error"
    BAD_ZONE = "timezone names none"
    NOT_YAML = "a bracket is not closed"
    WRITABLE = "others than root can write the file"
    LINK = "the file is a symbolic link"
    MISSING = "there is no file"

    @property
    def is_fatal(self) -> bool:
        """Whether nothing at all is granted."""
        return self not in (Flaw.NONE, Flaw.BAD_WINDOW, Flaw.BAD_CONSOLE, Flaw.BAD_SERVER,
                            Flaw.TWICE)


ELSEWHERE = "no-such-host-*"
"""A pattern of workstations that this machine is none of."""

SERVICES = ("login", "lightdm", "gdm-password", "sddm")
"""The manual's default."""


@dataclass(frozen=True)
class Policy:
    """The main file."""

    grants: tuple[Grant, ...]
    one_user: bool = True
    services: tuple[str, ...] = SERVICES
    require_seat: bool = True
    has_spare: bool = True  # the server of that name, with its console
    flaw: Flaw = Flaw.NONE

    @property
    def text(self) -> str:
        """The file."""
        lines = [f"timezone: {'Europe/Atlantis' if self.flaw == Flaw.BAD_ZONE else 'UTC'}",
                 "servers:"]
        lines += [f"  {name}: {{host: {name}.example, "
                  f"addresses: [{', '.join(_quoted(self._addresses(name)))}], "
                  f"guarded_ports: {server.low}-{server.high}, ca_file: /etc/pam-spice/{name}.pem}}"
                  for name, server in SERVERS.items() if self.has(name)]
        lines.append("consoles:")
        lines += [f"  {name}: {{server: {server}, tls_port: {self._port(name)}}}"
                  for name, (server, _) in CONSOLES.items() if self.has(server)
                  for _ in range(2 if (self.flaw, name) == (Flaw.TWICE, "first") else 1)]
        lines.append("windows:")
        lines += [f'  {name}: {{when: "{self._literal(name)}", timezone: {window.zone}}}'
                  for name, window in WINDOWS.items()]
        lines.append(f"workstation: {{one_user: {str(self.one_user).lower()}, "
                     f"services: [{', '.join(self.services)}], "
                     f"require_seat: {str(self.require_seat).lower()}"
                     f"{', seat: 0' if self.flaw == Flaw.BAD_WORKSTATION else ''}}}")
        lines.append("grants: [" if self.flaw == Flaw.NOT_YAML else
                     "grants:" if self.grants else "grants: []")
        return "\n".join(lines) + "\n" + "".join(grant.text for grant in self.grants)

    def has(self, server: str) -> bool:
        """Whether the server stands in it."""
        return self.has_spare or server != "spare"

    def _addresses(self, server: str) -> tuple[str, ...]:
        if (self.flaw, server) == (Flaw.BAD_SERVER, "kvm"):
            return ("nowhere",)
        return SERVERS[server].addresses

    def _port(self, console: str) -> int:
        return (19999 if (self.flaw, console) == (Flaw.BAD_CONSOLE, "second")
                else CONSOLES[console][1])

    def _literal(self, window: str) -> str:
        return ("22:00-25:00" if (self.flaw, window) == (Flaw.BAD_WINDOW, "nights")
                else WINDOWS[window].literal)


@dataclass(frozen=True)
class Temporary:
    """What ``pam-spice grant`` has written into policy.d."""

    user: str
    console: str
    start: int
    end: int


@dataclass(frozen=True)
class Meaning:
    """A policy's files, as pam-spice-policy(5) has them understood."""

    rights: tuple[tuple[str, str, Right], ...]  # user or group, its name, what
    declared: frozenset[Endpoint]  # the guarded endpoints of its good servers
    is_valid: bool  # without any error
    consoles: frozenset[str]
    one_user: bool
    services: tuple[str, ...]
    require_seat: bool

    def rights_of(self, user: str, groups: frozenset[str]) -> tuple[Right, ...]:
        """What a login of the user gets."""
        return tuple(right for kind, name, right in self.rights
                     if (name == user if kind == "user" else name in groups))


def meaning_of(policy: Policy, temporaries: tuple[Temporary, ...]) -> Meaning:
    """What counts of the main file and of temporary grants, and what an error takes away."""
    if policy.flaw.is_fatal:
        return Meaning((), frozenset(), False, frozenset(), True, SERVICES, True)
    servers = {name for name in SERVERS
               if policy.has(name) and (policy.flaw, name) != (Flaw.BAD_SERVER, "kvm")}
    bad_console = {Flaw.BAD_CONSOLE: "second", Flaw.TWICE: "first"}.get(policy.flaw)
    consoles = {name for name, (server, _) in CONSOLES.items()
                if server in servers and name != bad_console}
    windows = set(WINDOWS) - ({"nights"} if policy.flaw == Flaw.BAD_WINDOW else set())
    good = [grant for grant in policy.grants if not grant.is_misspelt
            and consoles.issuperset(grant.consoles) and windows.issuperset(grant.windows)]
    standing = [each for each in temporaries if each.console in consoles]
    rights = [(grant.kind, grant.subject,
               Right(console, grant.windows, *(grant.valid or (0, EVER))))
              for grant in good for console in grant.consoles
              if grant.workstations != ELSEWHERE]
    rights += [("user", each.user,
                Right(each.console, (), each.start, each.end, is_temporary=True))
               for each in standing]
    return Meaning(
        tuple(rights), frozenset().union(*(SERVERS[name].endpoints for name in servers)),
        policy.flaw == Flaw.NONE and len(good) == len(policy.grants)
        and len(standing) == len(temporaries),
        frozenset(consoles), policy.one_user, policy.services, policy.require_seat)


def _quoted(texts: tuple[str, ...]) -> list[str]:
    return [f'"{text}"' for text in texts]


def _utc(instant: int) -> str:
    return datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
