"""A lock between our own processes. On the login path."""

import fcntl
import os


class Lock:
    """Held within ``with``; freed by the kernel when its holder dies. Waits without limit: a hook
    is ended by its alarm. Raises OSError."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor = -1

    def __enter__(self) -> "Lock":
        self._descriptor = os.open(
            self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
