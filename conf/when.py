"""Reading when a grant counts: windows, exceptions, calendars, validity."""

import re
from functools import partial
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
    MAX_WINDOWS,
    BadWindow,
    kind_of,
    parse_dates,
    parse_instant,
    parse_window,
)
from conf.yamlnodes import Document
from conf.zones import UnknownZone, instants_of, load_zone

MAX_EXCEPTED = 1000
"""Dates and spans of dates that one grant or named window excepts."""

_LIKE_A_CODE = re.compile(r"[A-Z]{2}(-|$)", re.ASCII)
_WORD = re.compile(r"[A-Za-z_][A-Za-z_.-]*", re.ASCII)
_FORMS = "write a date, first..last, DE-BY for public holidays, or the name of a calendar"
_ITEMS = "write one item or a list of them"

_BEGINNINGS = {day[:2] for day in DAYS}

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
        if _LIKE_A_CODE.match(name) or kind_of(name) == 0:
            raise self.document.complain(
                node, f"the name {name!r} looks like a date or a code of public holidays",
                "choose another name")
        return Calendar(name, self._exceptions(node, f"calendar {name!r}", is_calendar=True),
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
        fields, is_good = self.read_fields(node, f"window {name!r}",
                                           ("when", "timezone", "except"))

        def windows() -> tuple[Window, ...]:
            return self._windows(fields["when"], "when") if "when" in fields else _ALL_TIME

        def zone() -> str:
            return self.timezone(fields["timezone"]) if "timezone" in fields else self.zone

        return self.whole(
            is_good, lambda: NamedWindow(name, Schedule(zone(), windows(), self._except(fields)),
                                         self.document.mark(node)),
            windows, zone, partial(self._except, fields))

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
        self._refuse_too_many(node, "excepted dates and spans", sum(
            len(excepted.dates) for _, excepted in joined), MAX_EXCEPTED)
        return tuple(Schedule(zone, tuple(dict.fromkeys(windows)), excepted)
                     for (zone, excepted), windows in joined.items()), names

    def validity(self, node: yaml.Node) -> Interval:
        """``valid``: the instants within which a grant counts at all."""
        if not isinstance(node, yaml.MappingNode):
            raise self.document.complain(
                node, f"valid must be a mapping, this is {self.document.kind(node)}",
                "write {from: 2026-12-01, until: 2026-12-24}, or one of the two")
        fields = self.fields(node, "valid", ("from", "until"))
        if not fields:
            raise self.document.complain(node, "valid says nothing", "write from, until or both")
        start = self._instant(fields["from"], "from") if "from" in fields else 0
        end = self._instant(fields["until"], "until") if "until" in fields else FOREVER
        if start >= end:
            when = "when" if start == end else "before"
            raise self.document.complain(node, f"valid ends {when} it begins",
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

        def read(item: yaml.Node) -> NamedWindow | tuple[Window, ...]:
            text = self.document.raw(item, "when", _ITEMS)
            if text in self.windows:
                return self.intact(item, "window", text, self.windows[text])
            return self._literal(item, text)

        for found in self.each(items, read):
            if isinstance(found, NamedWindow):
                schedules.append(found.schedule)
                names.append(found.name)
            else:
                literals += found
        if literals:
            schedules.append(Schedule(self.zone, tuple(literals)))
        return schedules, tuple(names)

    def _windows(self, node: yaml.Node, what: str) -> tuple[Window, ...]:
        nodes = self.document.one_or_more(node, what)
        self._refuse_torn_literals(nodes)

        def read(item: yaml.Node) -> tuple[Window, ...]:
            text = self.document.raw(item, what, _ITEMS)
            if text in self.windows:
                raise self.document.complain(item, "a window can't refer to another window",
                                             "name both in the grant's `when`")
            return self._literal(item, text)

        found = [window for windows in self.each(nodes, read) for window in windows]
        self._refuse_too_many(node, "windows", len(found), MAX_WINDOWS)
        return tuple(dict.fromkeys(found))

    def _literal(self, node: yaml.Node, text: str) -> tuple[Window, ...]:
        try:
            return parse_window(text)
        except BadWindow as error:
            if text in self.calendars:
                raise self.document.complain(node, f"{text!r} is a calendar, not a window",
                                             "write it under `except:`") from None
            close = self.close_to(text, self.windows)
            if _WORD.fullmatch(text) and text[:2].capitalize() not in _BEGINNINGS:
                raise self.document.complain(
                    node, f"there is no window {text!r}, and it is no day",
                    f"did you mean {close!r}?" if close else
                    f"define it under `windows:`; days are {' '.join(DAYS)}") from None
            remedy = f"did you mean the window {close!r}?" if close else error.remedy
            raise self.document.complain(node, error.fact, remedy, error.offset) from None

    def _refuse_torn_literals(self, nodes: list[yaml.Node]) -> None:
        """``[Wed,Thu 08:00-12:00]`` without quotes is two items to YAML, and the first would be
        open the whole day; of ``[Mon 08:00-12:00,13:00-17:00]`` the second would be open every
        day. A blank after the comma says that two were meant."""
        runs: list[list[yaml.ScalarNode]] = []  # of plain scalars with no blank after the commas
        for node in nodes:
            if not isinstance(node, yaml.ScalarNode) or node.style:
                runs.append([])
            elif runs and runs[-1] and self.document.follows_a_comma(node):
                runs[-1].append(node)
            else:
                runs.append([node])
        for run in runs:
            for left, right in pairwise(run):
                if (" " in left.value + right.value
                        or kind_of(left.value) != kind_of(right.value)):
                    raise self.document.complain(
                        left, f"it is not clear whether {left.value!r} is a window of its own",
                        _whole([node.value for node in run]))

    def _except(self, fields: dict[str, yaml.Node]) -> Exceptions:
        if "except" not in fields:
            return Exceptions()
        return self._exceptions(fields["except"], "except")

    def _exceptions(self, node: yaml.Node, what: str, is_calendar: bool = False) -> Exceptions:

        def read(item: yaml.Node) -> Exceptions:
            text = self.document.raw(item, what, _ITEMS)
            if text in self.calendars and is_calendar:
                raise self.document.complain(item, "a calendar can't refer to another",
                                             "name both under `except:`")
            if text in self.calendars:
                return self.intact(item, "calendar", text, self.calendars[text]).exceptions
            return self._days(item, text)

        found = self.each(self.document.one_or_more(node, what), read)
        self._refuse_too_many(node, "excepted dates and spans",
                              sum(len(days.dates) for days in found), MAX_EXCEPTED)
        return Exceptions(tuple(span for days in found for span in days.dates), tuple(
            dict.fromkeys(code for days in found for code in days.holidays)))

    def _days(self, node: yaml.Node, text: str) -> Exceptions:
        try:
            if kind_of(text) == 0 and " " not in text:
                return Exceptions(dates=tuple(parse_dates(text)))
            if CODE.fullmatch(text):
                check_code(text)
                return Exceptions(holidays=(text,))
        except BadWindow as error:
            raise self.document.complain(node, error.fact, error.remedy, error.offset) from None
        except UnknownHolidays as error:
            raise self.document.complain(node, error.fact, error.remedy) from None
        if text in self.windows:
            raise self.document.complain(node, f"{text!r} is a window, not a calendar",
                                         "except takes days; take the times out of `when`")
        raise self.document.complain(node, f"{text!r} is no date and no calendar",
                                     self._meant_days(text))

    def _meant_days(self, text: str) -> str:
        try:
            parse_window(text)
        except BadWindow:
            pass
        else:
            return "except takes whole dates; days and times belong into `when`"
        if ", " in text:
            return "write a list, without quotes around it: [DE-BY, 2026-12-24]"
        if " " in text and kind_of(text) == 0:
            return "write dates without blanks: 2026-12-24..2026-12-31"
        try:
            check_code(text.upper())
        except UnknownHolidays:
            close = self.close_to(text, self.calendars)
            return f"did you mean {close!r}?" if close else _FORMS
        return f"did you mean {text.upper()!r}?"

    def _refuse_too_many(self, node: yaml.Node, what: str, count: int, limit: int) -> None:
        if count > limit:
            raise self.document.complain(node, f"these come to {count} {what}",
                                         f"write at most {limit}")


def _whole(words: list[str]) -> str:
    """The remedy for a run of words that may be one literal."""
    for glue in ",", " ":
        whole = glue.join(words)
        try:
            parse_window(whole)
        except BadWindow:
            continue
        return f'write "{whole}" in quotes, or a blank after each comma'
    return "write a blank after each comma, or put in quotes what belongs together"
