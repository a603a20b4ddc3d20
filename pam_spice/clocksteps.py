"""The kernel's word that the clock was set: timerfd_create(2), TFD_TIMER_CANCEL_ON_SET.

It comes too when the machine wakes from suspend, during which CLOCK_MONOTONIC, by which processes
sleep, stood still. Python has no timerfd before 3.13.
"""

import ctypes
import errno
import os

_TFD_TIMER_ABSTIME, _TFD_TIMER_CANCEL_ON_SET = 1, 2  # sys/timerfd.h
_NEVER = 2**31 - 1  # seconds since the epoch, for a time_t of 32 bits too


class _Itimerspec(ctypes.Structure):
    """timerfd_settime(2): interval and first expiration, each seconds and nanoseconds."""

    _fields_ = [(name, ctypes.c_long) for name in (
        "interval_s", "interval_ns", "value_s", "value_ns")]


class ClockSteps:
    """To ``poll``: readable when CLOCK_REALTIME was set to another time. Raises OSError."""

    def __init__(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        # Its flags are those of open(2).
        self._timer = int(libc.timerfd_create(0, os.O_CLOEXEC | os.O_NONBLOCK))
        when = _Itimerspec(0, 0, _NEVER, 0)
        if self._timer < 0 or libc.timerfd_settime(
                self._timer, _TFD_TIMER_ABSTIME | _TFD_TIMER_CANCEL_ON_SET, ctypes.byref(when),
                None) < 0:
            number = ctypes.get_errno()
            raise OSError(number, f"timerfd: {os.strerror(number)}")

    def fileno(self) -> int:
        return self._timer

    def read(self) -> None:
        """Take the word; the next step is told again."""
        try:
            os.read(self._timer, 8)
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno != errno.ECANCELED:
                raise
