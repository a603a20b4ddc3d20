"""A process that kills others, at any moment of their lives."""

import heapq
import mmap
import os
import random
import signal
import struct
import time
from pathlib import Path

from tests.kernel import namespace as ns

_PAUSE = 0.001  # seconds


class Killer:
    """Kills some of those that run a program of these names in this network namespace.

    ``lasts`` is how long each program runs, in seconds, about; the moment is drawn from that. An
    nft is spared whose parent this process is: it looks at the table for the tests.
    """

    def __init__(self, lasts: dict[str, float], share: float, seed: int) -> None:
        self._lasts = lasts
        self._share = share
        self._spares = os.getpid()
        self._counts = mmap.mmap(-1, 4 * len(lasts))  # shared with the child
        self._pid = os.fork()
        if self._pid == 0:
            ns.die_with_parent()
            self._kill(random.Random(seed))

    def stop(self) -> dict[str, int]:
        """How many it has killed, by program."""
        os.kill(self._pid, 9)
        os.waitpid(self._pid, 0)
        return dict(zip(self._lasts, struct.unpack(self._form(), self._counts[:]), strict=True))

    def _form(self) -> str:
        return f"={len(self._lasts)}I"

    def _kill(self, chance: random.Random) -> None:
        killed = dict.fromkeys(self._lasts, 0)
        seen: set[str] = set()
        doomed: list[tuple[float, str, str]] = []
        while True:
            present = set(filter(str.isdecimal, os.listdir("/proc")))
            for pid in sorted(present - seen):
                program = self._program_of(pid)
                if program is not None and chance.random() < self._share:
                    moment = time.monotonic() + chance.random() * self._lasts[program]
                    heapq.heappush(doomed, (moment, pid, program))
            seen = present
            while doomed and doomed[0][0] <= time.monotonic():
                _, pid, program = heapq.heappop(doomed)
                killed[program] += self._is_killed(pid, program)
                self._counts[:] = struct.pack(self._form(), *killed.values())
            time.sleep(_PAUSE)

    def _is_killed(self, pid: str, program: str) -> bool:
        try:
            descriptor = os.pidfd_open(int(pid))
        except OSError:
            return False
        try:
            # Looked at with the descriptor in hand: that is of this process, or of one that ended.
            if self._program_of(pid) == program:
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                return True
        except ProcessLookupError:
            pass
        finally:
            os.close(descriptor)
        return False

    def _program_of(self, pid: str) -> str | None:
        """Its name, if it is one of those to be killed, and in this network namespace."""
        try:
            text = Path(f"/proc/{pid}/stat").read_text()
            before, _, after = text.rpartition(")")  # proc(5): the name may hold anything
            program, parent = before.partition("(")[2], int(after.split()[1])
            if (program not in self._lasts or program == "nft" and parent == self._spares
                    or after.split()[0] == "Z"):
                return None
            here = os.stat("/proc/self/ns/net").st_ino
            return program if os.stat(f"/proc/{pid}/ns/net").st_ino == here else None
        except OSError:
            return None
