"""Which processes hold sockets, and since when they run. Not for logins: it looks through /proc.

The kernel keeps no age of a connection. What it does tell is the inode of a socket, by /proc/PID/fd
the processes that have it, and when those started: a connection is no older than the first of them,
unless one that has ended handed it on. Of a viewer that is the moment at which it was opened.
"""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from session.processes import start_ticks

_SOCKET = "socket:["
_SECONDS = 2.0
"""A file takes 9 us, and by dup(2) a user has half a million of them in each of his processes."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has a socket open."""

    pid: int
    program: str  # its name for the kernel, 15 bytes of the process's own choice
    since: int  # when it started, in seconds since the epoch


class NotInTime(Exception):
    """There are too many open files here to look at; ``found`` is what was found among some."""

    def __init__(self, found: dict[int, Holder]) -> None:
        super().__init__()
        self.found = found


def holders_of(inodes: set[int], seconds: float = _SECONDS) -> dict[int, Holder]:
    """The longest-running process that has each socket, by the socket's inode; what nobody has any
    more is left out. Raises NotInTime after so many seconds."""
    found: dict[int, Holder] = {}
    if not inodes:
        return found
    end = time.monotonic() + seconds
    boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    for pid in [int(name) for name in os.listdir("/proc") if name.isdigit()]:
        held: set[int] = set()
        for inode in _inodes(pid):
            if time.monotonic() > end:
                raise NotInTime(found)
            if inode is not None and inode in inodes:
                held.add(inode)
        if not held:
            continue
        with suppress(OSError):  # it has ended meanwhile
            ticks = start_ticks(pid)
            if ticks is None:
                continue
            with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
                program = file.read().removesuffix("\n")
            holder = Holder(pid, program, round(boot + ticks / os.sysconf("SC_CLK_TCK")))
            for inode in held:
                if inode not in found or (holder.since, pid) < (found[inode].since,
                                                                found[inode].pid):
                    found[inode] = holder
    return found


def _inodes(pid: int) -> Iterator[int | None]:
    """The inodes of a process's sockets, None for each other file: proc(5), /proc/PID/fd."""
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return
    for name in names:
        try:
            target = os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:  # closed meanwhile
            target = ""
        yield int(target[len(_SOCKET):-1]) if target.startswith(_SOCKET) else None
