"""A policy to the form that logins read; see ``conf.lookup`` for the form."""

import hashlib
import os
import time
from collections.abc import Sequence
from zlib import crc32

from conf.calendars import library_paths
from conf.deciding import excepted_days, is_for
from conf.files import write_atomically
from conf.grantline import GrantLine, format_grant, format_offsets
from conf.intervals import UNKNOWN, Offsets, joined_ranges
from conf.lookup import FORMAT, SKIPPED, CompiledPolicy, Endpoint, Unusable, stamp
from conf.model import Grant, Policy, Skipped, Workstation
from conf.parser import parse_files
from conf.sources import directory_of, paths_of, read_trusted
from conf.zones import LOCALTIME, load_zone, offsets_between, zone_file

_DAY = 86400
_REACH = 400 * _DAY
"""How far ahead zones and public holidays are looked up: their rules change, and a session keeps
what was compiled for as long as it lives. Beyond, no window is open."""

_TICK = 10_000_000  # nanoseconds: CONFIG_HZ is 100 at least
_RECOMPILE_AFTER = 180 * _DAY

MISSING = "missing"
UNUSABLE = "unusable"
NO_REVISION = "none"
WITH_PROBLEMS = "with-problems"
VALID = "valid"


class Source:
    """A policy as it was read in one go: its files' stamps, its text and what they mean."""

    def __init__(self, path: str, owner: int = 0) -> None:
        # Taken before reading: if a file changes meanwhile, its stamp is stale, not the policy.
        watched = [directory_of(path), *paths_of(path)[0]]
        _let_the_clock_tick(watched)
        self.stamps = [(each, stamp(each)) for each in watched]
        self.is_missing = (path, "-") in self.stamps
        contents = read_trusted(path, owner)
        digest = hashlib.sha256()
        for name, data in contents:
            text = data if isinstance(data, bytes) else data.fact.encode()
            digest.update(b"%d %d %s%s" % (len(name), len(text), name.encode(), text))
        self.revision = NO_REVISION if self.is_missing else digest.hexdigest()[:12]
        self.parsed = parse_files(contents)

    def is_current(self) -> bool:
        """Whether its files are as they were when it was read."""
        return all(stamp(path) == then for path, then in self.stamps)

    @property
    def outcome(self) -> str:
        """MISSING, UNUSABLE, WITH_PROBLEMS or VALID."""
        if self.is_missing:
            return MISSING
        if self.parsed.policy is None:
            return UNUSABLE
        return WITH_PROBLEMS if self.parsed.problems else VALID


def _let_the_clock_tick(files: list[str]) -> None:
    """Wait until an edit would get another time than the files have.

    The kernel gives files the time of its last tick: two edits within 4 ms can look like one.
    """
    for file in files:
        try:
            age = time.time_ns() - os.stat(file).st_ctime_ns
        except OSError:
            continue
        if 0 <= age < _TICK:
            time.sleep(_TICK / 1e9)


def grant_lines(grant: Grant, start: int, end: int) -> list[GrantLine]:
    """A grant as its lines, one a console, with the public holidays of [start, end)."""
    windows = None if grant.schedules is None else tuple(
        (schedule.timezone, schedule.windows, excepted_days(schedule.exceptions, start, end))
        for schedule in grant.schedules)
    return [GrantLine(str(grant.subject), console.name, console.server.name, console.server.host,
                      console.tls_port, console.server.addresses, console.server.ca_file, windows,
                      f"{grant.mark.file}:{grant.mark.line}", grant.valid)
            for console in grant.consoles]


def guarded_endpoints(policy: Policy | None) -> list[Endpoint]:
    """Every guarded (address, first port, last port) of the policy."""
    return [(address, low, high) for server in (policy.servers.values() if policy else ())
            for address in server.addresses for low, high in server.guarded_ports]


def compile_policy(source: Source, target: str, now: int, owner: int = 0,
                   guarded: Sequence[Endpoint] = ()) -> CompiledPolicy:
    """Write the compiled form of ``source`` to ``target`` and open it.

    What was guarded before stays guarded until a policy without problems drops it: a typing error
    in a server's entry must not open that server. ``guarded`` is what was, by another witness than
    ``target``, which may be lost.

    Raises OSError where the file can't be written, Unusable where it can't be read back.
    """
    policy = source.parsed.policy
    endpoints = guarded_endpoints(policy)
    if source.outcome != VALID:
        endpoints += [*_endpoints_before(target, owner), *guarded]
    endpoints = _without_overlaps(endpoints)
    workstation = policy.workstation if policy else _workstation_before(target, owner)
    # A policy without a zone of its own is meant in the workstation's.
    sources = [*source.stamps, (LOCALTIME, stamp(LOCALTIME))]
    zones: list[tuple[str, str]] = []
    lines: list[str] = []
    host = os.uname().nodename
    if policy:
        grants = [grant for grant in policy.grants if is_for(grant, host)]
        start, end = now - 2 * _DAY, now + _REACH
        others = {schedule.timezone for grant in grants for schedule in grant.schedules or ()}
        for zone in [policy.timezone, *sorted(others - {policy.timezone})]:
            if path := zone_file(zone):
                sources.append((path, stamp(path)))
            zones.append((zone, format_offsets(_offsets(zone, start, end))))
        lines = [format_grant(line) for grant in grants for line in grant_lines(grant, start, end)]
        lines += [_skipped_line(skipped) for skipped in policy.skipped if skipped.subject]
        if policy.skipped or any(schedule.exceptions.holidays for grant in grants
                                 for schedule in grant.schedules or ()):
            # It may be what an entry was skipped for, and be installed or updated later.
            sources += [(path, stamp(path)) for path in library_paths()]
    body = b"".join(sorted(line.encode() + b"\n" for line in lines))
    header = "\n".join([
        FORMAT,
        f"revision {source.revision}",
        f"outcome {source.outcome}",
        f"workstation {host}",
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


def _offsets(zone: str, start: int, end: int) -> Offsets:
    return (*offsets_between(load_zone(zone), start, end), (end, UNKNOWN))


def _skipped_line(skipped: Skipped) -> str:
    mark, fact = skipped.problem.mark, skipped.problem.fact
    return f"{SKIPPED}{skipped.subject}\t{mark.file}:{mark.line}\t{fact}".replace("\n", " ")


def _endpoints_before(target: str, owner: int) -> list[Endpoint]:
    try:
        return CompiledPolicy(target, owner).endpoints
    except Unusable:
        return []


def _workstation_before(target: str, owner: int) -> Workstation:
    """A typing error must not change what holds for those who are logged in."""
    try:
        before = CompiledPolicy(target, owner)
    except Unusable:
        return Workstation()
    return Workstation(before.settings.one_user, before.settings.services,
                       before.settings.require_seat, before.sudo_password)


def _without_overlaps(endpoints: list[Endpoint]) -> list[Endpoint]:
    by_address: dict[str, list[tuple[int, int]]] = {}
    for address, low, high in endpoints:
        by_address.setdefault(address, []).append((low, high))
    return [(address, low, high) for address, ranges in sorted(by_address.items())
            for low, high in joined_ranges(ranges)]
