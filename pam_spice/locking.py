"""A lock between our own processes. On the login path."""

import fcntl
import os
import time
from struct import pack, unpack

_SIGKILL = 9
_PAUSE = 0.005  # seconds between two looks at a lock that is held; it is held for some 5 ms
_FLOCK = "hhqqi"
"""struct flock, fcntl(2): type, whence, start, length, pid."""


class Lock:
    """Held within ``with``; freed by the kernel when its holder dies. Waits without limit (a hook
    is ended by its alarm) or for so many seconds. Raises OSError.

    Who waits without limit ends a holder that was stopped (SIGSTOP): logind lets a user stop all
    processes of his own session, a hook of root's too, and nobody else would ever get on.
    """

    def __init__(self, path: str, seconds: float | None = None) -> None:
        self._path = path
        self._seconds = seconds
        self._descriptor = -1

    def __enter__(self) -> "Lock":
        self._descriptor = os.open(
            self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        end = None if self._seconds is None else time.monotonic() + self._seconds
        while True:
            try:
                # Not flock(2), of which nobody can tell who holds it.
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return self
            except BlockingIOError:
                if end is None:
                    self._end_stopped_holder()
                elif time.monotonic() > end:
                    os.close(self._descriptor)
                    raise
                time.sleep(_PAUSE)

    def _end_stopped_holder(self) -> None:
        question = pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, holder = unpack(_FLOCK, fcntl.fcntl(self._descriptor, fcntl.F_GETLK,
                                                           question))
        if kind == fcntl.F_UNLCK or holder <= 0 or not _is_stopped(holder):
            return
        try:
            if os.getpgid(holder) == holder:  # with what it has started
                os.killpg(holder, _SIGKILL)
            else:
                os.kill(holder, _SIGKILL)
        except ProcessLookupError:
            pass

    def __exit__(self, *_: object) -> None:
        try:
            os.close(self._descriptor)
        except OSError:  # close(2): it is closed all the same
            pass


def _is_stopped(pid: int) -> bool:
    """Whether a signal has stopped the process: proc(5), /proc/PID/stat, field 3."""
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        text = os.read(descriptor, 4096)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return text[text.rfind(b")") + 2:][:1] == b"T"
