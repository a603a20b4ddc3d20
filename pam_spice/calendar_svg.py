"""A chart as one SVG document that needs nothing else: no script, no font, no network.

A console is a row, time runs evenly from left to right, a bar is a subject's; the line below the
bars is missing where nobody may reach the console, and hatched where several may.
"""

from html import escape

from conf.model import Subject
from pam_spice.calendar_colours import COLOURS
from pam_spice.calendar_svgstyle import DEFINITIONS, STYLE, TEXTURES
from pam_spice.chart import HOUR, Bar, Chart, Day, Row, Stretch
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
    under_heading,
    when,
)

PIXELS_PER_HOUR = 7.5
MIN_WIDTH = 2.0
"""Of a bar, in pixels: one of a second is still seen."""

_MARGIN = 16
_LANE = 18
_BAR = 15
_STRIP = 5
_AXIS = 40
_ROWS_PER_AXIS = 12
_LETTER = 6.2
"""The width of a letter in pixels at 11 pixels, rather too much: the reader's font is unknown."""
_NAME = 30
"""The longest name that is written out, in letters."""
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def svg_document(chart: Chart) -> str:
    """A file of its own."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{svg_element(chart)}\n'


def svg_element(chart: Chart) -> str:
    """The element, to be put into a page."""
    return _Drawing(chart).draw()


def texture_and_colour(number: int) -> tuple[str, str]:
    """The classes of the subject of that number: of its texture, empty for a plain one, and of its
    colour."""
    return (TEXTURES[number // len(COLOURS) % len(TEXTURES)], f"ps-c{number % len(COLOURS)}")


def shortened(text: str, length: int) -> str:
    """The text, its middle left out where it is too long: names often differ at their end."""
    if len(text) <= length:
        return text
    tail = (length - 1) // 2
    return f"{text[:length - 1 - tail]}\N{HORIZONTAL ELLIPSIS}{text[len(text) - tail:]}"


class _Drawing:
    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self.parts: list[str] = []
        self.numbers = {subject: number for number, subject in enumerate(chart.subjects)}
        names = [shortened(row.console.name, _NAME) for row in chart.rows]
        places = [self._place(row) for row in chart.rows]
        self.left = 2 * _MARGIN + max(90.0, _LETTER * 1.1 * max(map(len, names), default=0),
                                      _LETTER * 0.9 * max(map(len, places), default=0))
        self.right = self.x(chart.end)
        self.y = 0.0

    def x(self, instant: int) -> float:
        """Where an instant is."""
        return self.left + (instant - self.chart.start) * PIXELS_PER_HOUR / HOUR

    def draw(self) -> str:
        """Everything, from top to bottom."""
        chart = self.chart
        self.y = 30
        self._text(_MARGIN, self.y, heading(chart), "ps-h")
        self._text(_MARGIN, self.y + 19, ". ".join((under_heading(chart), *changes(chart))))
        self.y += 36
        for first in range(0, len(chart.rows), _ROWS_PER_AXIS):
            self._block(chart.rows[first:first + _ROWS_PER_AXIS])
        if not chart.rows:
            self._text(_MARGIN, self.y + 20, nothing(chart))
            self.y += 30
        self._legend()
        width, height = _number(self.right + _MARGIN), _number(self.y + _MARGIN)
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
                f'width="{width}" height="{height}" role="img" '
                f'aria-labelledby="ps-title ps-desc">\n'
                f'<title id="ps-title">{escape(heading(chart))}</title>\n'
                f'<desc id="ps-desc">{escape(self._description())}</desc>\n'
                f"<style>{STYLE}</style>\n{DEFINITIONS}\n"
                f'<rect class="ps-ground" width="{width}" height="{height}"/>\n'
                + "\n".join(self.parts) + "\n</svg>")

    def _description(self) -> str:
        chart = self.chart
        parts = [f"{under_heading(chart)}.", *(f"{change}." for change in changes(chart))]
        for row in chart.rows:
            said = [f"{label(subject)} {when(row.bars_of(subject), chart)}"
                    for subject in row.lanes] or [closed(chart)]
            parts.append(f"{row.console.name}: {', '.join(said)}.")
        return " ".join(parts)

    def _block(self, rows: tuple[Row, ...]) -> None:
        """Some rows below a time axis of their own."""
        self._axis()
        top = self.y
        heights = [max(34, len(set(row.lanes.values())) * _LANE + 6 + _STRIP + 3) for row in rows]
        bottom = top + sum(heights)
        for day in self.chart.days:
            if day.date.weekday() > 4:
                self._rect(self.x(day.start), top, self.x(day.end) - self.x(day.start),
                           bottom - top, "ps-weekend")
        for row, height in zip(rows, heights, strict=True):
            self._overlaps(row, height)
            self.y += height
        self.y = top
        self._grid(top, bottom)
        for row, height in zip(rows, heights, strict=True):
            self._row(row, height)
        self._over_all(top, bottom)
        self.y = bottom + 18

    def _axis(self) -> None:
        base = self.y + _AXIS - 4
        for day in self.chart.days:
            if day.start == day.end:
                continue
            self._text(self.x(day.start) + 3, self.y + 12,
                       f"{day_name(day.date)} {day.date.day} {_MONTHS[day.date.month - 1]}",
                       "ps-day")
            if day.changes:
                change = day.changes[0]
                self._text(self.x(day.end) - 3, self.y + 12,
                           f"{duration(day.end - day.start)}, {clock(change.before)}"
                           f"\N{RIGHTWARDS ARROW}{clock(change.after)}", "ps-change-text ps-end")
            self._hours(day, base)
        self.y += _AXIS

    def _hours(self, day: Day, base: float) -> None:
        taken: list[float] = []
        for hour in sorted(day.hours, key=lambda hour: (not hour.by_change, hour.at)):
            x = self.x(hour.at)
            tall = 5 if hour.number % 3 == 0 else 3
            self._line(x, base, x, base + tall, "ps-tick")
            room = PIXELS_PER_HOUR * (0.9 if hour.by_change else 1.5)
            if (hour.by_change or hour.number % 3 == 0) and all(
                    abs(x - other) > room for other in taken):
                # Those beside a change stand close: 1 and 3 mustn't be read as 13.
                aside = 0 if not hour.by_change else (
                    -1.5 if any(hour.at < change.at for change in day.changes) else 1.5)
                self._text(x + aside, base - 3, str(hour.number),
                           "ps-hour ps-change-text" if hour.by_change else "ps-hour")
                taken.append(x)

    def _grid(self, top: float, bottom: float) -> None:
        for day in self.chart.days:
            for hour in day.hours:
                if hour.number % 6 == 0 and hour.at != day.start:
                    x = self.x(hour.at)
                    self._line(x, top, x, bottom, "ps-hours")
            self._line(self.x(day.start), top - _AXIS + 4, self.x(day.start), bottom, "ps-midnight")
        self._line(self.right, top - _AXIS + 4, self.right, bottom, "ps-midnight")
        self._line(_MARGIN, top, self.right, top, "ps-midnight")

    def _over_all(self, top: float, bottom: float) -> None:
        for day in self.chart.days:
            for change in day.changes:
                self._line(self.x(change.at), top, self.x(change.at), bottom, "ps-change")
        if self.chart.now is not None:
            x = self.x(self.chart.now)
            self._line(x, top - 4, x, bottom + 4, "ps-now")
            text = f"now, {clock_at(self.chart.now - self.chart.now % 60, self.chart)}"
            is_late = x > self.right - 80
            self._text(x - 4 if is_late else x + 4, bottom + 11, text,
                       "ps-now-text ps-end" if is_late else "ps-now-text")

    def _place(self, row: Row) -> str:
        return shortened(f"{row.console.server.name}:{row.console.tls_port}", _NAME + 4)

    def _row(self, row: Row, height: float) -> None:
        self._text(_MARGIN, self.y + 15, shortened(row.console.name, _NAME), "ps-console",
                   row.console.name)
        self._text(_MARGIN, self.y + 27, self._place(row), "ps-small")
        for bar in row.bars:
            self._bar(row, bar, self.y + 4 + row.lanes[bar.subject] * _LANE)
        strip = self.y + height - _STRIP - 3
        several = set(row.overlaps)
        for each in row.stretches:
            if each.subjects:
                self._stretch(each, strip, _STRIP, "ps-several" if each in several else "ps-one")
        self.y += height
        self._line(_MARGIN, self.y, self.right, self.y, "ps-midnight")

    def _overlaps(self, row: Row, height: float) -> None:
        for each in row.overlaps:
            self._stretch(each, self.y + 1, height - 2, "ps-overlap")

    def _stretch(self, each: Stretch, y: float, height: float, style: str) -> None:
        text = f"{labels(each.subjects)}: {when([each], self.chart)}"
        self._rect(self.x(each.start), y, max(MIN_WIDTH, self.x(each.end) - self.x(each.start)),
                   height, style, text)

    def _bar(self, row: Row, bar: Bar, y: float) -> None:
        x, width = self.x(bar.start), max(MIN_WIDTH, self.x(bar.end) - self.x(bar.start))
        texture, colour = texture_and_colour(self.numbers[bar.subject])
        self.parts.append(f"<g><title>{escape(self._about(row, bar))}</title>")
        self._rect(x, y, width, _BAR, f"ps-bar {colour}")
        if texture:
            self._rect(x, y, width, _BAR, f"ps-texture {texture}")
        middle = y + _BAR / 2
        if bar.from_before:
            self._path(f"M{_number(x + 5)} {_number(y + 3)}L{_number(x + 1)} {_number(middle)}"
                       f"L{_number(x + 5)} {_number(y + _BAR - 3)}", "ps-mark")
        if bar.goes_on:
            end = x + width
            self._path(f"M{_number(end - 5)} {_number(y + 3)}L{_number(end - 1)} "
                       f"{_number(middle)}L{_number(end - 5)} {_number(y + _BAR - 3)}", "ps-mark")
        coming = [self.x(other.start) for other in row.bars if other.start >= bar.end
                  and row.lanes[other.subject] == row.lanes[bar.subject]]
        self._bar_text(bar, middle + 4, min([self.right, *coming]))
        self.parts.append("</g>")

    def _bar_text(self, bar: Bar, y: float, free_until: float) -> None:
        """The name where there is room for it, or the letter, if need be behind the bar; again on
        each day that the bar fills."""
        key = self.chart.keys[bar.subject]
        end = self.x(bar.end) - (7 if bar.goes_on else 1)
        free_from = self.x(bar.start)
        for start in (bar.start, *(day.start for day in self.chart.days
                                   if bar.start < day.start < day.end <= bar.end)):
            x = self.x(start) + (8 if bar.from_before and start == bar.start else 3)
            text = next((text for text in (label(bar.subject), key)
                         if x + len(text) * _LETTER <= end), "")
            if text and x > free_from:
                self._text(x, y, text, "ps-name")
                free_from = x + (len(text) + 1) * _LETTER
        behind = max(self.x(bar.end), self.x(bar.start) + MIN_WIDTH) + 2
        if free_from == self.x(bar.start) and behind + 1.3 * _LETTER <= free_until:
            self._text(behind, y, key, "ps-name")

    def _about(self, row: Row, bar: Bar) -> str:
        lines = [f"{label(bar.subject)} on {row.console.name}: {when([bar], self.chart)} "
                 f"({duration(bar.end - bar.start)})"]
        lines += [f"{grant.mark.file}:{grant.mark.line}"
                  + (f": {grant.reason}" if grant.reason else "") for grant in bar.grants]
        return "\n".join(lines)

    def _legend(self) -> None:
        self.y += 4
        has_groups = any(subject.kind == "group" for subject in self.numbers)
        if self.chart.user is None:
            entries = [("ps-one", "one may (line below the bars)"),
                       ("ps-several", "several may at once, and SPICE has one seat"),
                       ("", "no line: nobody may")]
        else:
            entries = [("ps-one", "open (line below the bars)"), ("", "no line: closed")]
        if any(bar.from_before or bar.goes_on for row in self.chart.rows for bar in row.bars):
            entries.append(("ps-mark", "goes on before or after the week"))
        if any(day.changes for day in self.chart.days):
            entries.append(("ps-change", "the clock is changed"))
        if self.chart.now is not None:
            entries.append(("ps-now", "now"))
        if has_groups:
            entries.append(("", "%: a group, whoever is in it"))
        x = float(_MARGIN)
        for style, text in entries:
            if x + 40 + len(text) * _LETTER > self.right:
                x, self.y = _MARGIN, self.y + 20
            x = self._sample(x, style, text)
        self.y += 24
        if self.numbers:
            self._who()

    def _sample(self, x: float, style: str, text: str) -> float:
        y = self.y
        if style in ("ps-one", "ps-several"):
            self._rect(x, y + 3, 22, _STRIP, style)
        elif style == "ps-mark":
            self._path(f"M{_number(x + 7)} {_number(y)}l-4 5l4 5m8 -10l4 5l-4 5", style)
        elif style:
            self._line(x + 11, y - 3, x + 11, y + 12, style)
        start = x + 28 if style else x
        self._text(start, y + 9, text)
        return start + len(text) * _LETTER * 0.95 + 18

    def _who(self) -> None:
        """Every subject's bar, letter and name, in columns."""
        longest = max(len(shortened(label(subject), _NAME)) for subject in self.numbers)
        column = 44 + (longest + 2) * _LETTER
        columns = max(1, int((self.right - _MARGIN) / column))
        for subject, number in self.numbers.items():
            x = _MARGIN + number % columns * column
            y = self.y + number // columns * 20
            self._swatch(x, y, subject)
        self.y += -(-len(self.numbers) // columns) * 20

    def _swatch(self, x: float, y: float, subject: Subject) -> None:
        texture, colour = texture_and_colour(self.numbers[subject])
        self._rect(x, y, 30, _BAR, f"ps-bar {colour}")
        if texture:
            self._rect(x, y, 30, _BAR, f"ps-texture {texture}")
        self._text(x + 12, y + 11.5, self.chart.keys[subject], "ps-name")
        name = label(subject)
        self._text(x + 36, y + 11.5, shortened(name, _NAME), "", name)

    def _text(self, x: float, y: float, text: str, style: str = "", whole: str = "") -> None:
        title = f"<title>{escape(whole)}</title>" if whole not in ("", text) else ""
        self.parts.append(f'<text x="{_number(x)}" y="{_number(y)}"{_class(style)}>{title}'
                          f"{escape(text)}</text>")

    def _rect(self, x: float, y: float, width: float, height: float, style: str,
              text: str = "") -> None:
        head = (f'<rect x="{_number(x)}" y="{_number(y)}" width="{_number(width)}" '
                f'height="{_number(height)}"{_class(style)}')
        self.parts.append(f"{head}><title>{escape(text)}</title></rect>" if text else f"{head}/>")

    def _line(self, x: float, y: float, to_x: float, to_y: float, style: str) -> None:
        self.parts.append(f'<line x1="{_number(x)}" y1="{_number(y)}" x2="{_number(to_x)}" '
                          f'y2="{_number(to_y)}"{_class(style)}/>')

    def _path(self, data: str, style: str) -> None:
        self.parts.append(f'<path d="{data}"{_class(style)}/>')


def _class(style: str) -> str:
    return f' class="{style}"' if style else ""


def _number(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")
