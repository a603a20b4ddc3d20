"""What runs below sudo, by its arguments."""

import pytest

from conf.viewer import VIEWER, viewer_command
from launcher.consoles import Console
from launcher.spice_open import sudo_command
from launcher.viewing import SUDO, is_viewer

WEBDEV = Console("webdev", "mysrv", 20002, "/ca", True, None, None, ((0, 0),))
COMMAND = viewer_command("debianx", "mysrv", 20002, "/ca")


@pytest.mark.parametrize(("words", "is_it"), [
    ([VIEWER, *COMMAND[1:]], True),
    (["/usr/bin/python3", "-IS", *COMMAND], True),
    (sudo_command(WEBDEV), False),
    (sudo_command(WEBDEV, ("-A",)), False),
    (["/usr/bin/python3", "-I", "/usr/lib/pam-spice/askpass", "[sudo] password for maggie: "],
     False),
    (["/usr/bin/ssh-askpass", f"To open {VIEWER}"], False),
    ([""], False)])
def test_the_viewer_is_told_from_sudo_and_from_what_asks_for_the_password(
        words: list[str], is_it: bool) -> None:
    assert SUDO == "/usr/bin/sudo"
    assert is_viewer(words) is is_it
