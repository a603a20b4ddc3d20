"""Windows to absolute intervals, against the definition: the wall clock, asked second by second.

The oracle shares no code with ``conf``: it asks ``datetime`` and ``zoneinfo`` for the wall clock at
an instant and looks whether a window, kept as days and times of day, holds it.
"""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from conf.deciding import explain, windows_of
from conf.intervals import EVERY_DATE, Interval, Offsets, merged, open_intervals
from conf.model import Policy
from conf.zones import offsets_between
from tests.unit.support import SERVER, policy_of

DAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Span = tuple[frozenset[str], int, int]
"""Days, and start and end as seconds of a day; an end at or before the start is the next day's."""


def at(text: str, zone: str = "UTC") -> int:
    """Seconds since the epoch of an ISO date and time in a zone."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


def is_open(spans: list[Span], zone: ZoneInfo, instant: int) -> bool:
    """The definition of DESIGN.md."""
    wall = (_EPOCH + timedelta(seconds=instant)).astimezone(zone)
    second = wall.hour * 3600 + wall.minute * 60 + wall.second
    today = DAY_NAMES[wall.weekday()]
    yesterday = DAY_NAMES[(date(wall.year, wall.month, wall.day) - timedelta(days=1)).weekday()]
    for days, start, end in spans:
        if start < end:
            if today in days and start <= second < end:
                return True
        elif (today in days and second >= start) or (yesterday in days and second < end):
            return True
    return False


def clock(second: int) -> str:
    text = f"{second // 3600:02}:{second // 60 % 60:02}"
    return f"{text}:{second % 60:02}" if second % 60 else text


def literal(span: Span) -> str:
    days, start, end = span
    return f"{','.join(day for day in DAY_NAMES if day in days)} {clock(start)}-{clock(end)}"


def policy_with(spans: list[Span], zone: str) -> Policy:
    windows = ", ".join(f'"{literal(span)}"' for span in spans)
    return policy_of(f"timezone: {zone}\n{SERVER}consoles:\n"
                     "  webdev: {server: mysrv, tls_port: 20002}\n"
                     f"grants:\n  - {{user: anne, console: webdev, when: [{windows}]}}\n")


def compare(spans: list[Span], zone_name: str, start: int, end: int, step: int) -> None:
    """Assert that windows_of says what the oracle says, everywhere in [start, end)."""
    found = [(opens, closes) for _, opens, closes in
             windows_of(policy_with(spans, zone_name), "anne", frozenset(), start, end)]
    assert found == merged(found), "not sorted and merged"
    assert all(start <= opens < closes <= end for opens, closes in found)
    zone = ZoneInfo(zone_name)
    instants = set(range(start, end, step))
    edges = {edge for interval in found for edge in interval}
    # The oracle's own edges: an interval that is left out whole must not go unnoticed.
    previous = start
    for instant in range(start + step, end, step):
        if is_open(spans, zone, instant) != is_open(spans, zone, previous):
            edges.add(instant - instant % 60)
        previous = instant
    for edge in edges:
        instants.update(range(edge - 3, edge + 4))
    for instant in sorted(instants):
        if start <= instant < end:
            inside = any(opens <= instant < closes for opens, closes in found)
            assert inside == is_open(spans, zone, instant), (
                f"{(_EPOCH + timedelta(seconds=instant)).astimezone(zone)} "
                f"({instant}) is {'in' if inside else 'not in'} {found}")


# Every zone with an instant at which something odd happens to its clock.
ODDITIES = [
    ("Europe/Berlin", "2026-03-29T01:00"),  # 02:00 -> 03:00
    ("Europe/Berlin", "2026-10-25T01:00"),  # 03:00 -> 02:00
    ("Europe/Berlin", "2026-12-31T23:00"),  # the year ends
    ("Australia/Lord_Howe", "2026-04-04T15:00"),  # half an hour back
    ("Australia/Lord_Howe", "2026-10-03T15:30"),  # half an hour on
    ("Pacific/Apia", "2011-12-30T10:00"),  # 2011-12-30 did not exist
    ("Pacific/Kwajalein", "1993-08-21T12:00"),  # nor here 1993-08-21
    ("Asia/Pyongyang", "2015-08-14T15:00"),  # half an hour back for good
    ("Asia/Pyongyang", "2018-05-04T15:00"),  # 23:30 -> 00:00
    ("America/St_Johns", "2026-03-08T05:30"),
    ("America/St_Johns", "2010-11-07T02:31"),  # 00:01 -> 23:01 of the day before
    ("Africa/Casablanca", "2026-02-15T02:00"),  # Ramadan
    ("Africa/Casablanca", "2026-03-22T02:00"),
    ("Asia/Kathmandu", "1985-12-31T18:30"),  # a quarter of an hour on
    ("Pacific/Chatham", "2026-04-04T14:00"),
    ("Pacific/Chatham", "2026-09-26T14:00"),
    ("America/Sao_Paulo", "2018-11-04T03:00"),  # midnight did not exist
    ("Asia/Beirut", "2026-10-24T21:00"),  # midnight comes twice
    ("UTC", "2026-12-31T23:59"),
    ("UTC", "2028-02-29T12:00"),
]

_SECOND = st.one_of(
    st.sampled_from([0, 1800, 3600, 5400, 7200, 7201, 9000, 10799, 10800, 82800, 84600, 86399]),
    st.integers(0, 86399))
_SPAN = st.tuples(st.frozensets(st.sampled_from(DAY_NAMES), min_size=1), _SECOND, _SECOND).filter(
    lambda span: span[1] != span[2])
_SPANS = st.lists(_SPAN, min_size=1, max_size=4)


@settings(max_examples=50, deadline=None)
@given(_SPANS, st.sampled_from(ODDITIES), st.integers(-3 * 86400, 0), st.integers(1, 4 * 86400))
def test_random_windows_are_open_when_the_wall_clock_lies_in_them(
        spans: list[Span], oddity: tuple[str, str], before: int, length: int) -> None:
    zone, moment = oddity
    start = at(moment) + before
    compare(spans, zone, start, start + length, 300)


def every_day(start: str, end: str) -> Span:
    def seconds(text: str) -> int:
        hour, _, minute = text.partition(":")
        return int(hour) * 3600 + int(minute) * 60

    return frozenset(DAY_NAMES), seconds(start), seconds(end)


@pytest.mark.parametrize(("zone", "moment"), ODDITIES)
def test_around_each_clock_change_the_hours_are_open_to_the_second(zone: str,
                                                                   moment: str) -> None:
    instant = at(moment)
    spans = [every_day("22:00", "02:30"), every_day("23:15", "23:45"), every_day("12:00", "13:00")]
    compare(spans, zone, instant - 30 * 3600, instant + 30 * 3600, 120)
    compare([every_day("02:00", "03:00"), every_day("23:00", "00:15")], zone, instant - 4000,
            instant + 4000, 1)


def iso(intervals: list[tuple[str, int, int]]) -> list[tuple[str, str]]:
    return [tuple((_EPOCH + timedelta(seconds=edge)).strftime("%Y-%m-%dT%H:%M:%SZ")
                  for edge in interval[1:]) for interval in intervals]  # type: ignore[misc]


def hours(text: str, zone: str, start: str, end: str) -> list[tuple[str, str]]:
    policy = policy_of(f"timezone: {zone}\n{SERVER}consoles:\n"
                       "  webdev: {server: mysrv, tls_port: 20002}\n"
                       f'grants:\n  - {{user: anne, console: webdev, when: "{text}"}}\n')
    return iso(windows_of(policy, "anne", frozenset(), at(start), at(end)))


def test_the_hour_that_is_left_out_in_spring_never_comes() -> None:
    assert hours("Sun 02:00-03:00", "Europe/Berlin", "2026-03-28T00:00", "2026-03-30T00:00") == []


def test_the_hour_that_is_repeated_in_autumn_is_open_twice_without_a_gap() -> None:
    assert hours("Sun 02:00-03:00", "Europe/Berlin", "2026-10-24T00:00", "2026-10-26T00:00") == [
        ("2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z")]


def test_a_half_of_the_repeated_hour_is_open_twice_with_a_gap() -> None:
    assert hours("Sun 02:00-02:30", "Europe/Berlin", "2026-10-24T00:00", "2026-10-26T00:00") == [
        ("2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z"),
        ("2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z")]


def test_the_day_that_did_not_exist_in_apia_never_comes() -> None:
    # 2011-12-30 was to be a Friday.
    assert hours("Fri", "Pacific/Apia", "2011-12-24T12:00", "2012-01-04T00:00") == []


def test_the_night_of_the_day_that_did_not_exist_is_open_by_the_wall_clock_of_the_next() -> None:
    assert hours("Fri 22:00-06:00", "Pacific/Apia", "2011-12-30T00:00", "2012-01-02T00:00") == [
        ("2011-12-30T10:00:00Z", "2011-12-30T16:00:00Z")]


def test_an_overnight_window_belongs_to_the_day_on_which_it_starts() -> None:
    assert hours("Fri 22:00-06:00", "UTC", "2026-11-20T00:00", "2026-11-23T00:00") == [
        ("2026-11-20T22:00:00Z", "2026-11-21T06:00:00Z")]


def test_a_window_over_the_end_of_the_year_and_week_stays_whole() -> None:
    assert hours("Sun 22:00-06:00", "UTC", "2028-12-31T00:00", "2029-01-02T00:00") == [
        ("2028-12-31T22:00:00Z", "2029-01-01T06:00:00Z")]


def test_windows_that_touch_are_one() -> None:
    assert hours("Mon,Tue", "UTC", "2026-11-22T00:00", "2026-11-26T00:00") == [
        ("2026-11-23T00:00:00Z", "2026-11-25T00:00:00Z")]


def test_a_span_of_no_length_has_no_windows() -> None:
    assert hours("Mon-Sun", "UTC", "2026-11-23T00:00", "2026-11-23T00:00") == []


@pytest.mark.parametrize("zone", sorted({zone for zone, _ in ODDITIES}))
def test_offsets_are_what_zoneinfo_says_just_before_and_after_each_change(zone: str) -> None:
    info = ZoneInfo(zone)
    start, end = at("2026-01-01T00:00"), at("2027-02-05T00:00")
    offsets = offsets_between(info, start, end)
    assert offsets == tuple(sorted(offsets))
    assert offsets[0][0] == start

    def true_offset(instant: int) -> int:
        found = (_EPOCH + timedelta(seconds=instant)).astimezone(info).utcoffset()
        assert found is not None
        return int(found.total_seconds())

    def said_offset(instant: int) -> int:
        return [offset for since, offset in offsets if since <= instant][-1]

    around = {since + near for since, _ in offsets for near in (-1, 0, 1)}
    for instant in around | set(range(start, end, 3 * 3600)):
        if start <= instant < end:
            assert said_offset(instant) == true_offset(instant)


_INTERVALS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=8)


@given(_INTERVALS)
def test_merged_holds_the_same_instants_sorted_apart_and_not_empty(
        intervals: list[Interval]) -> None:
    result = merged(intervals)
    inside = {instant for start, end in intervals for instant in range(start, end)}
    assert {instant for start, end in result for instant in range(start, end)} == inside
    assert all(start < end for start, end in result)
    assert all(first[1] < second[0] for first, second in zip(result, result[1:], strict=False))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 127), st.integers(0, 86399), st.integers(1, 86400)),
                max_size=3),
       st.lists(st.tuples(st.integers(-300_000, 300_000), st.integers(-50_000, 50_000)),
                min_size=1, max_size=4, unique_by=lambda pair: pair[0]),
       st.integers(-200_000, 200_000), st.integers(0, 200_000), st.integers(0, 200_000))
@example([(127, 0, 86400)], [(0, 0)], 0, 5, 5)
def test_intervals_of_a_part_are_the_part_of_the_intervals(
        spans: list[tuple[int, int, int]], changes: list[tuple[int, int]], start: int, first: int,
        second: int) -> None:
    windows = tuple((days, opens, opens + length, EVERY_DATE) for days, opens, length in spans)
    offsets: Offsets = tuple(sorted(changes))
    middle, end = start + first, start + first + second
    whole = open_intervals(windows, offsets, start, end)
    parts = (open_intervals(windows, offsets, start, middle)
             + open_intervals(windows, offsets, middle, end))
    assert merged(parts) == whole


@settings(max_examples=25, deadline=None)
@given(_SPANS, st.sampled_from(ODDITIES), st.integers(-86400, 86400))
def test_explain_agrees_with_the_definition_and_with_windows(
        spans: list[Span], oddity: tuple[str, str], near: int) -> None:
    zone, moment = oddity
    instant = at(moment) + near
    policy = policy_with(spans, zone)
    verdict = explain(policy, "anne", frozenset(), policy.consoles["webdev"], instant)
    assert verdict.allowed == is_open(spans, ZoneInfo(zone), instant)
    ahead = windows_of(policy, "anne", frozenset(), instant, instant + 10 * 86400)
    if verdict.allowed and verdict.until is not None and verdict.until < instant + 10 * 86400:
        assert ahead[0][1:] == (instant, verdict.until)
        ahead = ahead[1:]
    if verdict.next is not None and verdict.next < instant + 10 * 86400:
        assert ahead[0][1] == verdict.next
