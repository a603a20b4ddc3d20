"""virt-viewer's entry in the menus: taken out, given back, and never a reason to fail."""

import configparser
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pam_spice import installing, menuentry


@pytest.fixture
def entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "share/applications/remote-viewer.desktop"
    monkeypatch.setattr(menuentry, "PATH", str(path))
    return path


@pytest.fixture
def patience() -> Iterator[None]:
    """Who waits two seconds fails."""
    def tired(*_: object) -> None:
        pytest.fail("waits for somebody")

    before = signal.signal(signal.SIGALRM, tired)
    signal.alarm(2)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def test_it_is_hidden_once_and_given_back(entry: Path) -> None:
    step = installing.menu_step()
    assert not step.is_done()
    step.execute()
    assert step.is_done()
    assert menuentry.is_ours()
    assert entry.stat().st_mode & 0o777 == 0o644
    read = configparser.ConfigParser(interpolation=None)
    read.read(entry)
    assert read.sections() == ["Desktop Entry"]
    assert read["Desktop Entry"].getboolean("Hidden")
    menuentry.show()
    assert not entry.exists()


def test_an_admin_s_own_entry_stays_as_it_is(entry: Path) -> None:
    entry.parent.mkdir(parents=True)
    entry.write_text("[Desktop Entry]\n")
    assert installing.menu_step().is_done()
    menuentry.hide()
    assert not menuentry.is_ours()
    menuentry.show()
    assert entry.read_text() == "[Desktop Entry]\n"


@pytest.mark.usefixtures("patience")
def test_what_others_who_may_write_there_have_laid_is_not_opened(
        entry: Path, tmp_path: Path) -> None:
    entry.parent.mkdir(parents=True)
    os.mkfifo(f"{entry}.{os.getpid()}.new")
    menuentry.hide()
    assert menuentry.is_ours()
    entry.unlink()
    os.mkfifo(entry)
    menuentry.hide()
    menuentry.show()
    assert entry.is_fifo()
    entry.unlink()
    entry.symlink_to("/dev/zero")
    menuentry.show()
    entry.unlink()
    entry.symlink_to(tmp_path / "elsewhere")
    menuentry.hide()
    assert not (tmp_path / "elsewhere").exists()


def test_an_entry_that_the_admin_writes_in_the_same_moment_stays(
        entry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry.parent.mkdir(parents=True)
    entry.write_text("[Desktop Entry]\n")
    monkeypatch.setattr(menuentry, "is_there", lambda: False)
    menuentry.hide()
    assert entry.read_text() == "[Desktop Entry]\n"


def test_where_nothing_can_be_written_there_setup_goes_on(entry: Path) -> None:
    entry.parents[1].write_text("not a directory")
    menuentry.hide()
    menuentry.show()
    assert not menuentry.is_there()


def test_it_comes_with_what_binds_users_and_goes_with_it() -> None:
    path = menuentry.PATH
    assert any(path in step.describe for step in installing.piece_steps())
    assert any(path in step.describe for step in installing.uninstall_steps())
