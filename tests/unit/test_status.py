"""What ``pam-spice status`` shows for a document, word by word; tests/kernel has real ones."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from pam_spice import refusals
from pam_spice.auditlog import Event, NoJournal, Reach
from pam_spice.refusals import Refusal, Refusals, last_of
from pam_spice.statusview import Document, Tone, faults, health, painted, render
from pam_spice.verbs import UsageError, status
from tests.unit.conftest import GOLDEN, Golden
from tests.unit.support import NOON

STATUS = GOLDEN / "status"
BERLIN = "Europe/Berlin"


def document(**more: Any) -> Document:
    """An office at noon in which all is well and nobody is."""
    return {"guard": {"loaded": True, "endpoints": ["192.168.2.2 20001-20010"]},
            "policy": {"revision": "0123456789ab", "outcome": "valid", "current": True},
            "viewer": {"confined": True, "fault": None}, "watcher": "active", "doctor": None,
            "sessions": [],
            "others": [], "chains": [], "revoked": [], "connections": [], "refusals": [], **more}


def session(id_: str, user: str, uid: int, **more: Any) -> Document:
    return {"session": id_, "user": user, "uid": uid, "state": "open", "revision": "0123456789ab",
            "seat": "seat0", "tty": "tty2", "service": "login",
            "since": "2026-11-23T08:02:11+00:00", "consoles": [], "revoked": False, **more}


def console(name: str, is_open: bool, until: str | None = None,
            following: str | None = None) -> Document:
    return {"console": name, "open": is_open, "until": until, "next": following}


def connection(**more: Any) -> Document:
    return {"uid": 1021, "address": "192.168.2.2", "port": 20002, "user": "anne",
            "consoles": ["webdev"], "pid": 812, "program": "remote-viewer",
            "since": "2026-11-23T09:15:00+00:00", "searched": True, **more}


BUSY = document(
    sessions=[
        session("3", "anne", 1021, consoles=[
            console("analysis", False, None, "2026-11-24T08:00:00+00:00"),
            console("bookkeeping", True),
            console("webdev", True, "2026-11-23T17:00:00+00:00", "2026-11-30T08:00:00+00:00")]),
        session("4", "ralph", 1022, state="waiting", seat=None, tty=None, since=None),
        session("6", "zoe", 1023, revoked=True),
        session("8", "olga", 1024, revision="ba9876543210")],
    others=[session("5", "ralph", 1022, service="sshd", seat=None, tty="pts/0", remote=True),
            session("7", "zoe", 1023, service=None, tty=":1", seat=None, remote=False)],
    revoked=[{"user": "zoe", "uid": 1023, "until": "2026-11-23T19:00:00+00:00", "by": "olga",
              "reason": "exam"}],
    connections=[*[connection()] * 4, connection(address="fd00::2"),
                 connection(uid=4444, user=None, consoles=[], port=20009, pid=None, program=None,
                            since=None),
                 connection(consoles=["one", "two"], port=20003, pid=99, program="nc\n\x1b[2J")])
REFUSED = ["Mon 2026-11-23 12:31:40 UTC  deny           ralph       webdev  [not open]  (3 times)"]
FOUND = document(doctor={"looked": "2026-11-23T11:45:00+00:00", "findings": [
    {"code": "D611", "fact": "CA file /etc/pam-spice/mysrv-ca.pem does not exist here"},
    {"code": "D621", "fact": "mysrv.example leads to 192.168.2.9\x1b[2J"}]})
BROKEN = document(
    guard={"loaded": False, "endpoints": ["192.168.2.2 20001-20010"]},
    policy={"revision": "0123456789ab", "outcome": "with-problems", "current": False},
    viewer={"confined": False, "fault": "its mode is 0755, not 0750"}, watcher="failed",
    others=None, revoked=None)
FRESH = document(guard={"loaded": False, "endpoints": []}, watcher=None,
                 others=[session("5", "ralph", 1022, remote=False)],
                 viewer={"confined": True, "fault": "its mode is 0755, not 0750"},
                 policy={"revision": "none", "outcome": "missing", "current": True})


@pytest.mark.parametrize(("name", "found", "refused"), [
    ("quiet", document(), []), ("busy", BUSY, REFUSED), ("broken", BROKEN, None),
    ("findings", FOUND, []), ("before-a-policy", FRESH, [])])
def test_a_document_is_shown_as_its_golden_file(
        name: str, found: Document, refused: list[str] | None, golden: Golden) -> None:
    lines = painted(render(found, refused, BERLIN), in_colour=False)
    golden(STATUS / f"{name}.txt", "\n".join([*lines, ""]))


def test_the_first_policy_is_not_asked_for_again_while_it_is_taken_in() -> None:
    found = FRESH | {"policy": FRESH["policy"] | {"current": False}}
    assert health(found) == (
        "not in force yet: /etc/pam-spice/policy.yaml is new, and counts within seconds; if it "
        "does not, see pam-spice doctor")
    assert [line for line, _ in render(found, [], BERLIN)][1:3] == [
        "guard: nothing is guarded yet", "policy: it is being taken in"]


@pytest.mark.parametrize(("change", "fault"), [
    ({"guard": {"loaded": False, "endpoints": ["x 1-1"]}}, "guard NOT LOADED"),
    ({"policy": {"revision": "-", "outcome": "unusable", "current": True}}, "UNUSABLE"),
    ({"policy": {"revision": "-", "outcome": "it is damaged", "current": False}}, "NOT COMPILED"),
    ({"viewer": {"confined": False, "fault": None}}, "NOT CONFINED"),
    ({"viewer": {"confined": True, "fault": "it is not a file"}}, "NOT GUARDED (it is not a file)"),
    ({"watcher": "inactive"}, "NOT RUNNING (inactive)"), ({"revoked": None}, "DAMAGED")])
def test_each_fault_alone_is_not_well_and_says_where_to_go_on(change: Document,
                                                              fault: str) -> None:
    found = document(**change)
    assert len(faults(found)) == 1
    assert health(found).startswith("NOT WELL: ")
    assert fault in health(found)
    assert health(found).endswith("; see pam-spice doctor")
    assert render(found, [], BERLIN)[0] == (health(found), Tone.BAD)


@pytest.mark.parametrize("change", [
    {"watcher": None},
    {"doctor": {"looked": "2026-11-23T11:45:00+00:00", "findings": []}},
    {"doctor": FOUND["doctor"]},  # they are told, and are none of what this looks at itself
    {"policy": {"revision": "0123456789ab", "outcome": "valid", "current": False}}])
def test_what_cant_be_told_and_an_edit_that_is_not_taken_in_yet_are_no_faults(
        change: Document) -> None:
    assert faults(document(**change)) == []


# On a terminal

def test_colours_are_all_that_a_terminal_gets_more() -> None:
    lines = render(BROKEN, None, BERLIN)
    plain = painted(lines, in_colour=False)
    assert "\x1b" not in "".join(plain)
    coloured = painted(lines, in_colour=True)
    assert coloured != plain
    stripped = [line.removeprefix("\x1b[1;31m").removeprefix("\x1b[32m").removesuffix("\x1b[0m")
                for line in coloured]
    assert stripped == plain


def test_a_line_is_cut_to_the_terminal_s_width_its_colour_ends_with_it() -> None:
    for width in (4, 20, 80):
        for line, whole in zip(painted(render(BROKEN, None, BERLIN), True, width),
                               painted(render(BROKEN, None, BERLIN), False), strict=True):
            shown = line.removeprefix("\x1b[1;31m").removesuffix("\x1b[0m")
            assert len(shown) <= width
            assert shown == whole or shown == whole[:width - 3] + "..."
            assert line.count("\x1b") in (0, 2)


@pytest.mark.parametrize(("variables", "is_tty", "expected"), [
    ({}, True, True), ({}, False, False), ({"NO_COLOR": "1"}, True, False),
    ({"NO_COLOR": ""}, True, True), ({"TERM": "dumb"}, True, False)])
def test_colour_is_for_terminals_unless_somebody_does_not_want_it(
        variables: dict[str, str], is_tty: bool, expected: bool,
        monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout.isatty", lambda: is_tty)
    assert status._is_in_colour() == expected


@pytest.mark.parametrize(("is_tty", "json"), [(False, False), (True, True)])
def test_watch_is_refused_where_there_is_no_terminal_to_redraw(
        is_tty: bool, json: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: is_tty)
    with pytest.raises(UsageError, match="--watch needs a terminal"):
        status.run(Namespace(watch=True, json=json))


def test_watch_draws_anew_what_has_room_until_it_is_interrupted(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found = iter([status.Found(BUSY, REFUSED, BERLIN), status.Found(BROKEN, None, BERLIN)])
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(status.Found, "now", lambda _refusals: next(found))
    monkeypatch.setattr(status, "need_root", lambda: None)
    monkeypatch.setattr(status, "need_set_up", lambda: None)
    monkeypatch.setattr("pam_spice.verbs.status.time.sleep", wait)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("LINES", "9")
    monkeypatch.setenv("NO_COLOR", "1")
    assert status.run(Namespace(watch=True, json=False)) == 1
    assert waits == [2.0, 2.0]
    first, second, third = capsys.readouterr().out.split("\x1b[H")
    assert first == "\x1b[2J"
    for screen in (second, third):
        lines = screen.partition("\x1b[J")[0].split("\x1b[K\n")[:-1]
        assert len(lines) <= 8
        assert all(len(line) < 60 for line in lines)
    assert "lines more\x1b[K\n\x1b[J" in second
    assert third.startswith("NOT WELL: ")


# The last refusals

def refusal(second: int, uid: int = 1022, event: str = "deny", source: str = "kernel",
            reason: str = "not open") -> Event:
    return Event(NOON * 1_000_000 + second * 1_000_000, source, event, 4, "", user="ralph",
                 uid=uid, consoles=(Reach("webdev", ("192.168.2.2",), 20002),), reason=reason)


def test_the_last_refusals_are_told_and_of_those_that_repeat_the_last_with_their_number() -> None:
    events = [refusal(0), refusal(1, event="open", source="pam-spice"), refusal(2, uid=1023),
              refusal(3), refusal(4, event="cut"), refusal(5, event="cut", source="pam-spice"),
              refusal(6, event="refuse", source="pam-spice", reason="by ssh")]
    assert last_of(events) == [Refusal(events[2], 1), Refusal(events[3], 2), Refusal(events[4], 1),
                               Refusal(events[6], 1)]
    assert last_of(events, 1) == [Refusal(events[6], 1)]
    assert last_of([refusal(second, uid=second) for second in range(9)]) == [
        Refusal(refusal(second, uid=second), 1) for second in range(4, 9)]


def kernel_line(second: int, port: int = 20002) -> bytes:
    return (f'{{"__REALTIME_TIMESTAMP":"{(NOON + second) * 1_000_000}","_TRANSPORT":"kernel",'
            f'"SYSLOG_FACILITY":"0","PRIORITY":"4","MESSAGE":"pam-spice deny IN= OUT=eth0 '
            f'SRC=192.168.2.22 DST=192.168.2.2 PROTO=TCP DPT={port} UID=1022 GID=997"}}').encode()


def test_a_second_look_reads_what_is_new_alone_and_forgets_what_is_a_day_old(
        monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    journal = [kernel_line(-86000, 1), kernel_line(0, 2)]

    def last_refusals(since: int, most: int, seconds: float) -> list[bytes]:
        asked.append(since)
        assert most <= 1000
        assert seconds <= 2
        return list(journal)

    monkeypatch.setattr(refusals, "last_refusals", last_refusals)
    monkeypatch.setattr(refusals, "user_of", {1022: "ralph"}.get)
    monkeypatch.setattr(refusals, "granted_consoles", lambda: {("192.168.2.2", 2): ["webdev"]})
    monkeypatch.setattr(refusals, "viewer_gid", lambda: 997)
    reader = Refusals()

    def ports(now: int) -> list[tuple[int | None, int, str | None]]:
        return [(each.event.consoles[0].port, each.times, each.event.user)
                for each in reader.read(now)]

    assert ports(NOON) == [(1, 1, "ralph"), (2, 1, "ralph")]
    journal[:] = [kernel_line(0, 2), kernel_line(1, 2)]  # the first is within the same second
    assert ports(NOON + 2) == [(1, 1, "ralph"), (2, 2, "ralph")]
    journal.clear()
    assert ports(NOON + 1000) == [(2, 2, "ralph")]
    assert asked == [NOON - 86400, NOON - 1, NOON + 1]


def test_of_no_journal_that_is_told_and_the_rest_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    def last_refusals(*_: object) -> list[bytes]:
        raise NoJournal("there is none")

    monkeypatch.setattr(refusals, "last_refusals", last_refusals)
    with pytest.raises(NoJournal):
        Refusals().read(NOON)
    assert ("refused: unknown, the journal can't be read: see pam-spice log", Tone.BAD) in render(
        document(), None, BERLIN)


def test_the_golden_files_are_all_used() -> None:
    assert {path.stem for path in Path(STATUS).glob("*.txt")} == {
        "quiet", "busy", "broken", "findings", "before-a-policy"}
