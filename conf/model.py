"""The policy as Python objects. Every object knows the place it was written at."""

from dataclasses import dataclass, field
from enum import StrEnum

from conf.intervals import Window
from conf.problems import Mark, Problem


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
class Grant:
    """This subject may reach these consoles in these windows; None: always."""

    subject: Subject
    consoles: tuple[Console, ...]
    windows: tuple[Window, ...] | None
    mark: Mark


@dataclass(frozen=True, slots=True)
class Workstation:
    """What holds for the workstation itself; the defaults are the strict side."""

    one_user: bool = True
    services: tuple[str, ...] = ("login", "lightdm", "gdm-password", "sddm")
    require_seat: bool = True
    sudo_password: bool = True


@dataclass(frozen=True, slots=True)
class Policy:
    """All that a policy file says, its bad entries left out."""

    timezone: str
    servers: dict[str, Server]
    consoles: dict[str, Console]
    grants: tuple[Grant, ...]
    workstation: Workstation


@dataclass(frozen=True, slots=True)
class ParsedPolicy:
    """What came of reading a policy: its good entries, and what was wrong.

    ``policy`` is None where nothing of the file may be used. With problems beside a policy, each
    bad entry is skipped whole: there are only grants, so that closes and never opens.
    """

    policy: Policy | None
    problems: tuple[Problem, ...] = field(default=())
