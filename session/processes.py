"""Processes by identity: a pid alone may name another process a moment later."""

import os
import time


def start_ticks(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None where there is none, or only a
    zombie: proc(5), /proc/PID/stat, fields 3 and 22.

    Raises OSError where nobody can tell: that is not the end of anybody's session.
    """
    if pid <= 0:
        return None
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, ProcessLookupError):
        return None
    try:
        text = os.read(descriptor, 4096)
    except ProcessLookupError:  # ended meanwhile
        return None
    finally:
        os.close(descriptor)
    # Field 2, the name in parentheses, may itself hold spaces and parentheses.
    fields = text[text.rfind(b")") + 2:].split()
    if fields[0] in (b"Z", b"X"):
        return None
    return int(fields[19])


def started_before(pid: int, monotonic_usec: int) -> bool:
    """Whether the process lives and already lived at an instant of CLOCK_MONOTONIC.

    Field 22 counts from boot with the time of suspends, CLOCK_MONOTONIC without it; comparing
    ages on both clocks errs, after a suspend, on the side of "yes". Raises OSError.
    """
    ticks = start_ticks(pid)
    if ticks is None:
        return False
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    session_age = time.clock_gettime(time.CLOCK_MONOTONIC) - monotonic_usec / 1e6
    return age + 0.05 >= session_age  # a tick is 10 ms
