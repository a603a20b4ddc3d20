"""What is open when: from one session's record and an instant. Pure."""

from __future__ import annotations

from conf.intervals import DAY, Interval, Offsets, merged

TYPE_CHECKING = False  # see launcher
if TYPE_CHECKING:
    from collections.abc import Iterable

    from conf.grantline import GrantLine
    from session.records import Record

HORIZON = 60 * DAY
"""Seconds to look ahead. A record's offsets serve longer at first: they are made for 400 days and
made anew every 180. A session that outlives them has no windows any more."""

_UTC: Offsets = ((0, 0),)


class Console:
    """One of the user's consoles, as it is at one instant."""

    __slots__ = ("addresses", "ca_file", "host", "is_open", "name", "next", "port", "until", "zone",
                 "zone_name")

    def __init__(self, name: str, host: str, port: int, ca_file: str, is_open: bool,
                 until: int | None, next_: int | None, zone: Offsets, zone_name: str = "",
                 addresses: tuple[str, ...] = ()) -> None:
        self.name = name
        self.host = host
        self.port = port
        self.ca_file = ca_file
        self.is_open = is_open
        self.until = until  # when it closes, if it is open; None: no end within the horizon
        self.next = next_  # when it opens next, if it is closed; None: not within the horizon
        self.zone = zone  # in which its times are told
        self.zone_name = zone_name
        self.addresses = addresses  # its server's

    def endless(self) -> Console:
        """The same, open, without an end."""
        return Console(self.name, self.host, self.port, self.ca_file, True, None, None, self.zone,
                       self.zone_name, self.addresses)


def consoles_of(record: Record, now: float) -> list[Console]:
    """The record's consoles by name, as they are at ``now`` (seconds since the epoch)."""
    by_name: dict[str, list[GrantLine]] = {}
    for grant in record.grants:
        by_name.setdefault(grant.console, []).append(grant)
    return [_console(grants, record.offsets, int(now)) for _, grants in sorted(by_name.items())]


def _console(grants: list[GrantLine], offsets: dict[str, Offsets], now: int) -> Console:
    horizon = now + HORIZON
    intervals: list[Interval] = []
    for grant in grants:
        intervals += grant.open_in(offsets, now, horizon)
    intervals = merged(intervals)
    is_open = bool(intervals) and intervals[0][0] <= now
    until = intervals[0][1] if is_open and intervals[0][1] < horizon else None
    upcoming = intervals[0][0] if intervals and not is_open else None
    one = grants[0]
    zone = _zone(grants, offsets)
    return Console(one.console, one.host, one.port, one.ca_file, is_open, until, upcoming,
                   offsets.get(zone, _UTC), zone, one.addresses)


def _zone(grants: Iterable[GrantLine], offsets: dict[str, Offsets]) -> str:
    for grant in grants:
        for zone, _, _ in grant.windows or ():
            return zone
    return next(iter(offsets), "UTC")  # the policy's own
