"""Times on the command line: what each form means, in which zone, and what is refused."""

import json
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from pam_spice import cli
from pam_spice.cli import main
from pam_spice.instants import instant_of
from pam_spice.verbs import UsageError, parse_instant
from tests.unit.support import NOON, SERVER
from tests.unit.test_command_pages import VERBS

BERLIN = ZoneInfo("Europe/Berlin")
DAY = 86400


def utc(text: str) -> int:
    return int(datetime.fromisoformat(f"{text}+00:00").timestamp())


@pytest.mark.parametrize(("text", "instant"), [
    ("now", "2026-11-23T12:00:05"),
    ("today", "2026-11-22T23:00"), ("yesterday", "2026-11-21T23:00"),
    ("tomorrow", "2026-11-23T23:00"), ("18:00", "2026-11-23T17:00"), ("08:30", "2026-11-23T07:30"),
    ("00:00", "2026-11-22T23:00"), ("23:59:59", "2026-11-23T22:59:59"),
    ("-2h", "2026-11-23T10:00:05"), ("2h ago", "2026-11-23T10:00:05"),
    ("+3d", "2026-11-26T12:00:05"), ("-1d12h", "2026-11-22T00:00:05"),
    ("+90m", "2026-11-23T13:30:05"), ("+90min", "2026-11-23T13:30:05"),
    ("-1w", "2026-11-16T12:00:05"), ("-5s", "2026-11-23T12:00"),
    ("1d 12h ago", "2026-11-22T00:00:05"), ("0h ago", "2026-11-23T12:00:05"),
    ("2026-11-23", "2026-11-22T23:00"), ("2026-11-23T18:00", "2026-11-23T17:00"),
    ("2026-11-23 18:00:30", "2026-11-23T17:00:30"), ("2026-11-23T18:00Z", "2026-11-23T18:00"),
    ("2026-11-23T18:00:00-05:00", "2026-11-23T23:00")])
def test_a_time_is_by_the_policy_s_clock(text: str, instant: str) -> None:
    assert instant_of(text, BERLIN, NOON + 5) == utc(instant)


@pytest.mark.parametrize(("zone", "now", "day"), [
    ("Pacific/Kiritimati", "2026-11-23T10:30", "2026-11-23T10:00"),  # UTC+14
    ("Pacific/Kiritimati", "2026-11-23T09:30", "2026-11-22T10:00"),
    ("America/Los_Angeles", "2026-11-23T07:30", "2026-11-22T08:00"),
    ("Asia/Kathmandu", "2026-11-23T18:14", "2026-11-22T18:15")])
def test_today_is_the_zone_s_day_whatever_the_day_is_elsewhere(zone: str, now: str,
                                                               day: str) -> None:
    assert instant_of("today", ZoneInfo(zone), utc(now)) == utc(day)


@pytest.mark.parametrize(("text", "zone", "now", "instant"), [
    # The hour that comes twice is the first of the two.
    ("02:30", "Europe/Berlin", "2026-10-25T12:00", "2026-10-25T00:30"),
    ("2026-10-25T02:30", "Europe/Berlin", "2026-01-01T00:00", "2026-10-25T00:30"),
    # The hour that never comes is when the clock goes on, as in the policy's valid.
    ("02:30", "Europe/Berlin", "2026-03-29T12:00", "2026-03-29T01:00"),
    ("2026-03-29T02:30", "Europe/Berlin", "2026-01-01T00:00", "2026-03-29T01:00"),
    # Days of 23 and 25 hours begin at midnight all the same, and +1d has 24.
    ("tomorrow", "Europe/Berlin", "2026-03-29T00:00", "2026-03-29T22:00"),
    ("yesterday", "Europe/Berlin", "2026-10-26T00:00", "2026-10-24T22:00"),
    ("+1d", "Europe/Berlin", "2026-10-24T12:00", "2026-10-25T12:00"),
    # A day without a midnight, and one that was left out.
    ("today", "Africa/Cairo", "2026-04-24T12:00", "2026-04-23T22:00"),
    ("yesterday", "Pacific/Apia", "2011-12-31T00:00", "2011-12-30T10:00")])
def test_where_the_clock_is_set_each_time_is_one_instant(text: str, zone: str, now: str,
                                                         instant: str) -> None:
    assert instant_of(text, ZoneInfo(zone), utc(now)) == utc(instant)


@pytest.mark.parametrize("text", [
    "", " ", "soon", "Now", "TODAY", "monday", "friday", "2", "2h", "h", "-", "+", "ago", " ago",
    "-h", "2h  ago", "2h ago ", " 2h ago", "-2h ago", "+2h ago", "-2x", "-2M", "-2y", "--2h",
    "-2h-3m", "-2.5h", "-2 h", "-123456d", "24:00", "8:00", "18:60", "18:00:60", "18:00Z", "1800",
    "18", "today 18:00", "yesterday ", "2026-13-01", "2026-02-30", "2026-11-23T25:00", "-²h",
    "１８:00", "2026-11-23T18:00\n", "now\n", "-2h\n", "1d 12h", "@1795435200"])
def test_what_is_no_time_is_refused_with_what_is_one(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time like .*, -2h or "):
        instant_of(text, BERLIN, NOON)


@pytest.mark.parametrize("text", ["1970-12-31", "2401-01-01", "9999-12-31", "0001-01-01T00:00",
                                  "-99999w", "+99999w"])
def test_a_year_out_of_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="the year is out of range"):
        instant_of(text, BERLIN, NOON)


def test_on_the_command_line_a_refusal_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"^'soon' is not a time"):
        parse_instant("soon", "Europe/Berlin")


def test_a_span_needs_no_equals_sign(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("timezone: UTC\n" + SERVER + """\
consoles: {webdev: {server: mysrv, tls_port: 20002}}
grants: [{user: anne, console: webdev}]
""")
    arguments = ["windows", "anne", "--groups", "", "--policy", str(policy), "--json"]
    assert main([*arguments, "--from", "-2h", "--to=+1d"]) == 0
    window, = json.loads(capsys.readouterr().out)
    length = datetime.fromisoformat(window["end"]) - datetime.fromisoformat(window["start"])
    assert length.total_seconds() == 26 * 3600
    with pytest.raises(SystemExit):
        main([*arguments, "--from", "--json", "--to", "now"])


def test_every_option_that_takes_a_time_takes_a_span_so() -> None:
    taking = {option for verb in VERBS.values() for action in verb._actions
              if action.metavar == "TIME" for option in action.option_strings}
    assert taking == set(cli._TIMES)
