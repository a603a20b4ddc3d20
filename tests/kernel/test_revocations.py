"""Nothing gets round a revocation or an applied edit: no crash, full disk, silence, colleague."""

import os
import pwd
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conf.grantline import FOREVER
from conf.lookup import CompiledPolicy
from pam_spice import paths, reconcile
from pam_spice.cli import main
from pam_spice.firewall import nft
from pam_spice.locking import Lock
from pam_spice.revocations import Revocation, write_revocations
from session import logind
from session.records import CLOSED, DIRECTORY, OPEN, SHUT, read_records
from tests.kernel import namespace as ns
from tests.kernel.namespace import GUARDED_PORT, OTHER_GUARDED_PORT, USERS, V4, VIEWER_GID
from tests.kernel.test_reconcile import fill
from tests.kernel.test_sessions_now import BOTH, iso
from tests.kernel.workstation import OFFICE, REFUSED, SESSIONS, office

ANNE, RALPH = USERS["anne"], USERS["ralph"]
SWAPPED = OFFICE.replace("user: ralph, console: second", "user: ralph, console: first")


def revoked(uid: int, seconds: int) -> None:
    """The list of revocations as `pam-spice revoke` writes it, and nothing more."""
    name = {uid: name for name, uid in USERS.items()}[uid]
    write_revocations({uid: Revocation(uid, int(time.time()) + seconds, name, "root", "-")})


# Revocations

def test_a_revocation_whose_command_was_killed_is_carried_out_by_the_next_run() -> None:
    workstation = office()
    workstation.log_in("3", "ralph", hint=True)
    revoked(RALPH, 600)
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == "yes"
    workstation.reconcile()
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == REFUSED


def test_what_is_granted_to_a_revoked_user_stays_closed() -> None:
    from conf.compiling import grant_lines
    from pam_spice.sessions_now import grant_now
    from tests.unit.support import policy_of

    workstation = office()
    workstation.log_in("3", "ralph", hint=True)
    main(["revoke", "ralph", "--until", iso(600)])
    one = policy_of(OFFICE.replace("user: anne", "user: ralph")).grants[0]
    grant_now(RALPH, grant_lines(one, 0, 1), "ralph", "first")
    assert workstation.reaches("ralph", GUARDED_PORT) == REFUSED


def test_a_shorter_revocation_takes_the_place_of_a_longer_one() -> None:
    workstation = office()
    workstation.log_in("3", "ralph", hint=True)
    main(["revoke", "ralph", "--until", iso(3600)])
    main(["revoke", "ralph", "--until", iso(3)])
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == REFUSED
    assert ns.until(lambda: workstation.reaches("ralph", OTHER_GUARDED_PORT) == "yes", 5)


def test_an_edit_that_is_applied_does_not_undo_a_revocation_without_a_time() -> None:
    workstation = office()
    workstation.log_in("3", "ralph", hint=True)
    main(["revoke", "ralph"])
    workstation.policy(SWAPPED)
    assert main(["apply", "--now"]) == 0
    assert workstation.chains() == {}
    assert main(["revoke", "ralph", "--lift"]) == 0
    assert workstation.reaches("ralph", GUARDED_PORT) == "yes"


def test_a_list_that_can_not_be_written_does_not_keep_anybody_in(
        capsys: pytest.CaptureFixture[str]) -> None:
    workstation = office()
    workstation.log_in("3", "ralph", hint=True)
    fill(paths.STATE)
    assert main(["revoke", "ralph", "--until", iso(600)]) == 1
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == REFUSED
    assert "open logins are without them" in capsys.readouterr().err


def test_a_damaged_list_does_not_keep_anybody_in() -> None:
    workstation = office()
    workstation.log_in("3", "ralph", hint=True)
    Path(paths.REVOKED).write_text("x")
    assert main(["revoke", "ralph", "--until", iso(600)]) == 1
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == REFUSED


def test_a_full_record_directory_neither_keeps_him_in_nor_forgets_it() -> None:
    workstation = office()
    workstation.log_in("3", "ralph", hint=True)
    fill(DIRECTORY)
    assert main(["revoke", "ralph"]) == 0
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == REFUSED
    Path(DIRECTORY, ".filler").unlink(missing_ok=True)
    workstation.reconcile()
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == REFUSED
    assert read_records()["3"].revoked == FOREVER


@pytest.mark.parametrize("name", ["ralph", str(RALPH)])
def test_a_directory_of_users_that_is_down_does_not_keep_anybody_in(
        name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    workstation = office()
    workstation.log_in("3", "ralph", hint=True)

    def down(_key: object) -> pwd.struct_passwd:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwnam", down)
    monkeypatch.setattr(pwd, "getpwuid", down)
    assert main(["revoke", name]) == 0
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == REFUSED


def test_a_revocation_asks_nobody_for_the_groups_of_those_who_are_in(
        monkeypatch: pytest.MonkeyPatch) -> None:
    workstation = office()
    workstation.log_in("3", "ralph", hint=True)

    def hangs(*_: object) -> list[int]:
        raise AssertionError("the directory was asked")

    monkeypatch.setattr(os, "getgrouplist", hangs)
    assert main(["revoke", "ralph"]) == 0


def test_a_revocation_takes_in_a_login_that_is_not_recorded_yet() -> None:
    workstation = office()
    workstation.log_in("3", "ralph")  # his hook was killed, or is asking the directory of users
    assert main(["revoke", "ralph"]) == 0
    workstation.reconcile()
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == REFUSED
    assert workstation.hook("3", "open") == 0
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == REFUSED


def test_a_revocation_closes_before_it_asks_anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    workstation = office()
    workstation.log_in("3", "ralph", hint=True)

    def hangs(*_: object) -> object:
        raise AssertionError("the directory of users was asked")

    for name in ("getpwnam", "getpwuid"):
        monkeypatch.setattr(pwd, name, hangs)
    with pytest.raises(AssertionError, match="was asked"):  # for who is at the keyboard
        main(["revoke", "ralph"])
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == REFUSED


def test_a_damaged_list_that_is_deleted_undoes_no_revocation_of_who_is_in() -> None:
    workstation = office()
    workstation.log_in("3", "ralph", hint=True)
    main(["revoke", "ralph", "--until", iso(600)])
    with open(paths.REVOKED, "a") as file:
        file.write("x\n")
    workstation.reconcile()
    Path(paths.REVOKED).unlink()
    workstation.reconcile()
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == REFUSED


def test_a_session_that_logind_loses_for_a_moment_stays_revoked() -> None:
    """logind deletes the file of a session that it can't write, and writes it again later."""
    workstation = office()
    workstation.log_in("3", "ralph", hint=True)
    main(["revoke", "ralph"])
    file = SESSIONS / "3"
    text = file.read_text()
    file.unlink()
    reconcile.Reconciliation(phase="close").run()
    workstation.reconcile()
    file.write_text(text)
    workstation.reconcile()
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == REFUSED


def test_a_session_that_logind_loses_for_a_moment_is_closed_as_long_and_opens_again() -> None:
    workstation = office()
    workstation.log_in("3", "ralph", hint=True)
    file = SESSIONS / "3"
    text = file.read_text()
    file.unlink()
    workstation.reconcile()
    assert workstation.chains() == {}
    file.write_text(text)
    workstation.reconcile()
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == "yes"


# Applied edits

@pytest.mark.parametrize("fault", ["revocations", "logind", "directory"])
def test_apply_says_whom_it_could_not_decide_about(
        fault: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    workstation = office()
    workstation.log_in("3", "ralph", hint=True)
    workstation.policy(SWAPPED)
    workstation.reconcile()
    if fault == "logind":
        def silent(*_: object) -> list[logind.LogindSession]:
            raise logind.LogindSilent("gone")
        monkeypatch.setattr(reconcile, "read_sessions", silent)
    elif fault == "directory":
        def failing(*_: object) -> object:
            raise KeyError
        monkeypatch.setattr(reconcile.Reconciliation, "_admit", failing)
    else:
        Path(paths.REVOKED).write_text("x")
    assert main(["apply", "--now"]) == 1
    assert "session 3 of ralph" in capsys.readouterr().err
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == "yes"


def test_apply_takes_nothing_by_a_policy_that_broke_meanwhile(
        monkeypatch: pytest.MonkeyPatch) -> None:
    workstation = office()
    workstation.log_in("3", "ralph", hint=True)
    monkeypatch.setattr("pam_spice.verbs.apply.need_valid_policy", lambda: workstation.policy(
        OFFICE.replace("user: ralph, console: second", "user: ralph, console: nix")))
    assert main(["apply", "--now"]) == 1
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == "yes"


def test_an_edit_that_shut_a_session_can_be_taken_back() -> None:
    workstation = office()
    workstation.log_in("3", "ralph", hint=True)
    workstation.policy(OFFICE + "workstation: {services: [sddm]}\n")
    main(["apply", "--now"])
    assert workstation.states() == {"3": SHUT}
    workstation.policy(OFFICE)
    workstation.reconcile()
    assert workstation.chains() == {}, "an edit alone changes no session"
    assert main(["apply", "--now"]) == 0
    assert workstation.states() == {"3": OPEN}
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == "yes"
    workstation.policy(OFFICE + "workstation: {services: [sddm]}\n")
    main(["apply", "--now"])
    workstation.log_out("3")
    workstation.log_in("4", "ralph", hint=True)
    assert workstation.chains() == {}


def test_a_shut_session_does_not_keep_the_next_user_waiting() -> None:
    workstation = office()
    workstation.log_in("3", "ralph", hint=True)
    workstation.policy(OFFICE + "workstation: {services: [sddm]}\n")
    main(["apply", "--now"])
    workstation.log_in("4", "anne", hint=True, SERVICE="sddm")
    assert workstation.states() == {"3": SHUT, "4": OPEN}
    assert workstation.chains().keys() == {ANNE}


@contextmanager
def held_by_another(path: str) -> Iterator[None]:
    """The lock is in the hands of another process."""
    taken, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        ns.die_with_parent()
        with Lock(path):
            os.write(told, b"x")
            time.sleep(60)
        os._exit(0)
    os.read(taken, 1)
    yield
    os.kill(pid, 9)
    os.waitpid(pid, 0)


def test_two_commands_do_not_work_on_live_sessions_at_once(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    workstation = office()
    workstation.log_in("3", "ralph", hint=True)
    monkeypatch.setattr("pam_spice.verbs._PATIENCE", 0.2)
    with held_by_another(paths.ADMIN_LOCK):
        assert main(["apply", "--now"]) == 2
        assert "another pam-spice command is at work" in capsys.readouterr().err
        assert main(["revoke", "ralph"]) == 1
        assert "another pam-spice command is at work" in capsys.readouterr().err
        assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == REFUSED, "this closes at once"


# What fails for one, fails for one

def test_a_policy_that_fails_in_an_unforeseen_way_does_not_keep_the_dead_in(
        monkeypatch: pytest.MonkeyPatch) -> None:
    workstation = office()
    workstation.log_in("3", "ralph", hint=True)

    def broken(_now: int) -> CompiledPolicy:
        raise ValueError("a defect")

    monkeypatch.setattr(reconcile, "current_policy", broken)
    workstation.kill("3")
    workstation.reconcile()
    assert workstation.chains() == {}


def test_a_login_that_fails_in_an_unforeseen_way_does_not_hold_up_the_others(
        monkeypatch: pytest.MonkeyPatch) -> None:
    workstation = office()
    workstation.policy(BOTH)
    admit = reconcile.Reconciliation._admit

    def broken(run: reconcile.Reconciliation, session: logind.LogindSession) -> object:
        if session.user == "anne":
            raise ValueError("a defect")
        return admit(run, session)

    monkeypatch.setattr(reconcile.Reconciliation, "_admit", broken)
    workstation.log_in("3", "anne")
    workstation.log_in("4", "ralph")
    workstation.reconcile()
    assert workstation.chains().keys() == {RALPH}


@pytest.mark.parametrize("state", [CLOSED, "revoked"])
def test_a_damaged_record_of_a_living_session_opens_nothing_until_the_next_login(
        state: str) -> None:
    workstation = office()
    workstation.log_in("3", "ralph", hint=True)
    if state == CLOSED:
        assert workstation.hook("3", "close") == 0  # logind has not noticed yet
    else:
        main(["revoke", "ralph"])
    record = Path(DIRECTORY, "3")
    record.write_bytes(record.read_bytes()[:-3])
    for _ in range(2):
        workstation.reconcile()
        assert workstation.chains() == {}
    workstation.kill("3")
    (SESSIONS / "3").unlink()
    workstation.log_in("4", "ralph", hint=True)
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == "yes"
    workstation.reconcile()
    assert set(workstation.states()) == {"4"}


def test_a_revocation_cuts_what_is_live_at_the_next_run_too() -> None:
    workstation = office()
    workstation.log_in("3", "ralph", hint=True)
    live = ns.Client(RALPH, VIEWER_GID, V4, OTHER_GUARDED_PORT)
    assert live.say() == "yes"
    revoked(RALPH, 600)
    workstation.reconcile()
    assert ns.until(lambda: ns.established(OTHER_GUARDED_PORT) == [], 1)


def test_without_a_compiled_policy_everybody_stays_as_he_is() -> None:
    """Whether there may be two users at once is then not known."""
    workstation = office()
    workstation.policy(BOTH)
    workstation.log_in("3", "anne", hint=True)
    workstation.log_in("4", "ralph", hint=True)
    Path(paths.COMPILED).unlink()
    reconcile.Reconciliation(phase="close").run()  # as the watcher does
    assert workstation.states() == {"3": OPEN, "4": OPEN}
    assert workstation.chains().keys() == {ANNE, RALPH}


def test_a_session_with_a_damaged_record_counts_for_the_rule_of_one_user() -> None:
    workstation = office()
    workstation.log_in("3", "ralph", hint=True)
    record = Path(DIRECTORY, "3")
    record.write_bytes(record.read_bytes()[:-3])
    workstation.log_in("4", "anne", hint=True)
    assert workstation.chains() == {}, "ralph's is closed, and anne waits"
    workstation.log_out("3")
    assert workstation.chains().keys() == {ANNE}


def test_a_login_that_ends_while_it_is_decided_opens_nothing(
        monkeypatch: pytest.MonkeyPatch) -> None:
    workstation = office()
    workstation.log_in("3", "ralph")
    timer = reconcile.Reconciliation()
    admissions = timer._admissions

    def slow() -> reconcile.Admissions:
        found = admissions()
        workstation.hook("3", "close")
        workstation.set_state("3", "closing")
        return found

    monkeypatch.setattr(timer, "_admissions", slow)
    timer.run()
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == REFUSED


def test_who_logs_in_under_a_dead_clock_gets_his_windows_when_it_is_right(
        monkeypatch: pytest.MonkeyPatch) -> None:
    workstation = office()
    workstation.policy(OFFICE.replace("user: ralph, console: second",
                                      'user: ralph, console: second, when: "00:00-24:00"'))
    with monkeypatch.context() as dead:
        dead.setattr(time, "time", lambda: 1735689600.0)  # 2025-01-01
        workstation.log_in("3", "ralph")
        workstation.reconcile()
        assert workstation.states() == {}
    workstation.reconcile()
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == "yes"


# The guard

WIDER = OFFICE.replace("20001-20010", "20001-20010, 8080")


def test_a_run_that_began_before_an_edit_does_not_bring_the_old_guard_back() -> None:
    workstation = office()
    watcher = reconcile.Reconciliation(phase="close")
    watcher._read_policy()
    watcher._read_policy = lambda: None  # type: ignore[method-assign]
    workstation.policy(WIDER)
    workstation.reconcile()
    watcher.run()
    assert "8080" in Path(paths.GUARD).read_text()
    assert workstation.reaches("zoe", ns.FREE_PORT) == REFUSED


def test_an_older_guard_in_the_kernel_is_found_even_if_it_is_remembered_as_ours() -> None:
    workstation = office()
    old = Path(paths.GUARD).read_text()
    workstation.policy(WIDER)
    workstation.reconcile()
    assert workstation.reaches("zoe", ns.FREE_PORT) == REFUSED
    nft.apply(old)
    observed = nft.observe()
    assert observed is not None
    nft.remember_guard(observed, old)
    assert workstation.reaches("zoe", ns.FREE_PORT) == "yes"
    workstation.reconcile()
    assert workstation.reaches("zoe", ns.FREE_PORT) == REFUSED


def test_nothing_is_said_of_consoles_that_the_policy_may_not_give(
        capsys: pytest.CaptureFixture[str]) -> None:
    workstation = office()
    workstation.policy(OFFICE.replace("  - {user: ralph, console: second}\n", ""))
    assert main(["revoke", "ralph"]) == 0
    assert capsys.readouterr().out == (
        "ralph has no console open\n"
        "the next login of ralph has what the policy gives him then; to keep that from him too: "
        "--until TIME\n")
    assert main(["revoke", "ralph", "--until", "+1h"]) == 0
    capsys.readouterr()
    assert main(["revoke", "ralph", "--lift"]) == 0
    assert capsys.readouterr().out == "the policy counts for ralph again\n"
