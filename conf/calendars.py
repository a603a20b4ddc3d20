"""Dates and public holidays, as spans of days counted from 1970-01-01.

Public holidays come from the library ``holidays``, which is imported only where a policy names a
code of it: it takes a second. Its calls changed with version 0.14; Debian 12 has 0.10.
"""

import os
import re
import sys
from collections.abc import Callable, Iterable
from datetime import date
from functools import lru_cache, partial
from types import ModuleType

from conf.intervals import DAY, Dates

CODE = re.compile(r"([A-Z]{2})(?:-([A-Z0-9]{1,3}))?", re.ASCII)
"""ISO 3166-1, and the part of ISO 3166-2 behind the hyphen."""

FIRST_YEAR, LAST_YEAR = 1971, 2399

_EPOCH = date(1970, 1, 1).toordinal()


class UnknownHolidays(ValueError):
    """There are no public holidays of that code: ``remedy`` says what to do."""

    def __init__(self, fact: str, remedy: str) -> None:
        super().__init__(fact)
        self.fact = fact
        self.remedy = remedy


def library_paths() -> list[str]:
    """Where the library is or would be."""
    return [os.path.join(directory, "holidays") for directory in sys.path
            if directory.endswith("-packages")]


def day_number(day: date) -> int:
    """The days from 1970-01-01 to this one."""
    return day.toordinal() - _EPOCH


def date_of(number: int) -> date:
    """The inverse of day_number; raises OverflowError or ValueError beyond the year 9999."""
    return date.fromordinal(number + _EPOCH)


@lru_cache(maxsize=1024)
def check_code(code: str) -> None:
    """Raises UnknownHolidays."""
    _year_of(code, 2026)


def holiday_dates(code: str, start: int, end: int) -> tuple[Dates, ...]:
    """The public holidays of all years that [start, end), in seconds since the epoch, touches. It
    begins two days earlier: a window may have begun the day before, and the local clock may be
    behind. Raises UnknownHolidays."""
    years = range(date_of(start // DAY - 2).year, date_of(end // DAY + 1).year + 1)
    return tuple((day, day) for year in years if FIRST_YEAR <= year <= LAST_YEAR
                 for day in _year_of(code, year))


@lru_cache(maxsize=4096)
def _year_of(code: str, year: int) -> tuple[int, ...]:
    match = CODE.fullmatch(code)
    if not match:
        raise UnknownHolidays(f"{code!r} is not a code of public holidays",
                              "write a country (DE) or a part of one (DE-BY)")
    try:
        import holidays
    except ImportError:
        raise UnknownHolidays(f"the public holidays of {code} can't be told: the Python library "
                              f"holidays is not installed",
                              "apt install python3-holidays") from None
    country, part = match.groups()
    try:
        calendar, parts = _calendar_of(holidays, country)
        if part is not None and part not in parts:
            raise UnknownHolidays(f"the library holidays knows no {code}",
                                  f"{country} has {', '.join(sorted(parts))}" if parts else
                                  f"write {country} alone")
        found = calendar(years=year, **({parts[part]: part} if part else {}))
        return tuple(sorted(day_number(day) for day in found))
    except (NotImplementedError, KeyError):
        raise UnknownHolidays(f"the library holidays knows no {country}",
                              "write a country (DE) or a part of one (DE-BY)") from None
    except UnknownHolidays:
        raise
    except Exception as error:  # a country's rules are code of the library's, and can be broken
        raise UnknownHolidays(f"the library holidays fails at {code} in {year}: {error!r}",
                              "leave it out, and write the dates") from None


def _calendar_of(holidays: ModuleType, country: str) -> tuple[Callable[..., Iterable[date]],
                                                              dict[str, str]]:
    """What makes the country's holidays, and its parts, each with the parameter that names it.
    Raises KeyError or NotImplementedError for an unknown country."""
    if hasattr(holidays, "country_holidays"):
        parts = holidays.country_holidays(country).subdivisions
        return partial(holidays.country_holidays, country), dict.fromkeys(parts, "subdiv")
    calendar = vars(holidays)[country]
    return calendar, {part: key for key, names in (("prov", "PROVINCES"), ("state", "STATES"))
                      for part in getattr(calendar, names, ())}
