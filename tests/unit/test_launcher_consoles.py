"""What is open when, and in which words."""

from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo

import pytest

from conf.grantline import GrantLine
from conf.intervals import DAY, UNKNOWN, Offsets
from conf.times import parse_window
from conf.viewer import viewer_command
from conf.zones import offsets_between
from launcher import words
from launcher.consoles import Console, consoles_of
from launcher.spice_open import sudo_command
from session.records import OPEN, Record, format_record, parse_record

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")


def at(text: str, zone: ZoneInfo = BERLIN) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp())


def grant(console: str, *windows: str, zone: str = "Europe/Berlin",
          subject: str = "user:maggie") -> GrantLine:
    spans = tuple(window for text in windows for window in parse_window(text))
    return GrantLine(subject, console, "mysrv", "mysrv.example", 20002, ("192.168.2.2",),
                     "/etc/pam-spice/mysrv-ca.pem", ((zone, spans, ()),) if windows else None,
                     "policy.yaml:1")


@cache
def offsets_of(zone: str) -> Offsets:
    return offsets_between(ZoneInfo(zone), at("2026-03-01T00:00"), at("2027-03-01T00:00"))


def record(*grants: GrantLine) -> Record:
    offsets = {zone: offsets_of(zone) for zone in ("Europe/Berlin", "America/New_York")}
    made = Record("5", 1021, "maggie", 100, 200, 300, "abc", OPEN, offsets, list(grants))
    return parse_record(format_record(made))


def only(made: Record, now: float) -> Console:
    (console,) = consoles_of(made, now)
    return console


MONDAY_10 = at("2026-11-23T10:00")


def test_an_open_console_says_until_when() -> None:
    console = only(record(grant("webdev", "Mon-Fri 08:00-12:00")), MONDAY_10)
    assert (console.is_open, console.until) == (True, at("2026-11-23T12:00"))
    assert words.state(console, MONDAY_10) == "open until Mon 12:00"


def test_a_closed_console_says_when_next() -> None:
    console = only(record(grant("webdev", "Tue 08:00-12:00")), MONDAY_10)
    assert (console.is_open, console.next) == (False, at("2026-11-24T08:00"))
    assert words.state(console, MONDAY_10) == "closed, next Tue 08:00"


def test_a_console_granted_always_is_open_without_end() -> None:
    console = only(record(grant("bookkeeping")), MONDAY_10)
    assert console.until is None
    assert words.state(console, MONDAY_10) == "open"


def test_windows_that_follow_one_another_for_ever_have_no_end() -> None:
    console = only(record(grant("webdev", "Mon-Sun")), MONDAY_10)
    assert (console.is_open, console.until) == (True, None)


def test_several_grants_of_one_console_are_one_console_with_their_times_joined() -> None:
    console = only(record(grant("webdev", "Mon 08:00-11:00"),
                          grant("webdev", "Mon 11:00-17:00", subject="group:devs")), MONDAY_10)
    assert console.until == at("2026-11-23T17:00")


def test_always_by_one_grant_wins_over_the_windows_of_another() -> None:
    console = only(record(grant("webdev", "Tue"), grant("webdev", subject="group:devs")), MONDAY_10)
    assert (console.is_open, console.until) == (True, None)


def test_consoles_are_listed_by_name() -> None:
    made = record(grant("webdev"), grant("analysis"), grant("bookkeeping"))
    assert [console.name for console in consoles_of(made, MONDAY_10)] == [
        "analysis", "bookkeeping", "webdev"]


def test_a_record_without_grants_has_no_consoles() -> None:
    assert consoles_of(record(), MONDAY_10) == []


@pytest.mark.parametrize(("instant", "is_open"), [
    (at("2026-11-23T08:00") - 0.001, False),
    (at("2026-11-23T08:00"), True),
    (at("2026-11-23T12:00") - 0.001, True),
    (at("2026-11-23T12:00"), False),
])
def test_a_window_is_open_from_its_start_and_closed_at_its_end(
        instant: float, is_open: bool) -> None:
    assert only(record(grant("webdev", "Mon 08:00-12:00")), instant).is_open is is_open


def test_the_same_window_next_week_is_said_with_its_date() -> None:
    now = at("2026-11-24T12:00")
    console = only(record(grant("webdev", "Tue 08:00-12:00")), now)
    assert words.state(console, now) == "closed, next Tue 2026-12-01 08:00"


def test_six_days_ahead_a_weekday_needs_no_date() -> None:
    now = at("2026-11-24T23:59")
    console = only(record(grant("webdev", "Mon 08:00-12:00")), now)
    assert words.state(console, now) == "closed, next Mon 08:00"


def test_days_are_counted_on_the_policys_calendar_not_in_hours() -> None:
    now = at("2026-11-23T23:30")  # Monday night; the Monday after begins in less than 7 * 24 h
    console = only(record(grant("webdev", "Mon 08:00-12:00")), now)
    assert words.state(console, now) == "closed, next Mon 2026-11-30 08:00"


def test_times_are_told_in_the_policys_zone() -> None:
    now = at("2026-11-23T10:00", NEW_YORK)
    console = only(record(grant("webdev", "Mon 08:00-12:00", zone="America/New_York")), now)
    assert words.state(console, now) == "open until Mon 12:00"


def temporary(console: str, end: int) -> GrantLine:
    """What `pam-spice grant` gives: until an instant, in no zone."""
    return GrantLine("user:maggie", console, "mysrv", "mysrv.example", 20002, ("192.168.2.2",),
                     "/etc/pam-spice/mysrv-ca.pem", None, "temporary.yaml:4", (0, end))


def test_a_grant_without_a_zone_is_told_in_the_policys_own() -> None:
    end = at("2026-11-23T12:00")
    made = record(temporary("webdev", end),
                  grant("analysis", "Mon 08:00-12:00", zone="America/New_York"))
    analysis, webdev = consoles_of(made, MONDAY_10)
    assert words.state(webdev, MONDAY_10) == "open until Mon 12:00"
    assert words.closing_soon(webdev, end - 60) == "webdev closes in 1 minute, at 12:00."
    assert words.state(analysis, MONDAY_10) == "closed, next Mon 08:00"


def test_an_end_of_what_is_known_of_a_zone_is_told_by_the_clock_before_it() -> None:
    ends = at("2026-11-24T15:00")
    made = record(grant("webdev", "Mon-Sun"), grant("analysis", "Wed 08:00-12:00"),
                  temporary("bookkeeping", ends + DAY))
    made.offsets["Europe/Berlin"] = (*made.offsets["Europe/Berlin"], (ends, UNKNOWN))
    analysis, bookkeeping, webdev = consoles_of(made, MONDAY_10)
    assert words.state(webdev, MONDAY_10) == "open until Tue 15:00"
    assert words.state(bookkeeping, MONDAY_10) == "open until Wed 15:00"
    assert words.state(analysis, MONDAY_10) == "closed"
    _, _, webdev = consoles_of(made, ends)
    assert words.state(webdev, ends) == "closed"
    assert words.time_is_over(webdev, ends, ends) == "Your time for webdev ended at 15:00."


def test_times_after_a_change_of_the_clock_are_told_by_the_clock_of_then() -> None:
    now = at("2026-03-28T10:00")  # Saturday; clocks go forward in the night
    console = only(record(grant("webdev", "Mon 08:00-12:00")), now)
    assert words.state(console, now) == "closed, next Mon 08:00"
    assert console.next == at("2026-03-30T08:00")


def test_an_overnight_window_ends_on_the_next_day() -> None:
    now = at("2026-11-28T01:00")
    console = only(record(grant("webdev", "Fri 22:00-06:00")), now)
    assert words.state(console, now) == "open until Sat 06:00"


def test_seconds_are_told_only_where_there_are_some() -> None:
    zone = ((0, 3600),)
    assert words.clock(at("2026-11-23T12:00"), zone) == "12:00"
    assert words.clock(at("2026-11-23T12:00") + 20, zone) == "12:00:20"


def test_not_now_names_the_next_time() -> None:
    consoles = consoles_of(record(grant("webdev", "Tue 08:00-12:00")), MONDAY_10)
    assert words.not_now(consoles, MONDAY_10) == (
        "Not now: your next time for webdev is Tue 08:00.")


def test_not_now_tells_the_soonest_of_several_first() -> None:
    made = record(grant("analysis", "Wed 08:00-12:00"), grant("webdev", "Tue 08:00-12:00"))
    assert words.not_now(consoles_of(made, MONDAY_10), MONDAY_10).splitlines() == [
        "Not now: your next time for webdev is Tue 08:00.",
        "Not now: your next time for analysis is Wed 08:00."]


def test_without_any_coming_time_the_administrator_is_the_remedy() -> None:
    never = Console("webdev", "mysrv.example", 20002, "/ca", False, None, None, ((0, 0),))
    assert words.not_now([never], MONDAY_10) == (
        "Not now: there is no time for webdev in the next 60 days. Ask your administrator.")
    assert words.state(never, MONDAY_10) == "closed"


def test_the_greeting_names_person_console_server_and_end() -> None:
    console = only(record(grant("webdev", "Mon 08:00-12:00")), MONDAY_10)
    assert words.greeting("maggie", console, MONDAY_10) == (
        "Hello maggie: opening webdev on mysrv.example, open until Mon 12:00.")
    always = only(record(grant("webdev")), MONDAY_10)
    assert words.greeting("maggie", always, MONDAY_10) == (
        "Hello maggie: opening webdev on mysrv.example.")


def test_the_list_is_aligned() -> None:
    made = record(grant("a", "Tue 08:00-12:00"), grant("bookkeeping"))
    assert words.table(consoles_of(made, MONDAY_10), MONDAY_10) == [
        "a            mysrv.example  closed, next Tue 08:00",
        "bookkeeping  mysrv.example  open"]


@pytest.mark.parametrize(("seconds", "text"), [
    (600, "10 minutes"), (599.9, "10 minutes"), (300, "5 minutes"), (61, "2 minutes"),
    (60, "1 minute"), (3, "1 minute"), (0, "1 minute")])
def test_time_to_go_is_told_in_whole_minutes(seconds: float, text: str) -> None:
    end = at("2026-11-23T12:00")
    console = only(record(grant("webdev", "Mon 08:00-12:00")), end - 3600)
    assert words.closing_soon(console, end - seconds) == f"webdev closes in {text}, at 12:00."


def test_what_was_typed_can_not_move_the_cursor() -> None:
    assert words.printable("web\x1b[2Jdev") == r"'web\x1b[2Jdev'"
    assert words.printable("webdev") == "webdev"


def test_sudo_is_called_by_its_path_with_the_viewers_one_command_line() -> None:
    console = only(record(grant("webdev")), MONDAY_10)
    assert sudo_command(console) == [
        "/usr/bin/sudo", "-g", "spicegrp", "--",
        *viewer_command("webdev", "mysrv.example", 20002, "/etc/pam-spice/mysrv-ca.pem")]
