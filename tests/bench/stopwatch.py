"""Runs in the lab's workstation and times programs there: the way in from outside would be in every
figure. ``logins`` puts it there, with ``measuring``, and calls it as

    python3 -m tests.bench.stopwatch TASK RESULT

Both are JSON. TASK has the number of ``rounds``, which ``quantity`` to measure (a function's name
below), and ``contenders``, each a name with the fields of ``Program``. RESULT is ``Times``.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from select import select

from tests.bench.measuring import in_turn

_SESSIONS = "/run/systemd/sessions"
_PATIENCE = 10.0
"""Seconds; a session's end takes logind a few milliseconds."""

REST = 0.05
"""Seconds. Within some milliseconds of another one the kernel makes a session's cgroup 10 ms
faster, and a person who logs in comes alone."""

_CLONE_NEWNET = 0x40000000  # linux/sched.h
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_IN_OPEN = 0x20  # linux/inotify.h

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Program:
    """A command line to measure, and what is around it."""

    argv: list[str]
    before: list[str] | None = None
    """A command that is run each time before it, and not measured."""

    namespace: str | None = None
    """The name of a network namespace (ip-netns(8)) to run in, other than the workstation's."""

    opens: str | None = None
    """The file for ``seconds_until_opened``."""


def main() -> int:
    """Do a task. Raises RuntimeError if a program fails, OSError."""
    task, result = sys.argv[1:]
    with open(task, encoding="utf-8") as file:
        told = json.load(file)
    quantity = {each.__name__: each for each in (seconds, seconds_until_opened, peak_memory)}[
        told["quantity"]]
    contenders = {name: partial(_measured, quantity, Program(**each))
                  for name, each in told["contenders"].items()}
    times = in_turn(contenders, told["rounds"])
    with open(result, "w", encoding="utf-8") as file:
        json.dump(times, file)
    return 0


def seconds(program: Program) -> float:
    """From its start to its end."""
    began = time.perf_counter()
    pid = os.posix_spawn(program.argv[0], program.argv, os.environ)
    status = os.waitpid(pid, 0)[1]
    took = time.perf_counter() - began
    _check(program, status)
    return took


def seconds_until_opened(program: Program) -> float:
    """From its start until it, or what it starts, opens a file: to execute it, for instance."""
    assert program.opens is not None
    watch = _call("inotify_init1", os.O_CLOEXEC)
    _call("inotify_add_watch", watch, program.opens.encode(), _IN_OPEN)
    began = time.perf_counter()
    pid = os.posix_spawn(program.argv[0], program.argv, os.environ)
    end = os.pidfd_open(pid)
    happened, _, _ = select([watch, end], [], [])
    took = time.perf_counter() - began
    os.close(watch)
    os.close(end)
    _check(program, os.waitpid(pid, 0)[1])
    if watch not in happened:
        raise RuntimeError(f"{program.argv} did not open {program.opens}")
    return took


def peak_memory(program: Program) -> float:
    """The most bytes that it, or one of those that it waited for, had in memory at once: ru_maxrss.

    A process begins with the peak of what executed it, and this interpreter's is higher than that
    of a bare one. So a shell executes it, and by ending leaves it to this process.
    """
    _call("prctl", _PR_SET_CHILD_SUBREAPER, 1)
    shell = ["/bin/sh", "-c", '"$@" &', "sh", *program.argv]
    _check(program, os.waitpid(os.posix_spawn(shell[0], shell, os.environ), 0)[1])
    _, status, usage = os.wait3(0)
    _check(program, status)
    return float(usage.ru_maxrss * 1024)


def _measured(quantity: Callable[[Program], float], program: Program) -> float:
    """One measuring after a rest; it is over when nobody is logged in who was not before."""
    if program.before:
        seconds(Program(program.before))
    sessions = set(os.listdir(_SESSIONS))
    time.sleep(REST)
    with _in_namespace(program.namespace):
        found = quantity(program)
    end = time.monotonic() + _PATIENCE
    while set(os.listdir(_SESSIONS)) - sessions:
        if time.monotonic() > end:
            raise RuntimeError(f"the session of {program.argv} does not end")
        time.sleep(0.002)
    return found


@contextmanager
def _in_namespace(name: str | None) -> Iterator[None]:
    if name is None:
        yield
        return
    with open("/proc/self/ns/net") as own, open(f"/run/netns/{name}") as other:
        _call("setns", other.fileno(), _CLONE_NEWNET)
        try:
            yield
        finally:
            _call("setns", own.fileno(), _CLONE_NEWNET)


def _call(function: str, *arguments: object) -> int:
    """A function of the C library that Python has no other way to. Raises OSError."""
    result = int(getattr(_libc, function)(*arguments))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")
    return result


def _check(program: Program, status: int) -> None:
    if status:
        raise RuntimeError(f"{program.argv}: {os.waitstatus_to_exitcode(status)}")


if __name__ == "__main__":
    sys.exit(main())
