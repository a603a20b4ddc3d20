"""`pam-spice setup` and `uninstall` on the lab's workstation."""

from collections.abc import Iterator

import pytest

from lab.lab import Lab
from lab.rootfs import rootfs
from lab.story import Stage

VIEWER = "usr/bin/remote-viewer"
MENU_ENTRY = "/usr/local/share/applications/remote-viewer.desktop"


@pytest.fixture
def installed(lab: Lab, stage: Stage) -> Iterator[Lab]:
    stage.reset()
    yield lab
    lab.install()


def test_setup_again_finds_nothing_to_write(installed: Lab) -> None:
    planned = installed.workstation.run(["pam-spice", "setup", "--dry-run"]).stdout
    assert planned.splitlines() == ["would put firewall and sudo as the policy says"]


def test_setup_puts_back_what_an_update_took_away(installed: Lab) -> None:
    box = installed.workstation
    box.shell("chmod 755 /usr/bin/remote-viewer; rm /etc/sudoers.d/pam-spice /usr/bin/spice-open; "
              f"systemctl stop pam-spice-watch; rm {MENU_ENTRY}")
    box.run(["pam-spice", "setup"])
    assert box.run(["stat", "-c", "%a %U %G", f"/{VIEWER}"]).stdout == "750 root spicegrp\n"
    box.run(["test", "-x", "/usr/bin/spice-open"])
    box.run(["test", "-e", MENU_ENTRY])
    box.run(["visudo", "-cf", "/etc/sudoers.d/pam-spice"])
    box.run(["systemctl", "is-active", "pam-spice-watch"])


def test_a_reinstalled_viewer_keeps_its_permissions(installed: Lab) -> None:
    override = installed.workstation.run(["dpkg-statoverride", "--list", f"/{VIEWER}"]).stdout
    assert override == f"root spicegrp 750 /{VIEWER}\n"


def test_uninstall_dry_run_changes_nothing(installed: Lab) -> None:
    box = installed.workstation
    planned = box.run(["pam-spice", "uninstall", "--dry-run"]).stdout
    assert "would take the guard out of the kernel" in planned
    box.run(["nft", "list", "table", "inet", "pam_spice"])
    box.run(["pam-spice", "status"])


def test_uninstall_gives_pam_sudo_viewer_and_firewall_back(installed: Lab) -> None:
    box = installed.workstation
    box.run(["pam-spice", "uninstall"])
    pristine = rootfs()
    session = (pristine / "etc/pam.d/common-session").read_text()
    assert box.read_file("/etc/pam.d/common-session") == session
    assert box.run(["stat", "-c", "%a %U %G", f"/{VIEWER}"]).stdout == "755 root root\n"
    assert box.run(["nft", "list", "ruleset"]).stdout == ""
    assert box.run(["ls", "/etc/sudoers.d"]).stdout == "README\n"
    assert box.run(["getent", "group", "spicegrp"], check=False).returncode == 2
    left = box.shell("ls -d /usr/lib/pam-spice /var/lib/pam-spice /run/pam-spice "
                     f"/usr/sbin/pam-spice /usr/bin/spice-open {MENU_ENTRY} 2>/dev/null; "
                     "systemctl list-unit-files --no-legend 'pam-spice*'", check=False).stdout
    assert left == ""
    box.run(["test", "-e", "/etc/pam-spice/policy.yaml"])


def test_setup_waits_for_a_doctor_at_work(lab: Lab) -> None:
    box = lab.workstation
    doctor = box.popen(["/usr/bin/python3", "-IBc", """
import sys
sys.path.insert(0, "/usr/lib/pam-spice")
from pam_spice.verbs import mend_lock
with mend_lock():
    print("at work", flush=True)
    sys.stdin.readline()
"""])
    assert doctor.stdout is not None
    assert doctor.stdout.readline() == "at work\n"
    try:
        waited = box.run(["timeout", "1", "pam-spice", "setup"], check=False)
    finally:
        doctor.communicate("\n")
    assert waited.returncode == 124, waited.stdout
    box.run(["pam-spice", "setup"])
