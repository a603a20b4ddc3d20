"""Reading when a grant counts: windows, exceptions, calendars, validity."""

from collections.abc import Iterable
from itertools import pairwise

import yaml

from conf.calendars import CODE, UnknownHolidays, check_code
from conf.grantline import FOREVER
from conf.intervals import DAY, EVERY_DATE, Interval, Window
from conf.model import Calendar, Exceptions, NamedWindow, Schedule
from conf.reading import EntryReader
from conf.times import (
    DAYS,
    EVERY_DAY,
    BadWindow,
    kind_of,
    parse_dates,
    parse_instant,
    parse_window,
)
from conf.yamlnodes import Document
from conf.zones import UnknownZone, instants_of, load_zone

MAX_WINDOWS = 500
MAX_EXCEPTED = 1000
"""Limits of one grant, so that no policy can bloat a login."""

_ALL_TIME: tuple[Window, ...] = ((EVERY_DAY, 0, DAY, EVERY_DATE),)


class WhenReader(EntryReader):
    """Knows the policy's zone, windows and calendars."""

    def __init__(self, document: Document) -> None:
        super().__init__(document)
        self.zone = "UTC"
        self.windows: dict[str, NamedWindow | None] = {}
        self.calendars: dict[str, Calendar | None] = {}

    def timezone(self, node: yaml.Node) -> str:
        """The name of a time zone that the system knows."""
        name = self.document.text(node, "timezone")
        try:
            load_zone(name)
        except UnknownZone:
            raise self.document.complain(node, f"there is no time zone {name!r}",
                                         "write it as Europe/Berlin or UTC") from None
        return name

    def calendar(self, name: str, node: yaml.Node) -> Calendar:
        """An entry of ``calendars``."""
        if CODE.match(name) or kind_of(name) == 0:
            raise self.document.complain(
                node, f"the name {name!r} looks like a date or a code of public holidays",
                "choose another name")
        return Calendar(name, self._exceptions(node, f"calendar {name!r}", {}),
                        self.document.mark(node))

    def named_window(self, name: str, node: yaml.Node) -> NamedWindow:
        """An entry of ``windows``, in its short or its long form."""
        if name.startswith(DAYS) or kind_of(name) == 0:
            what = "a date" if kind_of(name) == 0 else "a day"
            raise self.document.complain(node, f"the name {name!r} begins like {what}",
                                         "choose another name")
        if not isinstance(node, yaml.MappingNode):
            return NamedWindow(name, Schedule(self.zone, self._windows(node, f"window {name!r}")),
                               self.document.mark(node))
        fields = self.fields(node, f"window {name!r}", ("when", "timezone", "except"))
        windows = self._windows(fields["when"], "when") if "when" in fields else _ALL_TIME
        zone = self.timezone(fields["timezone"]) if "timezone" in fields else self.zone
        return NamedWindow(name, Schedule(zone, windows, self._except(fields)),
                           self.document.mark(node))

    def schedules(self, fields: dict[str, yaml.Node],
                  ) -> tuple[tuple[Schedule, ...] | None, tuple[str, ...]]:
        """A grant's ``when`` and ``except``, None for always, and the named windows in it."""
        exceptions = self._except(fields)
        if "when" in fields:
            own, names = self._when(fields["when"])
        elif exceptions == Exceptions():
            return None, ()
        else:
            own, names = [Schedule(self.zone, _ALL_TIME)], ()
        joined: dict[tuple[str, Exceptions], list[Window]] = {}
        for schedule in own:
            joined.setdefault((schedule.timezone, schedule.exceptions + exceptions),
                              []).extend(schedule.windows)
        node = fields.get("when", fields.get("except"))
        assert node is not None
        self._refuse_too_many(node, "windows", sum(map(len, joined.values())), MAX_WINDOWS)
        self._refuse_too_many(node, "excepted days", sum(
            len(excepted.dates) for _, excepted in joined), MAX_EXCEPTED)
        return tuple(Schedule(zone, tuple(dict.fromkeys(windows)), excepted)
                     for (zone, excepted), windows in joined.items()), names

    def validity(self, node: yaml.Node) -> Interval:
        """``valid``: the instants within which a grant counts at all."""
        fields = self.fields(node, "valid", ("from", "until"))
        if not fields:
            raise self.document.complain(node, "valid says nothing", "write from, until or both")
        start = self._instant(fields["from"], "from") if "from" in fields else 0
        end = self._instant(fields["until"], "until") if "until" in fields else FOREVER
        if start >= end:
            raise self.document.complain(node, "valid ends before it begins",
                                         "write the earlier date as from")
        return start, end

    def _instant(self, node: yaml.Node, key: str) -> int:
        text = self.document.raw(node, key)
        try:
            instant, is_utc, has_time = parse_instant(text)
        except BadWindow as error:
            raise self.document.complain(node, error.fact, error.remedy) from None
        if is_utc:
            return instant
        if not has_time and key == "until":
            instant += DAY
        first, last = instants_of(load_zone(self.zone), instant)
        # A time that comes twice: the side on which less is open. A day begins but once.
        return last if has_time and key == "from" else first

    def _when(self, node: yaml.Node) -> tuple[list[Schedule], tuple[str, ...]]:
        literals: list[Window] = []
        schedules = []
        names = []
        items = self.document.one_or_more(node, "when")
        self._refuse_torn_literals(items)
        for item in items:
            text = self.document.raw(item, "when")
            if text in self.windows:
                named = self.intact(item, "window", text, self.windows[text])
                schedules.append(named.schedule)
                names.append(text)
            else:
                literals += self._literal(item, text)
        if literals:
            schedules.append(Schedule(self.zone, tuple(literals)))
        return schedules, tuple(names)

    def _windows(self, node: yaml.Node, what: str) -> tuple[Window, ...]:
        nodes = self.document.one_or_more(node, what)
        self._refuse_torn_literals(nodes)
        found = tuple(dict.fromkeys(window for item in nodes for window in
                                    self._literal(item, self.document.raw(item, "a window"))))
        self._refuse_too_many(node, "windows", len(found), MAX_WINDOWS)
        return found

    def _literal(self, node: yaml.Node, text: str) -> tuple[Window, ...]:
        try:
            return parse_window(text)
        except BadWindow as error:
            close = self.close_to(text, self.windows)
            remedy = f"did you mean the window {close!r}?" if close else error.remedy
            raise self.document.complain(node, error.fact, remedy, error.offset) from None

    def _refuse_torn_literals(self, nodes: list[yaml.Node]) -> None:
        """``[Wed,Thu 08:00-12:00]`` without quotes is two items to YAML, and the first would be
        open the whole day; of ``[Mon 08:00-12:00,13:00-17:00]`` the second would be open every
        day. A blank after the comma says that two were meant."""
        for left, right in pairwise(nodes):
            if (isinstance(left, yaml.ScalarNode) and isinstance(right, yaml.ScalarNode)
                    and not left.style and not right.style
                    and left.end_mark.line == right.start_mark.line
                    and left.end_mark.column + 1 == right.start_mark.column
                    and (" " in left.value + right.value
                         or kind_of(left.value) != kind_of(right.value))):
                raise self.document.complain(
                    left, f"it is not clear whether {left.value!r} is a window of its own",
                    f'write "{left.value},{right.value}" in quotes, or a blank after the comma')

    def _except(self, fields: dict[str, yaml.Node]) -> Exceptions:
        if "except" not in fields:
            return Exceptions()
        return self._exceptions(fields["except"], "except", self.calendars)

    def _exceptions(self, node: yaml.Node, what: str,
                    calendars: dict[str, Calendar | None]) -> Exceptions:
        found = Exceptions()
        for item in self.document.one_or_more(node, what):
            text = self.document.raw(item, what)
            if text in calendars:
                found += self.intact(item, "calendar", text, calendars[text]).exceptions
            else:
                found += self._days(item, text, calendars)
        self._refuse_too_many(node, "excepted days", len(found.dates), MAX_EXCEPTED)
        return found

    def _days(self, node: yaml.Node, text: str, calendars: Iterable[str]) -> Exceptions:
        try:
            if text[:1].isdigit():
                return Exceptions(dates=tuple(parse_dates(text)))
            if CODE.fullmatch(text):
                check_code(text)
                return Exceptions(holidays=(text,))
        except BadWindow as error:
            raise self.document.complain(node, error.fact, error.remedy, error.offset) from None
        except UnknownHolidays as error:
            raise self.document.complain(node, error.fact, error.remedy) from None
        remedy = ("write a date, first..last, DE-BY for public holidays, or the name of a calendar"
                  if not calendars else self.meant(text, calendars))
        raise self.document.complain(node, f"{text!r} is no date and no calendar", remedy)

    def _refuse_too_many(self, node: yaml.Node, what: str, count: int, limit: int) -> None:
        if count > limit:
            raise self.document.complain(node, f"these come to {count} {what}",
                                         f"write at most {limit}")
