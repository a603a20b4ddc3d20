"""Window literals: what they mean, and where exactly a bad one is bad."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.calendars import day_number
from conf.intervals import DAY, EVERY_DATE
from conf.times import EVERY_DAY, BadWindow, parse_window

H = 3600


@pytest.mark.parametrize(("text", "expected"), [
    ("Mon", ((0b0000001, 0, DAY),)),
    ("Sun", ((0b1000000, 0, DAY),)),
    ("Mon,Tue", ((0b0000011, 0, DAY),)),
    ("Mon-Fri", ((0b0011111, 0, DAY),)),
    ("Mon-Sun", ((EVERY_DAY, 0, DAY),)),
    ("Mon-Mon", ((0b0000001, 0, DAY),)),
    ("Sat-Mon", ((0b1100001, 0, DAY),)),
    ("Mon,Wed-Fri,Sun", ((0b1011101, 0, DAY),)),
    ("Mon,Mon", ((0b0000001, 0, DAY),)),
    ("08:00-18:00", ((EVERY_DAY, 8 * H, 18 * H),)),
    ("8:00-18:00", ((EVERY_DAY, 8 * H, 18 * H),)),
    ("00:00-24:00", ((EVERY_DAY, 0, DAY),)),
    ("22:00-06:00", ((EVERY_DAY, 22 * H, 30 * H),)),
    ("22:00-00:00", ((EVERY_DAY, 22 * H, DAY),)),
    ("12:34:56-12:34:57", ((EVERY_DAY, 45296, 45297),)),
    ("12:00-12:00:01", ((EVERY_DAY, 12 * H, 12 * H + 1),)),
    ("12:00:01-12:00", ((EVERY_DAY, 12 * H + 1, 36 * H),)),
    ("08:00-12:00,13:00-17:00", ((EVERY_DAY, 8 * H, 12 * H), (EVERY_DAY, 13 * H, 17 * H))),
    ("Mon-Fri 08:00-18:00", ((0b0011111, 8 * H, 18 * H),)),
    ("Fri-Sat 22:00-06:00", ((0b0110000, 22 * H, 30 * H),)),
    ("  Mon   08:00-18:00 ", ((0b0000001, 8 * H, 18 * H),)),
    ("Wed,Thu 08:00-12:00,12:30-17:00",
     ((0b0001100, 8 * H, 12 * H), (0b0001100, 12 * H + 1800, 17 * H))),
])
def test_a_literal_means_its_days_and_seconds(text: str,
                                              expected: tuple[tuple[int, int, int], ...]) -> None:
    assert parse_window(text) == tuple((*window, EVERY_DATE) for window in expected)


@pytest.mark.parametrize(("text", "expected"), [
    ("2026-12-24", [("2026-12-24", "2026-12-24")]),
    ("2026-12-24..2027-01-02", [("2026-12-24", "2027-01-02")]),
    ("2026-12-24,2026-12-31", [("2026-12-24", "2026-12-24"), ("2026-12-31", "2026-12-31")]),
    ("2028-02-29", [("2028-02-29", "2028-02-29")]),
    ("1971-01-01..2399-12-31", [("1971-01-01", "2399-12-31")]),
])
def test_dates_before_days_and_times_narrow_them(text: str,
                                                 expected: list[tuple[str, str]]) -> None:
    spans = [tuple(day_number(date.fromisoformat(day)) for day in span) for span in expected]
    for rest, window in (("", (EVERY_DAY, 0, DAY)), (" Mon", (1, 0, DAY)),
                         (" 22:00-06:00", (EVERY_DAY, 22 * H, 30 * H)),
                         (" Mon 08:00-12:00", (1, 8 * H, 12 * H))):
        assert parse_window(text + rest) == tuple((*window, span) for span in spans)


@pytest.mark.parametrize(("text", "offset", "fact"), [
    ("", 0, "'' is not a window"),
    ("   ", 0, "'   ' is not a window"),
    ("Mon 08:00-09:00 10:00-11:00", 0, "is not a window"),
    ("Mon Tue 08:00-09:00", 0, "is not a window"),
    ("08:00-09:00 Mon", 0, "is not a window"),
    ("Mon 2026-12-24", 0, "is not a window"),
    ("2026-12-24 2026-12-25", 0, "is not a window"),
    ("2026-12-24..", 0, "has no end"),
    ("2026-02-29", 0, "there is no 2026-02-29"),
    ("2026-13-01 Mon", 0, "there is no 2026-13-01"),
    ("2026-1-1", 0, "'2026-1-1' is not a date"),
    ("1970-01-01", 0, "the year 1970 is out of range"),
    ("2400-01-01", 0, "the year 2400 is out of range"),
    ("2026-12-24..2026-12-23", 0, "ends before it begins"),
    ("2026-12-24,2026-12-99 Mon", 11, "there is no 2026-12-99"),
    ("2026-12-24T08:00", 0, "is not a date"),
    ("Mo", 0, "'Mo' is not a day"),
    ("mon", 0, "'mon' is not a day"),
    ("MON", 0, "'MON' is not a day"),
    ("Monday", 0, "'Monday' is not a day"),
    ("Mon,Tus", 4, "'Tus' is not a day"),
    ("Mon-Fry", 4, "'Fry' is not a day"),
    ("Mon,", 4, "'' is not a day"),
    (",Mon", 0, "'' is not a day"),
    ("Mon-", 4, "'' is not a day"),
    ("Mon-Tue-Wed", 4, "'Tue-Wed' is not a day"),
    ("Mon, Tue", 4, "'' is not a day"),
    ("Mon 8-18", 4, "'8' is not a time of day"),
    ("Mon 08:00", 4, "'08:00' has no end"),
    ("08:00-18:60", 6, "'18:60' is not a time of day"),
    ("08:00-18:00:60", 6, "'18:00:60' is not a time of day"),
    ("25:00-26:00", 0, "'25:00' is not a time of day"),
    ("08:00-24:01", 6, "'24:01' is not a time of day"),
    ("08:00-24:00:01", 6, "'24:00:01' is not a time of day"),
    ("Mon 08:00-09:00,10:00-1000", 22, "'1000' is not a time of day"),
    ("Mon 08:00-09:00,10:00", 16, "'10:00' has no end"),
    ("08:00-", 6, "'' is not a time of day"),
    ("08:00-09:00-10:00", 6, "'09:00-10:00' is not a time of day"),
    ("08:00-08:00", 0, "'08:00-08:00' is empty"),
    ("24:00-06:00", 0, "'24:00-06:00' is empty"),
    ("24:00-24:00", 0, "'24:00-24:00' is empty"),
    ("Mon 12:00-13:00,09:00-09:00:00", 16, "'09:00-09:00:00' is empty"),
    ("-1:00-02:00", 0, "is not a day"),
    ("1080-1320", 0, "'1080' is not a time of day"),
    ("08.00-09.00", 0, "'08.00' is not a time of day"),
    ("08:0-09:00", 0, "'08:0' is not a time of day"),
    ("008:00-09:00", 0, "'008:00' is not a time of day"),
    ("٠٨:٠٠-٠٩:٠٠", 0, "is not a time of day"),
    ("²:00-09:00", 0, "is not a time of day"),
    ("Mon\t08:00-09:00", 0, "is not a day"),
    ("Mon\n", 0, "is not a day"),
    ("08:00-09:00\n", 6, "is not a time of day"),
    ("Mon\N{NO-BREAK SPACE}08:00-09:00", 0, "is not a day"),
    ("08:00\N{EN DASH}09:00", 0, "is not a window"),
])
def test_a_bad_literal_is_refused_at_its_bad_part(text: str, offset: int, fact: str) -> None:
    with pytest.raises(BadWindow) as caught:
        parse_window(text)
    assert (caught.value.offset, fact in caught.value.fact) == (offset, True), caught.value.fact


@given(st.text(alphabet="MonTueSat0123456789:-, \n\t٣é", max_size=30))
def test_any_text_is_a_window_within_two_days_or_a_bad_window_with_a_place_in_it(
        text: str) -> None:
    try:
        windows = parse_window(text)
    except BadWindow as error:
        assert 0 <= error.offset <= len(text)
        assert error.fact and error.remedy
    else:
        assert windows
        for days, start, end, (first, last) in windows:
            assert first <= last
            assert 0 < days <= EVERY_DAY
            assert 0 <= start < DAY
            assert start < end <= start + DAY
