"""The same facts in the person's language and by his conventions."""

import time

import pytest

from conf.intervals import DAY
from launcher import words
from launcher.consoles import Console
from launcher.conventions import ISO, Conventions, adopt, date_pattern, has_half_days
from launcher.language import speak

NOW = 1795424400  # Mon 2026-11-23 10:00 in Berlin
NOON = NOW + 7200
BERLIN = ((0, 3600),)
US = Conventions(date_pattern("%m/%d/%Y"), has_half_days("%r"))
GERMANY = Conventions(date_pattern("%d.%m.%Y"), has_half_days("%T"))


def webdev(until: int | None = None, opens: int | None = None) -> Console:
    return Console("webdev", "mysrv", 20002, "/ca", opens is None, until, opens, BERLIN,
                   "Europe/Berlin")


def said() -> list[str]:
    """One of each kind of sentence with times in it."""
    return [
        words.state(webdev(NOON), NOW),
        words.state(webdev(), NOW),
        words.state(webdev(opens=NOON + 9 * DAY), NOW),
        words.greeting("maggie", webdev(NOON), NOW),
        words.not_now([webdev(opens=NOON + DAY)], NOW),
        words.closing_soon(webdev(NOON), NOON - 60),
        words.closing_soon(webdev(NOON), NOON - 600),
        words.time_is_over(webdev(opens=NOON + 2 * DAY - 4 * 3600), NOON, NOON),
        *words.table([webdev(NOON), webdev()], NOW, ["webdev"])[:1]]


def test_english() -> None:
    assert said() == [
        "open until Mon 12:00",
        "open",
        "closed, next Wed 2026-12-02 12:00",
        "Hello maggie: opening webdev on mysrv, open until Mon 12:00.",
        "Not now: your next time for webdev is Tue 12:00.",
        "webdev closes in 1 minute, at 12:00.",
        "webdev closes in 10 minutes, at 12:00.",
        "Your time for webdev ended at 12:00. The next one is Wed 08:00.",
        "webdev  mysrv  open until Mon 12:00  in use by you"]


def test_german() -> None:
    speak("de")
    adopt(GERMANY)
    assert said() == [
        "offen bis Mo 12:00",
        "offen",
        "geschlossen bis Mi 02.12.2026 12:00",
        "Hallo maggie: webdev auf mysrv wird geöffnet und bleibt bis Mo 12:00 offen.",
        "webdev ist jetzt nicht offen. Ihre nächste Zeit beginnt Di 12:00.",
        "webdev schließt in 1 Minute, um 12:00.",
        "webdev schließt in 10 Minuten, um 12:00.",
        "Ihre Zeit für webdev ist um 12:00 abgelaufen. Die nächste beginnt Mi 08:00.",
        "webdev  mysrv  offen bis Mo 12:00  von Ihnen geöffnet"]


def test_a_clock_of_twelve_hours_and_the_american_date() -> None:
    adopt(US)
    assert words.state(webdev(opens=NOON + 9 * DAY + 3600), NOW) == (
        "closed, next Wed 12/02/2026 01:00 PM")
    assert words.clock(NOON + 30, BERLIN) == "12:00:30 PM"


@pytest.mark.parametrize(("there", "suffix"), [
    (3600, ""), (0, " Europe/Berlin"), (None, ""), (-18000, " Europe/Berlin")])
def test_the_policy_s_zone_is_named_where_the_workstation_s_clock_shows_another_time(
        there: int | None, suffix: str) -> None:
    adopt(Conventions(offset=lambda _: there))
    assert words.state(webdev(NOON), NOW) == f"open until Mon 12:00{suffix}"
    assert words.state(webdev(opens=NOON + DAY), NOW) == f"closed, next Tue 12:00{suffix}"
    assert words.closing_soon(webdev(NOON), NOON - 60) == (
        f"webdev closes in 1 minute, at 12:00{suffix}.")


def test_a_zone_that_differs_in_summer_alone_is_named_in_summer_alone() -> None:
    adopt(Conventions(offset=lambda instant: 3600 if instant < NOW + DAY else 7200))
    assert words.state(webdev(NOON), NOW) == "open until Mon 12:00"
    assert words.state(webdev(NOON + 2 * DAY), NOW) == "open until Wed 12:00 Europe/Berlin"


@pytest.mark.parametrize(("locale_s", "pattern"), [
    ("%d.%m.%Y", "%d.%m.%Y"), ("%m/%d/%Y", "%m/%d/%Y"), ("%d/%m/%y", "%d/%m/%Y"),
    ("%Y-%m-%d", "%Y-%m-%d"), ("%e. %m. %Y", "%e. %m. %Y"),
    ("%A %d %b %Y", ISO), ("%Oy/%Om/%Od", ISO), ("%Y년 %m월 %d일", ISO), ("", ISO), ("%d.%m.", ISO),
    ("%d.%m.%Y%n", ISO), ("x%d.%m.%Y", ISO)])
def test_a_date_is_written_as_the_locale_has_it_where_that_is_plain_numbers(
        locale_s: str, pattern: str) -> None:
    assert date_pattern(locale_s) == pattern
    assert time.strftime(pattern, time.gmtime(0)).strip()


@pytest.mark.parametrize(("locale_s", "half"), [
    ("%r", True), ("%I:%M:%S %p", True), ("%T", False), ("%H:%M:%S", False), ("%k:%M", False)])
def test_a_clock_has_twelve_hours_where_the_locale_s_has(locale_s: str, half: bool) -> None:
    assert has_half_days(locale_s) is half
