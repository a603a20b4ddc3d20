"""The Debian package on one workstation, from its first installation to the purge.

The tests go on where the one before ended, so that they need no more than one boot.
"""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest

from lab import seat
from lab.desktop import Desktop
from lab.door import wait_until
from lab.errors import LabTimeout
from lab.lab import Lab
from lab.story import Stage
from tests.lab.conftest import LATER

VIEWER = "/usr/bin/remote-viewer"
MENU_ENTRY = "/usr/local/share/applications/remote-viewer.desktop"
CHARLIE, PASSWORD = 1040, "with-my-invoices"
CONSOLE, PORT = "bookkeeping", 20001  # the example policy's, and charlie's at any time
PACKAGES = "/srv/packages"
SUDOERS = "/etc/sudoers.d/pam-spice"
APT = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet", "--yes"]

# All that pam-spice changes outside of its own files; and /etc as a whole, but for the policy's
# directory and what every package's installation changes there.
STATE = rf"""
stat -c 'viewer %a %U %G' {VIEWER}
dpkg-statoverride --list {VIEWER}
ls /usr/local/share/applications
nft list ruleset
ls /etc/sudoers.d /usr/share/pam-configs
cd /etc && find . -xdev ! -path './pam-spice*' ! -path './systemd/system/*' ! -name 'ld.so.cache' \
    ! -name 'group-' ! -name 'gshadow-' -printf '%p %y %m %u %g %l\n' | sort
find . -xdev -type f ! -path './pam-spice*' ! -path './systemd/system/*' ! -name 'ld.so.cache' \
    ! -name 'group-' ! -name 'gshadow-' -print0 | sort -z | xargs -0 sha256sum
true
"""


@dataclass
class Office:
    """The workstation of a bookkeeper, as Debian installs it; `before` is its state then."""

    lab: Lab
    stage: Stage
    before: str = ""
    took: dict[str, float] = field(default_factory=dict)

    @property
    def state(self) -> str:
        return self.lab.workstation.shell(STATE).stdout

    def apt(self, *words: str) -> str:
        done = self.lab.workstation.run([*APT, *words], timeout=120)
        return done.stdout + done.stderr

    def version(self) -> str:
        """The installed package's; "" where there is none."""
        told = self.lab.workstation.run(
            ["dpkg-query", "--show", "--showformat", "${db:Status-Abbrev}${Version}", "pam-spice"],
            check=False).stdout
        return told.removeprefix("ii ") if told.startswith("ii ") else ""

    def what_is_not_in_force(self) -> list[str]:
        """Of all that a policy brings with it. Nobody types anything for it."""
        box = self.lab.workstation
        return [what for what, command in {
            "viewer": f'[ "$(stat -c "%a %U %G" {VIEWER})" = "750 root spicegrp" ]',
            "override": f"dpkg-statoverride --list {VIEWER} | grep -q '^root spicegrp 750 '",
            "PAM": "grep -q '^session.*/usr/lib/pam-spice/hook open' /etc/pam.d/common-session",
            "menus": f"grep -q Hidden=true {MENU_ENTRY}",
            "sudo": "sudo -n -l -U charlie | tr -d '\\n' "
                    "| grep -q 'title\\\\=bookkeeping .*tls-port\\\\=20001'",
            "guard": f"nft list table inet pam_spice | grep -q {PORT}",
            "watcher": "systemctl -q is-active pam-spice-watch.service",
            "at boot": "systemctl -q is-enabled pam-spice-guard.service",
        }.items() if box.shell(command, check=False).returncode]

    def as_guest(self) -> str:
        """What a connection to the console comes to, of somebody who has no grant."""
        return self.stage.connect(1030, PORT, group="guest")

    def console_ports(self) -> list[int]:
        """The viewer's ports, by QEMU's word: a connection that is made anew has another one."""
        return sorted(channel.port for channel in self.lab.server.channels(CONSOLE))

    def chain(self) -> str:
        """Charlie's, without what it has counted."""
        return re.sub(r"packets \d+ bytes \d+", "", self.stage.chain(CHARLIE))

    def modules(self) -> str:
        """All that lies in the prefix, byte code too, with its times."""
        return self.lab.workstation.shell(
            r"find /usr/lib/pam-spice -printf '%p %T@ %s\n' | sort").stdout


def untitled(drop_in: str) -> str:
    """sudo's rules as a version before the viewer's title would have left them: whole, by their
    own digest."""
    _, made, rules = drop_in.split("\n", 2)
    rules = re.sub(r" --title\\=\S+", "", rules)
    return f"# pam-spice {'0' * 64} {sha256(rules.encode()).hexdigest()}\n{made}\n{rules}"


@pytest.fixture(scope="module")
def office(lab: Lab, stage: Stage, packages: Path) -> Iterator[Office]:
    lab.renew(install=False)
    lab.server.start_console(CONSOLE)
    box = lab.workstation
    box.shell(f"useradd --create-home --uid {CHARLIE} --user-group --shell /bin/bash charlie; "
              "echo 192.168.2.2 mysrv.example >>/etc/hosts")
    box.run(["chpasswd"], stdin=f"charlie:{PASSWORD}\n")
    # The lab's root file system leaves documentation out; the example policy is there.
    box.write_file("/etc/dpkg/dpkg.cfg.d/zz-docs", "path-include=/usr/share/doc/pam-spice/*\n")
    # There is no network to a mirror.
    box.copy_in(packages, PACKAGES)
    box.write_file("/etc/apt/sources.list", f"deb [trusted=yes] file:{PACKAGES} ./\n")
    found = Office(lab, stage)
    found.before = found.state
    yield found
    lab.server.stop_console(CONSOLE)


def test_over_an_installation_from_a_checkout_it_is_not_installed(office: Office) -> None:
    box = office.lab.workstation
    box.write_file("/usr/lib/pam-spice/hook", "")
    done = box.run([*APT, "install", f"{PACKAGES}/pam-spice.deb"], check=False)
    box.run(["rm", "-r", "/usr/lib/pam-spice"])
    assert done.returncode != 0
    assert "pam-spice is set up here from a checkout: run pam-spice uninstall first" in done.stderr
    assert not office.version()


def test_installed_it_enforces_nothing_before_there_is_a_policy(office: Office) -> None:
    began = time.monotonic()
    office.apt("install", f"{PACKAGES}/pam-spice.deb")
    office.took["apt install ./pam-spice_*.deb"] = time.monotonic() - began
    assert office.version()
    assert office.state == office.before
    assert office.as_guest() == "connected"
    box = office.lab.workstation
    assert box.run(["systemctl", "--failed", "--no-legend"]).stdout == ""
    # Nor after a while: what runs each minute binds nobody either.
    box.run(["pam-spice", "reconcile"])
    assert office.state == office.before


def test_all_modules_are_compiled_at_installation(office: Office) -> None:
    paths = {line.split()[0] for line in office.modules().splitlines()}
    modules = {path for path in paths if path.endswith(".py")}
    assert len(modules) > 100
    assert {re.sub(r"__pycache__/(\w+)\.cpython-\d+\.pyc$", r"\1.py", path)
            for path in paths if path.endswith(".pyc")} == modules


def test_the_example_policy_copied_puts_everything_in_force(office: Office) -> None:
    assert "PAM" in office.what_is_not_in_force()
    began = time.monotonic()
    office.lab.workstation.shell("cp /usr/share/doc/pam-spice/examples/policy.yaml /etc/pam-spice/")
    try:
        wait_until("all is in force", lambda: not office.what_is_not_in_force(), 15)
    except LabTimeout:
        assert office.what_is_not_in_force() == []
        raise
    office.took["until the policy is in force"] = time.monotonic() - began
    assert office.as_guest() == "ConnectionRefusedError"


def test_charlie_logs_in_and_sees_his_console(
        office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    modules = office.modules()
    began = time.monotonic()
    seat.login(1, "charlie", PASSWORD)
    office.took["login at the workstation's screen"] = time.monotonic() - began
    desktop = Desktop(office.lab.workstation, "charlie", display=10, tty=1)
    desktop.start()
    began = time.monotonic()
    desktop.start_in_front("spice-open", password=PASSWORD)
    desktop.answer_viewer_password(office.lab.server.consoles[CONSOLE].password)
    channels = office.lab.server.wait_for_channels(CONSOLE, 4)
    office.took["spice-open, both passwords, four channels"] = time.monotonic() - began
    assert {"main", "display", "inputs", "cursor"} <= {channel.kind for channel in channels}
    assert all(channel.tls for channel in channels)
    desktop.wait_for_window(CONSOLE)
    # Neither login nor command compiled anything, or left byte code.
    assert office.modules() == modules
    with capsys.disabled():
        print("\nfrom a fresh Debian to the console:")
        for what, seconds in office.took.items():
            print(f"  {seconds:5.1f} s  {what}")
        print(f"  {sum(office.took.values()):5.1f} s  QEMU says: "
              + ", ".join(sorted(channel.kind for channel in channels)))


def test_an_upgrade_leaves_the_open_console_open_and_starts_the_new_watcher(
        office: Office) -> None:
    box = office.lab.workstation
    watcher = ["systemctl", "show", "--value", "-p", "MainPID", "pam-spice-watch.service"]
    before = office.console_ports(), office.chain(), box.run(watcher).stdout
    assert len(before[0]) >= 4
    # Who comes from a version without them finds menus and the viewer's title as they are now.
    # The doctor's timer comes half a minute after the boot, which may be just now.
    units = " ".join(f"pam-spice-{name}.{kind}" for name in ("doctor", "reconcile")
                     for kind in ("path", "timer"))
    services = "pam-spice-doctor.service pam-spice-reconcile.service"
    box.shell(f"systemctl stop {units} && systemctl stop {services} && rm {MENU_ENTRY}")
    box.write_file(SUDOERS, untitled(box.read_file(SUDOERS)), mode=0o440)
    assert office.what_is_not_in_force() == ["menus", "sudo"]
    office.apt("install", f"{PACKAGES}/pam-spice-later.deb")
    assert office.version() == LATER
    box.run(["pam-spice", "reconcile"])
    assert office.chain() == before[1] != ""
    assert office.console_ports() == before[0]
    assert box.run(watcher).stdout not in (before[2], "0\n")
    assert office.what_is_not_in_force() == []


def test_the_viewers_own_reinstallation_gives_it_to_nobody_at_any_moment(office: Office) -> None:
    box = office.lab.workstation
    ports = office.console_ports()
    looking = box.popen(["/bin/bash", "-c", f"while :; do stat -c '%a %U %G' {VIEWER}; done"])
    inode = box.run(["stat", "-c", "%i", VIEWER]).stdout
    try:
        office.apt("update")
        office.apt("install", "--reinstall", "virt-viewer")
    finally:
        looking.kill()
    seen = set(looking.communicate()[0].splitlines()[:-1])
    assert box.run(["stat", "-c", "%i", VIEWER]).stdout != inode  # it is another file
    assert seen == {"750 root spicegrp"}
    assert office.what_is_not_in_force() == []
    box.run(["pam-spice", "reconcile"])
    assert office.console_ports() == ports


def test_removed_it_gives_all_back_and_leaves_the_policy(office: Office) -> None:
    box = office.lab.workstation
    ports = office.console_ports()
    assert len(ports) >= 4
    assert ("pam-spice: consoles are no longer guarded; the policy in /etc/pam-spice stays until a "
            "purge\n" in office.apt("remove", "pam-spice"))
    assert office.state == office.before
    # spice-open looks every five seconds, and gives the viewer ten more.
    time.sleep(17)
    assert office.console_ports() == ports, "nobody closes what is open"
    assert office.as_guest() == "connected"
    left = box.shell("ls -d /usr/lib/pam-spice /var/lib/pam-spice /run/pam-spice "
                     "/usr/sbin/pam-spice /usr/bin/spice-open 2>/dev/null; "
                     "systemctl list-units --no-legend --plain 'pam-spice*'", check=False).stdout
    assert left == ""
    box.run(["test", "-e", "/etc/pam-spice/policy.yaml"])


def test_installed_again_it_puts_the_policy_in_force_before_apt_ends(office: Office) -> None:
    office.apt("install", f"{PACKAGES}/pam-spice.deb")
    assert office.what_is_not_in_force() == []
    assert office.as_guest() == "ConnectionRefusedError"


def test_purged_it_leaves_nothing(office: Office) -> None:
    office.apt("purge", "pam-spice")
    assert office.state == office.before
    found = office.lab.workstation.shell(
        rf"find / /run -xdev \( -path {PACKAGES} -o -path /proc -o -path /sys \) -prune -o "
        r"\( -name '*pam-spice*' -o -name '*pam_spice*' -o -name 'spice-open*' \) -print").stdout
    assert found == ""
