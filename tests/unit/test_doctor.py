"""What the doctor says of clock, kernel and certificates, and in its JSON; the rest is made on the
lab's workstation."""

import argparse
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

import pytest

from conf import compiling
from conf.lint.endpoints import CaSpans
from conf.model import Policy
from pam_spice import (
    doctor,
    installing,
    journal,
    landlock,
    menuentry,
    pamstack,
    paths,
    sockets,
    takingin,
)
from pam_spice.desired import FIRST_SANE_SECOND
from pam_spice.doctor import machine, mend, pam, policy, units
from pam_spice.doctor.findings import Code, Finding, Piece
from pam_spice.run import Completed
from pam_spice.verbs import doctor as verb
from pam_spice.verbs import status as status_verb
from tests.unit.support import NOON, policy_of

DAY = 86400
SERVER = """\
servers:
  mysrv: {host: mysrv, addresses: [192.168.2.2], guarded_ports: [20001], ca_file: /ca.pem}
consoles:
  webdev: {server: mysrv, tls_port: 20001}
grants: []
"""


def codes(findings: Iterable[Finding]) -> list[Code]:
    return [finding.code for finding in findings]


def test_a_clock_that_has_lost_its_battery_is_found() -> None:
    assert codes(machine.clock_findings(FIRST_SANE_SECOND - 1)) == [Code.CLOCK_WRONG]


def test_a_clock_is_set_by_what_is_said_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """timedatectl set-time alone sets nothing, and set-ntp needs somebody who speaks NTP."""
    monkeypatch.setattr(machine, "run", lambda *_, **__: Completed(0, b"no\n", ""))
    wrong, = machine.clock_findings(FIRST_SANE_SECOND - 1)
    alone, = machine.clock_findings(NOON)
    assert wrong.remedy == ("timedatectl set-ntp true, or timedatectl set-time "
                            "'YYYY-MM-DD HH:MM:SS'")
    assert alone.remedy == ("timedatectl set-ntp true; where it says that NTP is not supported, "
                            "before it: apt install systemd-timesyncd")


def test_of_a_lost_zone_both_packages_are_named_that_may_have_it(
        monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian 13 has zones by their old names in a package of its own."""
    monkeypatch.setattr(machine, "local_zone_name", lambda: "UTC")
    found, = machine.zone_findings(None, ["US/Nowhere"])
    assert found.code == Code.ZONE_MISSING
    assert found.remedy == "apt install --reinstall tzdata; an old name: apt install tzdata-legacy"


UNIT = {"LoadState": "loaded", "UnitFileState": "enabled", "ActiveState": "active",
        "FragmentPath": "/usr/lib/systemd/system/pam-spice-watch.service", "DropInPaths": "",
        "ConditionResult": "yes"}
WATCH = "pam-spice-watch.service"


@pytest.mark.parametrize(("state", "command"), [
    ("masked", "systemctl unmask"), ("masked-runtime", "systemctl unmask --runtime")])
def test_a_mask_is_taken_off_where_it_is(state: str, command: str) -> None:
    found, = units._unit(WATCH, UNIT | {"LoadState": "masked", "UnitFileState": state})
    assert found.code == Code.UNIT_MASKED
    assert found.remedy == f"{command} {WATCH}; pam-spice doctor --fix"


def test_a_unit_that_is_missing_comes_from_the_package_s_file() -> None:
    """No archive has pam-spice, from which apt could take it anew by its name."""
    found, = units._unit(WATCH, UNIT | {"LoadState": "not-found"})
    assert found.code == Code.UNIT_MISSING
    assert "apt install --reinstall ./pam-spice_*_all.deb" in found.remedy


@pytest.mark.parametrize("directory", ["/etc/systemd/system", "/run/systemd/system"])
def test_what_is_the_unit_s_own_change_is_reverted_and_what_runs_is_restarted(
        directory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "_changes_it", lambda _: True)
    path = f"{directory}/{WATCH}.d/a.conf"
    found, = units._unit(WATCH, UNIT | {"DropInPaths": path})
    assert found.code == Code.UNIT_OVERRIDDEN
    assert found.remedy == (f"look at it: systemctl cat {WATCH}; back to ours: systemctl revert "
                            f"{WATCH}; systemctl try-restart {WATCH}")


def test_of_the_guard_nothing_runs_that_could_be_restarted(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "_changes_it", lambda _: True)
    name = "pam-spice-guard.service"
    found, = units._unit(name, UNIT | {"DropInPaths": f"/etc/systemd/system/{name}.d/a.conf"})
    assert found.remedy.endswith(f"back to ours: systemctl revert {name}")


@pytest.mark.parametrize("directory", ["/etc/systemd/system/service.d",
                                       "/etc/systemd/system/pam-.service.d",
                                       f"/usr/lib/systemd/system/{WATCH}.d"])
def test_a_change_that_revert_leaves_is_to_be_taken_out_by_hand(
        directory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """tests/kernel/test_remedies.py asks systemctl itself."""
    monkeypatch.setattr(units, "_changes_it", lambda _: True)
    found, = units._unit(WATCH, UNIT | {"DropInPaths": f"{directory}/a.conf"})
    assert found.remedy == (f"look at it: systemctl cat {WATCH}; back to ours: take it out of "
                            f"{directory}/a.conf; systemctl daemon-reload; systemctl try-restart "
                            f"{WATCH}")


def test_a_kernel_without_landlock_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "is_there", lambda: False)
    monkeypatch.setattr(sockets, "can_destroy", lambda: True)
    assert codes(machine.kernel_findings()) == [Code.NO_LANDLOCK]


@pytest.mark.parametrize("answer", [False, OSError(2, "No such file or directory")])
def test_a_kernel_that_ends_no_connections_is_found(monkeypatch: pytest.MonkeyPatch,
                                                    answer: bool | OSError) -> None:
    def can_destroy() -> bool:
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr(landlock, "is_there", lambda: True)
    monkeypatch.setattr(sockets, "can_destroy", can_destroy)
    assert codes(machine.kernel_findings()) == [Code.NO_CUT]


@pytest.mark.parametrize(("days", "code"), [(0, Code.CA_UNUSABLE), (-1, Code.CA_UNUSABLE),
                                            (1, Code.CA_EXPIRES_SOON),
                                            (30, Code.CA_EXPIRES_SOON), (31, None)])
def test_a_certificate_is_told_of_a_month_before_it_expires(
        monkeypatch: pytest.MonkeyPatch, days: int, code: Code | None) -> None:
    spans: CaSpans = ((NOON - 100 * DAY, NOON + days * DAY),)
    monkeypatch.setattr(policy, "read_ca", lambda _: spans)
    monkeypatch.setattr(policy, "resolve", lambda *_: {"mysrv": frozenset({"192.168.2.2"})})
    found: Policy = policy_of(SERVER)
    assert codes(policy.server_findings(found, NOON)) == ([code] if code else [])


def test_notes_alone_are_fine_and_findings_are_not(monkeypatch: pytest.MonkeyPatch,
                                                   capsys: pytest.CaptureFixture[str]) -> None:
    note = Finding(Code.CLOCK_ALONE, "nothing keeps the clock", "timedatectl")
    bad = Finding(Code.VIEWER_OPEN, "its mode is 0755", "pam-spice doctor --fix", Piece.VIEWER)
    for found, status in (([note], 0), ([note, bad], 1), ([], 0)):
        assert run(monkeypatch, found, is_json=True) == status
        told = json.loads(capsys.readouterr().out)
        assert told["ok"] == (status == 0)
        assert [each["code"] for each in told["findings"]] == sorted(codes(found))
        assert [each["mendable"] for each in told["findings"]] == [
            each.piece is not None for each in sorted(found, key=lambda each: each.code)]


def test_a_person_reads_notes_apart_and_a_count_of_the_others(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    note = Finding(Code.CLOCK_ALONE, "nothing keeps the clock", "timedatectl")
    bad = Finding(Code.VIEWER_OPEN, "its mode is 0755", "pam-spice doctor --fix", Piece.VIEWER)
    assert run(monkeypatch, [note, bad, bad]) == 1
    assert capsys.readouterr().out == (
        "D102 viewer-open: its mode is 0755\n    pam-spice doctor --fix\n"
        "note D702 clock-alone: nothing keeps the clock\n    timedatectl\n"
        "1 finding; /usr/lib/pam-spice/docs/doctor.md explains each code\n")


def test_before_there_is_a_policy_there_is_nothing_to_find(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(verb, "is_in_force", lambda: False)
    monkeypatch.setattr(verb, "need_root", lambda: None)
    arguments = verb_arguments(is_json=False)
    assert verb.run(arguments) == 0
    assert capsys.readouterr().out.startswith("nothing is enforced yet")


@pytest.mark.parametrize(("taken_in_after", "waits"), [(0, 0), (3, 3), (1000, 100)])
def test_a_policy_just_saved_is_taken_in_before_it_looks(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str],
        taken_in_after: int, waits: int) -> None:
    policy, told = tmp_path / "policy.yaml", tmp_path / "told"
    told.touch()  # of an earlier look
    clock = [0.0]

    class Compiled:
        def __init__(self, _path: str) -> None:
            pass

        def is_current(self, _now: int) -> bool:
            return True

    def sleep(seconds: float) -> None:
        clock.append(clock[-1] + seconds)
        if len(clock) > taken_in_after:
            told.touch()

    monkeypatch.setattr(paths, "POLICY", str(policy))
    monkeypatch.setattr(paths, "DOCTOR_TOLD", str(told))
    monkeypatch.setattr(takingin, "CompiledPolicy", Compiled)
    monkeypatch.setattr(takingin, "_SYSTEMD", str(tmp_path))
    time.sleep(0.02)  # the kernel gives files the time of its last tick
    policy.touch()
    if not taken_in_after:
        told.touch()
    saved = policy.stat().st_ctime
    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(time, "time", lambda: saved + clock[-1])
    assert run(monkeypatch, []) == 0
    assert len(clock) - 1 == pytest.approx(waits, abs=1)
    said = capsys.readouterr()
    assert said.err == ("the policy was saved just now: waiting until it is taken in\n"
                        if waits else "")
    assert said.out == "fine\n"


@pytest.mark.parametrize(("changes", "rounds"), [([False], 1), ([True, False], 2),
                                                 ([True, True, True], 3)])
def test_what_changes_while_it_mends_is_looked_at_again_three_times_at_most(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changes: list[bool],
        rounds: int) -> None:
    looks = iter([look for change in changes for look in ([], ["changed"] if change else [])])
    tried: list[set[str]] = []

    def one_round(before: set[str]) -> list[verb.Mended]:
        tried.append(before)
        return [("viewer", None)]

    monkeypatch.setattr(verb, "fingerprint", lambda: next(looks))
    monkeypatch.setattr(verb, "_round", one_round)
    monkeypatch.setattr(paths, "MEND_LOCK", str(tmp_path / "lock"))
    monkeypatch.setattr(paths, "DOCTOR_TOLD", str(tmp_path / "told"))
    monkeypatch.setattr(paths, "RUN", str(tmp_path))
    assert run(monkeypatch, [], is_fixed=True) == 0
    assert tried == [set(), {"viewer"}, {"viewer"}][:rounds]


def test_the_journal_is_told_of_a_finding_once_until_it_is_gone(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told: list[object] = []
    monkeypatch.setattr(verb, "fingerprint", lambda: [])
    monkeypatch.setattr(verb, "_round", lambda _: [])
    monkeypatch.setattr(paths, "MEND_LOCK", str(tmp_path / "lock"))
    monkeypatch.setattr(paths, "DOCTOR_TOLD", str(tmp_path / "told"))
    monkeypatch.setattr(paths, "RUN", str(tmp_path))
    monkeypatch.setattr(journal, "log", lambda priority, _, **fields: told.append(
        (priority, fields["event"], fields["code"])))
    bad = Finding(Code.GROUP_MEMBER, "anne is", "gpasswd")
    note = Finding(Code.CLOCK_ALONE, "nothing", "timedatectl")
    for found in ([bad], [bad], [bad, note], [note], [bad]):
        run(monkeypatch, found, is_fixed=True)
    assert told == [(journal.WARNING, "finding", "D112"), (journal.INFO, "finding", "D702"),
                    (journal.WARNING, "finding", "D112")]


def test_status_knows_what_was_found_last_and_when(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(paths, "DOCTOR_TOLD", str(tmp_path / "told"))
    monkeypatch.setattr(journal, "log", lambda *_, **__: None)
    bad = Finding(Code.GROUP_MEMBER, "anne is", "gpasswd")
    note = Finding(Code.CLOCK_ALONE, "nothing", "timedatectl")
    assert status_verb._doctor() is None
    verb.tell_journal([bad, note])
    os.utime(tmp_path / "told", (NOON, NOON))
    assert status_verb._doctor() == {"looked": "2026-11-23T12:00:00+00:00",
                                "findings": [{"code": "D112", "fact": "anne is"}]}
    verb.tell_journal([bad, note])
    found = status_verb._doctor()
    assert found is not None
    assert found["looked"] > "2026-11-23T12:00:00+00:00", "it has looked again"
    verb.tell_journal([note])
    found = status_verb._doctor()
    assert found is not None
    assert found["findings"] == []


def test_what_is_found_is_shown_where_it_can_not_be_kept_for_status(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
        capsys: pytest.CaptureFixture[str]) -> None:
    told: list[str] = []
    monkeypatch.setattr(verb, "_round", lambda _: [])
    monkeypatch.setattr(paths, "MEND_LOCK", str(tmp_path / "lock"))
    monkeypatch.setattr(paths, "DOCTOR_TOLD", "/dev/null/told")
    monkeypatch.setattr(paths, "RUN", str(tmp_path))
    monkeypatch.setattr(journal, "log", lambda *_, **fields: told.append(fields["event"]))
    assert run(monkeypatch, [Finding(Code.GROUP_MEMBER, "anne is", "gpasswd")], is_fixed=True) == 1
    assert "anne is" in capsys.readouterr().out
    assert told == ["finding", "write-failed"]


def test_the_menus_come_last_for_a_usr_local_of_a_server_that_is_gone_holds_up_for_ever(
        monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def step(name: str) -> installing.Step:
        return installing.Step(name, lambda: name in done, lambda: done.append(name))

    monkeypatch.setattr(journal, "log", lambda *_, **__: None)
    monkeypatch.setattr(mend, "VIEWER", "/dev/null")
    for name in ("group_step", "viewer_step", "units_step"):
        monkeypatch.setattr(installing, name, lambda name=name: step(name))
    monkeypatch.setattr(installing, "pam_steps", lambda: [step("pam")])
    monkeypatch.setattr(menuentry, "hide", lambda: done.append("menus"))
    found = [Finding(Code.GROUP_MEMBER, "x", "y", piece) for piece in (Piece.PAM, Piece.UNITS)]
    list(mend.mend(found))
    assert done == ["group_step", "viewer_step", "pam", "units_step", "menus"]


@pytest.mark.parametrize(("is_first", "told"), [
    (True, [(journal.NOTICE, "setup: put in place: the viewer's group spicegrp"),
            (journal.NOTICE, "setup: put in place: the viewer is for sudo's rules alone"),
            (journal.NOTICE, "setup: put in place: PAM's session stack calls pam-spice")]),
    (False, [(journal.WARNING, "mend: the viewer's group was made (found: there is no group)"),
             (journal.WARNING, "mend: the viewer was closed to all but sudo's rules (it was not as "
              "it should be)"),
             (journal.WARNING, "mend: PAM's session stack was written (found: no hook)")])])
def test_what_was_never_there_is_put_in_place_and_what_was_is_mended(
        is_first: bool, told: list[tuple[int, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    said: list[tuple[int, str]] = []

    def step(name: str) -> installing.Step:
        return installing.Step("do " + name, lambda: name in done, lambda: done.append(name))

    monkeypatch.setattr(journal, "log", lambda priority, message, **_: said.append(
        (priority, message)))
    monkeypatch.setattr(mend, "VIEWER", "/dev/null")
    monkeypatch.setattr(installing, "was_never_in_place", lambda: is_first and not done)
    for name in ("group_step", "viewer_step"):
        monkeypatch.setattr(installing, name, lambda name=name: step(name))
    monkeypatch.setattr(installing, "pam_steps", lambda: [step("pam")])
    monkeypatch.setattr(menuentry, "hide", lambda: None)
    list(mend.mend([Finding(Code.GROUP_MISSING, "there is no group", "y", Piece.GROUP),
                    Finding(Code.PAM_MISSING, "no hook", "y", Piece.PAM)]))
    assert said == told


@pytest.mark.parametrize("there", ["", "group", "profile", "viewer"])
def test_one_piece_that_is_there_tells_that_all_were(there: str, tmp_path: Path,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    profile, viewer = tmp_path / "profile", tmp_path / "viewer"
    if there == "profile":
        profile.touch()
    monkeypatch.setattr(pamstack, "PROFILE", profile)
    monkeypatch.setattr(installing, "VIEWER", str(viewer))
    monkeypatch.setattr(installing, "viewer_gid", lambda: 997 if there == "group" else None)
    own = os.stat_result((0o100755, 0, 0, 1, 0, 997 if there == "viewer" else 0, 0, 0, 0, 0))
    monkeypatch.setattr(installing, "os", SimpleNamespace(stat=lambda path: own))
    assert installing.was_never_in_place() == (there == "")


def test_a_policy_is_parsed_once_until_it_changes(monkeypatch: pytest.MonkeyPatch,
                                                  tmp_path: Path) -> None:
    read: list[object] = []
    monkeypatch.setattr(compiling, "parse_files", lambda contents: read.append(contents))
    monkeypatch.setattr(paths, "POLICY", str(tmp_path / "policy.yaml"))
    for text, times in (("", 1), (None, 1), ("grants: []", 2), (None, 2)):
        if text is not None:
            (tmp_path / "policy.yaml").write_text(text)
        doctor._source()
        assert len(read) == times
    (tmp_path / "policy.d").mkdir()
    doctor._source()
    assert len(read) == 3


@pytest.mark.parametrize(("services", "there", "told"), [
    (["login", "lightdm", "sddm"], {"login"}, []),  # nobody has all that are usual
    (["login", "lightmd"], {"login"}, ["lightmd"]),
    (["lightdm", "sddm"], set(), ["lightdm", "sddm"])])
def test_a_service_that_is_not_here_is_told_of_where_that_says_something(
        services: list[str], there: set[str], told: list[str],
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pam, "_hook_findings", lambda: iter(()))
    monkeypatch.setattr(pam, "_order_findings", lambda _: iter(()))
    monkeypatch.setattr(pam, "_read", lambda service: "" if service in there else None)
    monkeypatch.setattr(pamstack, "is_in_place", lambda _: True)
    monkeypatch.setattr(pamstack, "lets_users_set_its_environment", lambda _: False)
    found = list(pam.pam_findings(services))
    assert {finding.code for finding in found} <= {Code.PAM_NO_SERVICE}
    assert [finding.fact.split(" ")[5] for finding in found] == told


def run(monkeypatch: pytest.MonkeyPatch, found: list[Finding], is_json: bool = False,
        is_fixed: bool = False) -> int:
    class Look:
        def __init__(self, now: int) -> None:
            pass

        def at_pieces(self) -> list[Finding]:
            return [each for each in found if each.piece]

        def at_surroundings(self) -> list[Finding]:
            return [each for each in found if not each.piece]

    monkeypatch.setattr(verb, "Look", Look)
    monkeypatch.setattr(verb, "is_in_force", lambda: True)
    monkeypatch.setattr(verb, "need_root", lambda: None)
    return verb.run(verb_arguments(is_json, is_fixed))


def verb_arguments(is_json: bool, is_fixed: bool = False) -> argparse.Namespace:
    return argparse.Namespace(fix=is_fixed, json=is_json)
