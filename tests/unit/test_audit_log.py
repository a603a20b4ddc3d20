"""pam-spice log: records of a journal to events and lines, hostile ones too.

recorded/journal.json is what journalctl printed of a real journald, without the fields that say
nothing here (command lines, ids of the machine): our own records, the kernel's, forged ones, names
that no account should have.
"""

import ast
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from pam_spice import auditlog, journal
from pam_spice.auditlog import Event, NoJournal, Reach, Reader
from pam_spice.cli import main
from pam_spice.verbs import log
from pam_spice.verbs.log import in_a_line
from tests.unit.support import within

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/journal.md").read_text()
RECORDED = (Path(__file__).parent / "recorded/journal.json").read_bytes().splitlines()
CONSOLES = {("10.77.0.1", 20001): ["first"], ("fd77::1", 20001): ["first"]}


def reader(consoles: dict[tuple[str, int], list[str]] | None = None) -> Reader:
    return Reader({1021: "anne", 1022: "ralph"}.get, CONSOLES if consoles is None else consoles,
                  997)


def event(record: dict[str, object], **more: object) -> Event | None:
    """What a record is taken for, with some of its fields changed; None leaves a field out."""
    changed = {**record, **more}
    return reader().event(json.dumps(
        {name: value for name, value in changed.items() if value is not None}).encode())


def sure(found: Event | None) -> Event:
    assert found is not None
    return found


def recorded(text: str) -> dict[str, object]:
    """The first record that holds this text."""
    record = json.loads(next(line for line in RECORDED if text.encode() in line))
    assert isinstance(record, dict)
    return record


def kernel_line(text: str, **more: object) -> Event | None:
    return event(recorded("pam-spice deny IN= OUT=lo"), MESSAGE=text, **more)


OPEN = recorded('"PAM_SPICE_EVENT":"open"')
REFUSED_PACKET = recorded("pam-spice deny IN= OUT=lo")


# A whole journal

def test_a_recorded_journal_is_told_line_by_line() -> None:
    there = reader()
    told = [in_a_line(found, "UTC") for found in map(there.event, RECORDED) if found is not None]
    day = "Tue 2026-11-24 "
    assert all(line.startswith(day) for line in told)
    assert [line.removeprefix(day) for line in told] == [
        "13:44:18 UTC  policy         -           a1d0ba0ddfb7 counts from now on, and is "
        "valid (before: none)  [policy a1d0ba0ddfb7]",
        "13:44:19 UTC  mend           -           sudo's rules were written (they were "
        "missing or changed)",
        "13:44:19 UTC  policy         -           f4e8e0f250cd counts from now on, and is "
        "valid (before: a1d0ba0ddfb7)  [policy f4e8e0f250cd]",
        "13:44:19 UTC  open           anne        first until 23:00 and 7 times more; "
        "second  [session 3, login, policy f4e8e0f250cd]",
        "13:44:19 UTC  deny           ralph       first  [not open]",
        "13:44:19 UTC  cut            anne        first  [not open]",
        "13:44:19 UTC  deny           -           10.77.0.1 port 20009  "
        "[forwarded from 172.17.0.2 by veth0]",
        "13:44:19 UTC  change         anne        no console  "
        "[session 3, revoked, policy f4e8e0f250cd]",
        "13:44:19 UTC  cut            anne        first  [1 connection, revoked]",
        "13:44:19 UTC  revoke         anne        the consoles of anne are revoked (by "
        'root)  ["exam\\", by root  [x]", policy f4e8e0f250cd]',
        '13:44:19 UTC  refuse         "zoe\\x1b[2J\\u202e\\x85"  nothing opens for '
        "zoe\\x1b[2J\\u202e\\x85: name and uid do not belong together, or its process is gone  "
        "[policy f4e8e0f250cd]",
        '13:44:19 UTC  refuse         "zoe\\x1b[2J\\u202e\\nx"  odd',
        '13:44:19 UTC  refuse         "a\N{REPLACEMENT CHARACTER}b\\n"     '
        "\N{REPLACEMENT CHARACTER}\\x00\\n",
        "13:44:26 UTC  suppressed     anne        Suppressed 5000 messages from "
        "session-3.scope",
        "13:44:27 UTC  missed         -           Missed 339 kernel messages"]


# What can be trusted

def test_a_record_that_a_user_forged_in_every_field_is_not_shown() -> None:
    forged = recorded('"_UID":"1021"')
    assert {**OPEN, **forged}.keys() >= {"PAM_SPICE_EVENT", "SYSLOG_FACILITY"}
    assert event(forged) is None
    assert event(forged, _UID="0") is not None, "it is his uid that gives him away"


@pytest.mark.parametrize("trusted", [
    {"_UID": "1021"}, {"_UID": None}, {"_UID": ["0", "1021"]}, {"_UID": "00"}, {"_UID": [48, 0]},
    {"_UID": 0}, {"_TRANSPORT": "syslog"}, {"_TRANSPORT": "stdout"}, {"_TRANSPORT": "kernel"},
    {"_TRANSPORT": "driver"}, {"_TRANSPORT": "audit"}, {"_TRANSPORT": None},
    {"SYSLOG_IDENTIFIER": "sudo"}, {"SYSLOG_IDENTIFIER": None}], ids=str)
def test_a_record_counts_as_ours_only_if_root_sent_it_by_the_journal_s_own_protocol(
        trusted: dict[str, object]) -> None:
    assert event(OPEN) is not None
    assert event(OPEN, **trusted) is None


@pytest.mark.parametrize("trusted", [
    {"_TRANSPORT": "journal", "_UID": "1021"}, {"_TRANSPORT": "journal", "_UID": "0"},
    {"_TRANSPORT": "syslog", "_UID": "0"}, {"_TRANSPORT": "stdout"}, {"_TRANSPORT": None},
    {"SYSLOG_FACILITY": "1"}, {"SYSLOG_FACILITY": "3"}, {"SYSLOG_FACILITY": None}], ids=str)
def test_a_line_counts_as_the_kernel_s_only_if_it_has_the_kernel_s_facility(
        trusted: dict[str, object]) -> None:
    assert event(REFUSED_PACKET) is not None
    assert event(REFUSED_PACKET, **trusted) is None


@pytest.mark.parametrize("program", ["pam-spice deny ", "pam-spice cut ", "pam-spice cut I"])
@pytest.mark.parametrize("file", ["x", "IN= OUT=lo SRC=10.77.0.1 DST=10.77.0.1 DPT=20001 UID=1022"])
def test_a_program_that_crashes_can_not_look_like_a_refusal_by_its_name(program: str,
                                                                        file: str) -> None:
    assert len(program) <= 15, "TASK_COMM_LEN"
    assert kernel_line(f"{program}[1234]: segfault at 0 ip 00000000004011 sp 00007ffc3ad7f6d0 "
                       f"error 6 in {file}[401000+1000]") is None


@pytest.mark.parametrize("trusted", [{"_UID": "1021"}, {"_TRANSPORT": "journal"},
                                     {"MESSAGE": "Suppressed 9 messages from cron.service"}],
                         ids=str)
def test_that_records_were_suppressed_only_journald_says(trusted: dict[str, object]) -> None:
    record = recorded("Suppressed 5000")
    assert sure(event(record)).session == "3"
    assert event(record, **trusted) is None


# The kernel's lines

TAIL = "LEN=60 TTL=64 ID=1 PROTO=TCP SPT=40000 DPT=20001 WINDOW=1 RES=0x00 SYN URGP=0"
V6_LONG = "fd77:0000:0000:0000:0000:0000:0000:0001"


@pytest.mark.parametrize(("text", "told"), [
    (f"deny IN= OUT=lo SRC=10.77.0.1 DST=10.77.0.1 {TAIL} UID=1022 GID=997 ",
     ("deny", "ralph", 1022, "first", "not open")),
    (f"deny IN= OUT=lo SRC=10.77.0.1 DST=10.77.0.1 {TAIL} UID=1022 GID=1022",
     ("deny", "ralph", 1022, "first", "not the viewer, gid 1022")),
    (f"cut IN= OUT=lo SRC={V6_LONG} DST={V6_LONG} {TAIL} UID=1021 GID=997 ",
     ("cut", "anne", 1021, "first", "not open")),
    (f"deny IN= OUT=lo SRC=10.77.0.1 DST=10.77.0.1 {TAIL} UID=4444 GID=997 ",
     ("deny", None, 4444, "first", "not open")),
    (f"deny IN= OUT=lo SRC=10.77.0.1 DST=10.77.0.1 {TAIL} ",
     ("deny", None, None, "first", "without an owner")),
    (f"deny IN=br0 OUT=eth0 MAC=02:42 SRC=172.17.0.2 DST=10.77.0.1 {TAIL} ",
     ("deny", None, None, "first", "forwarded from 172.17.0.2 by br0")),
    (f"deny IN= OUT=lo SRC=1.1.1.1 DST=192.168.2.2 {TAIL} UID=1022 GID=997 ",
     ("deny", "ralph", 1022, None, "not open")),
    ("deny IN= OUT=lo SRC=10.77.0.1 DST=10.77.0.1 LEN=40 FRAG:1480 PROTO=TCP UID=1022 GID=997 ",
     ("deny", "ralph", 1022, None, "not open"))])
def test_a_line_of_the_kernel_s_tells_who_tried_what(
        text: str, told: tuple[str, str | None, int | None, str | None, str]) -> None:
    found = sure(kernel_line(f"pam-spice {text}"))
    assert (found.event, found.user, found.uid, found.consoles[0].console, found.reason) == told


@pytest.mark.parametrize("text", [
    "deny", "deny ", "deny IN=", "deny IN= OUT=lo", "denyIN= OUT=lo DST=10.77.0.1 ",
    "deny IN= OUT=lo DST= DPT=20001 ", "deny IN= OUT=lo DST=nowhere DPT=20001 ",
    "cut IN= DST=10.77.0.1 ", "mend IN= OUT=lo DST=10.77.0.1 DPT=20001 "])
def test_a_line_that_is_not_whole_is_not_shown(text: str) -> None:
    assert kernel_line(f"pam-spice {text}") is None


def test_of_what_a_line_of_the_kernel_s_says_twice_the_first_counts() -> None:
    found = sure(kernel_line(f"pam-spice deny IN= OUT=lo SRC=1.1.1.1 DST=10.77.0.1 {TAIL} UID=1022 "
                             "GID=997 UID=1021 DST=192.168.2.2"))
    assert (found.user, found.consoles) == ("ralph", (Reach("first", ("10.77.0.1",), 20001),))


def test_absurd_numbers_are_none() -> None:
    for number in ("9" * 5000, "-1", "0x10", "", "\N{ARABIC-INDIC DIGIT ONE}"):
        found = sure(kernel_line(f"pam-spice deny IN= OUT=lo SRC=1.1.1.1 DST=10.77.0.1 "
                                 f"DPT={number} UID={number} GID=997"))
        assert (found.uid, found.consoles) == (None, (Reach(None, ("10.77.0.1",), None),))


# Names in place of numbers

def test_a_number_gets_the_name_that_it_had_then() -> None:
    there = reader()
    packet = json.dumps({**REFUSED_PACKET, "MESSAGE": str(REFUSED_PACKET["MESSAGE"]).replace(
        "UID=1022", "UID=1021")}).encode()
    assert sure(there.event(packet)).user == "anne", "as the account is called now"
    there.event(json.dumps({**OPEN, "PAM_SPICE_USER": "anna"}).encode())
    assert sure(there.event(packet)).user == "anna", "as it was called in the record before"


def test_a_name_that_was_refused_because_it_is_not_the_uid_s_is_not_taken_for_his() -> None:
    there = reader()
    refused = sure(there.event(json.dumps({**OPEN, "PAM_SPICE_EVENT": "refuse",
                                           "PAM_SPICE_USER": "ralph"}).encode()))
    assert (refused.uid, refused.user) == (1021, "ralph")
    packet = json.dumps({**REFUSED_PACKET, "MESSAGE": str(REFUSED_PACKET["MESSAGE"]).replace(
        "UID=1022", "UID=1021")}).encode()
    assert sure(there.event(packet)).user == "anne"


def test_an_endpoint_gets_the_name_that_it_had_then() -> None:
    there = reader({("10.77.0.1", 20001): ["now"], ("10.77.0.1", 20009): ["spare"]})
    packet = json.dumps(REFUSED_PACKET).encode()
    other = packet.replace(b"DPT=20001", b"DPT=20009")
    assert sure(there.event(packet)).consoles[0].console == "now"
    there.event(json.dumps(OPEN).encode())
    assert sure(there.event(packet)).consoles[0].console == "first"
    assert sure(there.event(other)).consoles[0].console == "spare", "of which no record tells"


def test_two_consoles_at_one_endpoint_are_both_named() -> None:
    there = reader({("10.77.0.1", 20001): ["a", "b"]})
    found = sure(there.event(json.dumps(REFUSED_PACKET).encode()))
    assert [each.console for each in found.consoles] == ["a", "b"]


# Fields that are not as they should be

def test_a_field_that_is_no_text_comes_as_numbers_and_several_come_as_a_list() -> None:
    found = sure(event(OPEN, PAM_SPICE_USER=[97, 110, 255, 10], PAM_SPICE_SESSION=["1", "2"],
                       PAM_SPICE_BY=[[98, 121], "x"]))
    assert (found.user, found.session, found.by) == ("an\N{REPLACEMENT CHARACTER}\n", "1\n2",
                                                     "by\nx")


@pytest.mark.parametrize("line", [
    b"", b"\n", b"[]", b"null", b"1", b'"PAM_SPICE_EVENT"', b"{", b'{"PAM_SPICE_EVENT":"open"}',
    b'{"PAM_SPICE_EVENT":"open","__REALTIME_TIMESTAMP":"x"}', b"PAM_SPICE_EVENT" * 1000,
    b'{"PAM_SPICE_EVENT":' + b"[" * 100_000, b"\xff\xfe PAM_SPICE_EVENT",
    b'{"PAM_SPICE_EVENT":' + b"9" * 10_000 + b"}"])
def test_what_is_no_record_is_passed_over(line: bytes) -> None:
    assert reader().event(line) is None


def test_a_record_of_which_everything_is_missing_that_can_be_is_still_shown() -> None:
    found = sure(event({"__REALTIME_TIMESTAMP": "0", "_UID": "0", "_TRANSPORT": "journal",
                        "SYSLOG_IDENTIFIER": "pam-spice", "PAM_SPICE_EVENT": "close"}))
    assert in_a_line(found, "UTC") == "Thu 1970-01-01 00:00:00 UTC  close          -           "


@pytest.mark.parametrize("consoles", [
    "first", "first a 1 - - -", "first a x - -", "first a 1 now -", "a\tb", "first a 1 - 2026"])
def test_a_console_that_is_not_as_it_should_be_is_shown_as_it_stands(consoles: str) -> None:
    found = sure(event(OPEN, PAM_SPICE_CONSOLES=consoles))
    assert [each.console for each in found.consoles] == [consoles]
    assert in_a_line(found, "UTC").count("\n") == 0


def test_huge_records_take_little_time() -> None:
    lines = "\n".join(f"console{number} fd00::2,192.168.2.2 20001 2026-11-24T13:44:19Z -"
                      for number in range(10_000))
    with within(5):
        found = sure(event(OPEN, PAM_SPICE_CONSOLES=lines, MESSAGE="x" * 10_000_000))
        line = in_a_line(found, "UTC")
        assert len(found.consoles) == 10_000
        assert line.count("console") == 20
        assert "and 9980 more, see --json" in line
        huge = sure(event(OPEN, PAM_SPICE_EVENT="revoke", PAM_SPICE_BY="x" * 1_000_000,
                          PAM_SPICE_REASON="\x1b" * 1_000_000, PAM_SPICE_CONSOLES=""))
        assert "\x1b" not in in_a_line(huge, "UTC")


NAMES = ("MESSAGE", "PRIORITY", "SYSLOG_FACILITY", "PAM_SPICE_USER", "PAM_SPICE_UID",
         "PAM_SPICE_SESSION", "PAM_SPICE_CONSOLES", "PAM_SPICE_REASON", "PAM_SPICE_BY",
         "PAM_SPICE_REVISION", "PAM_SPICE_UNTIL", "PAM_SPICE_COUNT", "PAM_SPICE_LOST",
         "PAM_SPICE_ODD", "PAM_SPICE_")
# Making the first text takes seconds where others are at work.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
VALUES = st.one_of(st.text(), st.lists(st.integers(0, 255)), st.none(),
                   st.lists(st.text(), max_size=3), st.sampled_from((
                       "1021", "-", "3", "first 10.77.0.1 20001 - 2026-11-24T13:44:19Z",
                       "2026-11-24T13:44:19Z", "x\r\n2026-11-24 13:44:19+00:00  open    zoe")))


@patient
@given(st.dictionaries(st.sampled_from(NAMES), VALUES),
       st.sampled_from(("open", "cut", "mend", "revoke", "refuse", "x\ny", "\x1b[2J", " ")),
       st.booleans())
def test_whatever_stands_in_a_record_it_is_one_printable_line(
        fields: dict[str, object], name: str, has_consoles: bool) -> None:
    consoles = OPEN["PAM_SPICE_CONSOLES"] if has_consoles else ""
    found = sure(event({**OPEN, "PAM_SPICE_CONSOLES": consoles, **fields,
                        "PAM_SPICE_EVENT": name}))
    line = in_a_line(found, "UTC")
    assert line.isprintable(), ascii(line)
    assert re.match(r'Tue 2026-11-24 13:44:19 UTC  (open|cut|mend|revoke|refuse|"[^"]*") ', line)
    assert json.loads(json.dumps(found.as_json()))["event"] == name


SYNTAX = st.text(alphabet='ab ,;:[]()"\\-\n', min_size=1)


@patient
@given(st.text(min_size=1) | SYNTAX, st.text(min_size=1) | SYNTAX)
def test_no_name_and_no_reason_can_go_on_like_a_fact_of_ours(name: str, reason: str) -> None:
    assume(reason != "-")  # none was given
    found = sure(event(OPEN, PAM_SPICE_USER=name, PAM_SPICE_REASON=reason, PAM_SPICE_BY=name))
    line = in_a_line(found, "UTC")
    # Without what stands in quotes nothing is left but words of ours and simple names.
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', "QUOTED", line)
    assert bare.count("[") == bare.count("]") == 1, line
    assert bare.count(", ") == 3 and bare.count("; ") == 1, line


# Times

@pytest.mark.parametrize(("zone", "when", "until"), [
    ("Europe/Berlin", "Tue 2026-11-24 14:44:19 CET", "2026-11-25 00:00"),
    ("UTC", "Tue 2026-11-24 13:44:19 UTC", "23:00"),
    ("Asia/Kolkata", "Tue 2026-11-24 19:14:19 IST", "2026-11-25 04:30")])
def test_times_are_those_of_the_reader_s_zone(zone: str, when: str, until: str) -> None:
    line = in_a_line(sure(event(OPEN)), zone)
    assert line.startswith(f"{when}  open ")
    assert f"  first until {until} and 7 times more; second  [" in line


def test_a_time_after_the_clock_was_changed_says_so() -> None:
    found = sure(event(OPEN, __REALTIME_TIMESTAMP="1792879200000000",  # 2026-10-25T00:00:00 CEST
                       PAM_SPICE_CONSOLES="first a 1 2026-10-24T22:00:00Z 2026-10-25T02:30:00Z"))
    assert "first until 03:30 CET  [" in in_a_line(found, "Europe/Berlin")


@pytest.mark.parametrize(("intervals", "told"), [
    (1, "first until 2026-11-25 12:00"), (2, "first until 2026-11-25 12:00 and once more"),
    (3, "first until 2026-11-25 12:00 and 2 times more")])
def test_of_several_times_the_first_is_told_and_how_many_there_are_more(intervals: int,
                                                                        told: str) -> None:
    found = sure(event(OPEN, PAM_SPICE_CONSOLES="\n".join(
        f"first x 1 2026-11-{day}T08:00:00Z 2026-11-{day}T12:00:00Z"
        for day in range(25, 25 + intervals))))
    assert f"  {told}  [".replace("until", "from 2026-11-25 08:00 until") in in_a_line(found, "UTC")


@pytest.mark.parametrize("name", ["cut", "uninstall", "selftest", "policy-problem"])
def test_the_name_of_an_event_does_not_move_what_stands_behind_it(name: str) -> None:
    line = in_a_line(sure(event(OPEN, PAM_SPICE_EVENT=name)), "UTC")
    assert line.index(" anne ") == len("Tue 2026-11-24 13:44:19 UTC  policy-problem")


def test_what_opens_later_says_from_when() -> None:
    found = sure(event(OPEN, PAM_SPICE_CONSOLES="a x 1 2026-11-25T08:00:00Z 2026-11-25T12:00:20Z\n"
                                                "b x 2 2026-11-24T13:44:19Z -"))
    assert ("  a from 2026-11-25 08:00 until 2026-11-25 12:00:20; b  [" in in_a_line(found, "UTC"))


@pytest.mark.parametrize(("kept", "told"), [
    ("2026-11-24T13:42:00Z", "told at 14:42"), ("2026-11-23T23:30:05Z", "told at 00:30:05"),
    ("2026-11-22T23:30:05Z", "told at 2026-11-23 00:30:05")])
def test_a_record_that_was_kept_says_when_it_was_made_by_the_same_clock(kept: str,
                                                                        told: str) -> None:
    found = sure(event(OPEN, PAM_SPICE_KEPT_SINCE=kept))
    assert in_a_line(found, "Europe/Berlin").endswith(f", {told}]")


# The verb

@pytest.fixture
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(log, "user_of", {1021: "anne", 1022: "ralph"}.get)
    monkeypatch.setattr(log, "granted_consoles", lambda: CONSOLES)
    monkeypatch.setattr(log, "viewer_gid", lambda: 997)
    monkeypatch.setattr(log, "_ALL_NETWORKS", Path("/nonexistent"))
    monkeypatch.setattr(log, "zone_of_policy", lambda: "Europe/Berlin")
    monkeypatch.setattr(log, "journal_lines", lambda since: iter(RECORDED))


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, object]]:
    assert main(["log", "--json", *arguments]) == 0
    document = json.loads(capsys.readouterr().out)
    assert isinstance(document, list)
    return document


def test_json_is_one_document_with_the_keys_that_the_page_names(
        as_root: None, capsys: pytest.CaptureFixture[str]) -> None:
    document = shown(capsys)
    assert len(document) == 15
    part = PAGE.partition("## With --json\n")[2].partition("\n## ")[0]
    named = set(re.findall(r"`([a-z]+)`", part)) - {"kernel", "journald"}
    inner = {"console", "addresses", "port", "start", "end"}
    assert {frozenset(each) for each in document} == {frozenset(named - inner)}
    consoles = document[3]["consoles"]
    assert isinstance(consoles, list)
    assert {frozenset(each) for each in consoles} == {frozenset(inner)}
    assert consoles[0] == {"console": "first", "addresses": ["10.77.0.1", "fd77::1"],
                           "port": 20001, "start": "2026-11-24T13:44:19+00:00",
                           "end": "2026-11-24T23:00:00+00:00"}
    assert consoles[-1]["end"] is None
    assert {each["source"] for each in document} == {"pam-spice", "kernel", "journald"}


def test_json_of_nothing_is_an_empty_list(
        as_root: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, "--user", "nobody-of-that-name") == []


@pytest.mark.parametrize(("user", "events"), [
    ("anne", ["open", "cut", "change", "cut", "revoke", "suppressed"]),
    ("1021", ["open", "cut", "change", "cut", "revoke", "suppressed"]),
    ("ralph", ["deny"]), ("root", ["revoke"]), ("ann", [])])
def test_user_picks_what_is_about_him_and_what_he_did(
        as_root: None, capsys: pytest.CaptureFixture[str], user: str, events: list[str]) -> None:
    assert [each["event"] for each in shown(capsys, "--user", user)] == events


@pytest.mark.parametrize(("console", "events"), [
    ("first", ["open", "deny", "cut", "cut"]), ("second", ["open"]), ("third", [])])
def test_console_picks_what_names_it(
        as_root: None, capsys: pytest.CaptureFixture[str], console: str,
        events: list[str]) -> None:
    assert [each["event"] for each in shown(capsys, "--console", console)] == events


def test_where_nothing_is_found_the_output_is_empty_and_the_status_0(
        as_root: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["log", "--user", "ann"]) == 0
    assert capsys.readouterr() == ("", "the journal has nothing about ann\n")


def test_since_is_passed_on_as_an_instant(as_root: None, monkeypatch: pytest.MonkeyPatch,
                                          capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[int | None] = []

    def lines(since: int | None) -> Iterator[bytes]:
        asked.append(since)
        return iter(())

    monkeypatch.setattr(log, "journal_lines", lines)
    for since in ("2026-11-23T17:00:00Z", "2026-11-23T18:00", "2026-11-23"):
        assert main(["log", "--since", since]) == 0
    assert main(["log"]) == 0
    assert asked == [1795453200, 1795453200, 1795388400, None]
    assert main(["log", "--since", "someday"]) == 2
    assert "is not a time like" in capsys.readouterr().err


def test_without_root_and_without_a_journal_it_is_a_line_of_fact_and_a_remedy(
        as_root: None, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    def none(since: int | None) -> Iterator[bytes]:
        raise NoJournal("there is no journal\n  make one")

    monkeypatch.setattr(log, "journal_lines", none)
    assert main(["log"]) == 2
    assert capsys.readouterr() == ("", "pam-spice: there is no journal\n  make one\n")
    monkeypatch.setattr(os, "geteuid", lambda: 1021)
    assert main(["log"]) == 2
    assert capsys.readouterr() == ("", "pam-spice: this needs root: put sudo before it\n")


def test_without_journalctl_it_is_a_line_of_fact_and_a_remedy(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditlog, "JOURNALCTL", "/nonexistent/journalctl")
    with pytest.raises(NoJournal, match=r"^there is no /nonexistent/journalctl.*\n  install"):
        next(auditlog.journal_lines(None))


@pytest.mark.parametrize(("value", "said"), [("0\n", False), ("1\n", True)])
def test_who_can_forge_the_kernel_s_lines_is_said(
        as_root: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
        tmp_path: Path, value: str, said: bool) -> None:
    (tmp_path / "all").write_text(value)
    monkeypatch.setattr(log, "_ALL_NETWORKS", tmp_path / "all")
    assert main(["log", "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)
    assert ("nf_log_all_netns=0" in printed.err) is said


# What is written

def datagrams(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    sent: list[bytes] = []
    monkeypatch.setattr(journal, "_send", lambda datagram: sent.append(datagram))
    return sent


@pytest.mark.parametrize("text", ["a\nPAM_SPICE_UID=0", "\x1b[2J", "\u202e", "\x85", "\udcff",
                                  "\0"])
def test_a_message_is_one_printable_line_and_a_field_is_whole(
        monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    sent = datagrams(monkeypatch)
    journal.log(journal.NOTICE, f"it is {text}", event="open", user=text, uid=None)
    fields = {}
    rest = sent[0]
    while rest:
        key, _, rest = rest.partition(b"\n")
        size = int.from_bytes(rest[:8], "little")
        fields[key.decode()], rest = rest[8:8 + size].decode(), rest[8 + size + 1:]
    assert set(fields) == {"MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "PAM_SPICE_EVENT",
                           "PAM_SPICE_USER"}
    assert fields["MESSAGE"].isprintable()
    assert fields["PAM_SPICE_USER"] == text.encode("utf-8", "backslashreplace").decode()


def test_a_message_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = datagrams(monkeypatch)
    journal.log(journal.NOTICE, "x" * 10_000_000, event="open", place="y" * 100_000)
    assert 100_000 < len(sent[0]) < 110_000


# The page

def test_every_call_that_writes_a_record_gives_the_fields_that_the_page_names() -> None:
    rows = {event: (set(re.findall(r"`([a-z]+)`", fields)),
                    set(re.findall(r"`\[?([a-z]+)\]?`", fields)) | {"event"})
            for event, fields in re.findall(r"^\| `([a-z-]+)` \| [0-9, ]+ \| .* \|(.*)\|$", PAGE,
                                            re.MULTILINE)}
    seen = set()
    for path in sorted((ROOT / "pam_spice").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if ast.unparse(node.func) != "journal.log":
                continue
            given = {keyword.arg: keyword.value for keyword in node.keywords}
            name = given.get("event")
            if not isinstance(name, ast.Constant):  # a test with a real journal sees to these
                continue
            event = str(name.value)
            seen.add(event)
            always, all_ = rows[event]
            assert set(given) - {None} <= all_, (path.name, event)
            assert always <= set(given), (path.name, event)
    assert len(seen) > 20
    # Those of the first table that are written otherwise are played in a real journal.
    wrong = PAGE.partition("## What went wrong")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `([a-z-]+)` \|", wrong, re.MULTILINE)) <= seen


def test_the_page_explains_every_field_of_its_tables() -> None:
    fields = PAGE.partition("## The fields")[2].partition("\n## ")[0]
    explained = set(re.findall(r"^\| (.*?) \|", fields, re.MULTILINE))
    names = {name for cell in explained for name in re.findall(r"`([a-z]+)`", cell)}
    used = {name for row in re.findall(r"^\| `[a-z-]+` \| [0-9, ]+ \| .* \|(.*)\|$", PAGE,
                                       re.MULTILINE)
            for name in re.findall(r"`\[?([a-z]+)\]?`", row)}
    assert used | {"event", "lost"} == names
