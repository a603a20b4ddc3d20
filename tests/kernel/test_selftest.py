"""The selftest's own doing, as a user of the workstation sees it from outside."""

import json
import os
import re
import threading
import time
from pathlib import Path

import pytest

from pam_spice.cli import main
from pam_spice.doctor.selftest import Place, Selftest, Step
from pam_spice.policy import current_policy
from pam_spice.run import Partner
from pam_spice.verbs import UsageError
from pam_spice.verbs import selftest as verb
from pam_spice.verbs.selftest import _look_who_is_here
from session.records import read_records
from tests.kernel import namespace as ns
from tests.kernel.namespace import GUARDED_PORT, OTHER_GID, V4, V6
from tests.kernel.test_audit_records import Journal
from tests.kernel.workstation import OFFICE, SESSIONS, Workstation, office

ANNE = ns.USERS["anne"]
WITH_EXPIRED = OFFICE + "  - {user: ralph, console: first, valid: {until: 2020-01-01}}\n"


def selftest() -> Selftest:
    return Selftest("anne", ANNE, OTHER_GID, "login", current_policy(int(time.time())),
                    Place("", {}, ""))


def processes_of(uid: int) -> set[int]:
    """In this network namespace; by their real uid, which is what ptrace(2) and kill(2) go by."""
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "status").read_text().partition("\nUid:")[2].split()
            if int(words[0]) == uid and (path / "ns/net").readlink() == Path(
                    "/proc/self/ns/net").readlink():
                found.add(int(path.name))
        except (OSError, IndexError):
            continue
    return found


def test_what_a_connection_gets_is_what_the_users_viewer_and_his_other_programs_get() -> None:
    workstation = office()
    workstation.log_in("1", "anne", hint=True)
    test = selftest()
    for address in (V4, V6):
        assert test._connect("viewer", address, GUARDED_PORT, True).seen == "connected"
        assert test._connect("own group", address, GUARDED_PORT, False,
                             is_viewer=False).seen == "Connection refused"
        assert test._connect("nobody's", address, GUARDED_PORT + 2, False).seen == (
            "Connection refused")
    assert (os.getresuid(), os.getresgid()) == ((0, 0, 0), (0, 0, 0))


def test_no_process_of_the_selftest_is_the_users_to_take_over() -> None:
    """He could, by ptrace(2), and type into the terminal that it shares with root: TIOCSTI."""
    office()
    ns.nft(f"add table inet hole\nadd chain inet hole output {{ type filter hook output priority "
           f"-300; }}\nadd rule inet hole output tcp dport {ns.FREE_PORT} drop\n")
    said: list[Step] = []
    test = selftest()
    at_work = threading.Thread(target=lambda: said.append(
        test._connect("hangs", V4, ns.FREE_PORT, False, is_viewer=False)))
    at_work.start()
    seen: set[int] = set()
    while at_work.is_alive():
        seen |= processes_of(ANNE)
        time.sleep(0.02)
    at_work.join()
    assert not seen
    assert said[0].seen == "timed out"


def test_the_login_is_made_away_from_the_terminal_of_who_tries_it() -> None:
    """PAM's modules may start programs as the user."""
    with Partner(["/usr/bin/python3", "-IS", "-c",
                  "import os; print(os.getsid(0) == os.getpid(), flush=True); input()"]) as child:
        assert child.line(10) == "True"


def test_a_console_is_not_opened_for_the_test_to_who_is_here_by_ssh() -> None:
    """Chains are for uids, so his viewer would get through, far from the seat."""
    workstation = office()
    workstation.log_in("4", "anne", SERVICE="sshd", REMOTE="1", SEAT="", TTY="pts/0")
    workstation.log_in("5", "ralph", SERVICE="sshd", REMOTE="1", SEAT="", TTY="pts/1")
    with pytest.raises(UsageError, match="anne has another login here"):
        _look_who_is_here("anne", ANNE, one_user=True)
    workstation.state("c4", "anne", 1, CLASS="manager", SERVICE="systemd-user")
    workstation.log_out("4", hint=False)
    assert _look_who_is_here("anne", ANNE, one_user=True) == [], "no terminal is taken"


def closing(workstation: Workstation) -> None:
    """Charlie's greeter has closed his session, but logind has not forgotten it yet."""
    workstation.log_in("4", "anne", SERVICE="lightdm")
    workstation.set_state("4", "closing")


def test_who_is_just_leaving_is_waited_for() -> None:
    workstation = office()
    closing(workstation)
    gone = threading.Timer(0.5, workstation.log_out, ["4", False])
    gone.start()
    try:
        assert _look_who_is_here("anne", ANNE, one_user=True) == []
    finally:
        gone.join()


def test_who_does_not_get_away_is_not_waited_for_without_end(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verb, "_LEAVING", 0.3)
    workstation = office()
    closing(workstation)
    began = time.monotonic()
    with pytest.raises(UsageError, match="a login of anne's is over, but programs of it run on"):
        _look_who_is_here("anne", ANNE, one_user=True)
    assert time.monotonic() - began >= 0.3


def test_who_stays_is_not_waited_for() -> None:
    workstation = office()
    workstation.log_in("4", "anne", SERVICE="sshd", REMOTE="1", SEAT="", TTY="pts/0")
    began = time.monotonic()
    with pytest.raises(UsageError, match="anne has another login here"):
        _look_who_is_here("anne", ANNE, one_user=True)
    assert time.monotonic() - began < 1


def test_a_grant_that_has_expired_is_no_console_of_his() -> None:
    workstation = office()
    workstation.policy(WITH_EXPIRED)
    workstation.log_in("1", "ralph", hint=True)
    test = Selftest("ralph", ns.USERS["ralph"], OTHER_GID, "login",
                    current_policy(int(time.time())), Place("", {}, ""))
    record = read_records()["1"]
    assert {grant.console for grant in record.grants} == {"first", "second"}
    names = [step.name for step in test._consoles(record, ())]
    assert [name for name in names if name.startswith("console ")] == ["console second"]
    assert any(name.startswith("connect first, which he is not granted") for name in names)


def test_the_journal_says_that_the_login_is_a_selftest_s_and_no_other_is(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    there = Journal()
    workstation = office()
    workstation.log_in("8", "anne", hint=True)
    child = tmp_path / "child"  # as the login's own child speaks
    child.write_text('#!/bin/sh\necho \'{"session": "8", "code": 0, "reason": "fine"}\'\ncat\n'
                     'echo \'{"code": 0, "reason": "fine"}\'\n')
    child.chmod(0o755)
    monkeypatch.setattr("pam_spice.doctor.selftest._SCOPE", [])
    monkeypatch.setattr("pam_spice.doctor.selftest._PAM_SPICE", str(child))
    monkeypatch.setattr("pam_spice.doctor.selftest._CLOSED_WITHIN", 0.0)
    monkeypatch.setattr("pam_spice.doctor.selftest.run", lambda *_, **__: None)
    assert len(list(selftest().steps())) > 3
    workstation.log_out("8")
    workstation.log_in("9", "anne", hint=True)
    record, = there.of("selftest")
    assert record == {"user": "anne", "uid": str(ANNE), "session": "8", "by": "root"}
    assert main(["log", "--user", "anne"]) == 0
    assert re.search(r"selftest +anne +session 8 of anne is made by pam-spice selftest \(by root\)",
                     capsys.readouterr().out)
    time.sleep(1.1)  # the report goes up to the last whole second
    assert main(["report"]) == 0
    page = capsys.readouterr().out
    assert "<b>1</b> login</a>" in page, "session 9 alone"
    assert "Made by pam-spice selftest, and not counted" in page


def test_without_a_seat_it_is_not_tried_and_that_is_no_no(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(verb, "_need_python_pam", lambda: None)
    workstation = office()
    seats = Path("/run/systemd/seats")
    for seat, note in ((None, "logind has no seat0 here"),
                       ("CAN_TTY=0\n", "seat0 has no virtual terminals")):
        if seat is not None:
            seats.mkdir()
            (seats / "seat0").write_text(seat)
        assert main(["selftest", "anne"]) == 2
        told = capsys.readouterr().out
        assert told.startswith(f"not tried: {note}")
        assert "NO" not in told
        assert main(["selftest", "anne", "--json"]) == 2
        document = json.loads(capsys.readouterr().out)
        assert (document["ok"], document["tried"], document["steps"]) == (None, False, [])
        assert document["reason"].startswith(note)
    assert workstation.chains() == {}
    assert not list(SESSIONS.iterdir()), "nobody was logged in"
