"""A stranger who knocks all the time: the guard is there as long as nobody lets him in."""

import mmap
import os
import socket
import struct
import time

from tests.kernel import namespace as ns

_PAUSE = 0.01  # seconds


class Stranger:
    """A process of a user who is not logged in, with the viewer's gid."""

    def __init__(self, uid: int) -> None:
        self._counts = mmap.mmap(-1, 8)  # shared with the child
        self._pid = os.fork()
        if self._pid == 0:
            ns.die_with_parent()
            ns.become(uid, ns.VIEWER_GID)
            self._knock()

    def _knock(self) -> None:
        knocks = let_in = 0
        while True:
            with socket.socket() as client:
                client.settimeout(1)
                try:
                    client.connect((ns.V4, ns.GUARDED_PORT))
                    let_in += 1
                except OSError:
                    pass
            knocks += 1
            self._counts[:] = struct.pack("=II", knocks, let_in)
            time.sleep(_PAUSE)

    def stop(self) -> tuple[int, int]:
        """How often he knocked, and how often he was let in."""
        os.kill(self._pid, 9)
        os.waitpid(self._pid, 0)
        knocks, let_in = struct.unpack("=II", self._counts[:])
        return knocks, let_in
