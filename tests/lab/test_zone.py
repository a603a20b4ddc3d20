"""The workstation's own zone is changed, and its units know when clock or zone change."""

import re
import time
from collections.abc import Iterator

import pytest

from lab.door import wait_until
from lab.story import Stage
from lab.story.stage import MYSELF, policy
from tests.lab.walls_page import Rows

COMPILED = "/var/lib/pam-spice/policy.compiled"
TIMER, WATCH = "pam-spice-reconcile.timer", "pam-spice-watch.service"


@pytest.fixture
def abroad(stage: Stage) -> Iterator[Stage]:
    """The workstation is in Berlin, and its policy names no zone; anywhere at the end."""
    stage.reset()
    box = stage.lab.workstation
    before = box.run(["timedatectl", "show", "-p", "Timezone", "--value"]).stdout.strip()
    box.run(["timedatectl", "set-timezone", "Europe/Berlin"])
    yield stage
    box.run(["timedatectl", "set-timezone", before])
    stage.reset()


def zone_of(stage: Stage) -> str:
    """The first zone of the compiled policy is the policy's own."""
    header = stage.lab.workstation.read_file(COMPILED).partition("\ncheck ")[0]
    return next(line.split()[1] for line in header.splitlines() if line.startswith("zone "))


def chain(stage: Stage) -> str:
    """The chain of `myself`, its times in UTC: nft prints them in its own zone."""
    return stage.lab.workstation.run(
        ["nft", "-s", "list", "chain", "inet", "pam_spice", f"user-{MYSELF}"],
        env={"TZ": "UTC"}, check=False).stdout


def test_a_policy_without_a_zone_follows_the_workstation_s_within_a_second(
        abroad: Stage, rows: Rows) -> None:
    box = abroad.lab.workstation
    abroad.set_policy(policy(myself="06:00-18:00").replace("timezone: UTC\n", ""))
    wait_until("it is compiled for Berlin", lambda: zone_of(abroad) == "Europe/Berlin", 5)
    abroad.lab.login("myself")
    of_berlin = chain(abroad)
    assert "meta time" in of_berlin
    box.run(["timedatectl", "set-timezone", "Asia/Kathmandu"])
    began = time.monotonic()
    wait_until("it is compiled for Kathmandu", lambda: zone_of(abroad) == "Asia/Kathmandu", 1,
               0.01)
    rows.zone_set = time.monotonic() - began
    assert chain(abroad) == of_berlin, "a session keeps what it was opened with"
    planned = box.run(["pam-spice", "reconcile", "--dry-run"]).stdout
    assert planned == "", "there is nothing to do"
    abroad.lab.logout()
    wait_until("the logout closes", lambda: not abroad.chains(), 3)
    abroad.lab.login("myself")
    assert "meta time" in chain(abroad)
    assert chain(abroad) != of_berlin, "its day begins at another instant"


def test_the_units_are_told_when_clock_or_zone_change(stage: Stage) -> None:
    box = stage.lab.workstation
    told = box.run(["systemctl", "show", TIMER, "-p", "OnClockChange", "-p", "OnTimezoneChange",
                    "-p", "ActiveState", "-p", "Unit"]).stdout.split()
    assert sorted(told) == ["ActiveState=active", "OnClockChange=yes", "OnTimezoneChange=yes",
                            "Unit=pam-spice-reconcile.service"]
    box.run(["systemctl", "restart", WATCH])  # whatever became of it in tests before
    script = f"cat /proc/$(systemctl show -P MainPID {WATCH})/fdinfo/*"
    # Of CLOCK_REALTIME, and cancelled when that is set.
    wait_until("the watcher has its timer", lambda: re.findall(
        r"^clockid: (\d+)\n.*\nsettime flags: (\d+)$", box.shell(script, check=False).stdout,
        re.MULTILINE) == [("0", "03")], 10)
