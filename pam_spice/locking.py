"""A lock between our own processes. On the login path."""

import fcntl
import os
import time


class Lock:
    """Held within ``with``; freed by the kernel when its holder dies. Waits without limit (a hook
    is ended by its alarm) or for so many seconds. Raises OSError."""

    def __init__(self, path: str, seconds: float | None = None) -> None:
        self._path = path
        self._seconds = seconds
        self._descriptor = -1

    def __enter__(self) -> "Lock":
        self._descriptor = os.open(
            self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        if self._seconds is None:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            return self
        end = time.monotonic() + self._seconds
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return self
            except BlockingIOError:
                if time.monotonic() > end:
                    os.close(self._descriptor)
                    raise
                time.sleep(0.05)

    def __exit__(self, *_: object) -> None:
        try:
            os.close(self._descriptor)
        except OSError:  # close(2): it is closed all the same
            pass
