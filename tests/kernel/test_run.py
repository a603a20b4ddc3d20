"""The one door to other programs: bounded in time, clean in environment, whole in output."""

import os
import time

import pytest

from pam_spice.run import CommandFailed, run
from tests.kernel import namespace as ns


def test_output_error_and_status_come_back() -> None:
    done = run(["/bin/sh", "-c", "cat; echo err >&2; exit 3"], b"in\0put", ok=(0, 3))
    assert (done.status, done.output, done.error) == (3, b"in\0put", "err")


def test_a_failure_names_the_command_so_that_it_can_be_pasted_and_the_error() -> None:
    with pytest.raises(CommandFailed) as caught:
        run(["/bin/sh", "-c", "echo 'it'\"'\"'s broken' >&2; exit 7"])
    assert str(caught.value).startswith("/bin/sh -c '")
    assert str(caught.value).endswith("exit status 7: it's broken")
    assert caught.value.error_output == "it's broken"
    pasted, _, _ = str(caught.value).partition(": exit")
    again = ns.command("/bin/sh", "-c", f"printf '%s\\n' {pasted}")
    assert again.splitlines()[0] == "/bin/sh"


def test_a_program_that_takes_too_long_is_killed_and_reaped() -> None:
    before = time.monotonic()
    with pytest.raises(CommandFailed, match=r"did not end within 0\.3 s") as caught:
        run(["/bin/sh", "-c", "trap '' TERM INT; echo started >&2; exec sleep 30"], timeout=0.3)
    assert time.monotonic() - before < 2
    assert caught.value.error_output == "started"
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_program_that_left_a_child_behind_does_not_hold_us() -> None:
    before = time.monotonic()
    assert run(["/bin/sh", "-c", "sleep 5 & echo done"]).output == b"done\n"
    assert time.monotonic() - before < 2


def test_a_program_ended_by_a_signal_is_a_failure() -> None:
    with pytest.raises(CommandFailed, match="signal 15"):
        run(["/bin/sh", "-c", "kill -TERM $$"])


@pytest.mark.parametrize("path", ["/no/such/program", "/etc/passwd", "/etc"])
def test_a_program_that_is_missing_or_not_executable_is_a_failure(path: str) -> None:
    with pytest.raises(CommandFailed):
        run([path])


def test_nothing_of_the_caller_s_environment_is_passed_on() -> None:
    os.environ.update({"LD_PRELOAD": "/tmp/evil.so", "PATH": "/tmp", "TZ": "Asia/Tokyo",
                       "SECRET": "x", "BASH_ENV": "/tmp/x"})
    variables = dict(line.split("=", 1) for line in
                     run(["/usr/bin/env"]).output.decode().splitlines())
    assert variables == {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8",
                         "TZ": "UTC"}


def test_no_descriptor_of_ours_but_the_three_is_passed_on() -> None:
    for name in os.listdir("/proc/self/fd"):  # what this test's own caller left open
        try:
            os.set_inheritable(int(name), int(name) < 3)
        except OSError:
            continue  # listdir's own
    listed = run(["/bin/ls", "/proc/self/fd"]).output.split()
    assert sorted(listed) == [b"0", b"1", b"2", b"3"], "3 is ls's own"


def test_signals_that_the_caller_ignores_or_blocks_are_as_by_default() -> None:
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT, signal.SIGALRM])
    status = run(["/bin/cat", "/proc/self/status"]).output.decode()
    values = dict(line.split(":\t", 1) for line in status.splitlines())
    assert int(values["SigBlk"], 16) == 0
    assert not int(values["SigIgn"], 16) & 1 << (signal.SIGTERM - 1)


def test_big_input_and_output_do_not_block_each_other() -> None:
    data = os.urandom(1 << 20) * 8
    assert run(["/bin/cat"], data).output == data


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2)])
def test_it_works_for_a_caller_whose_standard_descriptors_are_closed(
        closed: tuple[int, ...]) -> None:
    def body() -> str:
        for descriptor in closed:
            os.close(descriptor)
        done = run(["/bin/sh", "-c", "cat; echo err >&2"], b"in")
        return f"{done.output!r} {done.error}"

    reader, writer = os.pipe()
    reader, writer = os.dup2(reader, 30), os.dup2(writer, 31)
    pid = os.fork()
    if pid == 0:
        os.write(31, body().encode())
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(30, 100) == b"b'in' err"


def test_no_descriptor_of_ours_is_left_open() -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    run(["/bin/true"])
    for argv in (["/bin/false"], ["/no/such"]):
        with pytest.raises(CommandFailed):
            run(argv)
    with pytest.raises(CommandFailed):
        run(["/bin/sleep", "5"], timeout=0.05)
    assert sorted(os.listdir("/proc/self/fd")) == before
