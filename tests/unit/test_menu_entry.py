"""virt-viewer's entry in the menus: taken out, given back, and never a reason to fail."""

import configparser
from pathlib import Path

import pytest

from pam_spice import installing, menuentry


@pytest.fixture
def entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "share/applications/remote-viewer.desktop"
    monkeypatch.setattr(menuentry, "PATH", str(path))
    return path


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


def test_where_nothing_can_be_written_there_setup_goes_on(entry: Path) -> None:
    entry.parents[1].write_text("not a directory")
    menuentry.hide()
    menuentry.show()
    assert not menuentry.is_there()


def test_it_comes_with_what_binds_users_and_goes_with_it() -> None:
    path = menuentry.PATH
    assert any(path in step.describe for step in installing.piece_steps())
    assert any(path in step.describe for step in installing.uninstall_steps())
