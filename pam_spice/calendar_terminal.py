"""A chart for a terminal: a line a day, a letter for whoever may reach the console. What the
letters are too coarse for stands below, to the second. Works without colour, at 80 columns."""

import textwrap
from collections.abc import Iterator
from itertools import groupby

from rich.console import Console
from rich.style import Style
from rich.text import Text

from pam_spice.calendar_colours import COLOURS
from pam_spice.chart import HOUR, NO_KEY, Chart, Day, Row
from pam_spice.chartwords import (
    changes,
    clock,
    clock_at,
    closed,
    day_name,
    duration,
    heading,
    label,
    labels,
    nothing,
    overlaps,
    reasons,
    total,
    under_heading,
    when,
)

OVERLAP, MIXED = "#", "+"

_LEFT = 8
"""Columns before the first cell: the day, and the mark of a bar from the week before."""

_CELLS = (600, 900, 1800, HOUR)
"""What a cell may stand for, in seconds, the finest first."""

_LONGEST_DAY = 25 * HOUR

_STYLES = [Style(color="#000000", bgcolor=colour.light) for colour in COLOURS]
_OVERLAP_STYLE = Style(bold=True, reverse=True)
_CLOCK_STYLE = Style(bold=True)


def print_chart(chart: Chart, console: Console) -> None:
    """Print it, as wide as the console is. Nothing of it is read as markup."""
    printer = _Printer(chart, console.width, console.encoding)
    for line in printer.lines():
        console.print(line, no_wrap=True, overflow="ignore", crop=False, highlight=False)


class _Printer:
    def __init__(self, chart: Chart, width: int, encoding: str) -> None:
        self.chart = chart
        self.width = width
        self.encoding = encoding
        self.nobody = "\N{MIDDLE DOT}" if encoding.lower().startswith("utf") else "."
        self.cell = next((cell for cell in _CELLS
                          if _LEFT + _LONGEST_DAY // cell + 1 < width), _CELLS[-1])
        self.styles = {subject: _STYLES[number % len(_STYLES)]
                       for number, subject in enumerate(chart.subjects)}

    def lines(self) -> Iterator[Text]:
        """The whole chart."""
        chart = self.chart
        yield self._text(heading(chart), "bold")
        yield self._text(under_heading(chart))
        for change in changes(chart):
            yield self._text(change, _CLOCK_STYLE)
        yield Text()
        yield from self._wrapped("", self._key())
        for row in chart.rows:
            yield Text()
            yield from self._row(row)
        if not chart.rows:
            yield Text()
            yield self._text(nothing(chart))

    def _key(self) -> str:
        parts = ["a letter: who may reach the console", f"{self.nobody} {closed(self.chart)}"]
        if self.chart.user is None:
            parts.append(f"{OVERLAP} several at once, and SPICE has one seat")
        parts.append(f"{MIXED} more than one thing in these {self.cell // 60} minutes")
        parts.append("< > goes on before or after the week")
        if any(subject.kind == "group" for subject in self.chart.subjects):
            parts.append("% a group, whoever is in it")
        if NO_KEY in self.chart.keys.values():
            parts.append(f"{NO_KEY} one of those for whom no letter is left")
        return "; ".join(parts) + "."

    def _row(self, row: Row) -> Iterator[Text]:
        title = self._text(row.console.name, "bold")
        title.append(f"  {row.console.server.name}:{row.console.tls_port}", "dim")
        yield title
        if not row.bars:
            yield self._text(f"  {closed(self.chart)} in this week")
            return
        plain_ruler = None
        for day in self.chart.days:
            ruler = self._ruler(day)
            if ruler != plain_ruler and day.start != day.end:
                yield self._text(ruler, _CLOCK_STYLE if day.changes else "dim")
                plain_ruler = ruler
            yield self._day(row, day)
            if self.chart.now is not None and day.start <= self.chart.now < day.end:
                yield self._now(day, self.chart.now)
        yield from self._list(row)

    def _ruler(self, day: Day) -> str:
        """Full hours above their cells: those beside a change of the clock, then as many as there
        is room for."""
        ruler = [" "] * (_LEFT + -(-(day.end - day.start) // self.cell) + 3)
        step = 3 if self.cell >= 1800 else 1
        wanted = [(hour.at, hour.number) for hour in day.hours if hour.by_change]
        wanted += [(day.end, 24)]
        wanted += [(hour.at, hour.number) for hour in day.hours if hour.number % step == 0]
        for at, number in wanted:
            column = _LEFT + (at - day.start) // self.cell
            text = str(number)
            if all(each == " " for each in ruler[max(0, column - 1):column + len(text) + 1]):
                ruler[column:column + len(text)] = text
        return "".join(ruler).rstrip()

    def _day(self, row: Row, day: Day) -> Text:
        line = self._text(f"{day_name(day.date)} {day.date.day:2d} ")
        if day.start == day.end:
            return line.append(" the clock skips this day", _CLOCK_STYLE)
        bars = [bar for bar in row.bars if bar.start < day.end and day.start < bar.end]
        line.append("<" if any(bar.from_before and bar.start == day.start for bar in bars)
                    else " ")
        cells = [self._cell(row, start, min(start + self.cell, day.end))
                 for start in range(day.start, day.end, self.cell)]
        for (letter, style), alike in groupby(cells):
            line.append(letter * len(list(alike)), style)
        line.append(">" if any(bar.goes_on and bar.end == day.end for bar in bars) else "")
        if day.changes:
            change = day.changes[0]
            line.append(f" {duration(day.end - day.start)}, {clock(change.before)} to "
                        f"{clock(change.after)}", _CLOCK_STYLE)
        return line

    def _cell(self, row: Row, start: int, end: int) -> tuple[str, Style | None]:
        found = [each.subjects for each in row.stretches if each.start < end and start < each.end]
        if row.overlaps and any(len(subjects) > 1 for subjects in found):
            return OVERLAP, _OVERLAP_STYLE
        present = [subjects[0] for subjects in found if subjects]
        if not present:
            return self.nobody, None
        if len(set(present)) > 1 or () in found[1:-1]:
            return MIXED, Style(bold=True)
        return self.chart.keys[present[0]], self.styles[present[0]]

    def _now(self, day: Day, now: int) -> Text:
        column = _LEFT + (now - day.start) // self.cell
        text = f"now, {clock_at(now - now % 60, self.chart)}"
        line = (f"{'':{column}}^ {text}" if column + 3 + len(text) < self.width
                else f"{f'{text} ^':>{column + 1}}")
        return self._text(line, "bold")

    def _list(self, row: Row) -> Iterator[Text]:
        """Who, how long, and exactly when."""
        chart = self.chart
        for subject in row.lanes:
            bars = row.bars_of(subject)
            why = "".join(f" ({reason})" for reason in reasons(row, subject))
            yield from self._entry(chart.keys[subject], label(subject), total(bars),
                                   when(bars, chart) + why, self.styles[subject])
        for subjects, stretches in overlaps(row):
            yield from self._entry(OVERLAP, "overlap", total(stretches),
                                   f"{labels(subjects)}: {when(stretches, chart)}",
                                   _OVERLAP_STYLE)
        if row.gaps:
            yield from self._entry(self.nobody, closed(chart), total(row.gaps),
                                   when(row.gaps, chart))

    def _entry(self, key: str, name: str, amount: str, text: str,
               style: Style | None = None) -> Iterator[Text]:
        names = (len(label(subject)) for subject in self.chart.subjects)
        lead = f"  {key} {name:{min(24, max(7, *names, 0))}}  {amount:>8}  "
        for number, line in enumerate(self._wrapped(lead, text)):
            if number == 0 and style is not None:
                line.stylize(style, 2, 3)
            yield line

    def _wrapped(self, lead: str, text: str) -> Iterator[Text]:
        for line in textwrap.wrap(text, max(self.width, len(lead) + 24), initial_indent=lead,
                                  subsequent_indent=" " * len(lead), break_on_hyphens=False):
            yield self._text(line)

    def _text(self, text: str, style: Style | str = "") -> Text:
        # Not every terminal has every character of a reason.
        return Text(text.encode(self.encoding, "replace").decode(self.encoding), style)
