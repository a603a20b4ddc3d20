"""What the injection and the storm found, each in its smallest form."""

import os
from pathlib import Path

import pytest

from pam_spice import paths
from pam_spice.reconcile import Reconciliation
from session.records import CLOSED, DIRECTORY, OPEN
from tests.faults.errors import KILL
from tests.faults.injecting import Tracer
from tests.faults.installed import HOOK, Leader
from tests.faults.machine import Machine, files, forget_session
from tests.faults.parallel import answers
from tests.faults.recording import Call
from tests.faults.scenarios import (
    ANNE,
    ANNES,
    ANNES_SESSION,
    RALPH,
    RALPHS,
    RALPHS_SESSION,
    Login,
    LoginAfterEdit,
    Logout,
    Scenario,
)

SECONDS = 60.0
LISTED = f"/run/systemd/sessions/{RALPHS_SESSION}"
PROCESS = "/stat"  # in /proc
NETFILTER = "AF_NETLINK, nl_pid=0"


def office() -> Machine:
    """A machine that has taken the policy in."""
    machine = Machine()
    machine.workstation.policy()
    machine.workstation.reconcile()
    return machine


def problems_of(kind: type[Scenario], name: str, what: str, fault: str) -> tuple[str, ...]:
    """What goes wrong where that fault hits the first call of this name, or the last, which has to
    do with ``what``, a part of strace's text."""

    def body() -> tuple[str, ...]:
        scenario = kind(Machine())
        tracer = Tracer("/run/trace")
        ended, calls = tracer.record(scenario.prepare(), scenario.phase)
        assert not scenario.judge(ended).problems
        found = [call for call in calls
                 if call.is_own and call.name == name and what in call.text]
        problems: list[str] = []
        for call in (found[0], found[-1]):
            ended = tracer.inject(scenario.prepare(), scenario.phase, call, fault)
            assert ended.was_hit
            problems += scenario.judge(ended).problems
        return tuple(problems)

    return answers([body], SECONDS)[0]


@pytest.mark.parametrize("kind", [Login, Logout])
@pytest.mark.parametrize("fault", ["EIO", "EMFILE", "ENOMEM"])
def test_a_file_of_logind_s_that_can_t_be_opened_for_once_hurts_nobody(
        kind: type[Scenario], fault: str) -> None:
    assert problems_of(kind, "openat", LISTED, fault) == ()


@pytest.mark.parametrize("kind", [Login, Logout])
@pytest.mark.parametrize(("name", "fault"), [
    ("openat", "EMFILE"), ("openat", "ENOMEM"), ("read", "EIO")])
def test_a_login_process_that_can_t_be_looked_at_for_once_is_not_taken_for_dead(
        kind: type[Scenario], name: str, fault: str) -> None:
    assert problems_of(kind, name, PROCESS, fault) == ()


@pytest.mark.parametrize(("name", "what", "fault"), [
    ("openat", f"{DIRECTORY}/{ANNES_SESSION}\"", "EMFILE"),
    ("read", f"{DIRECTORY}/{ANNES_SESSION}>", "EIO"),
    ("openat", f"{DIRECTORY}\"", "ENOMEM"),
    ("getdents64", DIRECTORY, "ENOMEM")])
def test_a_logout_that_can_t_read_its_record_closes_all_the_same_and_cuts_nobody_else(
        name: str, what: str, fault: str) -> None:
    assert problems_of(Logout, name, what, fault) == ()


@pytest.mark.parametrize(("name", "fault"), [("openat", "EMFILE"), ("read", "EIO")])
def test_a_record_that_can_t_be_read_for_once_does_not_cut_its_user_s_connections(
        name: str, fault: str) -> None:
    assert problems_of(Logout, name, f"{DIRECTORY}/{RALPHS_SESSION}", fault) == ()


@pytest.mark.parametrize(("name", "what", "fault"), [
    ("openat", "/etc/group", "EMFILE"), ("openat", "/etc/nsswitch.conf", "EIO"),
    ("read", "/etc/group", "EIO")])
def test_groups_that_can_t_be_looked_up_for_once_cut_nobody_s_connections(
        name: str, what: str, fault: str) -> None:
    assert problems_of(Logout, name, what, fault) == ()


def test_groups_that_can_t_be_looked_up_for_once_close_nothing_in_a_full_run() -> None:
    def body() -> None:
        scenario = Login(Machine())
        groups = Path("/etc/group")
        text = groups.read_text()
        groups.write_text("")
        Reconciliation().run()
        assert scenario.ralph.say() == "yes"
        groups.write_text(text)

    answers([body], SECONDS)


@pytest.mark.parametrize("path", [paths.COMPILED, paths.GUARD, paths.GUARD_SEEN])
def test_what_a_killed_writer_left_behind_is_removed_by_the_next_full_run(path: str) -> None:
    assert problems_of(LoginAfterEdit, "rename", f"{path}\"", KILL) == ()


def test_what_a_killed_writer_left_of_sudo_s_rules_is_removed_by_the_next_full_run() -> None:
    def body() -> None:
        machine = office()
        before = files()
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        for left in (f"{paths.SUDOERS}.{pid}", f"{paths.SUDOERS}.{pid}.{pid}.new"):
            Path(left).write_text("")
        machine.workstation.reconcile()
        assert files() == before

    answers([body], SECONDS)


def test_a_session_whose_login_hook_was_killed_is_not_opened_after_its_logout() -> None:
    """Its login process lives on for a while, and logind calls the session active."""

    def body() -> None:
        machine = office()
        leader = Leader()
        machine.workstation.state(ANNES_SESSION, "anne", leader.pid)
        leader.start(HOOK, "close")  # the one for "open" left nothing
        assert leader.status() == 0
        Reconciliation().run()
        table = machine.table()
        assert table is not None and table.what_is_open(ANNE, ANNES) == "nothing"
        leader.end()
        forget_session(ANNES_SESSION)
        Reconciliation().run()
        assert machine.workstation.states() == {}

    answers([body], SECONDS)


def test_a_run_that_saw_a_login_before_its_logout_does_not_open_it_after() -> None:
    def body() -> None:
        machine = office()
        leader = Leader()
        machine.workstation.state(ANNES_SESSION, "anne", leader.pid)

        class Slow(Reconciliation):
            def _read_policy(self) -> None:
                super()._read_policy()
                self.admissions = super()._admissions()

            def _admissions(self) -> dict[tuple[str, int], object]:  # type: ignore[override]
                leader.start(HOOK, "close")
                assert leader.status() == 0
                return dict(self.admissions)

        Slow().run()
        assert machine.workstation.states().get(ANNES_SESSION) != OPEN
        table = machine.table()
        assert table is not None and table.what_is_open(ANNE, ANNES) == "nothing"

    answers([body], SECONDS)


def test_a_logout_that_was_killed_halfway_does_not_let_two_users_in_at_once() -> None:
    """The record says closed and the kernel does not, and the login process lives."""

    def body() -> None:
        machine = office()
        tracer = Tracer("/run/trace")
        calls: list[Call] = []
        for call in (None, "the kernel's"):
            leader = Leader()
            machine.workstation.state(ANNES_SESSION, "anne", leader.pid)
            Reconciliation(leader.pid, "open").run()
            if call is None:
                _, calls = tracer.record(leader, "close")
                leader.end()
                forget_session(ANNES_SESSION)
                Reconciliation().run()
        told = next(call for call in calls if call.name == "sendto" and NETFILTER in call.text)
        assert tracer.inject(leader, "close", told, KILL).how == "killed"
        assert machine.workstation.states() == {ANNES_SESSION: CLOSED}
        other = Leader()
        machine.workstation.state(RALPHS_SESSION, "ralph", other.pid)
        other.start(HOOK, "open")
        assert other.status() == 0
        table = machine.table()
        assert table is not None and table.what_is_open(RALPH, RALPHS) == "whole"
        assert table.what_is_open(ANNE, ANNES) == "nothing"

    answers([body], SECONDS)


def test_a_module_that_can_t_be_opened_for_once_while_the_disk_is_full_is_not_spoilt() -> None:
    """Python would compile it anew and, up to 3.13, put what fits on the disk in its place."""

    def body() -> None:
        machine = office()
        leader = Leader()
        machine.workstation.state(ANNES_SESSION, "anne", leader.pid)
        tracer = Tracer("/run/trace")
        _, calls = tracer.record(leader, "open")
        module = next(call for call in calls if call.name == "openat"
                      and "/pam_spice/__pycache__/reconcile." in call.text)
        disk = os.statvfs(paths.PREFIX)
        with open(f"{paths.PREFIX}/full", "wb", buffering=0) as full:
            full.write(bytes(disk.f_bavail * disk.f_bsize - 8192))
            tracer.inject(leader, "open", module, "EMFILE")
            full.truncate(0)
        leader.start(HOOK, "close")
        assert leader.status() == 0
        assert machine.workstation.states() == {ANNES_SESSION: CLOSED}

    answers([body], SECONDS)


@pytest.mark.parametrize(("name", "what", "fault"), [
    ("socket", "NETLINK_SOCK_DIAG", "EMFILE"), ("sendto", "NETLINK:", "ENOMEM"),
    ("recvfrom", "SOCK_DIAG:", "ENOMEM")])
def test_a_logout_that_can_t_look_for_connections_for_once_cuts_them_all_the_same(
        name: str, what: str, fault: str) -> None:
    assert problems_of(Logout, name, what, fault) == ()
