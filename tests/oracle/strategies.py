"""Random policies, close to the edges: around an instant at which a zone's clock does something.

What is drawn shrinks to few grants, plain windows and round times.
"""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, TypeVar

from hypothesis import strategies as st

from tests.oracle.membership import has_holidays
from tests.oracle.oddities import changes_of, other_moments
from tests.oracle.policies import (
    Calendar,
    Dates,
    Except,
    Grant,
    Literal,
    Moment,
    Policy,
    Question,
    Window,
)
from tests.oracle.wallclock import DAY, wall_clock

_T = TypeVar("_T")

USERS = ("anne", "boss")
GROUPS = ("staff", "auditors", "anne")  # a group that is called like a user
WINDOWS = ("office", "nights", "on.call")
CALENDARS = ("closed", "fairs")
CONSOLES = ("webdev", "analysis")
HOLIDAYS = ("DE", "DE-BY", "DE-BB", "US", "US-CA", "GB-SCT", "FR", "JP", "AU-NSW", "NO", "AT-9")
OTHER_ZONES = ("UTC", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu",
               "Pacific/Kiritimati", "Africa/Casablanca")
WORKSTATIONS = ("front-1.office.example", "PC7", "back-12")
GLOBS = ("*", "front-*", "pc?", "FRONT-1.office.example", "*-1?", "front", "*.example", "??ck-*2",
         "front-1", "*1*", "b*k-1*2")
REASONS = ("deputy of maggie", "quarter's end: #7", "x")


def seconds_near(zone: str, moment: int) -> st.SearchStrategy[int]:
    """Times of day, biased to what the clock shows around an instant: where it is put forward or
    back that is both sides of what is skipped or comes twice, and what lies between them."""
    before, after = wall_clock(zone, moment - 1)[1] + 1, wall_clock(zone, moment)[1]
    edges = sorted({before % DAY, after, (before + after) // 2 % DAY})
    near = {(edge + step) % DAY for edge in edges
            for step in (-3600, -1800, -60, -1, 1, 60, 1800, 3600)}
    return st.one_of(st.sampled_from([0, 12 * 3600, 22 * 3600, 6 * 3600, 86399]),
                     st.sampled_from(edges), st.sampled_from(sorted(near)),
                     st.sampled_from(edges), st.integers(0, 47).map(lambda half: half * 1800),
                     st.integers(0, DAY - 1))


class _Drawer:
    """Draws the parts of one policy."""

    def __init__(self, draw: Any, zone: str) -> None:
        self._draw = draw
        self.odd_zone = zone
        changes, others = changes_of(zone), other_moments(zone)
        self.moment = (self.draw(st.sampled_from(others))
                       if not changes or self.chance(4) else self.draw(st.sampled_from(changes)))
        self.second = seconds_near(zone, self.moment)
        self.base = date.fromordinal(wall_clock(zone, self.moment)[0])
        self.day = st.sampled_from([0, -1, 1, -2, 2, -3, 3]).map(self._plus)

    def _plus(self, days: int) -> date:
        day = self.base + timedelta(days=days)
        return min(day, date(2399, 12, 31))

    def draw(self, strategy: st.SearchStrategy[_T]) -> _T:
        drawn: _T = self._draw(strategy)
        return drawn

    def chance(self, one_in: int) -> bool:
        """Seldom true, and false when shrunk."""
        return self.draw(st.integers(0, one_in - 1)) == one_in - 1

    def some(self, strategy: st.SearchStrategy[_T], most: int) -> tuple[_T, ...]:
        return tuple(self.draw(st.lists(strategy, min_size=1, max_size=most)))

    def dates(self) -> Dates:
        first = self.draw(self.day)
        last = self._plus((first - self.base).days + self.draw(st.integers(0, 2)))
        return first, max(first, last)

    def time(self) -> tuple[int, int]:
        start = self.draw(self.second)
        end = self.draw(st.one_of(self.second, st.just(DAY)))
        # The product refuses a window whose end is its start.
        return start, end if end != start else (start + 3600) % DAY

    def literal(self) -> Literal:
        dates: tuple[Dates, ...] = ()
        days: tuple[tuple[int, int], ...] = ()
        times: tuple[tuple[int, int], ...] = ()
        if self.chance(4):
            dates = tuple(self.dates() for _ in range(self.draw(st.integers(1, 3))))
        if self.chance(3):
            days = self.some(st.tuples(st.integers(0, 6), st.integers(0, 6)), 2)
        if (not dates and not days) or not self.chance(4):
            times = tuple(self.time() for _ in range(self.draw(st.integers(1, 2))))
        return Literal(dates, days, times)

    def literals(self, most: int) -> tuple[Literal, ...]:
        return tuple(self.literal() for _ in range(self.draw(st.integers(1, most))))

    def excepted(self, calendars: tuple[Calendar, ...], has_calendars: bool = True
                 ) -> tuple[Except, ...]:
        items: list[Except] = []
        for _ in range(self.draw(st.integers(1, 2))):
            kind = self.draw(st.integers(0, 3))
            if kind == 3 and has_holidays():
                items.append(self.draw(st.sampled_from(HOLIDAYS)))
            elif kind == 2 and has_calendars and calendars:
                items.append(self.draw(st.sampled_from(calendars)).name)
            else:
                items.append(self.dates())
        return tuple(items)

    def zone(self) -> str:
        return self.draw(st.sampled_from((self.odd_zone, *OTHER_ZONES)))

    def calendars(self) -> tuple[Calendar, ...]:
        return tuple(Calendar(name, self.excepted((), has_calendars=False))
                     for name in CALENDARS[:self.draw(st.integers(0, 2))])

    def windows(self, calendars: tuple[Calendar, ...]) -> tuple[Window, ...]:
        windows = []
        for name in WINDOWS[:self.draw(st.integers(0, 3))]:
            if not self.chance(2):
                windows.append(Window(name, self.literals(2)))
                continue
            when = () if self.chance(5) else self.literals(2)
            excepted = self.excepted(calendars) if self.chance(2) else ()
            zone = self.zone() if self.chance(2) or not (when or excepted) else None
            windows.append(Window(name, when, True, zone, excepted))
        return tuple(windows)

    def bound(self) -> Moment:
        kind = self.draw(st.integers(0, 5))
        day = self.draw(self.day)
        if kind == 0:
            return day
        local = (datetime(day.year, day.month, day.day)
                 + timedelta(seconds=self.draw(self.second)))
        if kind > 2:
            # Around the moment itself: what it says is often skipped or there twice.
            near = self.draw(st.sampled_from((0, 1800, -1800, 0, 60, -60, 1, -1, 900, -3600, 3600)))
            ordinal, second = wall_clock(self.odd_zone, self.moment)
            return datetime.fromordinal(ordinal) + timedelta(seconds=second + near)
        if kind == 2:
            minutes = self.draw(st.sampled_from((None, 0, 60, -210, 345, 14 * 60, -12 * 60)))
            return local.replace(tzinfo=UTC if minutes is None
                                 else timezone(timedelta(minutes=minutes)))
        return local

    def grant(self, windows: tuple[Window, ...], calendars: tuple[Calendar, ...]) -> Grant:
        kind, subject = self.draw(st.sampled_from(
            (("user", "boss"), ("user", "staff"), ("group", "auditors"), ("group", "anne"))
            if self.chance(5) else (("user", "anne"), ("group", "staff"))))
        consoles = CONSOLES[:1] if not self.chance(3) else tuple(
            self.draw(st.permutations(CONSOLES)))[:self.draw(st.integers(1, 2))]
        bounds = self.draw(st.sampled_from(((False, False), (False, False), (False, False),
                                            (True, False), (False, True), (True, True))))
        valid_from, valid_until = (self.bound() if is_there else None for is_there in bounds)
        when: tuple[Literal | str, ...] = ()
        if not self.chance(2 if any(bounds) else 6):
            when = tuple(self.draw(st.sampled_from(windows)).name
                         if windows and self.chance(2) else self.literal()
                         for _ in range(self.draw(st.integers(1, 3))))
        return Grant(
            kind, subject, consoles, tuple(dict.fromkeys(when)),
            self.excepted(calendars) if self.chance(3) else (),
            valid_from, valid_until,
            self.some(st.sampled_from(GLOBS), 3) if self.chance(6) else (),
            self.draw(st.sampled_from(REASONS)) if self.chance(4) else None,
            is_spoilt=self.chance(20))

    def question(self, zone: str) -> Question:
        before = self.draw(st.one_of(st.sampled_from((DAY, 0, 3600, 2 * DAY)),
                                     st.integers(-3600, 2 * DAY)))
        length = self.draw(st.one_of(st.sampled_from((2 * DAY, 4 * DAY)), st.integers(1, 4 * DAY)))
        start = self.moment - before
        return Question("anne", () if self.chance(4) else self.draw(
            st.sampled_from((("staff",), ("staff", "anne")))),
                        self.draw(st.sampled_from(WORKSTATIONS)), start, start + length)


@st.composite
def cases(draw: Any, zone: str) -> tuple[Policy, Question]:
    """A policy in which the zone has a part, and a question around one of the zone's moments."""
    drawer = _Drawer(draw, zone)
    policy_zone = drawer.zone() if drawer.chance(3) else zone
    calendars = drawer.calendars()
    windows = drawer.windows(calendars)
    grants = tuple(drawer.grant(windows, calendars)
                   for _ in range(drawer.draw(st.integers(1, 4))))
    policy = Policy(policy_zone, CONSOLES, windows, calendars, grants,
                    files=drawer.draw(st.integers(1, 3)), is_quoted=drawer.chance(2),
                    is_bare=drawer.chance(2))
    return policy, drawer.question(zone)
