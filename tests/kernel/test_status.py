"""``pam-spice status`` of a workstation whose kernel, sockets and processes are real."""

import json
import os
import resource
import socket
import time
from contextlib import suppress
from typing import Any

import pytest

from pam_spice import auditlog, journal
from pam_spice.cli import main
from pam_spice.holders import Holder, NotInTime, holders_of
from pam_spice.sockets import guarded_sockets
from pam_spice.verbs import status
from tests.kernel import namespace as ns
from tests.kernel.namespace import ENDPOINTS, GUARDED_PORT, V4, V6, VIEWER_GID, Client
from tests.kernel.test_audit_records import DENY, Journal
from tests.kernel.workstation import Workstation, office

ANNE, RALPH = ns.USERS["anne"], ns.USERS["ralph"]


def asked(capsys: pytest.CaptureFixture[str]) -> Any:
    capsys.readouterr()
    main(["status", "--json"])
    return json.loads(capsys.readouterr().out)


def instant(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize("address", [V4, V6])
def test_a_live_connection_is_shown_with_its_console_its_process_and_since_when_that_runs(
        address: str, capsys: pytest.CaptureFixture[str]) -> None:
    ns.serve_here()
    workstation = Workstation()
    workstation.policy()
    workstation.reconcile()
    workstation.log_in("3", "anne", hint=True, TTY="tty2", REALTIME="1795435200999999")
    workstation.log_in("4", "ralph", SERVICE="sshd", REMOTE="1", SEAT="", TTY="pts/0")
    assert asked(capsys)["connections"] == []
    began = time.time()
    client = Client(ANNE, VIEWER_GID, address, GUARDED_PORT)
    assert client.say() == "yes"
    time.sleep(1.2)
    shown = asked(capsys)
    [one] = shown["connections"]
    assert abs(instant(one.pop("since")) - began) <= 1
    assert one.pop("program")
    assert one == {"uid": ANNE, "address": address, "port": GUARDED_PORT, "user": "anne",
                   "consoles": ["first"], "pid": client.pid, "searched": True}
    [session] = shown["sessions"]
    assert {key: session[key] for key in ("seat", "tty", "service", "since", "state")} == {
        "seat": "seat0", "tty": "tty2", "service": "login", "state": "open",
        "since": "2026-11-23T12:00:00+00:00"}
    [other] = shown["others"]
    assert (other["user"], other["remote"], other["tty"], other["since"]) == (
        "ralph", True, "pts/0", None)
    assert other["why"].startswith("you are logged in from elsewhere")
    assert shown["health"]["well"] == (not shown["health"]["faults"])


def test_of_several_processes_that_have_a_socket_the_longest_running_one_is_told() -> None:
    ns.serve_here()
    before = time.time()
    connection = socket.create_connection((V4, GUARDED_PORT))
    time.sleep(0.1)
    child = os.fork()
    if child == 0:
        ns.die_with_parent()
        time.sleep(60)
        os._exit(0)
    [(uid, address, port, inode)] = guarded_sockets(ENDPOINTS)
    assert (uid, address, port, inode) == (0, V4, GUARDED_PORT, os.fstat(
        connection.fileno()).st_ino)
    holder = holders_of({inode})[inode]
    assert holder.pid == os.getpid()
    assert holder.since <= before + 1
    connection.close()
    assert holders_of({inode})[inode].pid == child
    os.kill(child, 9)
    os.waitpid(child, 0)
    assert holders_of({inode}) == {}


def test_the_open_files_of_a_user_however_many_keep_status_only_so_long() -> None:
    for _ in range(10):
        if os.fork() == 0:
            resource.setrlimit(resource.RLIMIT_NOFILE, (20_000, 20_000))
            ns.become(RALPH, RALPH)
            ns.die_with_parent()  # forgotten with the uid
            with suppress(OSError):
                while True:
                    os.dup(0)
            time.sleep(60)
            os._exit(0)
    time.sleep(0.5)
    began = time.monotonic()
    with pytest.raises(NotInTime):
        holders_of({1}, 0.3)
    assert time.monotonic() - began < 1, "to look at all takes 1.8 s"


def test_what_holds_a_connection_is_not_said_where_it_was_not_found_in_time(
        capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def never(_: set[int]) -> dict[int, Holder]:
        raise NotInTime({})

    monkeypatch.setattr(status, "holders_of", never)
    office().log_in("3", "anne", hint=True)
    client = Client(ANNE, VIEWER_GID, V4, GUARDED_PORT)
    assert client.say() == "yes"
    [one] = asked(capsys)["connections"]
    assert (one["pid"], one["searched"]) == (None, False)
    main(["status"])
    assert "of a process that was not found in time" in capsys.readouterr().out


def test_a_socket_that_its_process_has_closed_with_data_left_is_of_no_process() -> None:
    ns.serve_here()
    connection = socket.create_connection((V4, GUARDED_PORT))
    ns.nft("table inet t { chain c { type filter hook output priority 0; "
           f"tcp dport {GUARDED_PORT} drop; }}; }}")
    connection.sendall(b"hello")
    connection.close()
    assert guarded_sockets(ENDPOINTS) == [(0, V4, GUARDED_PORT, 0)]


def test_sockets_of_unguarded_endpoints_are_none_of_ours() -> None:
    ns.serve_here()
    with socket.create_connection((V4, ns.FREE_PORT)), socket.create_connection(
            ("127.0.0.1", ns.listen([("127.0.0.1", GUARDED_PORT)]) and GUARDED_PORT)):
        assert guarded_sockets(ENDPOINTS) == []
        assert guarded_sockets([]) == []


@pytest.mark.parametrize("number", ["7", "9" * 30, "-5", "٣", "x", ""])
def test_an_odd_time_of_a_login_shows_none_or_another_but_ends_nothing(
        number: str, capsys: pytest.CaptureFixture[str]) -> None:
    workstation = Workstation()
    workstation.policy()
    workstation.reconcile()
    workstation.log_in("3", "anne", hint=True, REALTIME=number)
    assert len(asked(capsys)["sessions"]) == 1


# The journal

def test_the_kernel_s_last_refusals_are_shown_with_names_once_for_each_that_tries_again(
        capsys: pytest.CaptureFixture[str]) -> None:
    there = Journal()
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    for line in (DENY, DENY.replace("UID=1022", "UID=1023"), DENY):
        there.kernel(line.replace("SPT=49836", f"SPT={time.monotonic_ns() % 60000}"))
    shown = asked(capsys)["refusals"]
    assert [(each["source"], each["event"], each["user"], each["times"],
             [console["console"] for console in each["consoles"]]) for each in shown] == [
        ("kernel", "deny", "zoe", 1, ["first"]), ("kernel", "deny", "ralph", 2, ["first"])]
    assert main(["status"]) in (0, 1)
    told = capsys.readouterr().out.splitlines()
    assert told[-3] == "refused in the last 24 hours, lastly:"
    assert "deny           ralph       first  [not open]  (2 times)" in told[-1]


def test_other_records_however_many_do_not_hide_a_refusal(
        capsys: pytest.CaptureFixture[str]) -> None:
    """A user makes them by logging in and out, and by programs of his that crash."""
    there = Journal()
    office()
    there.kernel(DENY)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        for number in range(1500):
            sender.sendto(b"MESSAGE=gone: \xff " + str(number).encode() + b"\nPRIORITY=6\n"
                          b"SYSLOG_IDENTIFIER=pam-spice\nPAM_SPICE_EVENT=gone\n"
                          b"PAM_SPICE_USER=zoe\nPAM_SPICE_UID=1023\n", journal._ADDRESS)
    there._settle()
    assert [(each["event"], each["user"]) for each in asked(capsys)["refusals"]] == [
        ("deny", "ralph")]


def test_of_a_full_journal_the_last_records_are_read_and_soon() -> None:
    there = Journal()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        for number in range(5000):
            sender.sendto(f"MESSAGE=refuse: {number}\nPRIORITY=6\nSYSLOG_IDENTIFIER=pam-spice\n"
                          "PAM_SPICE_EVENT=refuse\nPAM_SPICE_USER=ralph\nPAM_SPICE_UID=1022\n"
                          "PAM_SPICE_SESSION=3\nPAM_SPICE_SERVICE=sshd\nPAM_SPICE_REASON=-\n"
                          "PAM_SPICE_REVISION=x\n".encode(), journal._ADDRESS)
    there._settle()
    began = time.monotonic()
    lines = auditlog.last_refusals(int(time.time()) - 86400, 1000, 10)
    took = time.monotonic() - began
    assert [json.loads(line)["MESSAGE"] for line in lines] == [
        f"refuse: {number}" for number in range(4000, 5000)]
    assert took < 2, "what status waits for at most"
    assert auditlog.last_refusals(int(time.time()) + 100, 1000, 10) == []
    with pytest.raises(auditlog.NoJournal, match="did not end within"):
        auditlog.last_refusals(0, 5000, 0.001)
