"""From one policy to another: who gains and loses what when, in instants and in words."""

import argparse
import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conf.changes import Changes, compare, without
from conf.deciding import intervals_of
from conf.intervals import DAY, Interval
from conf.model import Policy
from conf.parser import parse_policy
from conf.zones import load_zone, offsets_between
from pam_spice.verbs import UsageError, diff
from tests.unit.phrases import read
from tests.unit.support import NOON, SERVER, policy_of, within

HEAD = f"""\
timezone: Europe/Berlin
{SERVER}consoles:
  bookkeeping: {{server: mysrv, tls_port: 20001}}
  webdev: {{server: mysrv, tls_port: 20002}}
  analysis: {{server: mysrv, tls_port: 20003}}
workstations: {{pc7: [192.168.2.27, "fd00:7::/64"]}}
windows:
  evenings: [Mon-Fri 18:00-22:00]
  newyork: {{when: Mon-Fri 09:00-17:00, timezone: America/New_York}}
"""
ANNE = "user: anne, console: webdev"


def text_of(*grants: str, head: str = HEAD) -> str:
    return head + ("grants:\n" if grants else "") + "".join(
        f"  - {{{grant}}}\n" for grant in grants)


def policy(*grants: str, head: str = HEAD) -> Policy:
    return policy_of(text_of(*grants, head=head))


def changes(old: Policy, new: Policy, workstation: str = "pc7", has_problems: bool = False,
            now: int = NOON) -> Changes:
    return compare(old, new, now, now + 28 * DAY, workstation, has_problems)


def lines(old: list[str], new: list[str], workstation: str = "pc7") -> list[str]:
    return changes(policy(*old), policy(*new), workstation).lines()


# Words

@pytest.mark.parametrize(("old", "new", "is_said"), [
    ("", f"{ANNE}, when: Wed 08:00-12:00", True),
    ("", f"{ANNE}, when: newyork", True),
    ("", f"{ANNE}, when: Wed 08:00-12:00, workstations: front-1", True),
    ("", f"{ANNE}, valid: {{until: 2026-12-24 18:00}}", True),
    (f"{ANNE}, when: [Mon, Tue]", f"{ANNE}, when: Mon", False), ("", ANNE, False), ("", "", False)])
def test_where_a_time_of_day_is_told_it_is_said_by_whose_clock(
        old: str, new: str, is_said: bool) -> None:
    found = changes(policy(*filter(None, [old])), policy(*filter(None, [new])))
    assert found.clock == ("times without a zone are by the clock of Europe/Berlin" if is_said
                           else "")


@pytest.mark.parametrize(("old", "new", "words"), [
    ("user: maggie, console: webdev, when: [Mon, Tue]", "user: maggie, console: webdev, when: Mon",
     "maggie loses webdev on Tuesdays"),
    (f'{ANNE}, when: ["Wed,Thu 08:00-12:00", "Wed,Thu 12:30-17:00"]',
     f'{ANNE}, when: "Wed,Thu 08:00-17:00"', "anne gains webdev Wed,Thu 12:00-12:30"),
    ("", "user: boss, console: bookkeeping", "boss gains bookkeeping always"),
    ("user: boss, console: bookkeeping", "", "boss loses bookkeeping altogether"),
    ("user: boss, console: bookkeeping, when: evenings", "user: boss, console: bookkeeping",
     "boss gains bookkeeping: always instead of Mon-Fri 18:00-22:00"),
    ("", "group: auditors, console: webdev, when: 'Fri-Sat 22:00-06:00'",
     "group auditors gains webdev Fri,Sat 22:00-06:00"),
    ("", f"{ANNE}, valid: {{from: 2026-12-01, until: 2026-12-24}}",
     "anne gains webdev from 2026-12-01 to 2026-12-24"),
    ("", f"{ANNE}, valid: {{from: 2026-12-01 12:00, until: 2026-12-24 18:00}}",
     "anne gains webdev from 2026-12-01 12:00 to 2026-12-24 18:00"),
    (ANNE, f"{ANNE}, valid: {{until: 2099-12-24}}", "anne loses webdev from 2099-12-25 on"),
    ("", f"{ANNE}, when: evenings, valid: {{from: 2030-01-01}}",
     "anne gains webdev Mon-Fri 18:00-22:00 from 2030-01-01 on"),
    ("", f"{ANNE}, when: '2026-12-24..2026-12-26 08:00-12:00'",
     "anne gains webdev on 2026-12-24..2026-12-26 08:00-12:00"),
    (f"{ANNE}, when: evenings", f"{ANNE}, when: evenings, except: 2026-12-24",
     "anne loses webdev on 2026-12-24 18:00-22:00"),
    ("", f"{ANNE}, except: 2026-12-24", "anne gains webdev always except 2026-12-24"),
    ("", f"{ANNE}, when: evenings, except: 2026-12-21..2027-01-06",
     "anne gains webdev Mon-Fri 18:00-22:00 except 2026-12-21..2027-01-06"),
    ("", f"{ANNE}, when: ['Sat 16:00-24:00', 'Sun 00:00-12:00']",
     "anne gains webdev Sat 16:00-24:00 and Sun 00:00-12:00"),
    ("", f"{ANNE}, when: newyork", "anne gains webdev Mon-Fri 09:00-17:00 (America/New_York)"),
    (f"{ANNE}, when: 'Mon-Fri 09:00-17:00'", f"{ANNE}, when: newyork",
     "anne has webdev Mon-Fri 09:00-17:00 (America/New_York) instead of Mon-Fri 09:00-17:00"),
    (f"{ANNE}, when: 'Mon 00:00-24:00'", f"{ANNE}, when: 'Mon 08:00-12:00'",
     "anne loses webdev Mon 00:00-08:00,12:00-24:00"),
    ("", f"{ANNE}, reason: deputy of boss", 'anne gains webdev always, reason: "deputy of boss"'),
    (f"{ANNE}, reason: deputy", ANNE, "anne, webdev: gives no reason now"),
])
def test_a_change_is_said_in_words_of_the_week_or_with_dates(old: str, new: str,
                                                             words: str) -> None:
    assert lines([old] if old else [], [new] if new else []) == [words]


@pytest.mark.parametrize(("old", "new"), [
    ([f"{ANNE}, when: [Mon, Tue]"], [f"{ANNE}, when: Tue", f"{ANNE}, when: Mon"]),
    ([f"{ANNE}, when: evenings"], [f"{ANNE}, when: 'Mon-Fri 18:00-22:00'"]),
    ([f"{ANNE}, valid: {{until: 2026-11-20}}"], []),
    ([ANNE], [ANNE, f"{ANNE}, when: evenings"]),
    (["user: anne, console: [webdev, analysis]"], ["user: anne, console: analysis", ANNE]),
])
def test_what_is_only_written_otherwise_or_is_past_changes_nothing(old: list[str],
                                                                   new: list[str]) -> None:
    found = changes(policy(*old), policy(*new))
    assert not found
    assert found.lines() == []


def test_public_holidays_are_said_by_their_dates_of_the_coming_400_days() -> None:
    pytest.importorskip("holidays", reason="pip install '.[dev]'")
    old, new = f"{ANNE}, when: 'Fri 18:00-22:00'", f"{ANNE}, when: 'Fri 18:00-22:00', except: DE-BY"
    assert lines([old], [new]) == [
        "anne loses webdev on 2026-12-25,2027-01-01,2027-03-26 18:00-22:00"]
    assert lines([], [new]) == [
        "anne gains webdev Fri 18:00-22:00 except 2026-12-25,2027-01-01,2027-03-26"]


def test_a_time_that_begins_in_the_middle_of_a_day_counts_that_day_as_the_pattern_s() -> None:
    evening = changes(policy(), policy(f"{ANNE}, when: '08:00-18:00'"), now=NOON + 9 * 3600)
    assert evening.lines() == ["anne gains webdev daily 08:00-18:00"]


TWICE = range(1824940800, 1824948000)
"""The hour of 2027-10-31 that Berlin's clock shows twice: words by the clock can't tell which."""


def test_what_comes_again_when_the_clock_is_set_back_is_still_to_come() -> None:
    # 02:40 by Berlin's clock, which is set back to 02:00 in twenty minutes.
    found = changes(policy(), policy(f"{ANNE}, when: '2027-10-31 02:10-02:20'"),
                    now=1824940800 + 40 * 60)
    change, = found.here
    assert change.gains == ((1824945000, 1824945600),)
    assert change.text == "anne gains webdev on 2027-10-31 02:10-02:20"


_GRANTS = st.lists(st.builds(
    lambda dates, days, times, valid, excepted: {
        "when": " ".join(filter(None, (dates, days, times))), "valid": valid, "except": excepted},
    st.sampled_from(["", "", "", "2026-12-24", "2026-11-24..2027-02-03", "2027-03-20..2027-04-05"]),
    st.sampled_from(["", "Mon", "Tue,Wed", "Mon-Fri", "Sat-Sun", "Thu-Sat"]),
    st.sampled_from(["", "08:00-12:00", "11:30-18:00", "22:00-06:00", "02:15-02:45,03:00-04:00",
                     "20:00-19:00"]),
    st.sampled_from(["", "", "{from: 2026-12-03}", "{until: 2027-05-01 10:00}",
                     "{from: 2027-03-28 02:30, until: 2027-10-31 02:30}"]),
    st.sampled_from(["", "", "2026-12-24..2027-01-06", "2027-03-28"])), max_size=3)


def _grant(parts: dict[str, str]) -> str:
    return ANNE + "".join(f", {key}: {value if key == 'valid' else json.dumps(value)}"
                          for key, value in parts.items() if value)


@settings(max_examples=30, deadline=None)
@given(_GRANTS, _GRANTS)
def test_the_words_read_back_are_exactly_what_is_gained_and_lost(
        before: list[dict[str, str]], after: list[dict[str, str]]) -> None:
    old, new = (policy(*map(_grant, grants)) for grants in (before, after))
    end = NOON + 390 * DAY
    was, becomes = (intervals_of(each.grants, NOON, end) for each in (old, new))
    gains, loses = without(becomes, was), without(was, becomes)
    found = [change.text for change in changes(old, new).here]
    if not gains and not loses:
        assert found == []
        return
    text, = found
    if "more dates" in text:
        return
    said_gains, said_loses = _said(text)
    for start, stop in [*was, *becomes]:
        for instant in (start - 1, start, stop - 1, stop):
            if NOON <= instant < end and instant not in TWICE:
                wall = instant + offsets_between(load_zone("Europe/Berlin"), instant,
                                                 instant + 1)[0][1]
                assert _holds(said_gains, wall) == _holds(gains, instant), (text, instant)
                assert _holds(said_loses, wall) == _holds(loses, instant), (text, instant)


def _said(text: str) -> tuple[list[Interval], list[Interval]]:
    """The gains and losses that a line names, by the clock."""
    verb, _, rest = text.removeprefix("anne ").partition(" webdev")
    rest = rest.removeprefix(":").strip()
    day = NOON // DAY

    def times(words: str) -> list[Interval]:
        return read("always" if words == "altogether" else words, day - 2, day + 400)

    if " instead of " in rest:
        now, then = (times(words) for words in rest.split(" instead of "))
        return without(now, then), without(then, now)
    if verb == "loses":
        return [], times(rest)
    gained, _, lost = rest.partition("; loses ")
    return times(gained), times(lost)


def _holds(intervals: list[Interval], instant: int) -> bool:
    return any(start <= instant < end for start, end in intervals)


def test_of_two_zones_whose_clocks_shift_on_other_days_those_days_are_said() -> None:
    line, = lines([f"{ANNE}, when: 'Mon-Fri 15:00-23:00'"],
                  [f"{ANNE}, when: 'Mon-Fri 15:00-23:00'", f"{ANNE}, when: newyork"])
    # New York sets its clock a week later in autumn and two weeks earlier in spring than Berlin.
    assert line == ("anne gains webdev on 2027-03-15..2027-03-19,2027-03-22..2027-03-26,"
                    "2027-11-01..2027-11-05 14:00-15:00")


def test_a_time_that_ends_as_the_clock_is_set_back_ends_by_the_clock_before() -> None:
    utc = HEAD + "  utc: {when: '2027-10-31 00:30-01:00', timezone: UTC}\n"
    old, new = (policy(f"{ANNE}, when: {when}", head=utc) for when in ("newyork", "[newyork, utc]"))
    assert changes(old, new).lines() == ["anne gains webdev on 2027-10-31 02:30-03:00"]


# Instants

def test_the_instants_are_those_within_the_span_and_the_words_reach_further() -> None:
    found = changes(policy(), policy(f"{ANNE}, when: Tue, valid: {{from: 2026-12-15}}"))
    change, = found.here
    assert change.gains == ((1797289200, 1797375600),)  # 2026-12-15 of Berlin
    later = changes(policy(), policy(f"{ANNE}, valid: {{from: 2027-06-01}}")).here[0]
    assert (later.gains, later.loses) == ((), ())
    assert later.text == "anne gains webdev from 2027-06-01 on"


@pytest.mark.parametrize(("first", "second", "left"), [
    ([(0, 10)], [], [(0, 10)]),
    ([(0, 10)], [(0, 10)], []),
    ([(0, 10), (20, 30)], [(5, 25)], [(0, 5), (25, 30)]),
    ([(0, 10)], [(2, 3), (4, 5), (9, 12)], [(0, 2), (3, 4), (5, 9)]),
    ([(0, 3), (5, 8)], [(-5, 1), (7, 20)], [(1, 3), (5, 7)])])
def test_what_of_intervals_lies_outside_of_others(first: list[Interval], second: list[Interval],
                                                  left: list[Interval]) -> None:
    assert without(first, second) == left


# Workstations

@pytest.mark.parametrize(("old", "new", "workstation", "words"), [
    (ANNE, f"{ANNE}, workstations: 'front-*'", "pc7",
     ["anne loses webdev altogether (except on front-*)"]),
    (ANNE, f"{ANNE}, workstations: 'front-*'", "front-1",
     ["on other workstations: anne loses webdev altogether (except on front-*)"]),
    (f"{ANNE}, workstations: 'pc*'", f"{ANNE}, workstations: 'front-*'", "PC7.example",
     ["on PC7.example: anne loses webdev altogether", "on front-*: anne gains webdev always"]),
    (f"{ANNE}, workstations: 'front-*', when: Mon", f"{ANNE}, workstations: 'front-*'", "pc7",
     ["on front-*: anne gains webdev Tue-Sun all day"]),
    (f"{ANNE}, workstations: [pc7, pc8]", f"{ANNE}, workstations: pc7", "pc7",
     ["on pc7, pc8: anne loses webdev altogether", "on pc7: anne gains webdev always"]),
])
def test_a_change_is_said_for_the_workstation_and_for_others_by_their_patterns(
        old: str, new: str, workstation: str, words: list[str]) -> None:
    assert lines([old], [new], workstation) == words


def test_what_holds_on_all_others_is_said_once() -> None:
    past = f"{ANNE}, workstations: 'pc*', valid: {{until: 2026-11-20}}"
    assert lines([ANNE, past], [f"{ANNE}, workstations: 'front-*', when: Mon"], "front-1") == [
        "on front-1: anne loses webdev Tue-Sun all day",
        "on other workstations: anne loses webdev altogether (except on front-*)"]


# Beside the grants

@pytest.mark.parametrize(("was", "becomes", "words"), [
    ("[20001-20010]", "[20001-20009]", ["NO LONGER GUARDED: port 20010 of mysrv (192.168.2.2, "
     "fd00::2): open to everybody on the workstation"]),
    ("[20001-20010]", "[20001-20010, 8080]", ["guarded now: port 8080 of mysrv (192.168.2.2, "
     "fd00::2): closed to everybody without a grant"]),
    ('"fd00::2"', '"fd00::3"', [
        "NO LONGER GUARDED: ports 20001-20010 of mysrv (fd00::2): open to everybody on the "
        "workstation",
        "guarded now: ports 20001-20010 of mysrv (fd00::3): closed to everybody without a grant",
        "server mysrv: address fd00::2 is gone, fd00::3 is new"]),
    ('192.168.2.2, "fd00::2"', '192.168.2.2, 192.168.2.4, "fd00::2", "fd00::3"', [
        "guarded now: ports 20001-20010 of mysrv (192.168.2.4, fd00::3): closed to everybody "
        "without a grant",
        "server mysrv: addresses 192.168.2.4, fd00::3 are new"]),
    ('192.168.2.2, "fd00::2"', "192.168.2.4", [
        "NO LONGER GUARDED: ports 20001-20010 of mysrv (192.168.2.2, fd00::2): open to everybody "
        "on the workstation",
        "guarded now: ports 20001-20010 of mysrv (192.168.2.4): closed to everybody without a "
        "grant",
        "server mysrv: addresses 192.168.2.2, fd00::2 are gone, 192.168.2.4 is new"]),
    ('192.168.2.2, "fd00::2"', '"fd00::2", 192.168.2.2', []),
    ("tls_port: 20003", "tls_port: 20004", [
        "console analysis is at mysrv:20004 now, it was at mysrv:20003: "
        "who is logged in must log in again to reach it"]),
    ("host: mysrv.example", "host: other.example", [
        "server mysrv: the name in its certificate must be other.example now, it was "
        "mysrv.example"]),
    ("mysrv-ca.pem", "new-ca.pem", ["server mysrv: its CA is in /etc/pam-spice/new-ca.pem "
                                    "now, it was in /etc/pam-spice/mysrv-ca.pem"]),
    ('pc7: [192.168.2.27, "fd00:7::/64"]', 'PC8: 192.168.2.28', [
        "workstation pc7 is gone (192.168.2.27, fd00:7::/64) once the servers have their rules "
        "anew (pam-spice server-rules)",
        "workstation PC8 is new (192.168.2.28) once the servers have their rules anew "
        "(pam-spice server-rules)"]),
    ("192.168.2.27,", "192.168.2.28,", [
        "workstation pc7: address 192.168.2.27 is gone, 192.168.2.28 is new, once the "
        "servers have their rules anew (pam-spice server-rules)"]),
    ('[192.168.2.27, "fd00:7::/64"]', '["FD00:7:0::/64", 192.168.2.27/32, 192.168.2.27]', []),
    ("  analysis: {server: mysrv, tls_port: 20003}\n", "", [
        "console analysis is gone (mysrv:20003)"]),
    ("Europe/Berlin", "UTC", ["the time zone is UTC now, it was Europe/Berlin: times without a "
                              "zone of their own are meant in it"]),
    ("timezone: E", "workstation: {sudo_password: false, services: [login]}\ntimezone: E", [
        "sudo_password: sudo opens a console without asking for a password from now on",
        "services: logins by gdm-password, lightdm, sddm no longer count"]),
    ("timezone: E", "workstation: {one_user: false, require_seat: false}\ntimezone: E", [
        "one_user: several users at a time have consoles from now on",
        "require_seat: logins from elsewhere count too from now on"]),
])
def test_servers_consoles_and_settings_are_told_and_an_opened_port_first(
        was: str, becomes: str, words: list[str]) -> None:
    assert changes(policy(), policy(head=HEAD.replace(was, becomes))).lines() == words


def test_a_port_that_another_server_of_the_same_address_guards_stays_guarded() -> None:
    other = HEAD.replace("servers:\n", "servers:\n  twin: {host: twin.example, ca_file: /ca.pem, "
                         "addresses: [192.168.2.2, 'fd00::2'], guarded_ports: 20010}\n")
    less = other.replace("[20001-20010]", "[20001-20009]")
    assert changes(policy(head=other), policy(head=less)).lines() == []


def test_with_an_error_in_the_policy_a_port_is_guarded_until_that_is_mended() -> None:
    less = policy(head=HEAD.replace("[20001-20010]", "[20001-20009]"))
    assert changes(policy(), less, has_problems=True).loud == (
        "NO LONGER GUARDED once the policy has no error left: port 20010 of mysrv (192.168.2.2, "
        "fd00::2): open to everybody on the workstation",)


def parsed(text: str) -> Policy:
    found = parse_policy(text.encode(), "policy.yaml").policy
    assert found is not None
    return found


def test_who_loses_a_console_by_an_error_is_told_with_its_place() -> None:
    bad = text_of("user: ralph, console: analysis, whem: Mon", ANNE)
    line = text_of().count("\n") + 2
    found = changes(policy("user: ralph, console: analysis", ANNE), parsed(bad))
    assert found.lines() == [
        f"ralph loses analysis altogether: the entry at policy.yaml:{line} has an error"]
    assert not changes(parsed(bad), parsed(bad))


def test_an_entry_with_an_error_that_nobody_had_before_is_told_too() -> None:
    found = changes(policy(), parsed(text_of("user: ralph, console: nosuch")))
    assert found.lines() == [
        f"the entry at policy.yaml:{text_of().count(chr(10)) + 2} has an error and is skipped: "
        f"there is no console 'nosuch'"]


# Size

def test_one_changed_line_among_20000_grants_is_found_in_a_second() -> None:
    some = policy(*(f"user: u{i}, console: webdev, when: [Mon, evenings]" for i in range(200)))
    grants = tuple(grant for _ in range(100) for grant in some.grants)
    old = Policy(some.timezone, some.servers, some.consoles, some.windows, some.calendars, grants,
                 (), some.workstation)
    new = Policy(some.timezone, some.servers, some.consoles, some.windows, some.calendars,
                 (*grants, *policy(ANNE).grants), (), some.workstation)
    with within(20):
        began = time.monotonic()
        assert changes(old, new).lines() == ["anne gains webdev always"]
        assert time.monotonic() - began < 5


# The verb

@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(text_of(f"{ANNE}, when: [Mon, Tue]"))
    new.write_text(text_of(f"{ANNE}, when: Mon"))
    return old, new


def asked(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    parser = argparse.ArgumentParser()
    diff.add_parser(parser.add_subparsers())
    parsed_arguments = parser.parse_args(["diff", *map(str, arguments)])
    status = diff.run(parsed_arguments)
    return status, capsys.readouterr().out


def test_the_verb_prints_words_and_tells_a_difference_by_its_status(
        files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(capsys, *files) == (1, "anne loses webdev on Tuesdays\n")
    files[1].write_text(text_of(f"{ANNE}, when: [Mon, 'Tue 08:00-12:00']"))
    assert asked(capsys, *files)[1].splitlines() == [
        "anne loses webdev Tue 00:00-08:00,12:00-24:00",
        "times without a zone are by the clock of Europe/Berlin"]
    status, said = asked(capsys, files[0], files[0], "--from", "2026-11-23T12:00:00Z")
    assert (status, said) == (
        0, "nothing changes for anybody from Mon 2026-11-23 13:00:00 CET on\n")


def test_the_verb_s_document_has_instants_of_the_span_that_was_asked_for(
        files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    status, said = asked(capsys, *files, "--json", "--from", "2026-11-23T12:00:00Z",
                         "--to", "2026-12-01T12:00:00", "--workstation", "pc7")
    assert status == 1
    assert json.loads(said) == {
        "from": "2026-11-23T12:00:00+00:00", "to": "2026-12-01T11:00:00+00:00",
        "workstation": "pc7",
        "changes": [{"subject": "user:anne", "console": "webdev", "gains": [], "loses": [
            {"start": "2026-11-23T23:00:00+00:00", "end": "2026-11-24T23:00:00+00:00"},
            {"start": "2026-11-30T23:00:00+00:00", "end": "2026-12-01T11:00:00+00:00"}],
            "text": "anne loses webdev on Tuesdays"}],
        "elsewhere": [], "other": []}


def test_the_verb_reads_the_directory_beside_each_file(
        files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    more = files[1].with_suffix(".d")
    more.mkdir()
    (more / "tue.yaml").write_text(f"grants: [{{{ANNE}, when: Tue}}]\n")
    assert asked(capsys, *files)[0] == 0


@pytest.mark.parametrize("text", ["grants: [", None])
def test_the_verb_refuses_a_policy_that_can_t_be_used(
        text: str | None, files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    if text is None:
        files[1].unlink()
    else:
        files[1].write_text(text)
    with pytest.raises(UsageError, match="new.yaml"):
        asked(capsys, *files)
    with pytest.raises(UsageError, match="before --from"):
        asked(capsys, files[0], files[0], "--from", "2026-11-23", "--to", "2026-11-22")
