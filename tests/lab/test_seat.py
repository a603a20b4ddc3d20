"""The lab's own eyes and hands at the virtual terminals."""

import fcntl
import os

import pytest

from lab import seat

VT_DISALLOCATE = 0x5608  # linux/vt.h
UNUSED = 12  # not one of those that the lab's container has


@pytest.mark.usefixtures("lab")
def test_a_terminal_that_goes_away_while_it_is_looked_at_shows_nothing(
        monkeypatch: pytest.MonkeyPatch) -> None:
    with open(f"/dev/tty{UNUSED}", "w") as terminal:  # which allocates it
        terminal.write("login:")
    opened = os.open
    went_away = []

    def open_then_disallocate(path: str, flags: int) -> int:
        device = opened(path, flags)
        console = opened("/dev/tty0", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            fcntl.ioctl(console, VT_DISALLOCATE, UNUSED)
            went_away.append(path)
        finally:
            os.close(console)
        return device

    monkeypatch.setattr(os, "open", open_then_disallocate)
    assert seat.screen(UNUSED) == ""
    assert went_away == [f"/dev/vcsa{UNUSED}"]
