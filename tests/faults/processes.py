"""Processes, each held by a descriptor: a pid may be another's a moment later."""

import ctypes
import os
import time

_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


class Process:
    """A process that this one started, or that one of its children did."""

    def __init__(self, pid: int, descriptor: int) -> None:
        self.pid = pid
        self.descriptor = descriptor  # pidfd_open(2)
        self.began = time.monotonic()

    @property
    def age(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.began

    def close(self) -> None:
        """It has ended, and nothing more is asked of it."""
        os.close(self.descriptor)

    def status_if_ours(self) -> int | None:
        """The exit status of a child that has ended, negative for a signal; None for what is
        another's child."""
        try:
            result = os.waitid(os.P_PIDFD, self.descriptor, os.WEXITED)
        except ChildProcessError:
            return None
        assert result is not None
        return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status


def start(*argv: str) -> Process:
    """Start a program as this process's own child, with nothing of its environment."""
    null = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
    pid = os.posix_spawn(argv[0], argv, {}, file_actions=null)
    return Process(pid, os.pidfd_open(pid))


def adopt_orphans() -> None:
    """Be the parent of all whose own parents die: PR_SET_CHILD_SUBREAPER, prctl(2)."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
