"""The units do their work as they are confined, on a workstation that makes it hard for them."""

import re
from collections.abc import Iterator

import pytest

from lab.door import wait_until
from lab.story import Stage
from lab.story.stage import MYSELF, clock, policy
from lab.workstation import Workstation

WATCH, RECONCILE = "pam-spice-watch.service", "pam-spice-reconcile.service"
TIMER = "pam-spice-reconcile.timer"
ATTEMPT = "/run/attempt.py"
DROP_IN = f"/run/systemd/system/{RECONCILE}.d/test.conf"


@pytest.fixture
def box(stage: Stage) -> Iterator[Workstation]:
    stage.reset()
    yield stage.lab.workstation
    stage.lab.workstation.shell(f"mount -o remount,hidepid=0 /proc; rm -f {DROP_IN}; "
                                "systemctl daemon-reload")


def complaints(box: Workstation) -> str:
    """What the units have told the journal, errors, since its last rotation."""
    return box.run(["journalctl", "-q", "-b", "-p", "err", "-o", "cat",
                    "-u", WATCH, "-u", RECONCILE, "-u", "pam-spice-guard.service"]).stdout


def test_who_hides_processes_from_each_other_cuts_nobody_off(
        stage: Stage, box: Workstation) -> None:
    box.run(["mount", "-o", "remount,hidepid=2", "/proc"])
    stage.lab.login("myself", 1)
    box.run(["systemctl", "restart", WATCH])
    box.run(["systemctl", "start", RECONCILE])
    assert stage.chains() == {MYSELF}


def test_an_edit_of_the_services_reaches_pam_and_sudo_through_the_unit(
        stage: Stage, box: Workstation) -> None:
    box.run(["journalctl", "--rotate", "--vacuum-time=1s"])
    stage.set_policy(policy(services="login, lightdm", sudo_password=True))
    wait_until("PAM follows", lambda: "service in login:lightdm\n" in
               box.read_file("/etc/pam.d/common-session"), 10)
    assert ") PASSWD: " in box.read_file("/etc/sudoers.d/pam-spice")
    box.run(["visudo", "-cf", "/etc/sudoers.d/pam-spice"])
    assert box.run(["stat", "-c", "%a", "/etc/pam.d/common-session"]).stdout == "644\n"
    assert complaints(box) == ""


def test_the_guard_loads_also_while_a_boot_empties_tmp(stage: Stage, box: Workstation) -> None:
    """tmpfiles.d(5): what lies in /tmp goes at boot, at no certain moment for an early unit."""
    box.run(["timeout", "60", "sh", "-c", """
        (while :; do rm -rf /tmp/namespace-* 2>/dev/null; done) & cleaner=$!
        for try in $(seq 40); do
            systemctl reset-failed pam-spice-guard.service  # as often as is tried here it may start
            systemctl restart pam-spice-guard.service || failed=1
        done
        kill $cleaner
        journalctl -q -b -u pam-spice-guard.service -o cat -n 12 >&2
        exit ${failed:-0}"""], timeout=70)


def test_the_timer_comes_after_a_boot_and_a_minute_after_each_run(box: Workstation) -> None:
    timers = box.run(["systemctl", "show", "-P", "TimersMonotonic", TIMER]).stdout
    assert sorted(re.findall(r"On\w+=\S+", timers)) == ["OnBootUSec=5s", "OnUnitInactiveUSec=1min"]
    wait_until("it has come", lambda: box.run(
        ["systemctl", "show", "-P", "LastTriggerUSec", TIMER]).stdout.strip(), 10)


def test_directories_that_were_lost_are_back_and_the_watcher_sees_them(
        stage: Stage, box: Workstation) -> None:
    """It looks when it wakes: after a minute at the latest, here at the end of a window."""
    stage.set_policy(policy(myself=f"{clock(-60)}-{clock(8)}"))
    stage.lab.login("myself", 1)
    box.run(["rm", "-r", "/run/pam-spice"])
    box.run(["systemctl", "start", RECONCILE])
    wait_until("the watcher is there anew", lambda: "/run/pam-spice/wake\n" in box.shell(
        f"readlink /proc/$(systemctl show -P MainPID {WATCH})/fd/*", check=False).stdout, 75)
    assert box.run(["stat", "-c", "%a", "/run/pam-spice", "/run/pam-spice/sessions"]).stdout \
        == "711\n711\n"
    assert stage.chains() == {MYSELF}
    stage.lab.logout(1)
    wait_until("the logout closes", lambda: not stage.chains(), 3)


def test_libc_may_ask_a_directory_of_users_over_ip_from_a_unit(
        stage: Stage, box: Workstation) -> None:
    program = ("import socket; socket.create_connection(('192.168.2.2', 8080), 5).close(); "
               "socket.create_connection(('fd00::2', 8080), 5).close()")
    box.write_file(DROP_IN, f'[Service]\nExecStart=\nExecStart=/usr/bin/python3 -Ic "{program}"\n')
    box.run(["systemctl", "daemon-reload"])
    box.run(["systemctl", "start", RECONCILE])


@pytest.fixture(scope="module")
def at_rest(stage: Stage) -> Iterator[Workstation]:
    """Nobody else starts the unit, whose run `systemctl start` would take for its own."""
    box = stage.lab.workstation
    stage.stop_everything()
    yield box
    # What root could do, who was asked to do the same. A watcher may not open others' files.
    box.shell("rm /usr/bin/x /run/x /etc/systemd/system/x.service; "
              "chown root /run/pam-spice/wake; chmod 600 /run/pam-spice/wake")
    stage.start_everything()


@pytest.mark.parametrize(("error", "program"), [
    ("EROFS", "open('/usr/bin/x', 'w')"),
    ("EROFS", "open('/etc/systemd/system/x.service', 'w')"),
    ("EROFS", "open('/run/x', 'w')"),
    ("EACCES", "os.listdir('/home/myself')"),
    ("ENOENT", "open('/proc/sys/kernel/core_pattern')"),
    ("ENOENT", "open('/dev/tty1')"),
    ("EACCES", "open('/proc/1/mem', 'rb')"),
    ("EPERM", "os.setuid(1021)"),
    ("EPERM", "os.chown('/run/pam-spice/wake', 1021, -1)"),
    ("EPERM", "os.chmod('/run/pam-spice/wake', 0o4755)"),
    ("EPERM", "call(b'unshare', 0x10000000)"),
    ("EPERM", "call(b'chroot', b'/tmp')"),
    ("EPERM", "call(b'ptrace', 0, 0, 0, 0)"),
    ("EPERM", "mmap.mmap(-1, 4096, prot=7)"),
    ("EAFNOSUPPORT", "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)")])
def test_a_program_in_the_unit_s_place_can_not(
        error: str, program: str, at_rest: Workstation) -> None:
    box = at_rest
    box.write_file(ATTEMPT, f"""\
import ctypes, errno, mmap, os, socket
def call(name, *arguments):
    if getattr(ctypes.CDLL(None, use_errno=True), name.decode())(*arguments):
        raise OSError(ctypes.get_errno(), name)
try:
    {program}
except OSError as failure:
    raise SystemExit(errno.errorcode[failure.errno])
""")
    ran = box.run(["/usr/bin/python3", "-I", ATTEMPT], check=False)
    assert ran.stderr.strip() != error, "it can't be done here by anybody"
    box.write_file(DROP_IN, f"[Service]\nExecStart=\nExecStart=/usr/bin/python3 -I {ATTEMPT}\n")
    try:
        box.run(["systemctl", "daemon-reload"])
        box.run(["journalctl", "--rotate", "--vacuum-time=1s"])
        box.run(["systemctl", "start", RECONCILE], check=False)
        box.run(["journalctl", "--sync"])
        told = box.run(["journalctl", "-q", "-b", "-o", "cat", "-u", RECONCILE]).stdout
        assert error in told.splitlines(), told
    finally:
        box.run(["rm", DROP_IN])
        box.run(["systemctl", "daemon-reload"])
