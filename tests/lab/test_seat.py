"""The lab's own eyes and hands."""

import fcntl
import os
from pathlib import Path

import pytest

from lab import seat
from lab.door import wait_until
from lab.lab import Lab

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


def test_a_file_that_is_a_users_lies_in_directories_of_his(lab: Lab) -> None:
    """He could make no other file there: without a place for its settings no Xfce starts."""
    box = lab.workstation
    box.write_file("/home/guest/new/below/file", "", owner="guest:guest")
    owners = box.shell("cd /home/guest; stat -c %U:%G . new new/below new/below/file; rm -r new")
    assert set(owners.stdout.split()) == {"guest:guest"}
    box.write_file("/srv/new/file", "", owner="guest:guest", mode=0o600)
    assert box.shell("stat -c '%U %a' /srv /srv/new/file; rm -r /srv/new").stdout.split() == [
        "root", "755", "guest", "600"]
