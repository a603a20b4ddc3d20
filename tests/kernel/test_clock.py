"""The clock is set, or the machine wakes from suspend: the watcher puts chains right at once.

The machine's clock stays as it is: what the watcher takes for the time is shifted, and a timer of
the kernel's, which the watcher takes for its own, is told as if the clock had been set.
"""

import ctypes
import errno
import mmap
import os
import re
import struct
import time
from pathlib import Path

import pytest

from pam_spice import watch
from pam_spice.clocksteps import ClockSteps
from pam_spice.desired import FIRST_SANE_SECOND, horizon
from pam_spice.firewall import nft
from tests.kernel import namespace as ns
from tests.kernel.namespace import GUARDED_PORT, USERS, V4, VIEWER_GID, Client
from tests.kernel.workstation import OFFICE, Workstation, always, office, start_watcher, window

ANNE = USERS["anne"]
REAL_TIME = time.time


class SetByHand(ClockSteps):
    """An eventfd(2) in the timer's place; what is read of a timer that was cancelled is an error,
    of this one a number: the test of the real one below holds that it's all the same."""

    def __init__(self) -> None:
        self._timer = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)


class Clock:
    """The watcher's; this process and it share the shift."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._shift = mmap.mmap(-1, 8)
        steps = SetByHand()
        self._told = steps.fileno()
        patch.setattr(watch, "ClockSteps", lambda: steps)
        patch.setattr(time, "time", lambda: REAL_TIME() + struct.unpack("d", self._shift)[0])

    def step(self, seconds: float, tell: bool = True) -> None:
        """Set it to so much later."""
        self._shift[:] = struct.pack("d", seconds)
        if tell:
            os.eventfd_write(self._told, 1)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def at_work(when: str) -> tuple[Workstation, Client]:
    """anne is logged in, with an idle connection to a console that is open at those times."""
    workstation = office()
    workstation.policy(OFFICE.replace("console: first}", f"console: first, when: {when}}}"))
    workstation.reconcile()
    workstation.log_in("3", "anne", hint=True)
    start_watcher()
    client = Client(ANNE, VIEWER_GID, V4, GUARDED_PORT)
    assert client.say() == "yes"
    time.sleep(0.5)  # its first round is over, and it sleeps
    return workstation, client


def is_cut(seconds: float = 1.0) -> bool:
    return ns.until(lambda: ns.established(GUARDED_PORT) == [], seconds)


def an_hour_from_now() -> str:
    return window(REAL_TIME() - 60, REAL_TIME() + 3600)


def test_a_machine_that_slept_over_a_window_s_end_cuts_idle_connections_within_a_second(
        clock: Clock) -> None:
    _, client = at_work(an_hour_from_now())
    clock.step(2 * 3600)
    assert is_cut()
    assert client.wait_for_end() == "ConnectionAbortedError"


def test_without_the_kernel_s_word_the_same_would_take_the_watcher_s_whole_sleep(
        clock: Clock) -> None:
    _, client = at_work(an_hour_from_now())
    clock.step(2 * 3600, tell=False)
    assert not is_cut(2)
    assert client.say() == "yes"


def test_a_step_within_the_window_cuts_nobody(clock: Clock) -> None:
    workstation, client = at_work(an_hour_from_now())
    clock.step(1800)
    assert always(lambda: workstation.chains() != {}, 1)
    assert client.say() == "yes"


def test_a_clock_that_was_set_before_2026_closes_all(clock: Clock) -> None:
    workstation, client = at_work('["Mon-Sun 00:00-24:00"]')
    clock.step(FIRST_SANE_SECOND - 86400 - REAL_TIME())
    assert ns.until(lambda: workstation.chains() == {}, 1.0)
    assert is_cut()
    assert client.wait_for_end() == "ConnectionAbortedError"


@pytest.mark.parametrize("days", [-10, 10])
def test_after_a_step_of_many_days_the_chain_holds_the_days_that_are_to_come(
        days: int, clock: Clock) -> None:
    workstation, _ = at_work('["Mon-Sun 00:00-11:00", "Mon-Sun 11:00:01-24:00"]')
    clock.step(days * 86400)

    def is_told() -> bool:
        observed = nft.observe()
        rules = (observed.chains.get(ANNE) or ()) if observed else ()
        start, end = horizon(int(REAL_TIME() + days * 86400))
        return bool(rules) and max(rule[4] for rule in rules) == end

    assert ns.until(is_told, 1.0)
    clock.step(0)
    assert ns.until(lambda: workstation.reaches("anne", GUARDED_PORT) == "yes", 1.0)


# The kernel's timer itself

def test_the_timer_is_one_that_the_kernel_cancels_when_the_clock_is_set_or_wakes() -> None:
    steps = ClockSteps()
    told = Path(f"/proc/self/fdinfo/{steps.fileno()}").read_text()
    assert re.search(r"^clockid: 0$", told, re.MULTILINE), "CLOCK_REALTIME"
    assert re.search(r"^settime flags: 03$", told, re.MULTILINE), "ABSTIME, CANCEL_ON_SET"
    assert not os.get_inheritable(steps.fileno())
    steps.read()  # nothing has come: it doesn't wait


def test_a_timer_that_was_cancelled_is_no_error_and_any_other_failure_is(
        monkeypatch: pytest.MonkeyPatch) -> None:
    steps = ClockSteps()
    for number, is_error in ((errno.ECANCELED, False), (errno.EIO, True)):
        def read(*_: int, number: int = number) -> bytes:
            raise OSError(number, os.strerror(number))
        with monkeypatch.context() as patch:
            patch.setattr(os, "read", read)
            if is_error:
                with pytest.raises(OSError, match=os.strerror(number)):
                    steps.read()
            else:
                steps.read()


def test_a_kernel_that_has_no_such_timer_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Libc:
        @staticmethod
        def timerfd_create(*_: int) -> int:
            ctypes.set_errno(errno.ENOSYS)
            return -1

    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: Libc)
    with pytest.raises(OSError, match="timerfd"):
        ClockSteps()
