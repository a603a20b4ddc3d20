"""Instants and spans for a reader, by the clock of one zone. Pure."""

from datetime import UTC, datetime
from html import escape

from conf.times import DAYS
from conf.zones import clock
from pam_spice.chartwords import duration
from pam_spice.report.sessions import Span

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Clock:
    """Writes times as HTML; the exact instant, in UTC, is their attribute."""

    def __init__(self, zone: str) -> None:
        self.zone = zone

    def day(self, instant: int) -> str:
        """Like Tue 24 Nov 2026."""
        at = self._at(instant)
        return f"{DAYS[at.weekday()]} {at.day} {_MONTHS[at.month - 1]} {at.year}"

    def text(self, instant: int) -> str:
        """Like Tue 24 Nov 2026 18:54; with seconds where there are any."""
        return f"{self.day(instant)} {self._time(instant)}"

    def time(self, instant: int) -> str:
        """An element."""
        return _element(instant, self._short(instant))

    def span(self, span: Span) -> str:
        """Two elements; of the second the day is left out where it is the first's."""
        same_day = self._at(span.start).date() == self._at(span.end).date()
        end = self._time(span.end) if same_day else self._short(span.end)
        return f"{self.time(span.start)}\N{EN DASH}{_element(span.end, end)}"

    def _at(self, instant: int) -> datetime:
        return clock(instant, self.zone)

    def _short(self, instant: int) -> str:
        return f"{self.day(instant).rpartition(' ')[0]} {self._time(instant)}"

    def _time(self, instant: int) -> str:
        at = self._at(instant)
        text = at.strftime("%H:%M:%S").removesuffix(":00")
        # An hour that comes twice has to say which of the two it is.
        comes_twice = at.replace(fold=1 - at.fold).utcoffset() != at.utcoffset()
        return f"{text} {at.tzname()}" if comes_twice else text


def _element(instant: int, text: str) -> str:
    machine = datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f'<time datetime="{machine}">{escape(text)}</time>'


def total(spans: tuple[Span, ...]) -> str:
    """How long they are together."""
    return duration(sum(span.length for span in spans))
