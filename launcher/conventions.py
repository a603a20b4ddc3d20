"""How the person writes dates and times: by his locale, LC_TIME.

The names of days are in the language of the sentence (``words``), not of LC_TIME.
"""

from __future__ import annotations

import _locale
import time

TYPE_CHECKING = False  # see launcher
if TYPE_CHECKING:
    from collections.abc import Callable

ISO = "%Y-%m-%d"


class Conventions:
    """Patterns as of strftime(3), and the workstation's zone."""

    __slots__ = ("clock", "date", "offset", "seconds")

    def __init__(self, date: str = ISO, has_half_days: bool = False,
                 offset: Callable[[int], int | None] = lambda _: None) -> None:
        self.date = date
        self.clock = "%I:%M %p" if has_half_days else "%H:%M"
        self.seconds = "%I:%M:%S %p" if has_half_days else "%H:%M:%S"
        self.offset = offset  # seconds east of UTC at an instant; None: not known


def date_pattern(locale_s: str) -> str:
    """The locale's own (D_FMT) where it is plain numbers; else ISO 8601's, as in the C locale,
    which would have the American one."""
    fields = locale_s.split("%")[1:]
    is_plain = sorted(field[:1].lower().replace("e", "d") for field in fields) == ["d", "m", "y"]
    rest = "".join(field[1:] for field in fields)
    if not is_plain or locale_s[:1] != "%" or rest.strip(" ./-"):
        return ISO
    return locale_s.replace("%y", "%Y")


def has_half_days(locale_s: str) -> bool:
    """Whether the locale's clock (T_FMT) has twelve hours, and AM and PM."""
    return any(field in locale_s for field in ("%r", "%I", "%l", "%p"))


_here: Conventions | None = None


def conventions() -> Conventions:
    """Those of this process's environment."""
    global _here
    if _here is None:
        _here = Conventions(*_of_locale(), lambda instant: time.localtime(instant).tm_gmtoff)
    return _here


def adopt(others: Conventions | None) -> None:
    """From now on those; None: of the environment again."""
    global _here
    _here = others


def _of_locale() -> tuple[str, bool]:
    try:
        name = _locale.setlocale(_locale.LC_TIME, "")
    except _locale.Error:  # type: ignore[attr-defined]  # it is not installed
        return ISO, False
    date, clock = _locale.nl_langinfo(_locale.D_FMT), _locale.nl_langinfo(_locale.T_FMT)
    _locale.setlocale(_locale.LC_TIME, "C")  # strftime(3) is to stay as it was
    if name.partition(".")[0] in ("C", "POSIX"):
        return ISO, False
    return date_pattern(date), has_half_days(clock)
