"""Nothing of a caller's reaches what root runs: the hook, the command, and all that they start.

Each is run as it is installed, once in plain surroundings and once in somebody else's, and judged
by what strace(1) saw: it opens and executes the same, and nothing that a user could have put there.
"""

import ctypes
import os
import pty
import resource
import select
import shutil
import signal
import socket
import stat
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import pytest

from pam_spice import paths, run
from pam_spice.locking import Lock
from session.records import CLOSED, OPEN, remove_record
from tests.faults.installed import COMMAND, HOOK, ROOT, prepared
from tests.faults.machine import Machine, forget_session
from tests.kernel import namespace as ns
from tests.kernel.namespace import USERS
from tests.kernel.surroundings import (
    BAIT,
    BEFORE_THE_FIRST_LINE,
    CAUGHT,
    PLAIN,
    PYTHON_S_PLACE,
    Surroundings,
    children,
    hostile_environment,
    lay_bait,
    see,
    spy_on,
    taken_from_users,
)
from tests.kernel.workstation import OFFICE

ANNE = USERS["anne"]
SIGNALS = [number for number in range(1, 65) if number not in (9, 19, 32, 33)]
LOCALES = ("/usr/lib/locale", "/usr/share/locale", "/usr/lib/xN_N-linux-gnu/gconv")
"""Root's; which of them the interpreter looks at as it starts is the caller's to say."""

LIMITS = {"NOFILE": 16, "CORE": 0, "NPROC": 0, "MEMLOCK": 0, "STACK": 1 << 20,
          "AS": 200 << 20, "DATA": 100 << 20, "CPU": 2, "SIGPENDING": 0, "MSGQUEUE": 0,
          "RTPRIO": 0, "NICE": 0}
_libc = ctypes.CDLL(None, use_errno=True)


@pytest.fixture(autouse=True, scope="module")
def compiled() -> None:
    """Made before the tests' own processes are, and once."""
    if os.geteuid() == 0:
        prepared()


def workstation() -> Machine:
    machine = Machine()
    lay_bait()
    machine.workstation.policy()
    machine.workstation.reconcile()
    return machine


def log_in_and_out(machine: Machine, session: str,
                   surroundings: Surroundings) -> tuple[set[str], set[str]]:
    """A login and a logout of anne's, whose leader this process is. Fails where the hook does not
    open and close as ever, or takes something from a user; what it looked at, in both phases."""
    told = surroundings.name
    machine.workstation.state(session, "anne", os.getpid())
    seen = see([HOOK, "open"], surroundings)
    assert (seen.status, machine.workstation.states()) == (0, {session: OPEN}), told
    assert list(machine.workstation.chains()) == [ANNE], told
    left = see([HOOK, "close"], surroundings)
    assert (left.status, machine.workstation.states()) == (0, {session: CLOSED}), told
    assert machine.workstation.chains() == {}, told
    forget_session(session)
    remove_record(session)
    for each in (seen, left):
        assert taken_from_users(each) == set(), told
        assert each.programs == [], told
    assert not CAUGHT.exists(), told
    assert stat.S_IMODE(os.stat(f"{paths.RUN}/sessions").st_mode) == 0o711
    return seen.paths, left.paths


def expect_the_same(all_of_them: Iterable[Surroundings]) -> None:
    """What the hook does is the same in each of these as in plain surroundings."""
    machine = workstation()
    log_in_and_out(machine, "1", PLAIN)
    plain = log_in_and_out(machine, "2", PLAIN)
    for number, surroundings in enumerate(all_of_them, 3):
        found = log_in_and_out(machine, str(number), surroundings)
        for there, here in zip(plain, found, strict=True):
            assert not {path for path in there ^ here if not path.startswith(LOCALES)}, \
                surroundings.name


def prctl(option: int, value: int) -> None:
    assert _libc.prctl(option, value, 0, 0, 0) == 0, os.strerror(ctypes.get_errno())


# The hook

def test_no_variable_of_the_caller_s_reaches_the_hook() -> None:
    hostile = hostile_environment()
    expect_the_same([
        Surroundings("all at once", hostile),
        *(Surroundings(name, {name: hostile[name]}) for name in
          ("PATH", "HOME", "TZDIR", "PYTHONPATH", "PYTHONHOME", "LANG", "LC_ALL", "IFS")),
        Surroundings("a megabyte", {f"X{number}": "x" * 100_000 for number in range(10)})])


def test_what_libc_reads_before_the_first_line_does_not_reach_the_hook_s_own_part() -> None:
    """That part can't be kept out by any program: PAM refuses such services (test_pam_stack)."""
    machine = workstation()
    machine.workstation.state("3", "anne", os.getpid())
    seen = see([HOOK, "open"], Surroundings("libc's", BEFORE_THE_FIRST_LINE))
    assert machine.workstation.states() == {"3": OPEN}
    assert taken_from_users(seen) != set(), "the boundary has moved"
    assert taken_from_users(seen.after(HOOK)) == set()

def test_the_machine_s_language_does_not_change_whose_session_it_is() -> None:
    """An encoding of 8 bits is the site's to have; names of accounts are bytes all the same."""
    machine = workstation()
    ns.command("localedef", "-i", "de_DE", "-f", "ISO-8859-1", "/usr/lib/locale/de_DE.ISO-8859-1")
    with open("/etc/passwd", "a", encoding="utf-8") as accounts:
        accounts.write("jürgen:x:1029:1029::/:/bin/sh\n")
    machine.workstation.state("3", "jürgen", os.getpid(), UID="1029")
    german = Surroundings("", {"LANG": "de_DE.ISO-8859-1"})
    assert see([HOOK, "open"], german).status == 0
    assert machine.workstation.states() == {"3": OPEN}
    assert see([COMMAND, "reconcile"], german).status == 0
    assert machine.workstation.states() == {"3": OPEN}


@pytest.mark.parametrize("arguments", [
    [], ["open", "open"], ["open", "--user", "root"], [""], ["open\n"], ["OPEN"], ["-c", "1"],
    ["close;id"], ["-m", "os"], ["x" * 100_000]])
def test_the_hook_takes_one_word_and_nothing_else(arguments: list[str]) -> None:
    machine = workstation()
    machine.workstation.state("3", "anne", os.getpid())
    seen = see([HOOK, *arguments])
    assert seen.status == 1
    assert machine.workstation.states() == {} and machine.workstation.chains() == {}
    assert not [path for path in seen.paths if path.startswith(("/run/pam-spice", paths.STATE))]


def test_no_directory_of_the_caller_s_reaches_the_hook() -> None:
    def in_a_deleted_one() -> None:
        os.mkdir(BAIT / "gone")
        os.chdir(BAIT / "gone")
        os.rmdir(BAIT / "gone")

    def in_an_unreadable_one() -> None:
        os.makedirs(BAIT / "closed/deeper", exist_ok=True)
        os.chdir(BAIT / "closed/deeper")
        os.chmod(BAIT / "closed", 0)

    expect_the_same([Surroundings("bait", {}, lambda: os.chdir(BAIT)),
                     Surroundings("deleted", {}, in_a_deleted_one),
                     Surroundings("unreadable", {}, in_an_unreadable_one)])


def test_no_umask_of_the_caller_s_reaches_the_hook() -> None:
    expect_the_same([Surroundings(f"{mask:04o}", {}, partial(os.umask, mask))
                     for mask in (0o777, 0o077, 0)])


@pytest.mark.parametrize("mask", [0o777, 0o077, 0])
def test_directories_that_the_hook_makes_have_their_modes_whatever_the_umask(mask: int) -> None:
    machine = workstation()
    machine.workstation.state("3", "anne", os.getpid())
    shutil.rmtree(f"{paths.RUN}/sessions")
    assert see([HOOK, "open"], Surroundings("", {}, partial(os.umask, mask))).status == 0
    assert stat.S_IMODE(os.stat(f"{paths.RUN}/sessions").st_mode) == 0o711
    assert stat.S_IMODE(os.stat(f"{paths.RUN}/sessions/3").st_mode) == 0o640


def test_no_descriptor_of_the_caller_s_reaches_the_hook() -> None:
    def closed(*numbers: int) -> Callable[[], object]:
        def prepare() -> None:
            for number in numbers:
                os.close(number)
        return prepare

    def put(make: Callable[[], int], *numbers: int) -> Callable[[], object]:
        def prepare() -> None:
            made = make()
            for number in numbers:
                os.dup2(made, number)
        return prepare

    def full_pipe() -> int:
        _, writer = os.pipe()
        os.set_blocking(writer, False)
        try:
            while True:
                os.write(writer, bytes(65536))
        except BlockingIOError:
            os.set_blocking(writer, True)
        return writer

    def endless() -> int:
        return os.open("/dev/zero", os.O_RDWR)

    expect_the_same([
        *(Surroundings(f"{numbers} closed", {}, closed(*numbers))
          for numbers in ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2))),
        Surroundings("a full pipe", {}, put(full_pipe, 0, 1, 2)),
        Surroundings("a terminal", {}, put(lambda: pty.openpty()[1], 0, 1, 2)),
        Surroundings("without an end", {}, put(endless, 0, 1, 2)),
        Surroundings("a socket without a peer", {},
                     put(lambda: socket.socketpair()[0].detach(), 0, 1, 2)),
        Surroundings("many more", {}, put(endless, *range(3, 200)))])


def test_neither_signals_nor_timers_of_the_caller_s_reach_the_hook() -> None:
    def ignored() -> None:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    expect_the_same([
        Surroundings("ignored", {}, ignored),
        Surroundings("blocked", {}, lambda: signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)),
        Surroundings("an alarm, much later", {}, lambda: signal.alarm(10_000))])


@pytest.mark.parametrize("name", LIMITS)
def test_no_limit_of_the_caller_s_reaches_the_hook(name: str) -> None:
    kind, value = getattr(resource, f"RLIMIT_{name}"), LIMITS[name]
    expect_the_same([
        Surroundings(f"{name} {value}", {}, lambda: resource.setrlimit(kind, (value, value)))])


def test_whoever_may_write_nothing_is_let_in_without_a_console_and_out_with_it_closed() -> None:
    """A limit on files' sizes (pam_limits) is the one that counts: a session must be recorded."""
    machine = workstation()
    limited = Surroundings("", {}, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)))
    machine.workstation.state("3", "anne", os.getpid())
    assert see([HOOK, "open"], limited).status == 0
    assert machine.workstation.chains() == {}
    assert see([HOOK, "open"]).status == 0
    assert list(machine.workstation.chains()) == [ANNE]
    assert see([HOOK, "close"], limited).status == 0
    assert machine.workstation.chains() == {}
    assert machine.workstation.states() in ({}, {"3": CLOSED})


def test_no_scheduling_and_no_other_mark_of_the_caller_s_reaches_the_hook() -> None:
    def write(path: str, text: str) -> Callable[[], object]:
        return lambda: Path(path).write_text(text)

    idle = 3 << 13  # IOPRIO_CLASS_IDLE
    expect_the_same([
        Surroundings("nice", {}, lambda: os.nice(19)),
        Surroundings("idle", {}, lambda: os.sched_setscheduler(0, os.SCHED_IDLE,
                                                               os.sched_param(0))),
        Surroundings("one processor", {}, lambda: os.sched_setaffinity(0, {0})),
        Surroundings("idle disk", {}, lambda: _libc.syscall(251, 1, 0, idle)),
        Surroundings("oom", {}, write("/proc/self/oom_score_adj", "1000")),
        # ADDR_NO_RANDOMIZE, READ_IMPLIES_EXEC, ADDR_COMPAT_LAYOUT, MMAP_PAGE_ZERO
        Surroundings("personality", {}, lambda: _libc.personality(
            0x0040000 | 0x0400000 | 0x0200000 | 0x0100000)),
        Surroundings("keyring", {}, lambda: _libc.syscall(250, 1, b"anne's")),
        Surroundings("no_new_privs", {}, lambda: prctl(38, 1)),
        # SECBIT_NO_SETUID_FIXUP, SECBIT_KEEP_CAPS
        Surroundings("securebits", {}, lambda: prctl(28, 0x14)),
        Surroundings("not dumpable", {}, lambda: prctl(4, 0)),
        Surroundings("slack", {}, lambda: prctl(29, 1_000_000_000))])


# What the hook starts after an edit, and what the command starts

def everything() -> None:
    """All of it at once, but what keeps the programs from doing their work."""
    os.chdir(BAIT)
    os.umask(0o777)
    for number in (3, 7, 63):
        os.dup2(os.open("/etc/passwd", os.O_RDONLY), number)
        os.set_inheritable(number, True)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    os.dup2(os.open("/dev/zero", os.O_RDWR), 0)


HOSTILE = {**hostile_environment(), "NLSPATH": str(BAIT), "LOCPATH": str(BAIT)}


def expect_clean_children(least: set[str], is_hook: bool = False) -> None:
    found = children()
    assert {child.name for child in found} >= least
    for child in found:
        assert child.environment == {f"{name}={value}" for name, value
                                     in run._ENVIRONMENT.items()}, child.name
        assert child.umask == "0022", child.name
        assert child.blocked == 0, child.name
        # sudo(8) has closed those of its caller already, as pam_exec(8) has.
        assert not is_hook or child.descriptors == {0, 1, 2}, child.name
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGALRM,
                       signal.SIGCHLD, signal.SIGHUP, signal.SIGQUIT):
            assert not child.ignored >> (number - 1) & 1, f"{child.name} ignores {number}"


def test_what_the_hook_starts_after_an_edit_has_nothing_of_the_caller_s() -> None:
    machine = workstation()
    for program in (paths.NFT, paths.VISUDO):
        spy_on(program)
    machine.workstation.policy(OFFICE.replace("20001-20010", "20001-20012")
                               + "  - {user: zoe, console: first}\n")
    machine.workstation.state("3", "anne", os.getpid())
    seen = see([HOOK, "open"], Surroundings("everything", HOSTILE, everything))
    assert (seen.status, machine.workstation.states()) == (0, {"3": OPEN})
    expect_clean_children({"nft", "visudo"}, is_hook=True)
    assert taken_from_users(seen.after(HOOK)) == set()
    assert not CAUGHT.exists()
    assert "\\x7aoe" in Path(paths.SUDOERS).read_text()


def test_the_command_and_what_it_starts_take_nothing_of_the_caller_s() -> None:
    machine = workstation()
    for program in (paths.NFT, paths.VISUDO):
        spy_on(program)
    shutil.rmtree(f"{paths.RUN}/sessions")
    machine.workstation.policy(OFFICE + "  - {user: zoe, console: first}\n")
    seen = see([COMMAND, "reconcile"], Surroundings("everything", HOSTILE, everything))
    assert seen.status == 0
    expect_clean_children({"nft", "visudo"})
    assert not CAUGHT.exists()
    assert stat.S_IMODE(os.stat(f"{paths.RUN}/sessions").st_mode) == 0o711


def test_sudo_s_caller_gives_the_command_nothing_but_its_arguments() -> None:
    workstation()
    Path("/etc/sudoers.d/site").write_text(f"anne ALL = (root) NOPASSWD: {COMMAND}\n")
    Path("/etc/shadow").write_text("root:*:19000::::::\nanne:*:19000::::::\n")
    shutil.rmtree(f"{paths.RUN}/sessions")
    hostile = {name: value for name, value in HOSTILE.items() if name and " " not in name}
    seen = see(["/usr/bin/sudo", "-n", COMMAND, "reconcile"],
               Surroundings("anne's", hostile, everything), uid=ANNE)
    assert seen.status == 0, "\n".join(seen.lines[-30:])
    assert taken_from_users(seen.after(COMMAND)) <= {str(BAIT)}
    for path, _, environment in seen.programs:
        if path == paths.NFT:
            assert environment == sorted(f"{k}={v}" for k, v in run._ENVIRONMENT.items())
    assert paths.NFT in [path for path, _, _ in seen.programs]
    assert not CAUGHT.exists()
    assert stat.S_IMODE(os.stat(f"{paths.RUN}/sessions").st_mode) == 0o711


def test_a_site_whose_sudo_keeps_the_environment_lets_nobody_into_the_command() -> None:
    """sudo then takes out what it knows of; of Python's variables it does not know all."""
    workstation()
    Path("/etc/sudoers.d/site").write_text(
        f"Defaults:anne !env_reset\nanne ALL = (root) NOPASSWD: {COMMAND}\n")
    Path("/etc/shadow").write_text("root:*:19000::::::\nanne:*:19000::::::\n")
    (BAIT / "python3._pth").write_text(f"{BAIT}\n")
    hostile = {name: value for name, value in HOSTILE.items() if name.isidentifier()}
    seen = see(["/usr/bin/sudo", "-n", COMMAND, "reconcile"],
               Surroundings("anne's", {**hostile, **PYTHON_S_PLACE}), uid=ANNE)
    assert not CAUGHT.exists(), CAUGHT.read_text()
    assert seen.status == 0


# Whoever is stopped with a lock in his hands

@pytest.mark.parametrize("path", [paths.LOCK, paths.COMPILE_LOCK])
def test_a_hook_that_its_user_stops_with_the_lock_in_its_hands_holds_up_nobody(path: str) -> None:
    """logind lets a user send signals to all processes of his session, and root's are among them:
    ``loginctl kill-session 3 -s STOP``."""
    machine = workstation()
    machine.workstation.log_in("3", "anne", hint=True)
    machine.workstation.policy(OFFICE + "  - {user: zoe, console: first}\n")
    taken, told = os.pipe()
    stopped = os.fork()
    if stopped == 0:
        ns.die_with_parent()
        os.setsid()  # as pam_exec does
        with Lock(path):
            os.write(told, b"x")
            os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(0)
    os.read(taken, 1)
    assert ns.until(lambda: ") T " in Path(f"/proc/{stopped}/stat").read_text())
    assert see([COMMAND, "reconcile"]).status == 0
    assert machine.workstation.hook("3", "close") == 0
    assert machine.workstation.chains() == {}
    assert os.waitstatus_to_exitcode(os.waitpid(stopped, 0)[1]) == -9


def test_a_holder_that_works_is_waited_for() -> None:
    os.makedirs(paths.RUN)
    taken, told = os.pipe()
    holder = os.fork()
    if holder == 0:
        ns.die_with_parent()
        with Lock(paths.LOCK):
            os.write(told, b"x")
            time.sleep(0.5)
        os._exit(0)
    os.read(taken, 1)
    began = time.monotonic()
    with Lock(paths.LOCK):
        assert time.monotonic() - began > 0.3
    assert os.waitstatus_to_exitcode(os.waitpid(holder, 0)[1]) == 0


# The watcher

def test_a_watcher_whose_directory_was_lost_makes_room_for_one_that_sees_the_new_one() -> None:
    machine = workstation()
    watcher = Path(paths.PREFIX, "watch")
    shutil.copy(ROOT / "conf/system/bin/watch", watcher)
    watcher.chmod(0o755)
    pid = os.posix_spawn(str(watcher), [str(watcher)], HOSTILE)
    ended = os.pidfd_open(pid)
    try:
        machine.workstation.log_in("3", "anne", hint=True)
        assert not select.select([ended], [], [], 1)[0]
        os.rename(paths.RUN, f"{paths.RUN}.lost")
        lost = os.open(f"{paths.RUN}.lost/wake", os.O_RDWR | os.O_NONBLOCK)

        def has_ended() -> bool:
            os.write(lost, b".")  # the machine's own reader takes some
            return bool(select.select([ended], [], [], 0)[0])

        assert ns.until(has_ended), "it listens where nobody speaks any more"
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    finally:
        if not select.select([ended], [], [], 0)[0]:
            os.kill(pid, 9)
