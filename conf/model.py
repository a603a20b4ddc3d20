"""The policy as Python objects. Every object knows the place it was written at."""

from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network

from conf.grantline import FOREVER
from conf.intervals import Dates, Interval, Window
from conf.problems import Mark, Problem

Network = IPv4Network | IPv6Network


class SubjectKind(StrEnum):
    """Whom a grant names."""

    USER = "user"
    GROUP = "group"


@dataclass(frozen=True, slots=True)
class Subject:
    """A user or a group, by name."""

    kind: SubjectKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


@dataclass(frozen=True, slots=True)
class Server:
    """A KVM host: the name in its certificate, its addresses, what of it is guarded."""

    name: str
    host: str
    addresses: tuple[str, ...]
    guarded_ports: tuple[tuple[int, int], ...]  # inclusive, sorted, not overlapping
    ca_file: str
    mark: Mark


@dataclass(frozen=True, slots=True)
class Console:
    """One VM's SPICE endpoint."""

    name: str
    server: Server
    tls_port: int
    mark: Mark


@dataclass(frozen=True, slots=True)
class Exceptions:
    """Days on which windows don't begin: spans of dates, and public holidays by their codes."""

    dates: tuple[Dates, ...] = ()
    holidays: tuple[str, ...] = ()

    def __add__(self, other: "Exceptions") -> "Exceptions":
        return Exceptions(tuple(dict.fromkeys(self.dates + other.dates)),
                          tuple(dict.fromkeys(self.holidays + other.holidays)))


@dataclass(frozen=True, slots=True)
class Schedule:
    """Windows in one time zone, less those that begin on an excepted day."""

    timezone: str
    windows: tuple[Window, ...]
    exceptions: Exceptions = field(default=Exceptions())


@dataclass(frozen=True, slots=True)
class NamedWindow:
    """An entry of ``windows``."""

    name: str
    schedule: Schedule
    mark: Mark


@dataclass(frozen=True, slots=True)
class Calendar:
    """An entry of ``calendars``."""

    name: str
    exceptions: Exceptions
    mark: Mark


@dataclass(frozen=True, slots=True)
class Grant:
    """This subject may reach these consoles."""

    subject: Subject
    consoles: tuple[Console, ...]
    mark: Mark
    schedules: tuple[Schedule, ...] | None = None  # None: always
    valid: Interval = (0, FOREVER)  # the instants within which it counts at all
    workstations: tuple[str, ...] = ()  # globs of host names; empty: all
    reason: str = ""
    windows: tuple[str, ...] = ()  # the named windows that ``when`` refers to


@dataclass(frozen=True, slots=True)
class Skipped:
    """A grant with an error: whom and what it was for, as far as that can be read."""

    subject: Subject | None
    consoles: tuple[str, ...]
    problem: Problem


@dataclass(frozen=True, slots=True)
class Workstation:
    """What holds for the workstation itself; the defaults are the strict side."""

    one_user: bool = True
    services: tuple[str, ...] = ("login", "lightdm", "gdm-password", "sddm")
    require_seat: bool = True
    sudo_password: bool = True


@dataclass(frozen=True, slots=True)
class ListedWorkstation:
    """An entry of ``workstations``: where a workstation's connections come from, as servers see
    it."""

    name: str  # its host name
    networks: tuple[Network, ...]  # a single address is a network of one
    mark: Mark


@dataclass(frozen=True, slots=True)
class Policy:
    """All that a policy says, its bad entries left out."""

    timezone: str
    servers: dict[str, Server]
    consoles: dict[str, Console]
    windows: dict[str, NamedWindow]
    calendars: dict[str, Calendar]
    grants: tuple[Grant, ...]
    skipped: tuple[Skipped, ...]
    workstation: Workstation
    workstations: dict[str, ListedWorkstation] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ParsedPolicy:
    """What came of reading a policy: its good entries, and what was wrong.

    ``policy`` is None where nothing of it may be used. With problems beside a policy, each bad
    entry is skipped whole: there are only grants, so that closes and never opens.
    """

    policy: Policy | None
    problems: tuple[Problem, ...] = field(default=())
