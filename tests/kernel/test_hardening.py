"""What an attacker's reading of the privileged code found, each as it was found."""

import errno
import os
import pwd
import shutil
import signal
import socket
import stat
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from conf.files import write_atomically
from conf.viewer import VIEWER
from pam_spice import hook, paths, reconcile, viewerfile
from pam_spice.firewall import nft
from pam_spice.locking import Lock
from pam_spice.reconcile import Reconciliation
from session.records import CLOSED, Record, read_records, write_record
from tests.kernel import namespace as ns
from tests.kernel.namespace import (
    ENDPOINTS,
    GUARDED_PORT,
    OTHER_GUARDED_PORT,
    USERS,
    V6,
    VIEWER_GID,
)
from tests.kernel.workstation import OFFICE, REFUSED, Workstation, links, office

ANNE = USERS["anne"]


def test_a_logout_opens_nothing_for_a_session_whose_login_hook_was_killed() -> None:
    workstation = office()
    workstation.log_in("3", "anne")
    assert workstation.hook("3", "close") == 0
    assert workstation.chains() == {}
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED


def test_a_logout_opens_nothing_when_the_table_was_flushed_meanwhile() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    ns.nft("flush ruleset\n")
    assert workstation.hook("3", "close") == 0
    assert workstation.chains() == {}


def test_a_directory_server_that_hangs_in_one_run_does_not_hold_up_a_logout() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    hanging = os.fork()
    if hanging == 0:
        ns.die_with_parent()
        reconcile.pwd.getpwnam = lambda _: time.sleep(60)  # type: ignore[attr-defined]
        Reconciliation().run()
        os._exit(0)
    time.sleep(0.5)
    began = time.monotonic()
    assert workstation.hook("3", "close") == 0
    assert time.monotonic() - began < 3
    assert workstation.chains() == {}
    os.kill(hanging, signal.SIGKILL)
    os.waitpid(hanging, 0)


def test_loading_the_guard_asks_no_directory() -> None:
    # Who opens it waits for a writer that never comes.
    os.unlink("/etc/passwd")
    os.mkfifo("/etc/passwd")
    nft.apply(nft.render_guard(ENDPOINTS), timeout=3)
    nft.apply(nft.render_reload(nft.render_guard(ENDPOINTS), [("element", "1021")]), timeout=3)
    nft.apply(nft.DELETE_TABLE + nft.render_guard(ENDPOINTS), timeout=3)


def test_a_logout_closes_though_the_directory_hangs() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    client = ns.Client(ANNE, VIEWER_GID, V6, GUARDED_PORT)
    assert client.say() == "yes"
    os.rename("/etc/passwd", "/etc/passwd.away")
    os.mkfifo("/etc/passwd")
    began = time.monotonic()
    workstation.hook("3", "close")
    assert time.monotonic() - began < 10
    os.rename("/etc/passwd.away", "/etc/passwd")
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED
    assert client.say() != "yes"


def test_the_last_one_to_leave_is_closed_though_no_directory_answers() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    for path in ("/etc/passwd", "/etc/group"):
        os.rename(path, f"{path}.away")
        os.mkfifo(path)
    began = time.monotonic()
    assert workstation.hook("3", "close") == 0
    assert time.monotonic() - began < 4
    for path in ("/etc/passwd", "/etc/group"):
        os.rename(f"{path}.away", path)
    assert workstation.chains() == {}


def test_an_ipv6_routing_header_does_not_hide_a_guarded_port() -> None:
    ns.serve_here()
    hop = "fd77::9"
    ns.ip("addr", "add", f"{hop}/64", "dev", "lo", "nodad")
    nft.apply(nft.render_guard(ENDPOINTS))

    def attempt() -> str:
        ns.become(ANNE, ANNE)
        # RFC 8754: two segments, the last one first; the kernel fills in the destination.
        header = struct.pack("!BBBBBBH16s16s", 0, 4, 4, 1, 1, 0, 0, b"\0" * 16,
                             socket.inet_pton(socket.AF_INET6, hop))
        with socket.socket(socket.AF_INET6) as client:
            client.settimeout(2)
            try:
                client.setsockopt(socket.IPPROTO_IPV6, 57, header)  # IPV6_RTHDR
                client.connect((V6, GUARDED_PORT))
            except OSError as error:
                return type(error).__name__
            return "connected"

    assert ns.answer_of(attempt) != "connected"
    assert ns.denied() > 0


def test_a_logout_does_not_wait_for_an_edited_policy_to_be_compiled() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    before = Path(paths.COMPILED).read_bytes()
    workstation.policy(OFFICE + "  - {user: zoe, console: first}\n")
    assert workstation.hook("3", "close") == 0
    assert workstation.chains() == {}
    assert Path(paths.COMPILED).read_bytes() == before


def test_a_logout_that_can_not_be_written_down_anew_is_still_remembered() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)

    def full(record: Record) -> None:
        if record.state == CLOSED:
            raise OSError(28, "No space left on device")
        write_record(record)

    reconcile.write_record = full  # type: ignore[attr-defined,assignment]
    # In this process, as the watcher would find the leader gone from the hook's point of view.
    run = Reconciliation(leader=_leader(workstation, "3"), phase="close")
    run.run()
    assert workstation.chains() == {}
    workstation.reconcile()
    assert workstation.chains() == {}
    assert workstation.states() == {"3": CLOSED}


def _leader(workstation: Workstation, session: str) -> int:
    return next(record.leader for record in read_records().values()
                if record.session == session)


@pytest.mark.parametrize("name", ["guard.seen", "guard.nft"])
def test_a_file_that_can_not_be_written_stops_neither_kernel_nor_cut(name: str) -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    client = ns.Client(ANNE, VIEWER_GID, V6, GUARDED_PORT)
    assert client.say() == "yes"

    def full(path: str, data: bytes) -> None:
        if path.endswith(name):
            raise OSError(28, "No space left on device")
        write_atomically(path, data)

    reconcile.write_atomically = full  # type: ignore[attr-defined,assignment]
    nft.write_atomically = full  # type: ignore[attr-defined,assignment]
    ns.nft("flush ruleset\n")
    Path(paths.GUARD).unlink()
    workstation.kill("3")
    workstation.reconcile()
    assert workstation.reaches("ralph", GUARDED_PORT) == REFUSED
    assert workstation.chains() == {}
    assert workstation.states() == {}
    assert ns.until(lambda: ns.established(GUARDED_PORT) == [])


def test_a_caller_that_ignores_its_children_s_ends_does_no_harm() -> None:
    workstation = office()
    leader = os.fork()
    if leader == 0:
        ns.die_with_parent()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        time.sleep(0.3)
        from pam_spice import hook
        pid = os.fork()
        if pid == 0:
            os._exit(hook.main("open"))
        time.sleep(5)
        os._exit(0)
    workstation.state("3", "anne", leader)
    assert pwd.getpwnam("anne").pw_uid == ANNE
    assert ns.until(lambda: workstation.chains() != {}, 4)
    assert workstation.states() == {"3": "open"}


def test_directories_that_were_lost_come_back_so_that_users_find_their_own_record() -> None:
    workstation = office()
    shutil.rmtree(paths.RUN)
    workstation.log_in("3", "anne", hint=True)
    assert {directory: stat.S_IMODE(os.stat(directory).st_mode)
            for directory in (paths.RUN, f"{paths.RUN}/sessions")} == {
        paths.RUN: 0o711, f"{paths.RUN}/sessions": 0o711}

    def read_own() -> str:
        ns.become(ANNE, ANNE)
        try:
            return Path(paths.RUN, "sessions", "3").read_text().splitlines()[3]
        except OSError as error:
            return type(error).__name__

    assert ns.answer_of(read_own) == "user anne"


def test_who_called_su_can_not_stop_the_hook_that_it_started() -> None:
    """It starts with his real uid; stopped with the lock in its hands, it would hold up all."""
    office()
    with Lock(paths.LOCK) as held:
        pid = os.fork()
        if pid == 0:
            ns.die_with_parent()
            held.__exit__()  # ours alone
            os.setresuid(ANNE, 0, 0)
            os._exit(hook.main("close"))
        assert ns.until(lambda: paths.LOCK in links(f"/proc/{pid}/fd"))

        def stop() -> str:
            ns.become(ANNE, ANNE)
            try:
                os.kill(pid, signal.SIGSTOP)
            except PermissionError:
                return "not permitted"
            return "stopped"

        assert ns.answer_of(stop) == "not permitted"
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


# A viewer that others may start

def put_viewer() -> Path:
    """A viewer as it should be, though the machine may have none."""
    for layer in ("upper", "work"):
        Path("/run/bin", layer).mkdir(parents=True)
    ns.mount("overlay", "/usr/bin", "overlay", 0,
             "lowerdir=/usr/bin,upperdir=/run/bin/upper,workdir=/run/bin/work")
    viewer = Path(VIEWER)
    viewer.unlink(missing_ok=True)
    viewer.write_text("#!/bin/sh\n")
    os.chown(viewer, 0, ns.VIEWER_GID)
    viewer.chmod(0o750)
    return viewer


@pytest.mark.parametrize("change", [
    lambda viewer: viewer.chmod(0o755),
    lambda viewer: viewer.chmod(0o2750),
    lambda viewer: viewer.chmod(0o770),
    lambda viewer: os.chown(viewer, ANNE, -1),
    lambda viewer: os.chown(viewer, -1, 0),
    # acl(5) as Linux keeps it: user:: rwx, user:1021 r-x, group:: r-x, mask:: r-x, other:: ---
    lambda viewer: os.setxattr(viewer, "system.posix_acl_access", struct.pack(
        "<I" + "HHI" * 5, 2, 1, 7, 2**32 - 1, 2, 5, ANNE, 4, 5, 2**32 - 1, 16, 5, 2**32 - 1,
        32, 0, 2**32 - 1)),
    lambda viewer: (viewer.unlink(), viewer.mkdir(0o750)),
], ids=["0755", "setgid", "group-writes", "owner", "group", "access-list", "directory"])
def test_while_the_viewer_is_not_as_it_should_be_nothing_is_open(
        change: Callable[[Path], object]) -> None:
    workstation = office()
    viewer = put_viewer()
    workstation.log_in("3", "anne", hint=True)
    client = ns.Client(ANNE, ns.VIEWER_GID, ns.V4, GUARDED_PORT)
    assert client.say() == "yes"
    change(viewer)
    workstation.reconcile()
    assert workstation.chains() == {}
    assert client.say() != "yes"
    workstation.log_out("3")
    workstation.log_in("4", "anne", hint=True)
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED, "a login opens nothing either"
    if viewer.is_dir():
        viewer.rmdir()
    else:
        viewer.unlink()
    viewer.write_text("#!/bin/sh\n")
    os.chown(viewer, 0, ns.VIEWER_GID)
    viewer.chmod(0o750)
    workstation.reconcile()
    assert workstation.reaches("anne", GUARDED_PORT) == "yes"


def test_where_nobody_can_tell_how_the_viewer_is_a_logout_closes_and_nothing_new_opens(
        monkeypatch: pytest.MonkeyPatch) -> None:
    workstation = office()
    workstation.policy(f"{OFFICE}  - {{user: zoe, console: second}}\n"
                       "workstation: {one_user: false}\n")
    for session, user in (("3", "anne"), ("4", "ralph")):
        workstation.log_in(session, user, hint=True)

    def unreadable(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(viewerfile, "fault", unreadable)
    workstation.log_in("5", "zoe", hint=True)
    assert workstation.reaches("zoe", OTHER_GUARDED_PORT) == REFUSED
    assert workstation.reaches("anne", GUARDED_PORT) == "yes"
    assert workstation.hook("3", "close") == 0
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED
    workstation.reconcile()
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == "yes"


# Who has the viewer's group without the viewer

def write_groups(change: str, to: str) -> None:
    text = Path("/etc/group").read_text()
    assert change in text
    Path("/etc/group").write_text(text.replace(change, to))


def test_a_member_of_the_viewer_s_group_has_nothing_open_and_the_others_have() -> None:
    workstation = office()
    workstation.policy(OFFICE + "workstation: {one_user: false}\n")
    workstation.log_in("3", "anne", hint=True)
    workstation.log_in("4", "ralph", hint=True)
    assert workstation.reaches("anne", GUARDED_PORT) == "yes"
    write_groups(f"spicegrp:x:{ns.VIEWER_GID}:", f"spicegrp:x:{ns.VIEWER_GID}:zoe,anne")
    workstation.reconcile()
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == "yes"
    write_groups("zoe,anne", "zoe")
    workstation.reconcile()
    assert workstation.reaches("anne", GUARDED_PORT) == "yes"
    workstation.log_in("5", "zoe", hint=True)
    assert workstation.chains().keys() == {ANNE, ns.USERS["ralph"]}


@pytest.mark.parametrize(("word", "answer"), [
    ("$y$j9T$x$y", REFUSED), ("!", "yes"), ("*", "yes"), ("", "yes"), ("!$y$j9T$x$y", "yes")])
def test_where_the_viewer_s_group_has_a_password_nothing_is_open(word: str, answer: str) -> None:
    workstation = office()
    Path("/etc/gshadow").write_text(f"root:*::\nspicegrp:{word}::\n")
    workstation.log_in("3", "anne", hint=True)
    assert workstation.reaches("anne", GUARDED_PORT) == answer


def test_a_password_in_etc_group_itself_counts_too() -> None:
    workstation = office()
    Path("/etc/gshadow").unlink(missing_ok=True)
    write_groups("spicegrp:x:", "spicegrp:abJnggxhB/yWI:")
    workstation.log_in("3", "anne", hint=True)
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED


def test_who_has_the_viewer_s_group_as_his_first_one_gets_nothing() -> None:
    workstation = office()
    path = Path("/etc/passwd")
    path.write_text(path.read_text().replace(f":{ANNE}:{ANNE}:", f":{ANNE}:{ns.VIEWER_GID}:"))
    workstation.log_in("3", "anne", hint=True)
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED


def test_where_nobody_can_tell_who_has_the_group_a_logout_closes_and_nothing_new_opens() -> None:
    workstation = office()
    workstation.policy(OFFICE + "workstation: {one_user: false}\n")
    for session, user in (("3", "anne"), ("4", "ralph")):
        workstation.log_in(session, user, hint=True)
    Path("/etc/gshadow").unlink(missing_ok=True)
    Path("/etc/gshadow").mkdir()
    workstation.log_in("5", "zoe", hint=True)
    assert workstation.hook("3", "close") == 0
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == "yes"
    assert ns.USERS["zoe"] not in workstation.chains()
