"""Servers: their certificates' authorities, addresses and ports."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from conf.intervals import DAY, Interval
from conf.lint.coming import Coming
from conf.lint.findings import Code, Finding
from conf.model import Console, Policy

SOON = 30 * DAY


@dataclass(frozen=True, slots=True)
class CaFault:
    """Why a CA file can't be used; ``fact`` goes on after the file's name."""

    code: Code
    fact: str
    remedy: str


CaSpans = tuple[Interval, ...]
"""The instants within which each certificate of a CA file is good."""

ReadCa = Callable[[str], CaFault | CaSpans]

Resolved = Mapping[str, frozenset[str] | str]
"""The addresses of each host name in canonical form, or why it has none."""


def ca_files(policy: Policy, coming: Coming, read_ca: ReadCa) -> Iterator[Finding]:
    """Once for each file, at the first server that names it."""
    first = {server.ca_file: server for server in reversed(policy.servers.values())}
    for path, server in first.items():
        outcome = read_ca(path)
        if isinstance(outcome, CaFault):
            yield Finding(outcome.code, server.mark, f"CA file {path} {outcome.fact}",
                          outcome.remedy)
            continue
        # Of several, that which is good longest: an old one may stay beside its successor.
        since, until = max(outcome, key=lambda span: (span[0] <= coming.now, span[1]))
        if coming.now >= until:
            yield Finding(Code.CA_EXPIRED, server.mark,
                          f"CA file {path} has expired at {coming.told(until)}",
                          "put the new one there: until then no console of this server opens")
        elif coming.now < since:
            yield Finding(Code.CA_NOT_YET_VALID, server.mark,
                          f"CA file {path} is not valid before {coming.told(since)}",
                          "put the present one beside it, in the same file, or set this "
                          "machine's clock")
        elif coming.now + SOON >= until:
            yield Finding(Code.CA_EXPIRES_SOON, server.mark,
                          f"CA file {path} expires at {coming.told(until)}",
                          "put the new one beside it, in the same file, before that")


def same_endpoints(policy: Policy) -> Iterator[Finding]:
    """Two names for one console: whoever may reach one of them reaches the other."""
    by_server: dict[tuple[str, int], Console] = {}
    by_address: dict[tuple[str, int], Console] = {}
    for console in policy.consoles.values():
        port = console.tls_port
        first = by_server.setdefault((console.server.name, port), console)
        if first is not console:
            yield Finding(Code.SAME_PORT, console.mark,
                          f"consoles {first.name!r} and {console.name!r} are both port {port} of "
                          f"server {console.server.name!r}: a grant of one opens the other",
                          "mend the port, or delete one of the two")
            continue
        for address in console.server.addresses:
            first = by_address.setdefault((address, port), console)
            if first is not console:
                yield Finding(Code.SHARED_ADDRESS, console.mark,
                              f"consoles {first.name!r} and {console.name!r} are both port {port} "
                              f"of {address}: a grant of one opens the other",
                              f"mend the addresses of {first.server.name!r} or "
                              f"{console.server.name!r}")
                break


def host_names(policy: Policy, resolved: Resolved) -> Iterator[Finding]:
    """Servers whose host name leads elsewhere than the addresses that are guarded."""
    for server in policy.servers.values():
        found = resolved.get(server.host)
        if found is None:
            continue
        if isinstance(found, str):
            yield Finding(Code.UNRESOLVED, server.mark,
                          f"host name {server.host} has no address here: {found}",
                          "add it to DNS or /etc/hosts: the viewer asks for it by name")
            continue
        extra, missing = found - set(server.addresses), set(server.addresses) - found
        if extra:
            yield Finding(Code.ADDRESS_UNGUARDED, server.mark,
                          f"host name {server.host} also leads to {_listed(extra)}, which is not "
                          f"guarded: everybody reaches the consoles there",
                          f"add it to addresses of {server.name!r}, or mend DNS or /etc/hosts")
        if missing:
            yield Finding(Code.ADDRESS_NOT_RESOLVED, server.mark,
                          f"host name {server.host} does not lead to {_listed(missing)}",
                          f"mend DNS or /etc/hosts, or delete it from addresses of "
                          f"{server.name!r} once nothing listens there")


def _listed(addresses: set[str] | frozenset[str]) -> str:
    return ", ".join(sorted(addresses, key=lambda text: (ip_address(text).version, text)))
