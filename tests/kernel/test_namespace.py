"""The tests' own ground: what they do stays in their namespaces."""

import os
from pathlib import Path

from tests.kernel import namespace as ns


def test_the_network_has_a_loopback_and_no_rules() -> None:
    assert [line.split(":")[1].strip() for line in ns.ip("-o", "link").splitlines()] == ["lo"]
    assert ns.listing() == ""


def test_the_directories_of_pam_spice_are_empty_and_private() -> None:
    for directory in ("/etc/pam-spice", "/var/lib/pam-spice", "/run", "/etc/sudoers.d"):
        assert os.stat(directory).st_uid == 0
        assert [name for name in os.listdir(directory) if name != ".layers"] == []
    (Path("/etc/pam-spice") / "mine").touch()


def test_what_another_test_wrote_is_not_there() -> None:
    assert os.listdir("/etc/pam-spice") == []
