"""The offsets of a time zone over a span of time, from the system's zone database."""

import os
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import TZPATH, ZoneInfo

from conf.intervals import DAY, Offsets

LOCALTIME = "/etc/localtime"
"""The link that says what the workstation's own zone is: localtime(5)."""

_STEP = 3600  # no zone ever changed its offset twice within an hour


class UnknownZone(ValueError):
    """The zone database has no zone of that name."""


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def load_zone(name: str) -> ZoneInfo:
    """The zone of that name; raises UnknownZone."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        raise UnknownZone(name) from None


def clock(instant: int, timezone: str) -> datetime:
    """What the clock in the zone of that name shows at an instant; raises UnknownZone."""
    return datetime.fromtimestamp(instant, load_zone(timezone))


def told(instant: int, timezone: str) -> str:
    """An instant for a person, by the clock in the zone of that name, which it names too."""
    return clock(instant, timezone).strftime("%a %F %T %Z")


def zone_to_tell_in(policys: str | None) -> str:
    """The policy's zone; the workstation's own where there is no usable policy, or the database has
    lost its zone."""
    for name in filter(None, (policys, local_zone_name())):
        try:
            load_zone(name)
        except UnknownZone:
            continue
        return name
    return "UTC"


def local_zone_name() -> str:
    """The name of the workstation's own zone, as timedatectl sets it; UTC where none is set."""
    try:
        target = os.readlink(LOCALTIME)
    except OSError:
        return "UTC"
    _, found, name = target.partition("zoneinfo/")
    return name if found else "UTC"


def zone_file(name: str) -> str | None:
    """The path of the zone's file, or None where the zone doesn't come from the system."""
    for directory in TZPATH:
        path = os.path.join(directory, name)
        if os.path.isfile(path):
            return path
    return None


def instants_of(zone: ZoneInfo, wall_clock: int) -> tuple[int, int]:
    """The first and the last instant at which the zone's clock shows a time, given in seconds
    since 1970-01-01T00:00 by that clock. A time that it skips is the instant of the change."""
    offsets = offsets_between(zone, wall_clock - 2 * DAY, wall_clock + 2 * DAY)
    found = []
    for index, (since, offset) in enumerate(offsets):
        last = index + 1 == len(offsets)
        if since <= wall_clock - offset and (last or wall_clock - offset < offsets[index + 1][0]):
            found.append(wall_clock - offset)
        elif not last and wall_clock - offset >= (change := offsets[index + 1][0]) > (
                wall_clock - offsets[index + 1][1]):
            return change, change
    return found[0], found[-1]


@lru_cache(maxsize=256)
def offsets_between(zone: ZoneInfo, start: int, end: int) -> Offsets:
    """The zone's offsets that hold within [start, end), exact to the second."""

    def offset_at(instant: int) -> int:
        moment = (_EPOCH + timedelta(seconds=instant)).astimezone(zone)
        offset = moment.utcoffset()
        assert offset is not None  # a ZoneInfo always knows
        return offset // timedelta(seconds=1)

    changes = [(start, offset_at(start))]
    instant = start
    while instant < end:
        following = min(instant + _STEP, end)
        if offset_at(following) != changes[-1][1]:
            low, high = instant, following
            while high - low > 1:
                middle = (low + high) // 2
                if offset_at(middle) == changes[-1][1]:
                    low = middle
                else:
                    high = middle
            changes.append((high, offset_at(high)))
        instant = following
    return tuple(change for change in changes if change[0] < end or change[0] == start)
