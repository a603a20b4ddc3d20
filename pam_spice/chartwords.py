"""What a chart shows, in words: as exact as the policy, to the second. Pure."""

from collections.abc import Iterable, Sequence
from datetime import date
from itertools import groupby

from conf.intervals import DAY
from conf.model import Subject, SubjectKind
from conf.times import DAYS
from pam_spice.chart import HOUR, Bar, Chart, Row, Stretch

ALL_WEEK = "all week"


def label(subject: Subject) -> str:
    """A user's name; a group's as sudoers writes it, for its members aren't known."""
    return f"%{subject.name}" if subject.kind == SubjectKind.GROUP else subject.name


def labels(subjects: Iterable[Subject]) -> str:
    """Several at once."""
    return " + ".join(map(label, subjects))


def day_name(day: date) -> str:
    """Mon, whatever the locale."""
    return DAYS[day.weekday()]


def duration(seconds: int) -> str:
    """Like 4 h, 4:30 h or 4:30:01 h."""
    minutes, rest = divmod(seconds, 60)
    text = f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
    return f"{text.removesuffix(':00').removesuffix(':00')} h"


def total(spans: Iterable[Bar | Stretch]) -> str:
    """How long they are together."""
    return duration(sum(span.end - span.start for span in spans))


def reasons(row: Row, subject: Subject) -> list[str]:
    """The reasons that the policy gives for the subject's bars."""
    return list(dict.fromkeys(grant.reason for bar in row.bars_of(subject)
                              for grant in bar.grants if grant.reason))


def overlaps(row: Row) -> list[tuple[tuple[Subject, ...], list[Stretch]]]:
    """Who overlaps with whom, and when."""
    found: dict[tuple[Subject, ...], list[Stretch]] = {}
    for each in row.overlaps:
        found.setdefault(each.subjects, []).append(each)
    return list(found.items())


def changes(chart: Chart) -> list[str]:
    """How the clock is set in this week."""
    found = []
    for day in chart.days:
        where = f"{day_name(day.date)} {day.date}"
        if day.start == day.end:
            found.append(f"{where} is skipped by the clock")
        for change in day.changes:
            found.append(f"{where} has {duration(day.end - day.start)}: {clock(change.before)} "
                         f"{change.name_before} becomes {clock(change.after)} {change.name_after}")
    return found


def clock(wall_clock: int) -> str:
    """HH:MM, or HH:MM:SS where it has seconds."""
    seconds = wall_clock % DAY
    text = f"{seconds // HOUR:02d}:{seconds % HOUR // 60:02d}"
    return text if seconds % 60 == 0 else f"{text}:{seconds % 60:02d}"


def when(spans: Sequence[Bar | Stretch], chart: Chart) -> str:
    """The spans as a policy would write them: ``Mon-Fri 08:00-12:00, 13:00-17:00``; one over
    several days is ``Sat 22:00 - Sun 24:00``. ``<`` and ``>`` stand where a bar goes on outside
    the week, an abbreviation of the zone beside a time that comes twice."""
    if any((span.start, span.end) == (chart.start, chart.end) for span in spans):
        return ALL_WEEK
    daily: dict[int, list[str]] = {}
    found: list[tuple[int, str]] = []
    for span in spans:
        first, last = _day_of(span.start, chart), _day_of(span.end - 1, chart)
        opens, closes = _start(span, chart), _end(span, last, chart)
        days = chart.days[first:last + 1]
        if span.start == days[0].start and span.end == days[-1].end:
            for index in range(first, last + 1):
                before = "<" if index == first and opens.startswith("<") else ""
                after = ">" if index == last and closes.endswith(">") else ""
                daily.setdefault(index, []).append(f"{before}00:00-24:00{after}")
        elif first == last or (last == first + 1 and span.end < chart.days[last].end and
                               chart.wall_clock(span.end) - chart.wall_clock(span.start) < DAY):
            daily.setdefault(first, []).append(f"{opens}-{closes}")
        else:
            found.append((span.start, f"{day_name(days[0].date)} {opens} - "
                                      f"{day_name(days[-1].date)} {closes}"))
    alike: dict[str, list[int]] = {}
    for index, times in sorted(daily.items()):
        alike.setdefault(", ".join(times), []).append(index)
    found += [(chart.days[indices[0]].start, f"{_days(indices, chart)} {text}")
              for text, indices in alike.items()]
    return "; ".join(text for _, text in sorted(found))


def _day_of(instant: int, chart: Chart) -> int:
    return next(index for index, day in enumerate(chart.days) if day.start <= instant < day.end)


def _start(span: Bar | Stretch, chart: Chart) -> str:
    mark = "<" if isinstance(span, Bar) and span.from_before else ""
    return f"{mark}{clock_at(span.start, chart)}"


def _end(span: Bar | Stretch, last: int, chart: Chart) -> str:
    mark = ">" if isinstance(span, Bar) and span.goes_on else ""
    return f"{'24:00' if span.end == chart.days[last].end else clock_at(span.end, chart)}{mark}"


def clock_at(instant: int, chart: Chart) -> str:
    """What the clock shows at an instant; with the zone's abbreviation where that comes twice."""
    wall_clock = chart.wall_clock(instant)
    comes_twice = any(change.after <= wall_clock < change.before
                      for day in chart.days for change in day.changes)
    text = clock(wall_clock)
    return f"{text} {chart.abbreviation(instant)}" if comes_twice else text


def _days(indices: list[int], chart: Chart) -> str:
    parts = []
    for _, run in groupby(enumerate(indices), lambda pair: pair[1] - pair[0]):
        names = [day_name(chart.days[index].date) for _, index in run]
        parts += [f"{names[0]}-{names[-1]}"] if len(names) > 2 else names
    return ",".join(parts)


def dates(chart: Chart) -> str:
    """The week's first and last day."""
    return f"{chart.days[0].date} to {chart.days[-1].date}"


def heading(chart: Chart) -> str:
    """What the chart is about."""
    about = f" of {chart.user}" if chart.user is not None else ""
    return f"Consoles{about} in week {chart.week}"


def under_heading(chart: Chart) -> str:
    """Its dates, its clock, and where it counts."""
    where = f", on {chart.workstation}" if chart.workstation else ""
    return f"{dates(chart)} by the clock of {chart.zone}{where}"


def nothing(chart: Chart) -> str:
    """What to say where there is no row."""
    return ("There is no console to show." if chart.user is None
            else f"No grant gives {chart.user} a console here.")


def closed(chart: Chart) -> str:
    """What to call a time without a bar."""
    return "nobody" if chart.user is None else "closed"
