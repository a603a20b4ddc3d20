"""Zones whose clocks do odd things, and the instants at which they do them."""

from datetime import UTC, datetime
from functools import cache
from zoneinfo import available_timezones

from tests.oracle.wallclock import DAY, changes_between, offset_at

_WEEK = 7 * DAY

ODD_YEARS: dict[str, tuple[int, ...]] = {
    "Africa/Cairo": (2010, 2014, 2023),  # four changes in a year; midnight that doesn't exist
    "Africa/Casablanca": (2018, 2026, 2031),  # back for Ramadan
    "Africa/El_Aaiun": (2025,),
    "Africa/Juba": (2021,),
    "Africa/Monrovia": (1972,),  # an offset of 44:30 until then
    "Africa/Windhoek": (1994, 2017),  # negative DST in the zone's source
    "America/Anchorage": (1983,),  # two hours at once
    "America/Argentina/San_Luis": (2008, 2009),
    "America/Caracas": (2007, 2016),  # half an hour for good
    "America/Havana": (2026,),  # midnight that doesn't exist
    "America/Metlakatla": (2015, 2018, 2019),
    "America/New_York": (1974, 2007, 2026),
    "America/Nuuk": (2023, 2024),
    "America/Port-au-Prince": (2026,),
    "America/Santiago": (2022, 2026),  # midnight that comes twice
    "America/Sao_Paulo": (2018, 2019),  # midnight that doesn't exist
    "America/Scoresbysund": (2024,),  # change of offset and of DST at once
    "America/St_Johns": (1988, 2010, 2026),  # two hours of DST; change at 00:01
    "Antarctica/Casey": (2018, 2020, 2023),
    "Antarctica/Troll": (2005, 2026),
    "Asia/Amman": (2022,),  # DST for good
    "Asia/Beirut": (2023, 2026),
    "Asia/Colombo": (1996, 2006),
    "Asia/Damascus": (2022,),
    "Asia/Dhaka": (2009,),  # DST that ended at 24:00 of the year's last day
    "Asia/Gaza": (2011, 2023, 2026),  # by the days of Ramadan
    "Asia/Kathmandu": (1985,),  # a quarter of an hour
    "Asia/Kolkata": (),
    "Asia/Pyongyang": (2015, 2018),
    "Asia/Singapore": (1981,),  # half an hour
    "Asia/Tehran": (1979, 2022),
    "Australia/Eucla": (2008,),
    "Australia/Lord_Howe": (1981, 1985, 2026),  # half an hour of DST
    "Europe/Berlin": (1980, 2024, 2026, 2037, 2038),
    "Europe/Dublin": (2026,),  # negative DST
    "Europe/Istanbul": (2014, 2016),
    "Europe/Lisbon": (1992, 1996),
    "Europe/Moscow": (1991, 2011, 2014),
    "Europe/Volgograd": (2018, 2020),
    "Pacific/Apia": (2011, 2012, 2021),  # 2011-12-30 doesn't exist
    "Pacific/Auckland": (2026,),
    "Pacific/Bougainville": (2014,),
    "Pacific/Chatham": (2026,),
    "Pacific/Enderbury": (1979, 1994),  # 1994-12-31 doesn't exist
    "Pacific/Fakaofo": (2011,),
    "Pacific/Fiji": (2020, 2021),
    "Pacific/Kiritimati": (1979, 1994),
    "Pacific/Kwajalein": (1993,),  # 1993-08-21 doesn't exist
    "Pacific/Marquesas": (),
    "Pacific/Norfolk": (2015, 2019),
    "UTC": (),
}

_NOTABLE = ("2024-02-29T12:00", "2024-03-31T00:00", "2026-04-03T12:00", "2026-12-24T12:00",
            "2027-01-01T00:00", "2029-01-01T00:00", "2038-01-19T03:14:08", "2100-02-28T12:00",
            "2399-12-31T00:00")
"""Leap days, holidays, ends of years and weeks, of 32 bits, and of the calendar."""


def _instant(year: int) -> int:
    return int(datetime(year, 1, 1, tzinfo=UTC).timestamp())


@cache
def odd_by_rule() -> dict[str, tuple[str, ...]]:
    """Of all zones that there are: those whose offset in 2020 to 2027 is not always a whole hour,
    or changes by another step than an hour, or in other months in one year than in another. Each
    with those that can't be told from it in that time."""
    start, end = _instant(2020), _instant(2028)
    alike: dict[tuple[int, ...], list[str]] = {}
    for zone in sorted(available_timezones() - {"localtime", "Factory"}):
        alike.setdefault(tuple(offset_at(zone, instant) for instant in range(start, end, _WEEK)),
                         []).append(zone)
    odd = {}
    for offsets, zones in alike.items():
        months: dict[int, list[int]] = {year: [] for year in range(2020, 2028)}
        for change in changes_between(zones[0], start, end, _WEEK):
            moment = datetime.fromtimestamp(change - 1, UTC)
            months[moment.year].append(moment.month)
        steps = {abs(after - before) for before, after in zip(offsets, offsets[1:], strict=False)}
        if (any(offset % 3600 for offset in offsets) or steps - {0, 3600}
                or any(found != months[2020] for found in months.values())):
            odd[zones[0]] = tuple(zones)
    return odd


def zones_with_oddities() -> list[str]:
    """Those named above, and those found by rule unless one of those like them is named."""
    return sorted(set(ODD_YEARS) | {zone for zone, alike in odd_by_rule().items()
                                    if not set(alike) & set(ODD_YEARS)})


def changes_in(zone: str, year: int) -> tuple[int, ...]:
    """The instants of a year at which a zone's clock is put forward or back."""
    return changes_between(zone, _instant(year), _instant(year + 1), DAY)


@cache
def changes_of(zone: str) -> tuple[int, ...]:
    """The instants at which a zone's clock is put forward or back, in its odd years."""
    years = ODD_YEARS.get(zone, ())
    found = {change for year in years for change in changes_in(zone, year)}
    if zone in odd_by_rule() or not years:
        found |= set(changes_between(zone, _instant(2020), _instant(2028), _WEEK))
    return tuple(sorted(found))


@cache
def other_moments(zone: str) -> tuple[int, ...]:
    """Ends of years by a zone's clock, and what is notable everywhere."""
    found = {_instant(year + 1) - offset_at(zone, _instant(year + 1))
             for year in (*ODD_YEARS.get(zone, ()), 2026)}
    found |= {int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
              for text in _NOTABLE}
    return tuple(sorted(found))
