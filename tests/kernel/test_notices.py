"""Whoever changes our table: the kernel tells the watcher, which puts it right at once."""

import errno
import os
import pwd
import re
import socket
import time
from pathlib import Path

import pytest

from pam_spice import paths, reconcile, watch
from pam_spice.firewall import netlink, nft
from pam_spice.firewall.notices import Notices
from session.records import recorded_names
from tests.kernel import namespace as ns
from tests.kernel.namespace import ENDPOINTS, GUARDED_PORT, USERS, V4, VIEWER_GID, Client
from tests.kernel.workstation import OFFICE, REFUSED, office, start_watcher, window
from tests.lab.prober import Live

ANNE, RALPH = USERS["anne"], USERS["ralph"]
ANNES = ((V4, GUARDED_PORT, VIEWER_GID, 0, 0),)

DEEDS = {
    "the whole ruleset is flushed": "flush ruleset",
    "the table is deleted": "delete table inet pam_spice",
    "the table is made dormant": "add table inet pam_spice { flags dormant; }",
    "the guard's rules are deleted": "flush chain inet pam_spice guard",
    "an accept is put first": "insert rule inet pam_spice output accept",
    "an endpoint is taken out": f"delete element inet pam_spice guarded4 {{ {V4} . 20001-20010 }}",
    "another user is let through": f"add element inet pam_spice sessions "
                                   f"{{ {RALPH} : jump user-{ANNE} }}",
    "a rule is put into a user's chain": f"add rule inet pam_spice user-{ANNE} accept",
}


def in_one_order() -> list[str]:
    return sorted(re.sub(r"packets \d+ bytes \d+", "", line) for line in ns.listing().splitlines())


def put_right(user: str) -> bool:
    return ns.until(lambda: ns.try_as(USERS[user], VIEWER_GID, V4, GUARDED_PORT)
                    == ("yes" if user == "anne" else REFUSED), 1.0)


@pytest.mark.parametrize("deed", DEEDS)
def test_within_a_second_all_is_as_it_was(deed: str) -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    start_watcher()
    before = workstation.chains()
    client = Client(ANNE, VIEWER_GID, V4, GUARDED_PORT)
    assert client.say() == "yes"
    table = in_one_order()
    ns.nft(f"{DEEDS[deed]}\n")
    assert ns.until(lambda: in_one_order() == table and workstation.chains() == before, 1.0)
    assert put_right("ralph") and put_right("anne")
    assert client.say() == "yes", "who may stay notices nothing"


def talk(connections: int) -> int:
    """Keep so many busy connections of anne's viewer in a child, which ends at the first one that
    is ended; returns its pid."""
    import encodings.idna  # noqa: F401 - who has become anne can't read it any more
    pid = os.fork()
    if pid == 0:
        ns.die_with_parent()
        try:
            ns.become(ANNE, VIEWER_GID)
            talks = [Live(V4, GUARDED_PORT) for _ in range(connections)]
            while not any(each.ended for each in talks):
                for each in talks:
                    each.look()
                time.sleep(0.0005)
        finally:
            os._exit(0)
    return pid


def test_a_flush_of_the_ruleset_ends_no_busy_connection_of_who_may_go_on() -> None:
    """In the midst of it the kernel finds no user's chain any more, but still refuses."""
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    start_watcher()
    pid = talk(connections=8)
    for _ in range(5):
        time.sleep(0.4)
        ns.nft("flush ruleset\n")
    time.sleep(0.8)  # what was lost is sent again
    assert os.waitpid(pid, os.WNOHANG) == (0, 0), "one was ended"


def test_a_second_flush_while_the_guard_is_loaded_leaves_no_moment_of_it_without_chains(
        monkeypatch: pytest.MonkeyPatch) -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    loaded: list[dict[int, int]] = []
    apply = nft.apply

    def flushed_before(text: str, timeout: float = 10.0) -> None:
        is_guard = "goto guard" in text
        if is_guard and not loaded:
            loaded.append({})
            ns.nft("flush ruleset\n")
        apply(text, timeout)
        if is_guard:
            loaded.append(workstation.chains())

    monkeypatch.setattr(nft, "apply", flushed_before)
    ns.nft("flush ruleset\n")
    workstation.reconcile()
    assert loaded[1:] and all(ANNE in chains for chains in loaded[1:])
    assert put_right("ralph") and put_right("anne")


def test_who_came_in_while_there_was_no_guard_is_cut() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    ns.nft("flush ruleset\n")
    client = Client(RALPH, VIEWER_GID, V4, GUARDED_PORT)
    assert client.say() == "yes"
    start_watcher()
    assert client.wait_for_end() != "TimeoutError"
    assert ns.until(lambda: ns.established(GUARDED_PORT) == [])


def test_the_kernel_tells_of_what_others_do_to_our_table_and_of_nothing_else() -> None:
    nft.apply(nft.render_guard(ENDPOINTS))
    notices = Notices()
    netlink.change([], {ANNE: ANNES})
    netlink.change([ANNE], {RALPH: ANNES})
    assert not notices.read(), "a login and a logout"
    ns.nft("add table inet other\nadd chain inet other pam_spice\n"
           "add table ip pam_spices\nadd rule inet other pam_spice accept\n")
    ns.nft("flush table inet other\n")
    assert not notices.read(), "other tables"
    for deed in ("add rule inet pam_spice output accept", "flush ruleset"):
        ns.nft(f"{deed}\n")
        assert notices.read(), deed
        assert not notices.read()


def test_more_than_there_is_room_for_counts_as_a_change() -> None:
    notices = Notices()
    for _ in range(3):
        ns.nft("".join(f"add table inet other{number}\n" for number in range(2000)))
        ns.nft("flush ruleset\n")
    assert notices.read()
    assert not notices.read()


def test_somebody_who_changes_the_table_all_the_time_does_not_keep_the_watcher_from_its_work(
        ) -> None:
    workstation = office()
    start_watcher()
    deed = "add element inet pam_spice guarded4 { 10.77.0.9 . 9 }\n"
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        ns.nft(deed)
    assert put_right("ralph")
    workstation.log_in("3", "anne", hint=True)
    assert put_right("anne")


def generations(seconds: float) -> int:
    """How many transactions the kernel tells of in that time."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 12) as kernel:
        kernel.bind((0, 1 << 6))
        count = 0
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.05)
            try:
                while data := kernel.recv(65536):
                    count += data.count(b"\x0f\x0a\0\0")  # NFT_MSG_NEWGEN, no flags
            except BlockingIOError:
                pass
        return count


def test_a_watcher_that_can_t_remember_its_guard_does_not_load_it_for_ever() -> None:
    office()
    os.unlink(paths.GUARD_SEEN)
    os.mkdir(paths.GUARD_SEEN)
    if os.fork() == 0:
        ns.die_with_parent()
        time.sleep(0.5)
        watch.watch()
    assert 1 <= generations(3.0) <= 3


# While other things fail

def slow_directory(*arguments: str) -> pwd.struct_passwd:
    if os.path.exists("/run/directory-hangs"):
        time.sleep(40)
    return REAL_GETPWNAM(*arguments)


REAL_GETPWNAM = pwd.getpwnam


def test_a_killed_login_is_seen_to_while_the_directory_of_users_hangs(
        monkeypatch: pytest.MonkeyPatch) -> None:
    workstation = office()
    monkeypatch.setattr(pwd, "getpwnam", slow_directory)
    workstation.log_in("3", "anne", hint=True)
    start_watcher()
    client = Client(ANNE, VIEWER_GID, V4, GUARDED_PORT)
    assert client.say() == "yes"
    Path("/run/directory-hangs").touch()
    workstation.kill("3")
    assert ns.until(lambda: ns.established(GUARDED_PORT) == [], 2)


def test_an_idle_console_is_cut_at_its_window_s_end_while_the_directory_of_users_hangs(
        monkeypatch: pytest.MonkeyPatch) -> None:
    workstation = office()
    monkeypatch.setattr(pwd, "getpwnam", slow_directory)
    end = int(time.time()) + 3
    workstation.policy(OFFICE.replace(
        "console: first}", f"console: first, when: {window(end - 60, end)}}}"))
    workstation.reconcile()
    workstation.log_in("3", "anne", hint=True)
    start_watcher()
    client = Client(ANNE, VIEWER_GID, V4, GUARDED_PORT)
    assert client.say() == "yes"
    Path("/run/directory-hangs").touch()
    time.sleep(max(0.0, end - time.time()))
    assert ns.until(lambda: ns.established(GUARDED_PORT) == [], 1)


def test_after_a_run_of_the_watcher_s_that_failed_the_next_one_comes_soon(
        monkeypatch: pytest.MonkeyPatch) -> None:
    names = recorded_names

    def fails_once() -> list[str]:
        if os.path.exists("/run/fails"):
            os.unlink("/run/fails")
            raise OSError(errno.EMFILE, "for once")
        return names()

    monkeypatch.setattr(reconcile, "recorded_names", fails_once)
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    start_watcher()
    client = Client(ANNE, VIEWER_GID, V4, GUARDED_PORT)
    assert client.say() == "yes"
    Path("/run/fails").touch()
    workstation.kill("3")
    assert ns.until(lambda: ns.established(GUARDED_PORT) == [], 5)


@pytest.mark.parametrize("spoilt", [
    "10.77.0:1 . 20001-20010", "10.77.0.1 . 20011-20010", "10.77.0.1 . 20001-99999",
    "10.77.0.1 . 20001-2"])
def test_a_damaged_element_in_the_boot_s_guard_does_not_keep_the_others_from_loading(
        spoilt: str) -> None:
    """The compiled policy is lost too, and the policy has an error."""
    workstation = office()
    file = Path(paths.GUARD)
    text = file.read_text()
    assert f"{{ {V4} . 20001-20010 }}" in text
    file.write_text(text.replace(f"{{ {V4} . 20001-20010 }}", f"{{ {spoilt} }}"))
    os.unlink(paths.COMPILED)
    workstation.policy(OFFICE + "nonsense: 1\n")
    workstation.reconcile()
    ns.command("nft", "-c", "-f", paths.GUARD)
    assert workstation.reaches("ralph", GUARDED_PORT, ns.V6) == REFUSED


def test_a_directory_in_a_leftover_s_place_hinders_nobody() -> None:
    workstation = office()
    os.makedirs(f"{paths.TEMPORARY}.4190000.new")
    workstation.reconcile()
