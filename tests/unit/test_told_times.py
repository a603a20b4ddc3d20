"""In which zone a person is told times: tests/kernel/test_zone.py asks the commands themselves."""

import os
import time
from pathlib import Path

import pytest

from conf import lookup, zones
from conf.lookup import CompiledPolicy
from conf.zones import told, zone_to_tell_in
from pam_spice import paths, verbs
from tests.unit.support import NOON, SERVER, compile_text

OWN = "Asia/Kolkata"
POLICY = f"timezone: Asia/Kathmandu\n{SERVER}consoles: {{}}\n"


@pytest.fixture(autouse=True)
def own_zone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The link that says what the workstation's own zone is."""
    link = tmp_path / "localtime"
    link.symlink_to(f"/usr/share/zoneinfo/{OWN}")
    monkeypatch.setattr(zones, "LOCALTIME", str(link))
    return link


@pytest.fixture
def workstation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where its policy lies and is compiled."""
    monkeypatch.setattr(paths, "POLICY", str(tmp_path / "policy.yaml"))
    monkeypatch.setattr(paths, "COMPILED", str(tmp_path / "policy.compiled"))
    monkeypatch.setattr(lookup, "CompiledPolicy",
                        lambda path: CompiledPolicy(path, os.getuid()))
    return tmp_path


def compiled(workstation: Path, text: str) -> CompiledPolicy:
    return compile_text(workstation, text, int(time.time()))


@pytest.mark.parametrize(("zone", "words"), [
    ("Europe/Berlin", "Mon 2026-11-23 13:00:00 CET"), ("UTC", "Mon 2026-11-23 12:00:00 UTC"),
    ("Asia/Kathmandu", "Mon 2026-11-23 17:45:00 +0545"),
    ("America/New_York", "Mon 2026-11-23 07:00:00 EST")])
def test_a_time_is_told_with_the_zone_by_whose_clock_it_is(zone: str, words: str) -> None:
    assert told(NOON, zone) == words


@pytest.mark.parametrize("policys", [None, "Nowhere/Lost", "../etc"])
def test_without_a_usable_zone_of_the_policy_s_it_is_the_workstation_s_own(
        policys: str | None) -> None:
    assert zone_to_tell_in(policys) == OWN


def test_a_workstation_without_a_zone_has_utc(own_zone: Path) -> None:
    own_zone.unlink()
    assert zone_to_tell_in(None) == "UTC"
    own_zone.symlink_to("/usr/share/zoneinfo/Nowhere/Lost")
    assert zone_to_tell_in(None) == "UTC"
    assert zone_to_tell_in("Asia/Kathmandu") == "Asia/Kathmandu"


def test_the_zone_of_a_policy_that_is_compiled_costs_no_parsing(
        workstation: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert compiled(workstation, POLICY).timezone == "Asia/Kathmandu"
    monkeypatch.setattr(verbs, "read_contents", lambda _: pytest.fail("it is parsed"))
    assert verbs.zone_of_policy() == "Asia/Kathmandu"


def test_of_a_policy_that_was_edited_since_the_zone_is_the_new_one(
        workstation: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled(workstation, POLICY)
    new = POLICY.replace("Asia/Kathmandu", "Europe/Berlin")
    (workstation / "policy.yaml").write_text(new)
    monkeypatch.setattr(verbs, "read_contents", lambda _: [(paths.POLICY, new.encode())])
    assert verbs.zone_of_policy() == "Europe/Berlin"


@pytest.mark.parametrize("is_compiled", [True, False])
def test_of_an_unusable_policy_it_is_the_workstation_s_own(
        workstation: Path, is_compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if is_compiled:
        assert compiled(workstation, "grants: [").timezone is None
    monkeypatch.setattr(verbs, "read_contents", lambda _: [(paths.POLICY, b"grants: [")])
    assert verbs.zone_of_policy() == OWN
