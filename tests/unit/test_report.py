"""pam-spice report: the page about a week, drawn from records; hostile ones too.

report_week.py holds a week of records. recorded/sudo.json is what sudo 1.9.13 and a real journald
made of two starts of the viewer, one of them in a directory with an ill-meant name, of another
command, of refusals, and of a user's forgery. In recorded/sudo-forged.json a program wrote as sudo
does, about another console, and then became sudo.
"""

import json
import os
import re
import stat
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pam_spice import paths
from pam_spice.auditlog import NoJournal
from pam_spice.cli import main
from pam_spice.report.clock import Clock
from pam_spice.report.facts import MOST_KINDS, NO_CONSOLE, OTHER, Facts
from pam_spice.report.sessions import MACHINE_STOPPED, NOT_TOLD, Span, merged
from pam_spice.report.sudolog import UNCONFIRMED, SudoLog
from pam_spice.report.tables import MOST_ROWS
from pam_spice.verbs import log, report
from tests.unit.conftest import GOLDEN, Golden
from tests.unit.report_week import (
    BOOT,
    NEXT_BOOT,
    POLICY,
    SINCE,
    UIDS,
    UNTIL,
    VIEWER_GID,
    at,
    command,
    facts,
    kernel,
    line,
    ours,
    page_of,
    reach,
    session,
    sudo,
    viewer,
    week,
)
from tests.unit.support import within

RECORDED, FORGED = ((Path(__file__).parent / "recorded" / name).read_bytes().splitlines()
                    for name in ("sudo.json", "sudo-forged.json"))
OPENED = "pam_unix(sudo:session): session opened for user maggie(uid=1021) by (uid=1021)"


def sudo_log(lines: list[bytes], *consoles: str) -> SudoLog:
    names = {uid: name for name, uid in UIDS.items()}
    there = SudoLog({**names, 1022: "ralph"}.get,
                    {("mysrv.example", 20002): consoles or ["webdev"]}, VIEWER_GID)
    for each in lines:
        there.take(each)
    return there


def logged_in(when: str, user: str, console: str) -> bytes:
    """A login to which a console is open for as long as it lasts."""
    return session(when, "open", user, "3", "login", reach(console, when, "-"))


def open_spans(found: Facts, user: str, console: str) -> list[tuple[int, int]]:
    return [(span.start, span.end) for row in found.rows if (row.user, row.console) ==
            (user, console) for span in row.open]


def used_spans(found: Facts, user: str, console: str) -> list[tuple[int, int]]:
    return [(span.start, span.end) for row in found.rows if (row.user, row.console) ==
            (user, console) for span in row.used]


# Use: what sudo's lines are worth

def test_of_a_real_journal_the_starts_of_the_viewer_are_told_and_nothing_else() -> None:
    found = sudo_log(RECORDED)
    assert [(use.user, use.console, (use.end or 0) - use.start) for use in found.uses()] == [
        ("maggie", "webdev", 1), ("maggie", "webdev", 1)]
    assert [(each.user, each.console, each.reason) for each in found.denials()] == [
        ("ralph", "webdev", "a password is required"),
        ("ralph", "webdev", "1 incorrect password attempt")]


def test_sudo_writes_under_its_caller_s_uid_so_that_of_root_would_find_nothing() -> None:
    records = [json.loads(each) for each in RECORDED]
    assert {each["_UID"] for each in records} == {"1021", "1022"}
    assert {each["_GID"] for each in records if "session opened for user maggie" in each["MESSAGE"]
            } == {str(VIEWER_GID)}


def test_a_user_s_own_lines_are_no_use_as_they_have_not_the_viewer_s_group() -> None:
    forged = [sudo("24 08:00", "ralph", "7", command("maggie", "webdev")),
              sudo("24 08:00", "ralph", "7", OPENED)]
    assert sudo_log(forged).uses() == []
    real = [forged[0], sudo("24 08:00", "ralph", "7", OPENED, VIEWER_GID)]
    assert [use.uid for use in sudo_log(real).uses()] == [UIDS["ralph"]], "who, the kernel tells"


@pytest.mark.parametrize("field", [
    {"_TRANSPORT": "journal"}, {"_TRANSPORT": "stdout"}, {"SYSLOG_IDENTIFIER": "su"},
    {"_UID": "x"}, {"_UID": ""}, {"_GID": "9" * 5000}, {"_PID": None},
    {"__REALTIME_TIMESTAMP": "x"}, {"MESSAGE": [1, 999]}], ids=str)
def test_a_record_of_another_way_or_shape_is_passed_over(field: dict[str, object]) -> None:
    opened = json.loads(sudo("24 08:00", "maggie", "7", OPENED, VIEWER_GID))
    assert len(sudo_log([json.dumps(opened).encode()]).uses()) == 1
    changed = {name: value for name, value in {**opened, **field}.items() if value is not None}
    assert sudo_log([json.dumps(changed).encode()]).uses() == []


def test_of_lines_with_the_pid_of_sudo_the_last_before_its_session_counts() -> None:
    """A user can write one and then become sudo, which keeps his pid."""
    found = sudo_log([sudo("24 08:00", "maggie", "7", command("maggie", "analysis")),
                      *viewer("maggie", "webdev", "7", "24 08:00:01", "24 09:00")])
    assert [use.console for use in found.uses()] == ["webdev"]


def test_of_a_real_journal_in_which_the_user_wrote_first_sudo_s_own_line_counts() -> None:
    programs = {json.loads(each)["_EXE"] for each in FORGED if b"tls-port=20001" in each}
    assert "/usr/bin/sudo" in programs, "journald itself took the forger for sudo"
    assert [use.console for use in sudo_log(FORGED).uses()] == ["webdev", "webdev"]
    assert sudo_log(FORGED).denials() == []


def test_another_s_line_with_the_same_pid_tells_no_console() -> None:
    found = sudo_log([sudo("24 08:00", "ralph", "7", command("maggie", "webdev")),
                      sudo("24 08:01", "maggie", "7", OPENED, VIEWER_GID)])
    assert [(use.user, use.console) for use in found.uses()] == [("maggie", None)]


@pytest.mark.parametrize("directory", ["/tmp/a ; COMMAND=/bin/ls", "/tmp/ ; USER=root ; COMMAND=x",
                                       "/tmp/\N{RIGHT-TO-LEFT OVERRIDE} : x ; "])
def test_the_name_of_a_directory_hides_no_start(directory: str) -> None:
    found = sudo_log([
        sudo("24 08:00", "maggie", "7", command("maggie", "webdev", directory=directory)),
        sudo("24 08:00", "maggie", "7", OPENED, VIEWER_GID)])
    assert [use.console for use in found.uses()] == ["webdev"]


def test_a_console_that_the_policy_has_not_any_more_is_its_host_and_port() -> None:
    found = sudo_log(viewer("maggie", "analysis", "7", "24 08:00", "24 09:00"))
    assert [use.console for use in found.uses()] == ["mysrv.example port 20003"]


@pytest.mark.parametrize(("title", "told"), [
    ("--title=website ", "website"), ("", "webdev or website"),
    ("--title=analysis ", "webdev or website"), ("--title=website --title=webdev ", None)])
def test_a_window_s_title_tells_only_which_of_the_names_of_its_host_and_port(
        title: str, told: str | None) -> None:
    line = command("maggie", "webdev").replace("--title=webdev ", title)
    found = sudo_log([sudo("24 08:00", "maggie", "7", line),
                      sudo("24 08:00", "maggie", "7", OPENED, VIEWER_GID)], "webdev", "website")
    assert [use.console for use in found.uses()] == [told]


def test_an_end_counts_only_for_the_same_boot_pid_and_uid() -> None:
    start, opened, closed = viewer("maggie", "webdev", "7", "24 08:00", "24 09:00")
    end = json.loads(closed)
    for other in ({"_PID": "8"}, {"_BOOT_ID": NEXT_BOOT}, {"_UID": "1022"}, {"_GID": "1021"}):
        found = sudo_log([start, opened, json.dumps({**end, **other}).encode()])
        assert [use.end for use in found.uses()] == [None], other
    assert [use.end for use in sudo_log([start, opened, closed]).uses()] == [at("24 09:00")]


def test_a_pid_that_comes_again_is_another_use() -> None:
    found = sudo_log([*viewer("maggie", "webdev", "7", "24 08:00", None),
                      *viewer("maggie", "webdev", "7", "24 10:00", "24 11:00")])
    assert [(use.start, use.end) for use in found.uses()] == [
        (at("24 08:00"), None), (at("24 10:00"), at("24 11:00"))]


def test_where_nothing_confirms_a_start_it_is_no_use() -> None:
    found = sudo_log([sudo("24 08:00", "maggie", "7", command("maggie", "webdev"))])
    assert found.uses() == []
    assert [(each.user, each.console, each.reason) for each in found.denials()] == [
        ("maggie", "webdev", UNCONFIRMED)]


@pytest.mark.parametrize("forged", [
    sudo("24 08:00", "ralph", "7", command("maggie", "webdev", "command not allowed ; ")),
    sudo("24 08:00", "maggie", "7", "maggie : command not allowed ; PWD=/ ; COMMAND="
         "/usr/lib/pam-spice/viewer x ; COMMAND=/usr/lib/pam-spice/viewer"),
    sudo("24 08:00", "maggie", "7", "maggie : command not allowed ; PWD=/ ; COMMAND=/bin/ls")])
def test_a_refusal_by_sudo_is_told_only_about_who_wrote_it_and_the_viewer(
        forged: bytes) -> None:
    assert sudo_log([forged]).denials() == []
    assert len(sudo_log([sudo("24 08:00", "maggie", "7", command(
        "maggie", "webdev", "command not allowed ; "))]).denials()) == 1


@pytest.mark.parametrize("garbage", [
    b"", b"COMMAND=", b'"COMMAND="', b"[]pam_unix(sudo", b'{"MESSAGE":' + b"[" * 100_000,
    b'{"COMMAND=":1}', b"\xff COMMAND=" * 1000, b'["COMMAND="]'])
def test_what_is_no_record_of_sudo_s_is_passed_over(garbage: bytes) -> None:
    there = sudo_log([garbage])
    assert (there.uses(), there.denials()) == ([], [])


def test_lines_of_any_number_and_length_take_little_room_and_time() -> None:
    with within(10):
        there = sudo_log([sudo("24 08:00", "ralph", str(pid), command("ralph", "webdev"))
                          for pid in range(20_000)])
        assert len(there._said) <= 10_000
        there.take(sudo("24 08:00", "ralph", "1", " " * 1_000_000 + "x : " * 500_000))
        there.take(sudo("24 08:00", "ralph", "1", "x : a=" + " ; COMMAND=" * 200_000))


# Sessions: who could reach what

def test_a_console_is_open_from_its_record_to_the_next_or_to_its_window_s_end() -> None:
    found = facts([
        session("24 08:00", "open", "anne", "3", "login", reach("webdev", "24 08:00", "24 12:00"),
                reach("analysis", "24 10:00", "-"), reach("bookkeeping", "25 08:00", "25 10:00")),
        session("24 11:00", "change", "anne", "3", "a command",
                reach("webdev", "24 11:00", "24 12:00")),
        session("24 15:00", "close", "anne", "3", "logout")])
    assert open_spans(found, "anne", "webdev") == [(at("24 08:00"), at("24 12:00"))]
    assert open_spans(found, "anne", "analysis") == [(at("24 10:00"), at("24 11:00"))]
    assert open_spans(found, "anne", "bookkeeping") == [], "he had left by then"


def test_who_waits_or_is_shut_out_can_reach_nothing() -> None:
    found = facts([session("24 08:00", "wait", "anne", "3", "another user is there"),
                   session("24 09:00", "open", "anne", "3", "the user who was there has left",
                           reach("webdev", "24 09:00", "-")),
                   session("24 10:00", "shut", "anne", "3", "does not count"),
                   session("24 11:00", "close", "anne", "3", "logout")])
    assert open_spans(found, "anne", "webdev") == [(at("24 09:00"), at("24 10:00"))]
    assert len(found.sessions) == 1
    assert found.sessions[0].waited


def test_a_session_that_goes_on_is_open_from_before_the_page_s_time_to_its_end() -> None:
    found = facts([logged_in("10 08:00", "anne", "webdev")])
    assert open_spans(found, "anne", "webdev") == [(SINCE, UNTIL)]
    assert found.sessions[0].end is None


def test_what_ended_before_the_page_s_time_is_not_on_it() -> None:
    found = facts([logged_in("10 08:00", "anne", "webdev"),
                   session("11 08:00", "close", "anne", "3", "logout"),
                   ours("10 08:00", "grant", user="anne", by="olga", reason="x", consoles=""),
                   kernel("10 08:00", "anne", "webdev", 1), ours("10 09:00", "mend", what="guard"),
                   *viewer("anne", "webdev", "7", "10 08:00", "10 09:00")])
    assert (found.sessions, found.rows, found.changes, found.refusals, found.mends) == ((),) * 5


def test_a_crash_of_the_machine_ends_its_sessions_at_the_last_word_of_that_boot() -> None:
    found = facts([
        logged_in("24 08:00", "anne", "webdev"),
        kernel("24 08:30", "ralph", "webdev", 1),
        ours("24 09:00", "setup", boot=NEXT_BOOT, by="olga"),
        session("24 10:00", "close", "anne", "3", "logout", boot=NEXT_BOOT)])
    assert open_spans(found, "anne", "webdev") == [(at("24 08:00"), at("24 08:30"))]
    assert found.sessions[0].why == MACHINE_STOPPED


def test_a_session_s_id_that_comes_again_is_another_login() -> None:
    found = facts([
        logged_in("24 08:00", "anne", "webdev"),
        logged_in("24 09:00", "boss", "analysis"),
        session("24 10:00", "close", "boss", "3", "logout")])
    assert [(each.user, each.why) for each in found.sessions] == [
        ("anne", NOT_TOLD), ("boss", "logout")]
    assert open_spans(found, "anne", "webdev") == [(at("24 08:00"), at("24 09:00"))]


def test_where_the_close_was_dropped_the_watcher_s_gone_ends_the_session() -> None:
    found = facts([
        logged_in("24 08:00", "anne", "webdev"),
        session("24 10:00", "gone", "anne", "3", "its login is over")])
    assert open_spans(found, "anne", "webdev") == [(at("24 08:00"), at("24 10:00"))]


def test_a_record_that_the_journal_took_late_counts_from_when_it_was_written() -> None:
    found = facts([
        logged_in("24 08:00", "anne", "webdev"),
        session("24 11:00", "extend", "anne", "3", "time", reach("webdev", "24 11:00", "-")),
        session("24 12:00", "close", "anne", "3", "logout", kept_since="2026-11-24T10:00:00Z")])
    assert found.sessions[0].end == at("24 10:00")
    assert found.gaps[0].what == "late"


def test_two_logins_of_one_user_are_one_span_where_they_touch() -> None:
    assert merged([Span(5, 9), Span(1, 3), Span(3, 4), Span(6, 7)]) == [Span(1, 4), Span(5, 9)]


def test_after_uninstalling_nobody_s_console_is_told_to_be_open() -> None:
    found = facts([
        logged_in("24 08:00", "anne", "webdev"),
        ours("24 09:00", "uninstall", by="olga")])
    assert open_spans(found, "anne", "webdev") == [(at("24 08:00"), at("24 09:00"))]


# Use beside reach

def test_a_viewer_without_an_end_is_over_when_its_user_has_left() -> None:
    found = facts([
        logged_in("24 08:00", "anne", "webdev"),
        *viewer("anne", "webdev", "7", "24 08:30", None),
        session("24 10:00", "close", "anne", "3", "logout")])
    assert used_spans(found, "anne", "webdev") == [(at("24 08:30"), at("24 10:00"))]
    page = page_of([
        logged_in("24 08:00", "anne", "webdev"),
        *viewer("anne", "webdev", "7", "24 08:30", None),
        session("24 10:00", "close", "anne", "3", "logout")])
    assert "no end is told; over by <time" in page


def test_a_viewer_outside_its_time_is_told_and_how_much_of_it_was_within() -> None:
    lines = [session("24 08:00", "open", "anne", "3", "login",
                     reach("webdev", "24 08:00", "24 09:00")),
             *viewer("anne", "webdev", "7", "24 08:30", "24 10:00")]
    assert used_spans(facts(lines), "anne", "webdev") == [(at("24 08:30"), at("24 10:00"))]
    assert "1:30 h, 0:30 h of it while it was open" in page_of(lines)


def test_who_could_and_did_not_is_told_apart_from_who_did() -> None:
    page = page_of([logged_in("24 08:00", "anne", "webdev")])
    assert "no viewer was started" in page


def test_a_viewer_whose_console_is_not_told_has_a_row_of_its_own() -> None:
    lines = [sudo("24 08:00", "maggie", "7", OPENED, VIEWER_GID)]
    assert [row.console for row in facts(lines).rows] == [NO_CONSOLE]
    assert "not known: sudo&#x27;s line is missing" in page_of(lines)


# Sums

def test_a_selftest_s_login_is_neither_the_user_s_nor_a_time_in_which_he_could() -> None:
    own = [session("20 10:00", "open", "anne", "8", "login",
                   reach("webdev", "20 10:00", "20 12:00")),
           ours("20 10:00:01", "selftest", user="anne", uid="1022", session="8", by="olga"),
           session("20 10:00:09", "close", "anne", "8", "logout")]
    later = [session("20 11:00", "open", "anne", "9", "login",
                     reach("webdev", "20 11:00", "20 12:00")),
             session("20 11:30", "close", "anne", "9", "logout")]
    # Its id comes again after a boot, and then is somebody's own.
    again = [session("21 10:00", "open", "anne", "8", "login",
                     reach("webdev", "21 10:00", "21 12:00"), boot=NEXT_BOOT)]
    told = facts(own + later + again)
    assert [each.start for each in told.sessions] == [at("20 11:00"), at("21 10:00")]
    assert [(each.id, each.tested_by) for each in told.tests] == [("8", "olga")]
    assert [row.open for row in told.rows] == [(Span(at("20 11:00"), at("20 11:30")),
                                                Span(at("21 10:00"), at("21 12:00")))]
    assert told.faults == ()
    page = page_of(own)
    assert "No login got consoles or waited for them." in page
    assert "Made by pam-spice selftest, and not counted: anne" in page
    stray = ours("20 10:00:01", "selftest", user="ralph", uid="1024", session="8", by="olga")
    assert len(facts([own[0], stray]).sessions) == 1, "another's, as its id tells"


def test_what_the_kernel_refuses_while_a_selftest_tries_is_told_as_that() -> None:
    tested = ours("20 10:00:01", "selftest", user="anne", uid="1022", session="8", by="olga")
    lines = [kernel("20 09:59", "anne", "webdev", 1022), tested,
             kernel("20 10:00:02", "anne", "webdev", 1022),
             kernel("20 10:00:03", "ralph", "webdev", 1024),
             session("20 10:00:10", "open", "anne", "9", "login"),
             kernel("20 10:00:11", "anne", "webdev", 1022), tested,
             kernel("20 10:05", "anne", "webdev", 1022)]
    assert [(each.who, each.reason, each.count) for each in facts(lines).refusals] == [
        ("anne", "not the viewer, gid 1022", 3),
        ("anne", "not the viewer, gid 1022; while pam-spice selftest tried", 1),
        ("ralph", "not the viewer, gid 1024", 1)]


def test_refusals_of_any_number_are_one_row_with_their_number() -> None:
    packets = [kernel("24 08:00", "ralph", "webdev", 1024)] * 20_000
    with within(20):
        found = facts([kernel("23 08:00", "ralph", "webdev", 1024), *packets])
    assert [(each.who, each.what, each.reason, each.count, each.first, each.last)
            for each in found.refusals] == [
        ("ralph", "webdev", "not the viewer, gid 1024", 20_001, at("23 08:00"), at("24 08:00"))]


def test_nobody_crowds_another_s_refusals_out_with_words_that_he_makes_up() -> None:
    """Each line of his with another reason was a row of its own, and of many rows the last are
    shown."""
    made_up = [sudo("24 08:00", "ralph", str(number),
                    command("ralph", "webdev", f"reason {number} ; ")) for number in range(1000)]
    lines = [kernel("23 08:00", "maggie", "webdev", 1024), *made_up]
    found = facts(lines)
    assert len(found.refusals) == MOST_KINDS + 2
    assert found.refusals[0].who == "maggie"
    assert [(each.what, each.reason, each.count) for each in found.refusals
            if each.what == OTHER] == [(OTHER, OTHER, 1000 - MOST_KINDS)]
    assert "earlier rows are left out" not in page_of(lines)


def test_an_event_that_nobody_has_heard_of_yet_is_on_the_page() -> None:
    page = page_of([ours("24 08:00", "drift", "something moved")])
    assert "drift" in page
    assert "something moved" in page


def test_that_the_same_text_was_compiled_anew_is_no_change_by_people() -> None:
    one, other = (ours("20 10:00", "policy", revision="4bcc3eb58756", before=before,
                       outcome="valid", problems="0")
                  for before in ("4bcc3eb58756", "a1d0ba0ddfb7"))
    assert [event.details["before"] for event in facts([one, other]).changes] == ["a1d0ba0ddfb7"]
    assert facts([one]).faults == ()


def test_what_the_first_policy_puts_in_place_is_neither_a_fault_nor_a_change_by_people() -> None:
    lines = [ours("20 10:00:0" + second, "setup", f"put in place: {what}", what=what)
             for second, what in (("1", "sudoers"), ("2", "group"), ("3", "viewer"))]
    by_hand = ours("20 09:00", "setup", "pam-spice is set up here", by="olga")
    told = facts([by_hand, *lines])
    assert (told.mends, told.faults) == ((), ())
    assert [event.by for event in told.changes] == ["olga"]
    page = page_of(lines)
    assert "Put in place, as it was the first policy: sudoers, group, viewer (" in page
    assert ": please look" not in page


def test_a_note_of_the_doctor_s_is_on_the_page_and_is_no_fault() -> None:
    def finding(priority: str, code: str) -> bytes:
        record = json.loads(ours("20 10:00", "finding", f"{code} x; y", code=code, reason="x"))
        return json.dumps({**record, "PRIORITY": priority}).encode()

    page = page_of([finding("6", "D702")])
    assert ": please look" not in page
    assert "Notes of pam-spice doctor, which are no faults." in page and "D702 x; y" in page
    told = facts([finding("6", "D702"), finding("4", "D112")])
    assert [each.reason for each in told.faults] == ["D112 x; y"]


def test_a_command_that_failed_does_not_look_done() -> None:
    page = page_of([ours("24 08:00", "revoke", user="anne", by="olga", reason="x",
                         error="OSError(28)")])
    assert "NOT done, or not all of it: OSError(28)" in page


# Times

def test_an_hour_that_comes_twice_says_which_it_is() -> None:
    clock = Clock("Europe/Berlin")
    first = 1792888200  # 2026-10-25T00:30:00Z
    assert clock.text(first) == "Sun 25 Oct 2026 02:30 CEST"
    assert clock.text(first + 3600) == "Sun 25 Oct 2026 02:30 CET"
    assert clock.text(first + 7201) == "Sun 25 Oct 2026 03:30:01"


# The page

class Page(HTMLParser):
    """A page's elements; fails where one is not closed, or not the innermost."""

    VOID = ("meta",)

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert len(dict(attributes)) == len(attributes), tag
        self.elements.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert "svg" in self.open, f"<{tag}/> is HTML's"
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def whole() -> str:
    return page_of(week())


def test_a_week_is_the_golden_page(whole: str, golden: Golden) -> None:
    golden(GOLDEN / "report.html", re.sub("<style>.*?</style>", "<style></style>", whole,
                                          flags=re.DOTALL))


def test_the_same_records_make_the_same_page(whole: str) -> None:
    assert page_of(week()) == whole


def test_the_page_is_whole_and_its_ids_and_links_fit(whole: str) -> None:
    page = Page(whole)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    links = [attributes["href"] for attributes in page.of("a")]
    assert {f"#{name}" for name in ids if name} >= set(links)
    assert len(links) > 5
    labels = [attributes["aria-labelledby"] for attributes in page.of("section")]
    assert set(labels) <= set(ids)


def test_the_page_needs_nothing_else_and_lets_nothing_else_in(whole: str) -> None:
    page = Page(whole)
    assert not {tag for tag, _ in page.elements} & {
        "script", "link", "img", "iframe", "object", "embed", "base", "form", "video", "audio"}
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            assert name not in ("src", "srcset", "style", "background", "action"), (tag, name)
            if name in ("href", "xlink:href"):
                assert (value or "").startswith("#"), (tag, value)
    style = whole[whole.index("<style>"):]
    assert "@import" not in style
    assert "url(" not in style.replace("url(#ps-p-", "")
    policy = next(each for each in page.of("meta") if "http-equiv" in each)
    assert policy["content"] == "default-src 'none'; style-src 'unsafe-inline'"


def test_every_table_has_a_caption_and_every_head_a_scope(whole: str) -> None:
    page = Page(whole)
    assert len(page.of("table")) == len(page.of("caption")) > 5
    assert {attributes.get("scope") for attributes in page.of("th")} == {"col", "row", "rowgroup"}


def test_what_is_marked_by_colour_says_so_in_words(whole: str) -> None:
    assert whole.count('class="look"') == whole.count(": please look") == 2
    assert "please look" not in page_of([])


def test_a_week_in_which_nothing_happened_says_so() -> None:
    page = page_of([])
    Page(page)
    for words in ("Nothing was refused.", "No live connection was cut.", "Nothing went wrong.",
                  "Everything stayed as it should be.", "Nobody changed anything."):
        assert words in page


HOSTILE = ("</td></table><script>alert(1)</script>", '"><img src=x onerror=alert(1)>',
           "' onmouseover='alert(1)", "&lt;b&gt;&amp;", "\x1b[2J\x00\x07", "\u202egnp.exe\u2066",
           "]]><!--", "x" * 100_000, "\ud800", "a\nb\r\n", "<svg/onload=x>", "javascript:x")


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:20]))
def test_no_field_of_a_record_is_markup_or_moves_the_text_about(text: str) -> None:
    def all_of(text: str) -> list[bytes]:
        fields = {"user": text, "session": text, "reason": text, "by": text, "revision": text,
                  "place": text, "service": text, "what": text, "foreign": text, "error": text,
                  "before": text, "outcome": text, "problems": text, "lost": text, "uid": "1021",
                  "consoles": f"{text.replace(' ', '')} 192.168.2.2 20001 - -"}
        events = ("open", "change", "wait", "refuse", "cut", "mend", "edit", "policy", "grant",
                  "revoke", "setup", "hook-failed", text)
        return [*(ours(f"24 08:{number:02d}", event, text, **{**fields, "session": str(number)})
                  for number, event in enumerate(events)),
                ours("24 09:00", "open", text, **fields),
                sudo("24 09:00", "maggie", "7", command("maggie", "webdev", directory=text)),
                sudo("24 09:00", "maggie", "7", OPENED + text, VIEWER_GID),
                sudo("24 09:10", "maggie", "8", f"maggie : {text} ; TTY=x ; COMMAND="
                     f"/usr/lib/pam-spice/viewer {text}"),
                line("24 09:20", _TRANSPORT="kernel", SYSLOG_FACILITY="0", MESSAGE="pam-spice deny "
                     f"IN={text.replace(' ', '')} OUT=x SRC={text} DST=192.168.2.2 DPT=20001 ")]

    page = page_of(all_of(text))
    harmless = Page(page_of(all_of("harmless")))
    parsed = Page(page)
    assert {tag for tag, _ in parsed.elements} == {tag for tag, _ in harmless.elements}
    assert ({name for _, attributes in parsed.elements for name in attributes}
            == {name for _, attributes in harmless.elements for name in attributes})
    assert all(character.isprintable() or character == "\n" for character in "".join(parsed.texts))
    assert len(page) < 200_000
    page.encode()


def test_of_many_rows_the_last_are_shown_and_the_rest_is_said() -> None:
    lines = [ours("24 08:00", "mend", what="guard", reason=f"no {number}")
             for number in range(MOST_ROWS + 5)]
    page = page_of(lines)
    assert "5 earlier rows are left out" in page
    assert "no 4<" not in page
    assert "no 5<" in page


# The verb

@pytest.fixture
def as_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with that week in its journal. The path of its policy."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    names = {uid: name for name, uid in UIDS.items()}
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(report, "user_of", names.get)
    monkeypatch.setattr(report, "granted_consoles", lambda: {})
    monkeypatch.setattr(report, "viewer_gid", lambda: VIEWER_GID)
    monkeypatch.setattr(report, "_boot", lambda: NEXT_BOOT)
    monkeypatch.setattr(log, "_ALL_NETWORKS", Path("/nonexistent"))
    monkeypatch.setattr(time, "time", lambda: float(UNTIL))
    monkeypatch.setattr(report, "journal_lines", lambda since, until, also: iter(week()))
    return policy


def test_it_prints_a_page_about_the_last_week(as_root: Path,
                                              capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["report", "--policy", str(as_root)]) == 0
    page = capfdbinary.readouterr().out.decode()
    Page(page)
    assert "From Wed 18 Nov 2026 18:00 to Wed 25 Nov 2026 18:00, by the clock of Europe/" in page
    assert "Wed 25 Nov 10:13" in page


def test_a_file_is_for_root_alone_and_takes_the_place_of_a_link(as_root: Path,
                                                                tmp_path: Path) -> None:
    target = tmp_path / "shadow"
    target.write_text("keep")
    output = tmp_path / "week.html"
    output.symlink_to(target)
    assert main(["report", "--policy", str(as_root), "--output", str(output)]) == 0
    assert target.read_text() == "keep"
    assert not output.is_symlink()
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["policy.yaml", "shadow",
                                                                "week.html"]


def test_a_time_is_by_the_policy_s_clock_and_the_journal_is_read_from_a_month_before(
        as_root: Path, monkeypatch: pytest.MonkeyPatch,
        capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    asked: list[tuple[int, int]] = []

    def lines(since: int, until: int, _also: tuple[str, ...]) -> Iterator[bytes]:
        asked.append((since, until))
        return iter(())

    monkeypatch.setattr(report, "journal_lines", lines)
    assert main(["report", "--policy", str(as_root), "--since", "2026-11-23", "--until",
                 "2026-11-24T12:00"]) == 0
    assert main(["report", "--policy", str(as_root), "--until", "2027-01-01"]) == 0
    month = 31 * 86400
    assert asked == [(at("22 23:00") - month, at("24 11:00")), (SINCE - month, UNTIL)]


@pytest.mark.parametrize(("arguments", "said"), [
    (["--output", "week.txt"], "'week.txt' is no page's name: end it in .html"),
    (["--since", "2026-11-24", "--until", "2026-11-23"], "ends before it begins"),
    (["--since", "2027-11-24"], "ends before it begins"),
    (["--since", "monday"], "is not a time like"),
    (["--output", "/nonexistent/week.html"], "/nonexistent/week.html: No such file")])
def test_what_can_not_be_done_is_said(as_root: Path, capsys: pytest.CaptureFixture[str],
                                      arguments: list[str], said: str) -> None:
    assert main(["report", "--policy", str(as_root), *arguments]) == 2
    assert said in capsys.readouterr().err


def test_without_root_or_a_journal_there_is_no_page(as_root: Path, monkeypatch: pytest.MonkeyPatch,
                                                    capsys: pytest.CaptureFixture[str]) -> None:
    def none(*_: object) -> Iterator[bytes]:
        raise NoJournal("there is no journal\n  make one")

    monkeypatch.setattr(report, "journal_lines", none)
    assert main(["report", "--policy", str(as_root)]) == 2
    assert capsys.readouterr() == ("", "pam-spice: there is no journal\n  make one\n")
    monkeypatch.setattr(os, "geteuid", lambda: 1021)
    assert main(["report", "--policy", str(as_root)]) == 2
    assert "this needs root" in capsys.readouterr().err


def test_an_interrupt_ends_it_without_a_page(as_root: Path, monkeypatch: pytest.MonkeyPatch,
                                             capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: object) -> Iterator[bytes]:
        raise KeyboardInterrupt

    monkeypatch.setattr(report, "journal_lines", interrupted)
    assert main(["report", "--policy", str(as_root)]) == 2
    assert capsys.readouterr() == ("", "")


def test_where_the_policy_is_unusable_the_rest_of_the_page_is_there(
        as_root: Path, monkeypatch: pytest.MonkeyPatch,
        capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    as_root.write_text("{")
    monkeypatch.setattr(paths, "POLICY", str(as_root))
    assert main(["report"]) == 0
    page = capfdbinary.readouterr().out.decode()
    assert "The policy is unusable" in page
    assert "viewers started" in page
    assert BOOT not in page
