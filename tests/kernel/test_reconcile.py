"""The one function, end to end in a real kernel: what is becomes what should be."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conf.lookup import CompiledPolicy
from pam_spice import journal, paths, sockets
from pam_spice.firewall import netlink
from pam_spice.locking import Lock
from pam_spice.policy import current_policy
from pam_spice.reconcile import Reconciliation, wake_watcher
from session import logind
from session.records import CLOSED, DIRECTORY, OPEN, WAITING, read_records
from tests.kernel import namespace as ns
from tests.kernel.namespace import GUARDED_PORT, OTHER_GUARDED_PORT, USERS, V4, V6, VIEWER_GID
from tests.kernel.workstation import (
    OFFICE,
    REFUSED,
    SESSIONS,
    Workstation,
    always,
    links,
    office,
    start_watcher,
    window,
)

ANNE, RALPH, ZOE = USERS["anne"], USERS["ralph"], USERS["zoe"]


# Logging in and out

def test_before_any_login_the_guard_stands_and_nothing_is_open() -> None:
    workstation = office()
    assert workstation.chains() == {}
    for user in USERS:
        assert workstation.reaches(user, GUARDED_PORT) == REFUSED


def test_a_login_opens_the_user_s_consoles_and_no_other() -> None:
    workstation = office()
    workstation.log_in("3", "ralph", hint=True)
    assert workstation.states() == {"3": OPEN}
    for address in (V4, V6):
        assert workstation.reaches("ralph", OTHER_GUARDED_PORT, address) == "yes"
        assert workstation.reaches("ralph", GUARDED_PORT, address) == REFUSED
        assert workstation.reaches("anne", GUARDED_PORT, address) == REFUSED


def test_a_login_has_the_grants_of_the_user_s_groups_too() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)  # a member of staff
    assert workstation.reaches("anne", GUARDED_PORT) == "yes"
    assert workstation.reaches("anne", OTHER_GUARDED_PORT) == "yes"


def test_a_login_without_a_hook_is_found_by_the_next_full_run() -> None:
    workstation = office()
    workstation.log_in("3", "anne")
    workstation.reconcile()
    assert workstation.reaches("anne", GUARDED_PORT) == "yes"


def test_who_sits_there_when_the_first_policy_comes_has_what_it_gives_him() -> None:
    workstation = Workstation()
    ns.serve_here()
    workstation.log_in("3", "anne")
    workstation.reconcile()
    assert workstation.states() == {}, "nothing counts before there is a policy"
    workstation.policy("grants: [")
    workstation.reconcile()
    assert workstation.states() == {}, "nor with one that can't be used"
    workstation.policy()
    workstation.reconcile()
    assert workstation.states() == {"3": OPEN}
    assert workstation.reaches("anne", GUARDED_PORT) == "yes"


def test_a_first_policy_that_comes_while_its_lack_is_being_noticed_is_to_count_too(
        monkeypatch: pytest.MonkeyPatch) -> None:
    workstation = Workstation()
    ns.serve_here()
    workstation.log_in("3", "anne")

    def too_early(now: int) -> CompiledPolicy:
        found = current_policy(now)
        workstation.policy()
        return found

    with monkeypatch.context() as patch:
        patch.setattr("pam_spice.reconcile.current_policy", too_early)
        workstation.reconcile()
    workstation.reconcile()
    assert workstation.reaches("anne", GUARDED_PORT) == "yes"


def test_who_sat_there_before_the_first_policy_is_shut_out_at_logout_without_a_hook() -> None:
    # PAM read his stack when there was none of ours in it.
    workstation = Workstation()
    ns.serve_here()
    workstation.log_in("3", "anne")
    workstation.log_in("4", "ralph")
    workstation.reconcile()
    workstation.policy()
    workstation.reconcile()
    assert workstation.states() == {"3": OPEN, "4": WAITING}
    workstation.set_state("3", "closing")  # what he left behind keeps it so
    workstation.reconcile()
    assert workstation.states()["4"] == OPEN
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED
    start_watcher()
    workstation.kill("4")  # and logind goes on calling it active
    assert ns.until(lambda: workstation.reaches("ralph", OTHER_GUARDED_PORT) == REFUSED, 2)


def test_a_user_without_grants_logs_in_and_has_no_chain() -> None:
    workstation = office()
    workstation.log_in("3", "zoe", hint=True)
    assert workstation.states() == {"3": OPEN}
    assert workstation.chains() == {}


def test_who_came_first_keeps_the_workstation_though_nothing_is_granted_to_him() -> None:
    workstation = office()
    workstation.log_in("3", "zoe", hint=True)
    workstation.log_in("4", "anne", hint=True)
    assert workstation.states() == {"3": OPEN, "4": WAITING}
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED
    workstation.log_out("3")
    assert workstation.reaches("anne", GUARDED_PORT) == "yes"


def test_a_proper_logout_closes_at_once_though_logind_still_shows_the_session() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    assert workstation.hook("3", "close") == 0
    assert workstation.states() == {"3": CLOSED}
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED
    workstation.reconcile()
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED, "and it stays closed"
    workstation.log_out("3", hint=False)
    workstation.reconcile()
    assert workstation.states() == {}


def test_who_logs_in_again_has_a_new_session_and_gets_in_again() -> None:
    workstation = office()
    for session in ("3", "4", "3"):
        workstation.log_in(session, "anne", hint=True)
        assert workstation.reaches("anne", GUARDED_PORT) == "yes"
        workstation.log_out(session)
        assert workstation.reaches("anne", GUARDED_PORT) == REFUSED


def test_the_second_user_waits_and_gets_in_when_the_first_leaves() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    workstation.log_in("4", "ralph", hint=True)
    assert workstation.states() == {"3": OPEN, "4": WAITING}
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == REFUSED
    assert workstation.reaches("anne", GUARDED_PORT) == "yes"
    workstation.log_out("3")
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == "yes"
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED
    workstation.reconcile()
    assert workstation.states() == {"4": OPEN}


def test_with_two_sessions_of_one_user_the_last_one_closes() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    workstation.log_in("4", "anne", hint=True)
    workstation.log_out("3")
    assert workstation.reaches("anne", GUARDED_PORT) == "yes"
    workstation.log_out("4")
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED


def test_with_one_user_false_both_are_in() -> None:
    workstation = office()
    workstation.policy(OFFICE + "workstation: {one_user: false}\n")
    workstation.log_in("3", "anne", hint=True)
    workstation.log_in("4", "ralph", hint=True)
    assert workstation.reaches("anne", GUARDED_PORT) == "yes"
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == "yes"


@pytest.mark.parametrize("fields", [
    {"REMOTE": "1", "SERVICE": "sshd"}, {"SERVICE": "su-l"}, {"SEAT": ""}, {"CLASS": "background"},
    {"CLASS": "greeter"}, {"STATE": "closing"}, {"UID": "0"}, {"UID": str(RALPH)},
    {"USER": "ralph"}, {"USER": "nobody-known"}, {"UID": "4444"}, {"LEADER": "1"},
    {"LEADER": "999999999"}], ids=str)
def test_what_is_no_login_at_the_seat_opens_nothing(fields: dict[str, str]) -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True, **fields)
    workstation.reconcile()
    # A leader that is process 1 is alive, but it is not who called the hook.
    if fields != {"LEADER": "1"}:
        assert workstation.chains() == {}
        assert OPEN not in workstation.states().values()


def test_a_hook_called_by_somebody_who_is_no_session_s_leader_opens_nothing() -> None:
    workstation = office()
    workstation.log_in("3", "anne")
    Reconciliation(os.getpid(), "open").run()
    assert workstation.chains() == {}


def test_a_hook_s_environment_has_no_effect() -> None:
    workstation = office()
    os.environ.update({"PAM_USER": "ralph", "PAM_TYPE": "close_session", "XDG_SESSION_ID": "9",
                       "PATH": "/tmp", "TZ": "Asia/Tokyo"})
    workstation.log_in("3", "anne", hint=True)
    assert workstation.reaches("anne", GUARDED_PORT) == "yes"
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == REFUSED


# What was missed

def test_a_login_process_that_was_killed_is_found_by_a_full_run() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    workstation.kill("3")  # logind goes on saying active
    workstation.reconcile()
    assert workstation.states() == {}
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED


def test_a_killed_login_process_lets_the_next_user_s_login_in() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    workstation.kill("3")
    workstation.log_in("4", "ralph", hint=True)
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == "yes"
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED


@pytest.mark.parametrize("state", ["closing", ""])
def test_a_session_that_logind_says_is_closing_is_closed(state: str) -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    workstation.set_state("3", state)
    workstation.reconcile()
    assert workstation.chains() == {}


@pytest.mark.parametrize("flush", ["flush ruleset", "delete table inet pam_spice",
                                   "flush table inet pam_spice",
                                   "flush chain inet pam_spice output",
                                   "add table inet pam_spice { flags dormant; }",
                                   "flush chain inet pam_spice user-1021",
                                   "flush map inet pam_spice sessions",
                                   "insert rule inet pam_spice user-1021 accept",
                                   "insert rule inet pam_spice output accept",
                                   "add element inet pam_spice sessions { 1023 : accept }"])
def test_what_someone_did_to_our_table_is_mended_by_a_full_run(flush: str) -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    before = ns.listing()
    ns.nft(flush + "\n")
    workstation.reconcile()
    assert parts(ns.listing()) == parts(before)
    assert workstation.reaches("anne", GUARDED_PORT) == "yes"
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == REFUSED
    assert workstation.reaches("zoe", OTHER_GUARDED_PORT) == REFUSED


def parts(listing: str) -> list[str]:
    """A listing's sets, maps and chains, in whatever order they came to be, without counters."""
    import re
    head, _, body = re.sub(r"packets \d+ bytes \d+", "", listing).partition("{\n")
    return [head, *sorted(part.strip() for part in body.removesuffix("}\n").split("\n\n"))]


@pytest.mark.parametrize("verdict", ["accept", "jump other", "goto user-1021"])
def test_a_jump_of_ours_that_someone_bent_is_mended_by_a_full_run(verdict: str) -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    ns.nft(f"""add chain inet pam_spice other
add rule inet pam_spice other accept
delete element inet pam_spice sessions {{ {ANNE} }}
add element inet pam_spice sessions {{ {ANNE} : {verdict} }}
""")
    workstation.reconcile()
    assert workstation.chains() == {ANNE: 4}
    assert ns.try_as(ANNE, ANNE, V4, 20003) == REFUSED


@pytest.mark.parametrize("verdict", ["accept", "jump other"])
def test_a_bent_jump_of_a_user_who_left_is_removed_by_his_logout(verdict: str) -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    ns.nft(f"""add chain inet pam_spice other
add rule inet pam_spice other accept
delete element inet pam_spice sessions {{ {ANNE} }}
add element inet pam_spice sessions {{ {ANNE} : {verdict} }}
""")
    workstation.log_out("3")
    assert ns.try_as(ANNE, ANNE, V4, GUARDED_PORT) == REFUSED


def test_mending_the_table_hurts_no_live_connection_that_is_allowed() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    clients = [ns.Client(ANNE, VIEWER_GID, address, GUARDED_PORT) for address in (V4, V6)]
    for change in ("add chain inet pam_spice odd", "insert rule inet pam_spice guard drop",
                   "flush ruleset"):
        ns.nft(change + "\n")
        workstation.reconcile()
        assert [client.say() for client in clients] == ["yes", "yes"], change


def test_while_the_table_is_mended_nobody_slips_through() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    mender = os.fork()
    if mender == 0:
        ns.die_with_parent()
        for number in range(25):
            ns.nft(f"add chain inet pam_spice odd{number}\n")
            Reconciliation().run()
        os._exit(0)
    answers = set()
    while os.waitpid(mender, os.WNOHANG) == (0, 0):
        answers.add(workstation.reaches("ralph", GUARDED_PORT))
        assert workstation.reaches("anne", GUARDED_PORT) == "yes"
    assert answers == {REFUSED}


def test_a_login_after_a_flush_puts_the_guard_back_too() -> None:
    workstation = office()
    ns.nft("flush ruleset\n")
    workstation.log_in("3", "anne", hint=True)
    assert workstation.reaches("anne", GUARDED_PORT) == "yes"
    assert workstation.reaches("ralph", GUARDED_PORT) == REFUSED


def test_a_stale_chain_without_a_session_is_removed() -> None:
    workstation = office()
    netlink.change([], {ZOE: ((V4, GUARDED_PORT, VIEWER_GID, 0, 0),)})
    assert workstation.reaches("zoe", GUARDED_PORT) == "yes"
    workstation.reconcile()
    assert workstation.reaches("zoe", GUARDED_PORT) == REFUSED
    assert "user-" not in ns.listing()


def test_after_a_reboot_old_records_open_nothing() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    text = Path(f"{DIRECTORY}/3").read_text()
    workstation.log_out("3")
    ns.nft("flush ruleset\n")
    # The same id and leader pid come again, for a process that started at another time.
    leader = workstation.log_in("3", "zoe")
    old = next(line for line in text.splitlines() if line.startswith("leader"))
    Path(f"{DIRECTORY}/3").write_text(text.replace(old, f"leader {leader} 1"))
    workstation.reconcile()
    assert workstation.chains() == {}


def test_a_record_of_another_process_with_the_same_pid_is_not_taken_over() -> None:
    workstation = office()
    leader = workstation.log_in("3", "anne", hint=True)
    path = Path(f"{DIRECTORY}/3")
    old = next(line for line in path.read_text().splitlines() if line.startswith("leader"))
    path.write_text(path.read_text().replace(old, f"leader {leader} 1"))
    workstation.reconcile()
    assert workstation.chains() == {}


def test_a_killed_writer_s_leavings_are_cleared_away() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    Path(f"{DIRECTORY}/4.77.new").write_text("half")
    Path(f"{DIRECTORY}/5").write_text("half")
    workstation.reconcile()
    assert os.listdir(DIRECTORY) == ["3"]


# Twice, and only looking

def test_a_second_full_run_has_nothing_to_do() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    workstation.log_in("4", "ralph", hint=True)
    workstation.reconcile()
    before = ns.listing()
    assert workstation.reconcile() == []
    assert ns.listing() == before


def test_a_dry_run_says_what_it_would_do_and_does_nothing() -> None:
    workstation = office()
    workstation.log_in("3", "anne")
    netlink.change([], {ZOE: ((V4, GUARDED_PORT, VIEWER_GID, 0, 0),)})
    before = ns.listing()
    plan = workstation.reconcile(dry_run=True)
    assert "record session 3 of anne (1021) as open" in plan
    assert "close chain user-1023" in plan
    assert "set chain user-1021" in plan
    assert f"    {V4} port {GUARDED_PORT} from - until -" in plan
    assert ns.listing() == before
    assert workstation.states() == {}
    assert workstation.reconcile() == plan
    assert workstation.chains() == {ANNE: 4}


def test_twenty_logins_at_once_are_each_decided() -> None:
    workstation = office()
    workstation.policy(OFFICE + "workstation: {one_user: false}\n")
    sessions = [f"c{number}" for number in range(20)]
    for number, session in enumerate(sessions):
        workstation.log_in(session, ["anne", "ralph"][number % 2])
    pids = []
    for session in sessions:
        pids.append(os.fork())
        if pids[-1] == 0:
            os._exit(workstation.hook(session, "open"))
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * len(pids)
    assert set(workstation.states().values()) == {OPEN}
    assert len(workstation.states()) == len(sessions)
    assert workstation.chains() == {ANNE: 4, RALPH: 2}
    workstation.reconcile()  # knows the edited guard from now on
    assert workstation.reconcile() == []


# Faults

def test_before_there_is_a_policy_logins_go_on_and_nothing_is_enforced() -> None:
    workstation = Workstation()
    ns.serve_here()
    workstation.reconcile()
    workstation.log_in("3", "anne", hint=True)
    assert ns.try_as(ANNE, ANNE, V4, GUARDED_PORT) == "yes"
    workstation.log_out("3")
    workstation.reconcile()
    assert workstation.states() == {}
    assert ns.listing() == ""
    assert not Path(paths.SUDOERS).exists()


def test_when_logind_is_silent_what_is_open_stays_and_nothing_new_opens() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    workstation.log_in("4", "zoe")
    SESSIONS.rename("/run/gone")
    workstation.reconcile()
    assert workstation.reaches("anne", GUARDED_PORT) == "yes"
    assert workstation.states() == {"3": OPEN}
    workstation.kill("3")
    workstation.reconcile()
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED


def test_a_logout_while_logind_is_silent_closes() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    SESSIONS.rename("/run/gone")
    assert workstation.hook("3", "close") == 0
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED


def fill(directory: str) -> None:
    """Leave not a page free there."""
    shutil.copytree(directory, "/run/.copy")
    ns.mount("tmpfs", directory, "tmpfs", 0, "size=64k,mode=0711")
    for path in Path("/run/.copy").iterdir():
        shutil.copy(path, directory)
    with open(f"{directory}/.filler", "wb", buffering=0) as filler:
        try:
            while True:
                filler.write(b"x" * 4096)
        except OSError:
            pass


def test_a_full_record_directory_opens_nothing_and_the_hook_ends_well() -> None:
    workstation = office()
    fill(DIRECTORY)
    workstation.log_in("3", "anne")
    assert workstation.hook("3", "open") in (0, 1)
    assert workstation.chains() == {}
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED


def test_a_full_record_directory_does_not_keep_who_left_inside() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    fill(DIRECTORY)
    workstation.hook("3", "close")
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED
    workstation.log_out("3", hint=False)
    workstation.reconcile()
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED


def test_a_full_record_directory_does_not_turn_out_who_is_in() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    fill(DIRECTORY)
    workstation.log_in("4", "ralph")
    workstation.hook("4", "open")
    workstation.reconcile()
    assert workstation.reaches("anne", GUARDED_PORT) == "yes"
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == REFUSED


def test_a_record_directory_that_can_not_be_written_opens_nothing() -> None:
    workstation = office()
    ns.mount("tmpfs", DIRECTORY, "tmpfs", 1, "mode=0711")  # read-only
    workstation.log_in("3", "anne")
    assert workstation.hook("3", "open") in (0, 1)
    assert workstation.chains() == {}


def test_a_policy_that_is_gone_lets_nobody_new_in_and_the_guard_stand() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    os.unlink(paths.POLICY)
    workstation.log_in("4", "anne", hint=True)
    record = read_records()["4"]
    assert record.grants == []
    workstation.reconcile()
    assert workstation.reaches("anne", GUARDED_PORT) == "yes", "the old session keeps its grants"
    workstation.log_out("3")
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED


@pytest.mark.parametrize("spoil", ["mode", "owner", "symlink", "yaml", "empty", "directory"])
def test_a_policy_that_is_not_to_be_trusted_grants_nothing_and_the_guard_stays(
        spoil: str) -> None:
    workstation = office()
    path = Path(paths.POLICY)
    if spoil == "mode":
        path.chmod(0o666)
    elif spoil == "owner":
        os.chown(path, ANNE, ANNE)
    elif spoil == "symlink":
        path.rename("/etc/pam-spice/real.yaml")
        path.symlink_to("real.yaml")
    elif spoil == "yaml":
        path.write_text(OFFICE + "grants: [")
    elif spoil == "empty":
        path.write_text("")
    else:
        path.unlink()
        path.mkdir()
    workstation.log_in("3", "anne", hint=True)
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED
    workstation.reconcile()
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED
    assert workstation.reaches("zoe", OTHER_GUARDED_PORT) == REFUSED


def test_an_edit_leaves_the_running_session_and_takes_effect_at_the_next() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    workstation.policy(OFFICE.replace("user: anne", "user: zoe").replace("group: staff",
                                                                         "group: nobody-s"))
    workstation.reconcile()
    assert workstation.reaches("anne", GUARDED_PORT) == "yes"
    workstation.log_out("3")
    workstation.log_in("4", "anne", hint=True)
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED
    workstation.log_out("4")
    workstation.log_in("5", "zoe", hint=True)
    assert workstation.reaches("zoe", GUARDED_PORT) == "yes"


def test_the_guard_follows_an_edit_at_the_next_login() -> None:
    workstation = office()
    workstation.policy(OFFICE.replace("20001-20010", "20001-20010, 8080"))
    assert ns.try_as(ZOE, ZOE, V4, 8080) == "yes"
    workstation.log_in("3", "zoe", hint=True)
    assert ns.try_as(ZOE, ZOE, V4, 8080) == REFUSED


def test_sudoers_follow_an_edit_and_keep_what_an_open_session_was_given() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    workstation.policy(OFFICE.replace("user: anne", "user: zoe"))
    workstation.reconcile()
    first = "tls-port\\=20001"
    text = Path(paths.SUDOERS).read_text()
    assert text.count(first) == 1
    assert len([line for line in text.splitlines() if " ALL = " in line]) == 2
    ns.command("visudo", "-cf", paths.SUDOERS)
    with_anne = text
    workstation.log_out("3")
    workstation.reconcile()
    assert len(Path(paths.SUDOERS).read_text()) < len(with_anne)


def test_sudoers_that_someone_edited_are_put_right() -> None:
    workstation = office()
    before = Path(paths.SUDOERS).read_text()
    assert os.stat(paths.SUDOERS).st_mode & 0o777 == 0o440
    Path(paths.SUDOERS).write_text(before + "zoe ALL = (ALL) ALL\n")
    workstation.reconcile()
    assert Path(paths.SUDOERS).read_text() == before
    os.unlink(paths.SUDOERS)
    workstation.reconcile()
    assert Path(paths.SUDOERS).read_text() == before


@pytest.mark.parametrize("mode", [0o666, 0o644])
def test_sudoers_whose_mode_someone_changed_are_put_right(mode: int) -> None:
    workstation = office()
    os.chmod(paths.SUDOERS, mode)
    workstation.reconcile()
    assert os.stat(paths.SUDOERS).st_mode & 0o777 == 0o440


@pytest.mark.parametrize("damage", ["cut", "flip", "gone", "foreign", "header"])
def test_a_compiled_policy_that_is_damaged_is_compiled_anew(damage: str) -> None:
    workstation = office()
    path = Path(paths.COMPILED)
    data = path.read_bytes()
    if damage == "cut":
        path.write_bytes(data[:-10])
    elif damage == "flip":
        path.write_bytes(data[:50] + b"#" + data[51:])
    elif damage == "gone":
        path.unlink()
    elif damage == "foreign":
        os.chown(path, ANNE, ANNE)
    else:
        path.write_bytes(b"pam-spice-compiled 0\n" + data)
    workstation.log_in("3", "anne", hint=True)
    assert workstation.reaches("anne", GUARDED_PORT) == "yes"
    assert workstation.reaches("ralph", GUARDED_PORT) == REFUSED


def test_a_lost_guard_file_does_not_keep_a_dead_session_s_chain_open() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    os.unlink(paths.GUARD)
    workstation.kill("3")
    workstation.reconcile()
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED


def test_a_lost_or_damaged_guard_file_is_written_anew() -> None:
    workstation = office()
    before = Path(paths.GUARD).read_bytes()
    for spoiled in (None, b"", b"\xff\xfe junk"):
        if spoiled is None:
            os.unlink(paths.GUARD)
        else:
            Path(paths.GUARD).write_bytes(spoiled)
        ns.nft("flush ruleset\n")
        workstation.reconcile()
        assert Path(paths.GUARD).read_bytes() == before
        assert workstation.reaches("zoe", GUARDED_PORT) == REFUSED


def test_a_login_and_a_logout_need_no_nft() -> None:
    workstation = office()
    paths.NFT = "/no/such/nft"
    workstation.log_in("3", "anne", hint=True)
    assert workstation.reaches("anne", GUARDED_PORT) == "yes"
    assert workstation.hook("3", "close") == 0
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED


def test_where_the_kernel_refuses_and_nft_is_missing_the_hook_ends_and_nothing_opens() -> None:
    workstation = office()
    ns.nft("flush ruleset\n")
    paths.NFT = "/no/such/nft"
    workstation.log_in("3", "anne")
    assert workstation.hook("3", "open") == 1
    assert workstation.states() == {"3": "open"}
    paths.NFT = "/usr/sbin/nft"
    assert workstation.chains() == {}
    workstation.reconcile()
    assert workstation.reaches("anne", GUARDED_PORT) == "yes", "the next full run mends it"


def test_a_hook_that_hangs_on_the_lock_ends_by_its_time_limit() -> None:
    workstation = office()
    workstation.log_in("3", "anne")
    with Lock(paths.LOCK):
        before = time.monotonic()
        status = workstation.hook("3", "open")
        assert 5 < time.monotonic() - before < 12
    assert status == 114, "by SIGALRM"
    assert workstation.chains() == {}
    workstation.reconcile()
    assert workstation.reaches("anne", GUARDED_PORT) == "yes"


def test_without_the_viewer_s_group_nothing_opens() -> None:
    workstation = office()
    group = Path("/etc/group")
    group.write_text("".join(line for line in group.read_text().splitlines(keepends=True)
                             if not line.startswith("spicegrp")))
    workstation.log_in("3", "anne")
    assert workstation.hook("3", "open") in (0, 1)
    assert workstation.chains() == {}
    workstation.reconcile()
    assert workstation.chains() == {}


def test_without_the_viewer_s_group_a_logout_closes_all_the_same() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    group = Path("/etc/group")
    group.write_text("".join(line for line in group.read_text().splitlines(keepends=True)
                             if not line.startswith("spicegrp")))
    workstation.hook("3", "close")
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED


def test_an_account_whose_name_went_to_another_uid_is_closed() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    passwd = Path("/etc/passwd")
    passwd.write_text(passwd.read_text().replace("anne:x:1021", "anne:x:1999"))
    workstation.reconcile()
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED


def test_an_account_that_is_not_found_keeps_what_is_open() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    passwd = Path("/etc/passwd")
    passwd.write_text(passwd.read_text().replace("anne:x:1021:1021::/:/bin/sh\n", ""))
    workstation.reconcile()
    assert workstation.reaches("anne", GUARDED_PORT) == "yes"


# Time and live connections

def test_a_window_of_the_policy_opens_and_ends_by_itself_without_any_process() -> None:
    workstation = Workstation()
    ns.serve_here()
    start = int(time.time()) + 3
    workstation.policy(OFFICE.replace(
        "{user: anne, console: first}",
        f"{{user: anne, console: first, when: {window(start, start + 2)}}}"))
    workstation.reconcile()
    workstation.log_in("3", "anne", hint=True)
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED
    time.sleep(max(0.0, start - time.time()) + 0.1)
    assert workstation.reaches("anne", GUARDED_PORT) == "yes"
    time.sleep(max(0.0, start + 2 - time.time()) + 0.1)
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED


def test_a_logout_ends_live_connections_on_both_sides_and_no_other_user_s() -> None:
    workstation = office()
    workstation.policy(OFFICE.replace("console: second", "console: [first, second]")
                       + "workstation: {one_user: false}\n")
    workstation.log_in("3", "anne", hint=True)
    workstation.log_in("4", "ralph", hint=True)
    idle = [ns.Client(ANNE, VIEWER_GID, address, GUARDED_PORT)
            for address in (V4, V6, f"::ffff:{V4}")]
    kept = ns.Client(RALPH, VIEWER_GID, V4, GUARDED_PORT)
    assert [client.say() for client in [*idle, kept]] == ["yes"] * 4
    workstation.log_out("3")
    assert ns.until(lambda: len(ns.established(GUARDED_PORT)) == 2, 1), \
        ns.established(GUARDED_PORT)
    for client in idle:
        assert client.wait_for_end() in ("ConnectionAbortedError", "ConnectionResetError")
    assert kept.say() == "yes"


def test_a_logout_cuts_a_user_too_whose_session_ended_unnoticed() -> None:
    workstation = office()
    workstation.policy(f"{OFFICE}workstation: {{one_user: false}}\n")
    workstation.reconcile()
    workstation.log_in("3", "anne", hint=True)
    workstation.log_in("4", "ralph", hint=True)
    client = ns.Client(ANNE, VIEWER_GID, V4, GUARDED_PORT)
    assert client.say() == "yes"
    workstation.kill("3")
    (SESSIONS / "3").unlink()
    workstation.log_out("4")
    assert client.wait_for_end() in ("ConnectionAbortedError", "ConnectionResetError")


def test_where_the_kernel_can_not_destroy_connections_a_logout_closes_all_the_same(
        monkeypatch: pytest.MonkeyPatch) -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    client = ns.Client(ANNE, VIEWER_GID, V4, GUARDED_PORT)

    def refuse(_endpoints: object) -> None:
        raise FileNotFoundError(2, "no inet_diag")

    monkeypatch.setattr(sockets, "guarded_connections", refuse)
    assert workstation.hook("3", "close") == 0
    assert workstation.chains() == {}
    assert workstation.states() == {"3": "closed"}
    assert client.say() != "yes"


def test_an_idle_connection_is_cut_by_the_full_run_after_its_window() -> None:
    workstation = Workstation()
    ns.serve_here()
    end = int(time.time()) + 3
    workstation.policy(OFFICE.replace(
        "{user: anne, console: first}",
        f"{{user: anne, console: first, when: {window(end - 10, end)}}}"))
    workstation.reconcile()
    workstation.log_in("3", "anne", hint=True)
    client = ns.Client(ANNE, VIEWER_GID, V4, GUARDED_PORT)
    assert client.say() == "yes"
    workstation.reconcile()
    assert client.say() == "yes"
    time.sleep(max(0.0, end - time.time()) + 0.1)
    workstation.reconcile()
    assert ns.until(lambda: ns.established(GUARDED_PORT) == [], 1), ns.established(GUARDED_PORT)


def test_a_full_run_does_not_cut_what_is_allowed() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    clients = [ns.Client(ANNE, VIEWER_GID, address, GUARDED_PORT)
               for address in (V4, V6, f"::ffff:{V4}")]
    for _ in range(3):
        workstation.reconcile()
        assert [client.say() for client in clients] == ["yes"] * 3


def test_a_connection_closed_with_data_in_its_queue_ends_on_both_sides_with_the_next_run() -> None:
    """Its packets have lost their owner: the guard holds them, and the server its half."""
    workstation = Workstation()
    ns.ip("addr", "add", f"{V4}/24", "dev", "lo")
    workstation.policy()
    workstation.reconcile()
    workstation.log_in("3", "anne", hint=True)
    server = socket.create_server((V4, GUARDED_PORT))

    def fill_and_go() -> str:
        ns.become(ANNE, VIEWER_GID)
        client = socket.socket(socket.AF_INET)
        client.connect((V4, GUARDED_PORT))
        client.setblocking(False)
        try:
            while True:
                client.send(b"x" * 65536)
        except BlockingIOError:
            return "full"

    assert ns.answer_of(fill_and_go) == "full"
    half, _ = server.accept()
    half.settimeout(3)
    time.sleep(0.2)
    workstation.reconcile()
    try:
        while half.recv(1 << 20):
            pass
    except ConnectionResetError:
        pass
    half.close()
    assert ns.until(lambda: ns.established(GUARDED_PORT) == [], 1), ns.established(GUARDED_PORT)


def test_a_clock_before_2026_opens_nothing() -> None:
    workstation = office()
    workstation.log_in("3", "anne")
    real = time.time
    time.time = lambda: 1700000000.0
    try:
        workstation.reconcile()
        assert workstation.chains() == {}
    finally:
        time.time = real
    workstation.reconcile()
    assert workstation.reaches("anne", GUARDED_PORT) == "yes"


def test_the_defaults_that_these_tests_rely_on_are_the_product_s() -> None:
    assert str(SESSIONS) == logind.STATE_DIRECTORY
    assert paths.RUN == "/run/pam-spice"
    assert sockets.guarded_connections([]) == []


def test_a_login_says_in_the_journal_which_entries_of_its_user_are_skipped(
        monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, dict[str, object]]] = []
    monkeypatch.setattr(journal, "log", lambda _priority, message, **fields: told.append(
        (message, fields)))
    workstation = office()
    workstation.policy(OFFICE.replace("- {group: staff, console: second}",
                                      "- {group: staff, console: second, when: Mo}\n"
                                      "  - {user: ralph, console: first, when: Tu}"))
    workstation.log_in("3", "anne")
    workstation.reconcile()
    assert workstation.chains() == {ANNE: 2}, "what is right counts"
    assert [(fields["user"], fields["session"], message.rpartition(":")[2])
            for message, fields in told if fields.get("event") == "skipped"] == [
                ("anne", "3", " 'Mo' is not a day")]


# What a grant comes to changes, and its text does not

def commands_of(user: str) -> int:
    """How many commands the sudoers drop-in gives to the user."""
    return sum(user in line.partition(" ALL = ")[0].split(", ")
               for line in Path(paths.SUDOERS).read_text().splitlines() if " ALL = " in line)


def written(user: str) -> str:
    """A user's name as sudoers have it."""
    return f"\\x{ord(user[0]):02x}{user[1:]}"


def test_sudoers_follow_a_change_of_the_host_name(monkeypatch: pytest.MonkeyPatch) -> None:
    workstation = office()
    workstation.policy(OFFICE.replace("{user: anne, console: first}",
                                      "{user: anne, console: first, workstations: [pc7]}"))
    workstation.reconcile()
    assert commands_of(written("anne")) == 0
    uname = os.uname()
    monkeypatch.setattr(os, "uname", lambda: os.uname_result((uname[0], "pc7", *uname[2:])))
    workstation.log_in("3", "anne", hint=True)
    workstation.reconcile()
    assert workstation.reaches("anne", GUARDED_PORT) == "yes"
    assert commands_of(written("anne")) == 1
    monkeypatch.setattr(os, "uname", lambda: uname)
    workstation.reconcile()
    assert commands_of(written("anne")) == 1, "kept as long as the session has it"
    workstation.log_out("3")
    workstation.reconcile()
    assert commands_of(written("anne")) == 0


def test_sudoers_follow_a_compiled_policy_that_was_damaged_and_is_made_anew() -> None:
    workstation = office()
    before = Path(paths.SUDOERS).read_text()
    path = Path(paths.COMPILED)
    path.write_bytes(path.read_bytes().replace(b"user:anne\tfirst", b"user:anne\tfirsT"))
    os.unlink(paths.SUDOERS)
    workstation.reconcile()
    assert commands_of(written("anne")) == 0, "the damaged line gives nothing"
    path.unlink()
    workstation.reconcile()
    assert Path(paths.SUDOERS).read_text() == before


def test_a_login_with_what_the_policy_holds_leaves_sudoers_as_they_are() -> None:
    workstation = office()
    before = os.stat(paths.SUDOERS).st_ino
    workstation.log_in("3", "anne", hint=True)
    workstation.reconcile()
    assert os.stat(paths.SUDOERS).st_ino == before


def test_a_record_holds_the_policy_s_own_zone_first_whatever_the_grants_name() -> None:
    workstation = office()
    workstation.policy(OFFICE.replace("timezone: UTC", "timezone: Europe/Berlin").replace(
        "{group: staff, console: second}", "{group: staff, console: second, when: there}")
        + "windows: {there: {when: Mon, timezone: America/New_York}}\n")
    workstation.log_in("3", "anne", hint=True)
    workstation.log_in("4", "zoe", hint=True)
    assert {name: list(record.offsets) for name, record in read_records().items()} == {
        "3": ["Europe/Berlin", "America/New_York"], "4": ["Europe/Berlin"]}


def test_an_edit_that_comes_while_a_run_is_under_way_is_taken_in_by_that_run() -> None:
    """The path unit that started the run would not see it."""
    workstation = office()
    with Lock(paths.LOCK):
        run = subprocess.Popen([sys.executable, "-m", "pam_spice", "reconcile"],
                               cwd=Path(__file__).parents[2], stdout=subprocess.DEVNULL)
        assert ns.until(lambda: paths.LOCK in links(f"/proc/{run.pid}/fd"), 20)
        workstation.policy(OFFICE.replace("user: ralph", "user: zoe"))
    assert run.wait(30) == 0
    assert CompiledPolicy(paths.COMPILED).is_current(int(time.time()))
    assert "zoe ALL" in Path(paths.SUDOERS).read_text().replace("\\x7a", "z")


# The watcher

def test_the_watcher_does_not_take_in_an_old_zone_for_a_new_one() -> None:
    workstation = office()
    workstation.policy(OFFICE.replace("timezone: UTC", "timezone: Indian/Mayotte"))
    workstation.reconcile()
    assert CompiledPolicy(paths.COMPILED).offsets["Indian/Mayotte"][0][1] == 10800
    start_watcher()
    bind = 4096  # MS_BIND: mount(2)
    ns.mount("/usr/share/zoneinfo/Asia/Kathmandu", "/usr/share/zoneinfo/Indian/Mayotte", "", bind)
    wake_watcher()
    always(lambda: True, 1.0)
    subprocess.run([sys.executable, "-m", "pam_spice", "reconcile"], check=True, timeout=30,
                   cwd=Path(__file__).parents[2], capture_output=True)
    compiled = CompiledPolicy(paths.COMPILED)
    assert compiled.is_current(int(time.time()))
    assert compiled.offsets["Indian/Mayotte"][0][1] == 20700


def test_the_watcher_cuts_at_a_window_s_end_while_an_edit_is_being_compiled() -> None:
    workstation = Workstation()
    ns.serve_here()
    end = int(time.time()) + 4
    workstation.policy(OFFICE.replace(
        "{user: anne, console: first}",
        f"{{user: anne, console: first, when: {window(end - 10, end)}}}"))
    workstation.reconcile()
    workstation.log_in("3", "anne", hint=True)
    start_watcher()
    client = ns.Client(ANNE, VIEWER_GID, V4, GUARDED_PORT)
    assert client.say() == "yes"
    with Lock(paths.COMPILE_LOCK):
        workstation.policy(OFFICE + "\n")
        wake_watcher()
        assert client.say() == "yes"
        time.sleep(max(0.0, end - time.time()))
        assert ns.until(lambda: ns.established(GUARDED_PORT) == [], 1), \
            ns.established(GUARDED_PORT)


def test_the_watcher_lets_the_next_user_in_while_an_edit_is_being_compiled() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    workstation.log_in("4", "ralph", hint=True)
    assert workstation.states() == {"3": OPEN, "4": WAITING}
    start_watcher()
    with Lock(paths.COMPILE_LOCK):
        workstation.policy(OFFICE + "\n")
        wake_watcher()
        workstation.kill("3")
        assert ns.until(lambda: workstation.reaches("ralph", OTHER_GUARDED_PORT) == "yes")
