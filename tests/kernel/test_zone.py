"""Each time that a command of the administrator's shows is by the policy's clock, and says so."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conf import zones
from pam_spice import paths, verbs
from pam_spice.cli import main
from pam_spice.doctor.selftest import Place, Selftest
from pam_spice.firewall import nft
from pam_spice.policy import current_policy
from pam_spice.refusals import Refusals
from pam_spice.told import Told, write_told
from pam_spice.verbs import status
from session.records import read_records
from tests.kernel import namespace as ns
from tests.kernel.namespace import OTHER_GID, V4, VIEWER_GID, Client
from tests.kernel.test_audit_records import DENY, Journal
from tests.kernel.workstation import OFFICE, Workstation, window

ANNE = ns.USERS["anne"]
POLICYS, OWN = "Asia/Kathmandu", "Asia/Kolkata"
"""Neither has another offset in any season, and no machine that is at work here is in one."""

OFFSETS = {POLICYS: (" +0545", "+05:45"), OWN: (" IST", "+05:30")}
HELD: list[Workstation] = []
"""Its logins end with a workstation that is forgotten."""

CLOCK = re.compile(r"[0-9]{2}:[0-9]{2}")


@pytest.fixture
def own_zone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The workstation's own zone."""
    link = tmp_path / "localtime"
    link.symlink_to(f"/usr/share/zoneinfo/{OWN}")
    monkeypatch.setattr(zones, "LOCALTIME", str(link))
    monkeypatch.setenv("TZ", OWN)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def abroad() -> Workstation:
    """An office of another zone, in which anne is at work until a window's end, and much has
    happened."""
    workstation = Workstation()
    HELD.append(workstation)
    ns.serve_here()
    there = Journal()
    hours = window(time.time() - 3600 + 20700, time.time() + 7200 + 20700)
    workstation.policy(OFFICE.replace("timezone: UTC", f"timezone: {POLICYS}").replace(
        "{user: anne, console: first}", f"{{user: anne, console: first, when: {hours}}}"))
    workstation.reconcile()
    began = str(time.time_ns() // 1000)
    workstation.log_in("3", "anne", hint=True, REALTIME=began)
    workstation.log_in("4", "ralph", SERVICE="sshd", REMOTE="1", SEAT="", TTY="pts/0",
                       REALTIME=began)
    there.kernel(DENY)
    write_told([Told("D611", "CA file /etc/pam-spice/kvm.pem does not exist here", False)])
    return workstation


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    main(list(arguments))
    return capsys.readouterr().out


def lines_with_times(text: str) -> list[str]:
    return [line for line in text.splitlines()
            if CLOCK.search(re.sub(r"fd77:\S+|20001-20010", "", line))]


def assert_by(zone: str, text: str, at_least: int = 1) -> None:
    """Of log a line's other times are by the clock that its first one names."""
    found = lines_with_times(text)
    assert len(found) >= at_least, text
    for line in found:
        assert any(word in line for word in OFFSETS[zone]), line
        for others in (*(words for name, words in OFFSETS.items() if name != zone),
                       (" UTC", "+00:00")):
            assert not any(word in line for word in others), line
        assert not re.search(r"[0-9]Z\b", line), line


def test_status_tells_logins_consoles_connections_refusals_and_the_doctor_s_look(
        own_zone: None, capsys: pytest.CaptureFixture[str]) -> None:
    abroad()
    client = Client(ANNE, VIEWER_GID, V4, ns.GUARDED_PORT)
    assert client.say() == "yes"
    shown = told(capsys, "status")
    assert "(pid " in shown
    assert_by(POLICYS, shown, 6)
    assert told(capsys, "revoke", "ralph", "--until", "+3d").endswith(" +0545\n")
    assert_by(POLICYS, told(capsys, "status"), 7)


def test_log_tells_when_each_thing_happened_and_until_when_it_counts(
        own_zone: None, capsys: pytest.CaptureFixture[str]) -> None:
    abroad()
    told(capsys, "revoke", "ralph", "--until", "+3d", "--reason", "exam")
    shown = told(capsys, "log")
    assert {"open", "deny", "revoke"} <= {line.split()[4] for line in shown.splitlines()}
    assert_by(POLICYS, shown, 4)


def test_the_selftest_tells_until_when_and_when_next(own_zone: None) -> None:
    abroad()
    test = Selftest("anne", ANNE, OTHER_GID, "login", current_policy(int(time.time())),
                    Place("", {}, ""))
    record = read_records()["3"]
    chains = nft.observe()
    assert chains is not None
    assert_by(POLICYS, next(test._consoles(record, chains.chains[ANNE] or ())).seen)


def test_a_plan_that_is_only_looked_at_tells_when_each_rule_counts(
        own_zone: None, capsys: pytest.CaptureFixture[str]) -> None:
    abroad()
    ns.nft(f"flush chain inet pam_spice user-{ANNE}")
    shown = told(capsys, "reconcile", "--dry-run")
    assert f"set chain user-{ANNE}" in shown
    assert_by(POLICYS, shown)


@pytest.mark.parametrize("command", [
    ["explain", "anne", "first"], ["windows", "anne", "--from", "today", "--to", "+3d"],
    ["grant", "ralph", "first", "--for", "2h", "--reason", "deputy"]])
def test_so_do_the_commands_that_ask_the_policy(
        command: list[str], own_zone: None, capsys: pytest.CaptureFixture[str]) -> None:
    abroad()
    assert_by(POLICYS, told(capsys, *command))


def test_where_no_policy_is_usable_it_is_the_workstation_s_own_clock(
        own_zone: None, capsys: pytest.CaptureFixture[str]) -> None:
    workstation = abroad()
    workstation.policy("grants: [")
    workstation.reconcile()
    assert_by(OWN, told(capsys, "status"), 4)
    assert_by(OWN, told(capsys, "log"), 3)
    assert told(capsys, "revoke", "ralph", "--until", "+3d").endswith(" IST\n")


def test_a_look_at_status_parses_no_policy_not_even_one_that_is_new(
        own_zone: None, capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch) -> None:
    """It is drawn anew every two seconds."""
    workstation = abroad()
    monkeypatch.setattr(verbs, "read_contents", lambda _: pytest.fail("it is parsed"))
    assert_by(POLICYS, told(capsys, "log"), 3)
    workstation.policy(Path(paths.POLICY).read_text() + "# new\n")
    assert status.Found.now(Refusals()).zone == POLICYS
