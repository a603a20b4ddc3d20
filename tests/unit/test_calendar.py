"""The week as a chart: what is in it to the second, and what the terminal and the picture show."""

import argparse
import io
import re
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest

from conf.model import Policy, Subject, SubjectKind
from pam_spice.calendar_html import html_page
from pam_spice.calendar_svg import MIN_WIDTH, PIXELS_PER_HOUR, shortened, svg_document
from pam_spice.chart import NO_KEY, Chart, Row, chart_of, week_at
from pam_spice.chartwords import changes, duration, when
from pam_spice.verbs import UsageError, calendar
from tests.unit.conftest import GOLDEN, Golden
from tests.unit.support import SERVER, policy_of

ROOT = Path(__file__).parents[2]
EXAMPLE = "conf/policy.yaml"
SPRING, AUTUMN = "2026-W13", "2026-W43"  # Berlin: 2026-03-29 and 2026-10-25
LONG_AGO = 1_000_000_000
SVG = "{http://www.w3.org/2000/svg}"


def policy(*grants: str, zone: str = "Europe/Berlin") -> Policy:
    return policy_of(f"timezone: {zone}\n{SERVER}"
                     "consoles:\n"
                     "  webdev: {server: mysrv, tls_port: 20001}\n"
                     "  analysis: {server: mysrv, tls_port: 20002}\n"
                     f"{'grants:' if grants else 'grants: []'}\n"
                     + "".join(f"  - {{{grant}}}\n" for grant in grants))


def only_row(chart: Chart) -> Row:
    return next(row for row in chart.rows if row.console.name == "webdev")


def chart(*grants: str, week: str = AUTUMN, now: int = LONG_AGO,
          zone: str = "Europe/Berlin") -> Chart:
    return chart_of(policy(*grants, zone=zone), week, now)


def at(text: str) -> int:
    """An instant, in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def bars(row: Row) -> list[tuple[str, int, int]]:
    return [(bar.subject.name, bar.start, bar.end) for bar in row.bars]


def words(found: Chart, name: str = "anne") -> str:
    return when(only_row(found).bars_of(Subject(SubjectKind.USER, name)), found)


def days_in_hours(found: Chart) -> list[float]:
    return [(day.end - day.start) / 3600 for day in found.days]


def hours_of_sunday(found: Chart) -> list[int]:
    return [hour.number for hour in found.days[6].hours]


# The week


def test_the_day_of_the_spring_change_has_23_hours_and_no_hour_2() -> None:
    found = chart(week=SPRING)
    assert days_in_hours(found) == [24] * 6 + [23]
    assert hours_of_sunday(found) == [0, 1, *range(3, 24)]
    assert [hour.number for hour in found.days[6].hours if hour.by_change] == [1, 3]
    assert [change.at for change in found.days[6].changes] == [at("2026-03-29T01:00")]
    assert changes(found) == ["Sun 2026-03-29 has 23 h: 02:00 CET becomes 03:00 CEST"]


def test_the_day_of_the_autumn_change_has_25_hours_and_hour_2_twice() -> None:
    found = chart(week=AUTUMN)
    assert days_in_hours(found) == [24] * 6 + [25]
    assert hours_of_sunday(found) == [0, 1, 2, 2, *range(3, 24)]
    assert [hour.at for hour in found.days[6].hours[2:4]] == [
        at("2026-10-25T00:00"), at("2026-10-25T01:00")]
    assert changes(found) == ["Sun 2026-10-25 has 25 h: 03:00 CEST becomes 02:00 CET"]


def test_a_change_in_the_middle_of_the_week_is_on_its_own_day() -> None:
    """Cairo goes forward at the midnight that begins a Friday: that day begins at 01:00."""
    found = chart("user: anne, console: webdev, when: 'Thu 22:00-03:00'", week="2026-W17",
                  zone="Africa/Cairo")
    assert days_in_hours(found) == [24, 24, 24, 24, 23, 24, 24]
    assert [hour.number for hour in found.days[4].hours][:2] == [1, 2]
    assert bars(only_row(found)) == [
        ("anne", at("2026-04-23T20:00"), at("2026-04-24T00:00"))]
    assert words(found) == "Thu 22:00-03:00"


def test_a_change_by_half_an_hour_keeps_the_full_hours_where_they_are() -> None:
    """Lord Howe goes back from 02:00 to 01:30."""
    found = chart(week="2026-W14", zone="Australia/Lord_Howe")
    assert days_in_hours(found)[6] == 24.5
    assert [(hour.number, (hour.at - found.days[6].start) / 3600)
            for hour in found.days[6].hours[:4]] == [(0, 0), (1, 1), (2, 2.5), (3, 3.5)]


def test_a_day_that_the_clock_skips_is_empty_and_said() -> None:
    found = chart("user: anne, console: webdev, when: 'Fri 08:00-12:00'", week="2011-W52",
                  zone="Pacific/Apia")
    assert days_in_hours(found) == [24, 24, 24, 24, 0, 24, 24]
    assert only_row(found).bars == ()
    assert "Fri 2011-12-30 is skipped by the clock" in changes(found)
    assert "the clock skips this day" in terminal(chart(
        "user: anne, console: webdev", week="2011-W52", zone="Pacific/Apia"))
    ElementTree.fromstring(svg_document(found))


def test_this_week_is_told_by_the_policys_clock() -> None:
    assert week_at(at("2026-10-25T22:59:59"), "Europe/Berlin") == "2026-W43"
    assert week_at(at("2026-10-25T23:00:00"), "Europe/Berlin") == "2026-W44"
    assert week_at(at("2027-01-02T12:00:00"), "UTC") == "2026-W53"


@pytest.mark.parametrize("week", ["2026-43", "2026-W54", "2026-W00", "26-W01", "2026-W1",
                                  "2026-W٠١", "1969-W01", "9999-W52", ""])
def test_what_is_no_week_is_refused(week: str) -> None:
    with pytest.raises(ValueError, match="week"):
        chart("user: anne, console: webdev", week=week)


# Bars


def test_a_bar_over_midnight_is_one_bar() -> None:
    found = chart("user: anne, console: webdev, when: 'Fri 22:00-06:00'")
    assert bars(only_row(found)) == [("anne", at("2026-10-23T20:00"), at("2026-10-24T04:00"))]
    assert words(found) == "Fri 22:00-06:00"


def test_bars_over_the_weeks_ends_are_cut_and_marked() -> None:
    found = chart("user: anne, console: webdev, when: 'Sun 22:00-06:00'")
    first, last = only_row(found).bars
    assert (first.start, first.end) == (at("2026-10-18T22:00"), at("2026-10-19T04:00"))
    assert (last.start, last.end) == (at("2026-10-25T21:00"), at("2026-10-25T23:00"))
    assert (first.from_before, first.goes_on) == (True, False)
    assert (last.from_before, last.goes_on) == (False, True)
    assert words(found) == "Mon <00:00-06:00; Sun 22:00-24:00>"


def test_bars_that_end_with_the_week_are_not_marked() -> None:
    for day in ("Mon", "Sun"):
        bar, = only_row(chart(f"user: anne, console: webdev, when: {day}")).bars
        assert (bar.from_before, bar.goes_on) == (False, False)
    # Sunday's and the next Monday's are one.
    first, last = only_row(chart("user: anne, console: webdev, when: [Mon, Sun]")).bars
    assert (first.from_before, last.goes_on) == (True, True)
    # What lies in the second before or after is no bar of this week.
    assert only_row(chart("user: anne, console: webdev, valid: {until: 2026-10-18}")).bars == ()
    assert only_row(chart("user: anne, console: webdev, valid: {from: 2026-10-26}")).bars == ()


def test_a_time_that_the_clock_repeats_is_two_bars_and_one_that_it_skips_none() -> None:
    grant = "user: anne, console: webdev, when: 'Sun 02:00-02:30'"
    assert bars(only_row(chart(grant))) == [
        ("anne", at("2026-10-25T00:00"), at("2026-10-25T00:30")),
        ("anne", at("2026-10-25T01:00"), at("2026-10-25T01:30"))]
    assert words(chart(grant)) == "Sun 02:00 CEST-02:30 CEST, 02:00 CET-02:30 CET"
    assert bars(only_row(chart(grant, week=SPRING))) == []


def test_a_window_over_the_change_is_as_long_as_it_really_is() -> None:
    grant = "user: anne, console: webdev, when: 'Sun 00:00-06:00'"
    for week, hours in ((SPRING, 5), (AUTUMN, 7), ("2026-W20", 6)):
        bar, = only_row(chart(grant, week=week)).bars
        assert bar.end - bar.start == hours * 3600
        assert words(chart(grant, week=week)) == "Sun 00:00-06:00"


def test_seconds_are_kept() -> None:
    found = chart("user: anne, console: webdev, when: 'Tue 09:00:00-09:00:01'")
    assert bars(only_row(found)) == [
        ("anne", at("2026-10-20T07:00:00"), at("2026-10-20T07:00:01"))]
    assert words(found) == "Tue 09:00-09:00:01"
    assert duration(1) == "0:00:01 h"


def test_grants_of_one_subject_are_one_bar_that_names_them_both() -> None:
    found = chart("user: anne, console: webdev, when: 'Mon 08:00-12:00', reason: first",
                  "user: anne, console: webdev, when: 'Mon 12:00-17:00', reason: second",
                  "user: anne, console: webdev, when: 'Tue 12:00-17:00', reason: third")
    first, _ = only_row(found).bars
    assert [grant.reason for grant in first.grants] == ["first", "second"]
    assert words(found) == "Mon 08:00-17:00; Tue 12:00-17:00"


def test_days_with_the_same_times_are_said_together_as_a_policy_would() -> None:
    found = chart("user: anne, console: webdev, when: ['Mon-Fri 08:00-12:00', "
                  "'Mon-Fri 12:30-17:00']")
    assert words(found) == "Mon-Fri 08:00-12:00, 12:30-17:00"
    assert words(chart("user: anne, console: webdev, when: [Wed, Thu, Sat]")) == (
        "Wed,Thu,Sat 00:00-24:00")
    assert words(chart("user: anne, console: webdev, when: ['Tue 20:00-24:00', Wed, "
                       "'Thu 00:00-01:00']")) == "Tue 20:00 - Thu 01:00"
    # Not Tue 20:00-20:00, which a policy may not say.
    assert words(chart("user: anne, console: webdev, when: ['Tue 20:00-24:00', "
                       "'Wed 00:00-20:00']")) == "Tue 20:00 - Wed 20:00"
    assert words(chart("user: anne, console: webdev")) == "all week"


def test_grants_for_other_workstations_are_left_out() -> None:
    there = policy("user: anne, console: webdev, workstations: ['front-*']")
    assert only_row(chart_of(there, AUTUMN, LONG_AGO, "pc7")).bars == ()
    assert len(only_row(chart_of(there, AUTUMN, LONG_AGO, "front-1")).bars) == 1


# Overlaps and gaps


def test_overlaps_are_exact_and_say_who() -> None:
    found = chart("user: anne, console: webdev, when: 'Mon 08:00-12:00:30'",
                  "user: boss, console: webdev, when: 'Mon 11:00-13:00'",
                  "group: auditors, console: webdev, when: 'Mon 12:00-12:00:10'",
                  "user: boss, console: analysis, when: 'Mon 08:00-09:00'")
    assert [(each.start, each.end, [subject.name for subject in each.subjects])
            for each in only_row(found).overlaps] == [
        (at("2026-10-19T09:00:00"), at("2026-10-19T10:00:00"), ["anne", "boss"]),
        (at("2026-10-19T10:00:00"), at("2026-10-19T10:00:10"), ["anne", "boss", "auditors"]),
        (at("2026-10-19T10:00:10"), at("2026-10-19T10:00:30"), ["anne", "boss"])]


def test_bars_that_only_touch_do_not_overlap() -> None:
    found = chart("user: anne, console: webdev, when: 'Mon 08:00-12:00'",
                  "user: boss, console: webdev, when: 'Mon 12:00-13:00'")
    assert only_row(found).overlaps == ()
    assert set(only_row(found).lanes.values()) == {0}


def test_gaps_and_bars_fill_the_week_without_a_hole() -> None:
    found = chart("user: anne, console: webdev, when: 'Wed 08:00-12:00'",
                  "user: boss, console: webdev, when: 'Wed 12:00:01-13:00'")
    row = only_row(found)
    assert [(each.start, each.end) for each in row.gaps] == [
        (found.start, at("2026-10-21T06:00:00")),
        (at("2026-10-21T10:00:00"), at("2026-10-21T10:00:01")),
        (at("2026-10-21T11:00:00"), found.end)]
    assert sum(each.end - each.start for each in row.stretches) == 169 * 3600
    assert when(row.gaps, found) == (
        "Mon 00:00 - Wed 08:00; Wed 12:00-12:00:01; Wed 13:00 - Sun 24:00")


def test_bars_that_overlap_are_in_lanes_of_their_own() -> None:
    found = chart("user: anne, console: webdev",
                  "user: boss, console: webdev, when: 'Mon 08:00-09:00'",
                  "user: maggie, console: webdev, when: 'Tue 08:00-09:00'")
    assert {subject.name: lane for subject, lane in only_row(found).lanes.items()} == {
        "anne": 0, "boss": 1, "maggie": 1}


# One user


def test_a_users_chart_has_his_consoles_and_his_groups_only_and_no_overlap_with_himself() -> None:
    there = policy("user: anne, console: webdev", "user: boss, console: webdev",
                   "group: staff, console: webdev, when: Mon",
                   "group: auditors, console: analysis")
    own = chart_of(there, AUTUMN, LONG_AGO, user="anne", groups=frozenset({"staff"}))
    assert [row.console.name for row in own.rows] == ["webdev"]
    assert {bar.subject.name for bar in only_row(own).bars} == {"anne", "staff"}
    assert only_row(own).overlaps == ()
    assert "overlap" not in terminal(own)
    assert "several may" not in svg_document(own)
    assert "ps-overlap\"" not in svg_document(own)


def test_a_user_without_a_grant_is_told_so() -> None:
    found = chart_of(policy("user: anne, console: webdev"), AUTUMN, LONG_AGO, user="boss")
    assert found.rows == ()
    for shown in (terminal(found), svg_document(found), html_page(found)):
        assert "No grant gives boss a console here." in shown


# Letters


def test_everybody_has_a_letter_of_his_own_groups_a_great_one() -> None:
    found = chart("user: anne, console: webdev", "user: adam, console: webdev",
                  "user: auditors, console: webdev", "group: auditors, console: webdev")
    assert {str(subject): key for subject, key in found.keys.items()} == {
        "user:adam": "a", "user:anne": "n", "user:auditors": "u", "group:auditors": "A"}


def test_where_the_letters_run_out_the_rest_share_a_mark() -> None:
    found = chart(*(f"user: u{number}, console: webdev" for number in range(64)))
    keys = list(found.keys.values())
    assert len(set(keys[:62])) == 62
    assert keys[62:] == [NO_KEY, NO_KEY]
    assert "? one of those" in " ".join(terminal(found).split())
    assert "? one of those" not in terminal(chart("user: anne, console: webdev"))


# The terminal


def terminal(found: Chart, width: int = 80) -> str:
    console = pytest.importorskip("rich.console")
    from pam_spice.calendar_terminal import print_chart
    stream = io.StringIO()
    print_chart(found, console.Console(file=stream, width=width, color_system=None,
                                       force_terminal=False))
    return stream.getvalue()


def day_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if re.match(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun) ", line)
            and not re.match(r"... \d{4}", line)]


@pytest.mark.parametrize("week", [SPRING, AUTUMN])
def test_the_example_at_80_columns_without_colour(week: str, golden: Golden,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    example = policy_of(Path(EXAMPLE).read_text())
    shown = terminal(chart_of(example, week, LONG_AGO, "pc7"))
    assert max(map(len, shown.splitlines())) <= 80
    assert "\x1b" not in shown
    golden(GOLDEN / "calendar" / f"{week}.txt", shown)


@pytest.mark.parametrize(("width", "cells"), [(40, 24), (80, 48), (120, 96), (200, 144)])
def test_a_wider_terminal_shows_finer_cells(width: int, cells: int) -> None:
    monday = day_lines(terminal(chart("user: anne, console: webdev"), width))[0]
    assert monday == f"Mon 19 <{'a' * cells}"


def test_a_day_of_23_or_25_hours_has_that_many_cells() -> None:
    for week, hours in ((SPRING, 23), (AUTUMN, 25)):
        sunday = day_lines(terminal(chart("user: anne, console: webdev", week=week)))[6]
        assert sunday[8:].split(">")[0] == "a" * 2 * hours
        assert f"{hours} h" in sunday


def test_hours_stand_above_their_cells_on_the_day_of_a_change() -> None:
    shown = terminal(chart("user: anne, console: webdev, when: 'Sun 06:00-06:30'"))
    lines = shown.splitlines()
    sunday = next(index for index, line in enumerate(lines) if line.startswith("Sun 25"))
    assert lines[sunday - 1].startswith("        0   2 2 3     6 ")
    assert lines[sunday].index("a") == lines[sunday - 1].index("6")


def test_a_cell_with_an_overlap_or_several_things_shows_so() -> None:
    monday, tuesday, *_ = day_lines(terminal(chart(
        "user: anne, console: webdev, when: ['Mon 08:00-12:00', 'Tue 08:00-08:10']",
        "user: boss, console: webdev, when: ['Mon 11:59:59-12:30', 'Tue 08:10-09:00']")))
    assert monday == f"Mon 19  {'·' * 16}{'a' * 7}#b{'·' * 23}"
    assert tuesday == f"Tue 20  {'·' * 16}+b{'·' * 30}"


def test_a_gap_within_a_cell_shows() -> None:
    assert day_lines(terminal(chart(
        "user: anne, console: webdev, when: ['Mon 08:00-09:10', 'Mon 09:20-10:00']")))[0] == (
        f"Mon 19  {'·' * 16}aa+a{'·' * 28}")


def test_a_second_is_still_a_cell() -> None:
    assert day_lines(terminal(chart(
        "user: anne, console: webdev, when: 'Tue 09:00:00-09:00:01'")))[1] == (
        f"Tue 20  {'·' * 18}a{'·' * 29}")


def test_the_present_is_marked_below_its_cell() -> None:
    for now, line in (("2026-10-21T10:03:30", f"{'':32}^ now, 12:03"),
                      ("2026-10-25T22:59", f"{'':57}^ now, 23:59"),
                      ("2026-10-25T01:10", f"{'':14}^ now, 02:10 CET")):
        lines = terminal(chart("user: anne, console: webdev", now=at(now))).splitlines()
        assert line in lines
    for outside in ("2026-10-18T21:59:59", "2026-10-25T23:00:00"):
        found = chart("user: anne, console: webdev", now=at(outside))
        assert found.now is None
        assert "^" not in terminal(found)


def test_a_terminal_without_the_characters_gets_others() -> None:
    console = pytest.importorskip("rich.console")
    from pam_spice.calendar_terminal import print_chart
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding="ascii") as stream:
        print_chart(chart("user: anne, console: webdev, when: Mon, reason: für Jörg"),
                    console.Console(file=stream, width=80))
        stream.flush()
        shown = raw.getvalue().decode("ascii")
    assert f"Tue 20  {'.' * 48}\n" in shown
    assert "(f?r J?rg)" in shown


def test_markup_in_a_reason_is_text() -> None:
    assert "([red]x[/red] :smile:)" in terminal(
        chart("user: anne, console: webdev, when: Mon, reason: '[red]x[/red] :smile:'"))


def test_a_console_without_a_bar_takes_one_line() -> None:
    shown = terminal(chart("user: anne, console: webdev"))
    assert shown.endswith("analysis  mysrv:20002\n  nobody in this week\n")


# The picture


HOSTILE = "<script>alert('\"&')</script>]]><!--"


def rects(found: Chart) -> list[ElementTree.Element]:
    """The bars, without those of the legend."""
    root = ElementTree.fromstring(svg_document(found))
    return [rect for group in root.iter(f"{SVG}g") for rect in group.iter(f"{SVG}rect")
            if "ps-bar" in rect.attrib["class"]]


def test_a_bar_is_where_its_time_is() -> None:
    """Hours that really pass, not those that the clock shows."""
    found = chart("user: anne, console: webdev, when: ['Mon 00:00-01:00', 'Sat 12:00-13:30', "
                  "'Sun 12:00-12:00:01']")
    first, second, third = rects(found)
    origin = float(first.attrib["x"])
    assert float(second.attrib["x"]) - origin == pytest.approx(132 * PIXELS_PER_HOUR, abs=0.01)
    assert float(third.attrib["x"]) - origin == pytest.approx(157 * PIXELS_PER_HOUR, abs=0.01)
    assert [float(each.attrib["width"]) for each in (first, second, third)] == pytest.approx(
        [PIXELS_PER_HOUR, 1.5 * PIXELS_PER_HOUR, MIN_WIDTH])


def test_a_hostile_reason_is_only_text() -> None:
    quoted = HOSTILE.replace("'", "''")
    found = chart(f"user: 'DOM\\jane $doe', console: webdev, when: Mon, reason: '{quoted}'")
    assert "<script" not in svg_document(found) + html_page(found)
    root = ElementTree.fromstring(svg_document(found))
    assert any(HOSTILE in (title.text or "") for title in root.iter(f"{SVG}title"))
    assert any(text.text == "DOM\\jane $doe" for text in root.iter(f"{SVG}text"))


def renamed(found: Chart) -> Chart:
    """The same with a hostile console, server, subject, user and workstation. The policy's language
    keeps such names out; the picture doesn't rely on it."""
    evil = Subject(SubjectKind.USER, HOSTILE)
    rows = []
    for row in found.rows:
        server = replace(row.console.server, name=HOSTILE)
        rows.append(replace(
            row, console=replace(row.console, name=HOSTILE, server=server),
            bars=tuple(replace(bar, subject=evil) for bar in row.bars),
            stretches=tuple(replace(each, subjects=(evil,) * len(each.subjects))
                            for each in row.stretches), lanes={evil: 0}))
    return replace(found, rows=tuple(rows), keys={evil: "<"}, workstation=HOSTILE, user=HOSTILE)


def test_every_name_is_escaped() -> None:
    found = renamed(chart("user: anne, console: webdev", "user: anne, console: analysis"))
    root = ElementTree.fromstring(svg_document(found))
    page = html_page(found)
    for shown in (svg_document(found), page):
        assert "<script" not in shown
        assert "<!--" not in shown
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        "svg", "title", "desc", "style", "defs", "pattern", "path", "rect", "line", "text", "g"}
    assert "<td class=\"name\">&lt;script&gt;" in page


@pytest.mark.parametrize("week", [SPRING, AUTUMN])
def test_picture_and_page_are_well_formed_and_need_no_network(week: str) -> None:
    found = chart_of(policy_of((ROOT / EXAMPLE).read_text()), week, LONG_AGO, "pc7")
    assert ElementTree.fromstring(svg_document(found)).tag == f"{SVG}svg"
    page = html_page(found)
    ElementTree.fromstring(re.sub(r"<meta [^>]*>", "", page.removeprefix("<!DOCTYPE html>\n")))
    for text in (svg_document(found), page):
        rest = text.replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert not re.search(r"https?:|//|@import|href|src=|<script|<link", rest)
        assert set(re.findall(r"url\(([^)]*)", rest)) <= {
            f"#{name}" for name in re.findall(r'id="([^"]+)"', rest)}


def test_the_picture_says_in_words_what_it_shows() -> None:
    root = ElementTree.fromstring(svg_document(chart(
        "user: anne, console: webdev, when: 'Wed,Thu 08:00-12:00'")))
    assert root.attrib["role"] == "img"
    ids = {element.attrib["id"]: element for element in root.iter() if "id" in element.attrib}
    title, desc = (ids[name] for name in root.attrib["aria-labelledby"].split())
    assert title.text == "Consoles in week 2026-W43"
    assert desc.text is not None
    assert "webdev: anne Wed,Thu 08:00-12:00. analysis: nobody." in desc.text


def test_the_page_has_the_same_as_a_table() -> None:
    page = html_page(chart("user: anne, console: webdev, when: 'Mon 08:00-12:00', reason: why",
                           "user: boss, console: webdev, when: 'Mon 11:00-13:00'"))
    table = ElementTree.fromstring(page[page.index("<table>"):page.index("</body>")])
    cells = [["".join(cell.itertext()) for cell in row] for row in table.iter("tr")]
    assert cells[0] == ["Console", "Letter", "Who", "When", "Total", "Reason"]
    assert cells[1:5] == [
        ["webdev", "a", "anne", "Mon 08:00-12:00", "4 h", "why"],
        ["b", "boss", "Mon 11:00-13:00", "2 h", ""],
        ["", "several at once: anne + boss", "Mon 11:00-12:00", "1 h", ""],
        ["", "nobody", "Mon 00:00-08:00; Mon 13:00 - Sun 24:00", "164 h", ""]]


def test_subjects_of_the_same_colour_differ_by_texture_and_all_have_names() -> None:
    found = chart(*(f"user: user{number:02d}, console: webdev" for number in range(32)))
    root = ElementTree.fromstring(svg_document(found))
    looks = [tuple(rect.attrib["class"] for rect in group.iter(f"{SVG}rect"))
             for group in root.iter(f"{SVG}g")]
    assert len(looks) == len(set(looks)) == 32
    assert all("user" in "".join(group.itertext()) for group in root.iter(f"{SVG}g"))


def test_a_bar_too_narrow_for_its_letter_has_it_behind_unless_another_bar_is_there() -> None:
    def letters(*grants: str) -> list[str]:
        root = ElementTree.fromstring(svg_document(chart(*grants)))
        return [text.text or "" for text in root.iter(f"{SVG}text")
                if text.attrib.get("class") == "ps-name"]

    narrow = "user: anne, console: webdev, when: 'Mon 08:00-08:10'"
    assert letters(narrow) == ["a", "a"]  # the other one in the legend
    assert letters(narrow, "user: boss, console: webdev, when: 'Mon 08:10-18:00'") == [
        "boss", "a", "b"]


def test_a_long_name_is_cut_in_its_middle_and_whole_in_a_title() -> None:
    assert shortened("prod-eu-central-database-01", 16) == "prod-eu-…base-01"
    assert shortened("webdev", 6) == "webdev"
    root = ElementTree.fromstring(svg_document(renamed(chart("user: anne, console: webdev"))))
    assert any(text.find(f"{SVG}title") is not None for text in root.iter(f"{SVG}text"))


def test_the_present_is_a_line_in_its_week_only() -> None:
    def lines(now: str) -> list[float]:
        root = ElementTree.fromstring(svg_document(chart("user: anne, console: webdev",
                                                         now=at(now))))
        return [float(line.attrib["x1"]) for line in root.iter(f"{SVG}line")
                if line.attrib["class"] == "ps-now" and line.attrib["x1"] == line.attrib["x2"]]

    early, late = lines("2026-10-19T00:00:00")[0], lines("2026-10-25T12:00:00")[0]
    assert late - early == pytest.approx(156 * PIXELS_PER_HOUR, abs=0.01)
    assert lines("2026-10-18T21:59:59") == []


def test_the_picture_in_the_documents_is_what_the_command_makes(
        golden: Golden, tmp_path: Path, verb: Callable[..., int]) -> None:
    made = tmp_path / "made.svg"
    assert verb("--week", AUTUMN, "--output", str(made)) == 0
    golden(ROOT / "docs" / "calendar.svg", made.read_text(encoding="utf-8"))


# The command line


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run the verb on the example, at noon of a Monday."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(time, "time", lambda: 1795435200.0)

    def run(*arguments: str) -> int:
        parser = argparse.ArgumentParser()
        calendar.add_parser(parser.add_subparsers())
        parsed = parser.parse_args(["calendar", "--policy", EXAMPLE, "--workstation", "pc7",
                                    *arguments])
        status: int = parsed.run(parsed)
        return status

    return run


def test_without_a_week_it_shows_the_present_one(verb: Callable[..., int],
                                                 capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rich")
    assert verb() == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Consoles in week 2026-W48\n")
    assert "^ now, 13:00" in shown
    assert "\x1b" not in shown


def test_one_console_or_one_user(verb: Callable[..., int],
                                 capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rich")
    assert verb("--console", "webdev") == 0
    shown = capsys.readouterr().out
    assert "webdev" in shown
    assert "bookkeeping" not in shown
    assert verb("--user", "anne", "--groups", "auditors") == 0
    shown = capsys.readouterr().out
    assert "maggie" not in shown
    assert "analysis" in shown
    with pytest.raises(SystemExit):
        verb("--user", "anne", "--console", "webdev")


def test_a_minus_prints_svg_and_html_is_a_page(verb: Callable[..., int], tmp_path: Path,
                                               capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert verb("--output", "-") == 0
    assert ElementTree.fromstring(capsysbinary.readouterr().out).tag == f"{SVG}svg"
    assert verb("--output", str(tmp_path / "week.html")) == 0
    assert (tmp_path / "week.html").read_text().startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("arguments", [
    ["--week", "2026-43"], ["--console", "nosuch"], ["--output", "week.png"],
    ["--output", "/nonexistent/week.svg"], ["--groups", "auditors"]])
def test_what_cannot_be_used_is_said(arguments: list[str], verb: Callable[..., int]) -> None:
    with pytest.raises(UsageError):
        verb(*arguments)


def test_only_the_terminal_needs_rich() -> None:
    """``--help`` imports every verb; a workstation without rich has all the others."""
    for module in sorted(ROOT.glob("pam_spice/**/*.py")):
        imported = re.findall(r"^(?:from|import) rich", module.read_text(), re.MULTILINE)
        assert bool(imported) == (module.name == "calendar_terminal.py"), module.name
