"""Times in words: what comes weekly as days of the week, what doesn't as dates. Pure.

Everything here is on one wall clock: seconds and days since 1970-01-01T00:00 by that clock.
"""

from bisect import bisect_left
from collections import Counter

from conf.calendars import date_of
from conf.intervals import DAY, Interval
from conf.times import DAYS

Pieces = tuple[Interval, ...]
"""What begins on one day, in seconds after its midnight; an end beyond DAY is on the next day."""

DayPieces = tuple[int, Pieces]

_WHOLE: Pieces = ((0, DAY),)
_NAMES = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
_LONG_NIGHT = 12 * 3600
_LONG_RUN = 8  # whole days on end that are said as one span, not as days of the week
_WEEKLY_FROM = 14  # days from the first to the last, below which the dates are said
_LOOK_AHEAD = 28  # days within which a weekly pattern must come back, else it has ended
_MOST_DATES = 12
_WEEKEND = 4  # days from one date to the next, at most, that are said as one span

_Weekly = tuple[Pieces, ...]
"""The pieces of Monday, Tuesday and so on."""


def pieces_by_day(intervals: list[Interval], first: int, end: int) -> list[DayPieces]:
    """The merged ``intervals``, cut into what begins on each of the days [first, end).

    A night belongs to the day on which it begins, as windows do; what is longer is cut at the
    midnights. ``intervals`` must reach a day further on both sides.
    """
    found: dict[int, list[Interval]] = {day: [] for day in range(first, end)}
    for start, stop in intervals:
        day = start // DAY
        if stop - start <= _LONG_NIGHT:
            found.get(day, []).append((start - day * DAY, stop - day * DAY))
            continue
        while day * DAY < stop:
            found.get(day, []).append((max(start - day * DAY, 0), min(stop - day * DAY, DAY)))
            day += 1
    # A clock that is set back shows the same times twice.
    return [(day, tuple(dict.fromkeys(pieces))) for day, pieces in found.items()]


def describe(days: list[DayPieces], since: int) -> list[str]:
    """Phrases that together say what ``days`` hold from ``since`` on: ``always``,
    ``on Tuesdays``, ``Wed,Thu 12:00-12:30 from 2026-12-02 on``, ``on 2026-12-24``.

    ``days`` are in order. Between two that don't follow each other, and after the last one, it
    goes on weekly as around the gap; so they must go on for five weeks after whatever changes.
    """
    days = [(day, _coming(day, pieces, since)) for day, pieces in days]
    days, spans = _without_long_run(days, since)
    return spans + _Weeks(days, since).phrases()


def _coming(day: int, pieces: Pieces, since: int) -> Pieces:
    return tuple(piece for piece in pieces if day * DAY + piece[1] > since)


def _without_long_run(days: list[DayPieces], since: int) -> tuple[list[DayPieces], list[str]]:
    """If there is one long run of whole days: the days without it, and its phrase."""
    runs: list[tuple[int, int]] = []
    begin: int | None = None
    for index, (_, pieces) in enumerate([*days, (0, ())]):
        if pieces == _WHOLE:
            begin = index if begin is None else begin
        elif begin is not None:
            if index - begin >= _LONG_RUN:
                runs.append((begin, index))
            begin = None
    if len(runs) != 1:
        return days, []
    low, high = runs[0]
    left = list(days)
    left[low:high] = [(day, ()) for day, _ in days[low:high]]
    start: int | None = days[low][0] * DAY
    end = (days[high - 1][0] + 1) * DAY if high < len(days) else None
    # The run may begin and end within a day.
    if low and days[low - 1][1] and days[low - 1][1][-1][1] == DAY:
        day, pieces = days[low - 1]
        start = day * DAY + pieces[-1][0]
        left[low - 1] = day, pieces[:-1]
    if end is not None and days[high][1] and days[high][1][0][0] == 0:
        day, pieces = days[high]
        end = day * DAY + pieces[0][1]
        left[high] = day, pieces[1:]
    if start is not None and start <= since:
        start = None
    return left, [_span(_moment(start), _moment(end, is_end=True)) or "always"]


def _moment(second: int | None, is_end: bool = False) -> str:
    """A date where it is a day's beginning, or its end if ``is_end``; else with its time."""
    if second is None:
        return ""
    day, rest = divmod(second, DAY)
    if rest:
        return f"{date_of(day)} {_time(rest)}"
    return str(date_of(day - 1 if is_end else day))


def _span(first: str, last: str) -> str:
    if first and last:
        return f"from {first} to {last}"
    return f"from {first} on" if first else f"until {last}" if last else ""


class _Weeks:
    """Finds what comes weekly in days."""

    def __init__(self, days: list[DayPieces], since: int) -> None:
        self.days = days
        self.since = since
        self.numbers = [day for day, _ in days]

    def phrases(self) -> list[str]:
        weekly = []
        single: list[DayPieces] = []
        index = 0
        while index < len(self.days):
            if not self.days[index][1]:
                index += 1
                continue
            pattern, end = max((self._extended(index, pattern)
                                for pattern in self._patterns(index)),
                               key=lambda found: (found[1], -self._misses(index, *found)))
            last = max(i for i in range(index, end) if self.days[i][1])
            hits = sum(bool(self.days[i][1]) for i in range(index, end) if self._fits(i, pattern))
            if (self.numbers[last] - self.numbers[index] < _WEEKLY_FROM
                    or hits <= max(2, self._misses(index, pattern, end))):
                single.append(self.days[index])
                index += 1
                continue
            weekly.append(self._phrase(index, last, end, pattern))
            single += [self.days[i] for i in range(index, end)
                       if self.days[i][1] and not self._fits(i, pattern)]
            index = end
        return weekly + ([f"on {_dates(single)}"] if single else [])

    def _patterns(self, index: int) -> list[_Weekly]:
        """What may come weekly from a day on: as in the first week, as in the second, or as it is
        in most of five."""
        weeks = [self._week(start) for start in range(index, min(index + 35, len(self.days)), 7)]
        most = tuple(Counter(week[day] for week in weeks).most_common(1)[0][0]
                     for day in range(7))
        return [pattern for pattern in dict.fromkeys([*weeks[:2], most]) if any(pattern)]

    def _week(self, index: int) -> _Weekly:
        pattern: list[Pieces] = [()] * 7
        for day, pieces in self.days[index:index + 7]:
            pattern[_weekday(day)] = pieces
        return tuple(pattern)

    def _fits(self, index: int, pattern: _Weekly) -> bool:
        day, pieces = self.days[index]
        return _coming(day, pattern[_weekday(day)], self.since) == pieces

    def _extended(self, index: int, pattern: _Weekly) -> tuple[_Weekly, int]:
        """How far the pattern goes on; days that don't fit are passed over if a whole week of the
        pattern follows soon."""
        end = index
        while end < len(self.days):
            if self._fits(end, pattern):
                end += 1
                continue
            # Past the last day nothing speaks against it: no change is as late as that.
            again = next((i for i in range(end + 1, min(end + _LOOK_AHEAD, len(self.days)) + 1)
                          if all(self._fits(day, pattern)
                                 for day in range(i, min(i + 7, len(self.days))))), None)
            if again is None:
                break
            end = again
        return pattern, max(end, index + 1)

    def _misses(self, index: int, pattern: _Weekly, end: int) -> int:
        return sum(not self._fits(i, pattern) for i in range(index, end))

    def _phrase(self, index: int, last: int, end: int, pattern: _Weekly) -> str:
        def is_missing(indexes: range) -> bool:
            return any(_coming(self.numbers[i], pattern[_weekday(self.numbers[i])], self.since)
                       for i in indexes)

        first = str(date_of(self.numbers[index])) if is_missing(range(index)) else ""
        until = (str(date_of(self.numbers[last]))
                 if is_missing(range(last + 1, len(self.days))) else "")
        ours = [i for i in range(index, last + 1) if pattern[_weekday(self.numbers[i])]]
        missed = [i for i in ours if not self._fits(i, pattern)]
        text = " ".join(filter(None, (_weekly_words(pattern), _span(first, until))))
        return text + (f" except {self._spans_of(missed, ours)}" if missed else "")

    def _spans_of(self, missed: list[int], ours: list[int]) -> str:
        """Dates; those between which the pattern has no other day are one span."""
        spans: list[list[int]] = []
        for i in missed:
            at = bisect_left(ours, i)
            if (spans and at and ours[at - 1] == spans[-1][1]
                    and self.numbers[i] - self.numbers[spans[-1][1]] <= _WEEKEND):
                spans[-1][1] = i
            else:
                spans.append([i, i])
        return _listed([_date_span(self.numbers[low], self.numbers[high]) for low, high in spans])


def _weekday(day: int) -> int:
    return (day + 3) % 7  # day 0, 1970-01-01, was a Thursday


def _weekly_words(pattern: _Weekly) -> str:
    groups: dict[Pieces, list[int]] = {}
    for day, pieces in enumerate(pattern):
        if pieces:
            groups.setdefault(pieces, []).append(day)
    return " and ".join(_group_words(days, pieces) for pieces, days in groups.items())


def _group_words(days: list[int], pieces: Pieces) -> str:
    if pieces != _WHOLE:
        return f"{'daily' if len(days) == 7 else _day_names(days)} {_times(pieces)}"
    if len(days) == 7:
        return "always"
    if len(days) <= 2:
        return "on " + " and ".join(_NAMES[day] for day in days)
    return f"{_day_names(days)} all day"


def _day_names(days: list[int]) -> str:
    """As the policy's language writes them: Mon-Wed,Fri."""
    parts = []
    rest = list(days)
    while rest:
        run = next(n for n in range(len(rest), 0, -1) if rest[n - 1] - rest[0] == n - 1)
        names = [DAYS[day] for day in rest[:run]]
        parts += [f"{names[0]}-{names[-1]}"] if run > 2 else names
        rest = rest[run:]
    return ",".join(parts)


def _times(pieces: Pieces) -> str:
    return ",".join(f"{_time(start)}-{_time(end if end <= DAY else end - DAY)}"
                    for start, end in pieces)


def _time(seconds: int) -> str:
    text = f"{seconds // 3600:02}:{seconds % 3600 // 60:02}"
    return text + (f":{seconds % 60:02}" if seconds % 60 else "")


def _dates(days: list[DayPieces]) -> str:
    """Dates by their times, as the policy's language writes them; days on end are one span."""
    groups: dict[Pieces, list[Interval]] = {}
    for day, pieces in sorted(days):
        spans = groups.setdefault(pieces, [])
        if spans and spans[-1][1] + 1 == day:
            spans[-1] = spans[-1][0], day
        else:
            spans.append((day, day))
    return " and ".join(
        _listed([_date_span(*span) for span in spans])
        + ("" if pieces == _WHOLE else f" {_times(pieces)}")
        for pieces, spans in groups.items())


def _date_span(first: int, last: int) -> str:
    return str(date_of(first)) if first == last else f"{date_of(first)}..{date_of(last)}"


def _listed(texts: list[str]) -> str:
    more = len(texts) - _MOST_DATES
    return ",".join(texts[:_MOST_DATES]) + (f" and {more} more dates" if more > 0 else "")
