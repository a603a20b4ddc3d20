"""A policy to the form that logins read; see ``conf.lookup`` for the form."""

import hashlib
import os
from zlib import crc32

from conf.files import FileRefused, open_trusted, read_all, write_atomically
from conf.grantline import GrantLine, format_grant, format_offsets
from conf.intervals import joined_ranges
from conf.lookup import FORMAT, CompiledPolicy, Endpoint, Unusable, stamp
from conf.model import Grant, ParsedPolicy, Policy, Workstation
from conf.parser import parse_policy
from conf.problems import Mark, Problem
from conf.zones import LOCALTIME, load_zone, offsets_between, zone_file

_DAY = 86400
_OFFSETS_REACH = 400 * _DAY
_RECOMPILE_AFTER = 180 * _DAY

MISSING = "missing"
UNUSABLE = "unusable"
WITH_PROBLEMS = "with-problems"
VALID = "valid"


class Source:
    """A policy file as it was read in one go: stamp, text and what they mean."""

    def __init__(self, path: str, owner: int = 0) -> None:
        self.path = path
        # Taken before reading: if the file changes meanwhile, the stamp is stale, not the policy.
        self.stamp = stamp(path)
        self.revision = "none"
        data = b""
        try:
            descriptor = open_trusted(path, owner)
            try:
                data = read_all(descriptor)
            finally:
                os.close(descriptor)
        except FileRefused as error:
            self.parsed = _unreadable(path, error.fact, error.remedy)
        except (OSError, ValueError) as error:
            self.parsed = _unreadable(path, f"can't be read: {error}", "see `pam-spice check`")
        else:
            self.revision = hashlib.sha256(data).hexdigest()[:12]
            self.parsed = parse_policy(data, path)

    @property
    def outcome(self) -> str:
        """MISSING, UNUSABLE, WITH_PROBLEMS or VALID."""
        if self.stamp == "-":
            return MISSING
        if self.parsed.policy is None:
            return UNUSABLE
        return WITH_PROBLEMS if self.parsed.problems else VALID


def _unreadable(path: str, fact: str, remedy: str) -> ParsedPolicy:
    return ParsedPolicy(None, (Problem(Mark(path, 1, 1), fact, remedy),))


def grant_lines(policy: Policy, grant: Grant) -> list[GrantLine]:
    """A grant as its lines, one a console."""
    windows = None if grant.windows is None else ((policy.timezone, grant.windows),)
    return [GrantLine(str(grant.subject), console.name, console.server.name, console.server.host,
                      console.tls_port, console.server.addresses, console.server.ca_file, windows,
                      f"{grant.mark.file}:{grant.mark.line}")
            for console in grant.consoles]


def guarded_endpoints(policy: Policy | None) -> list[Endpoint]:
    """Every guarded (address, first port, last port) of the policy."""
    return [(address, low, high) for server in (policy.servers.values() if policy else ())
            for address in server.addresses for low, high in server.guarded_ports]


def compile_policy(source: Source, target: str, now: int, owner: int = 0) -> CompiledPolicy:
    """Write the compiled form of ``source`` to ``target`` and open it.

    What was guarded before stays guarded until a policy without problems drops it: a typing error
    in a server's entry must not open that server.

    Raises OSError where the file can't be written, Unusable where it can't be read back.
    """
    policy = source.parsed.policy
    endpoints = guarded_endpoints(policy)
    if source.outcome != VALID:
        endpoints += _endpoints_before(target, owner)
    endpoints = _without_overlaps(endpoints)
    workstation = policy.workstation if policy else Workstation()
    # A policy without a zone of its own is meant in the workstation's.
    sources = [(source.path, source.stamp), (LOCALTIME, stamp(LOCALTIME))]
    zones: list[tuple[str, str]] = []
    lines: list[bytes] = []
    if policy:
        path = zone_file(policy.timezone)
        if path:
            sources.append((path, stamp(path)))
        reach = offsets_between(load_zone(policy.timezone), now - 2 * _DAY, now + _OFFSETS_REACH)
        zones.append((policy.timezone, format_offsets(reach)))
        lines = sorted(format_grant(line).encode() + b"\n"
                       for grant in policy.grants for line in grant_lines(policy, grant))
    body = b"".join(lines)
    header = "\n".join([
        FORMAT,
        f"revision {source.revision}",
        f"outcome {source.outcome}",
        f"since {now - _DAY}",
        f"expires {now + _RECOMPILE_AFTER}",
        f"one_user {workstation.one_user:d}",
        f"require_seat {workstation.require_seat:d}",
        f"sudo_password {workstation.sudo_password:d}",
        f"services {','.join(workstation.services)}",
        f"size {len(body)}",
        *(f"source {then} {path}" for path, then in sources),
        *(f"zone {name} {offsets}" for name, offsets in zones),
        *(f"guarded {address} {low} {high}" for address, low, high in endpoints),
    ]).encode() + b"\n"
    write_atomically(target, header + b"check %08x\n" % crc32(header) + body)
    return CompiledPolicy(target, owner)


def _endpoints_before(target: str, owner: int) -> list[Endpoint]:
    try:
        return CompiledPolicy(target, owner).endpoints
    except Unusable:
        return []


def _without_overlaps(endpoints: list[Endpoint]) -> list[Endpoint]:
    by_address: dict[str, list[tuple[int, int]]] = {}
    for address, low, high in endpoints:
        by_address.setdefault(address, []).append((low, high))
    return [(address, low, high) for address, ranges in sorted(by_address.items())
            for low, high in joined_ranges(ranges)]
