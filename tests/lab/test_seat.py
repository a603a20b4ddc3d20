"""The lab's own eyes and hands at the virtual terminals."""

import fcntl
import os
from pathlib import Path

import pytest

from lab import seat
from lab.door import wait_until

VT_DISALLOCATE = 0x5608  # linux/vt.h
UNUSED = 12  # not one of those that the lab's container has


@pytest.mark.usefixtures("lab")
def test_a_terminal_that_goes_away_while_it_is_looked_at_shows_nothing(
        monkeypatch: pytest.MonkeyPatch) -> None:
    with open(f"/dev/tty{UNUSED}", "w") as terminal:  # which allocates it
        terminal.write("login:")
    wait_until("the terminal is there", Path(f"/dev/vcsa{UNUSED}").exists, 5, 0.01)
    opened = os.open
    went_away = []

    def is_given_back(console: int) -> bool:
        try:
            fcntl.ioctl(console, VT_DISALLOCATE, UNUSED)
        except OSError:  # busy: the kernel has not closed it yet
            return False
        return True

    def open_then_disallocate(path: str, flags: int) -> int:
        device = opened(path, flags)
        console = opened("/dev/tty0", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            wait_until("the terminal is given back", lambda: is_given_back(console), 5, 0.01)
            went_away.append(path)
        finally:
            os.close(console)
        return device

    monkeypatch.setattr(os, "open", open_then_disallocate)
    assert seat.screen(UNUSED) == ""
    assert went_away == [f"/dev/vcsa{UNUSED}"]
