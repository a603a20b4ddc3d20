"""The admin's questions on the command line: what is printed, and the exit status."""

import json
import os
import re
from pathlib import Path

import pytest

from conf.grantline import FOREVER, GrantLine
from conf.sources import read_any
from pam_spice import installing
from pam_spice.cli import main
from pam_spice.firewall import Chain
from pam_spice.verbs import explain as explain_verb
from pam_spice.verbs import iso
from pam_spice.verbs.status import session_status
from tests.unit.support import NOON, grant, record, zoned

POLICY = """\
timezone: Europe/Berlin
servers:
  mysrv:
    host: mysrv.example
    addresses: [192.168.2.2, "fd00::2"]
    guarded_ports: [20001-20010]
    ca_file: /etc/pam-spice/mysrv-ca.pem
consoles:
  bookkeeping: {server: mysrv, tls_port: 20001}
  webdev:      {server: mysrv, tls_port: 20002}
windows:
  evenings: [Mon-Fri 18:00-22:00]
grants:
  - {user: charlie, console: bookkeeping}
  - {user: boss, console: bookkeeping, when: evenings}
  - {user: maggie, console: webdev, when: [Mon, Tue]}
  - {group: auditors, console: [bookkeeping, webdev], when: "Fri 22:00-06:00"}
"""


@pytest.fixture
def policy(tmp_path: Path) -> str:
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    return str(path)


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, object]:
    """The exit status and the JSON document on standard output, which holds nothing else."""
    status = main([*arguments, "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_check_of_a_good_policy_is_yes(policy: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(capsys, "check", "--policy", policy) == (
        0, {"ok": True, "usable": True, "problems": []})
    assert main(["check", "--policy", policy]) == 0
    assert "4 grants" in capsys.readouterr().out


def test_check_of_a_policy_with_a_bad_entry_is_no_with_its_place(
        policy: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(policy).write_text(POLICY.replace("user: boss", "usr: boss"))
    status, document = asked(capsys, "check", "--policy", policy)
    assert status == 1
    assert isinstance(document, dict)
    assert (document["ok"], document["usable"]) == (False, True)
    assert [(each["line"], each["column"]) for each in document["problems"]] == [(15, 6)]
    assert main(["check", "--policy", policy]) == 1
    assert f"{policy}:15:6: a grant has no key 'usr'\n" in capsys.readouterr().err


def test_check_tells_what_follows_from_an_error_in_one_line(
        policy: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(policy).write_text(POLICY.replace("tls_port: 20002", "tls_port: 2") + "".join(
        f"  - {{user: u{number}, console: webdev}}\n" for number in range(50)))
    assert main(["check", "--policy", policy]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 6, said
    assert ("console 'webdev' has an error itself, so what refers to it is skipped too: "
            f"{policy}:16, {policy}:17, {policy}:18") in said
    assert " and 42 more\n53 errors;" in said
    _, document = asked(capsys, "check", "--policy", policy)
    assert isinstance(document, dict)
    assert len(document["problems"]) == 53


def test_check_prints_a_hundred_problems_and_says_how_many_more(
        policy: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(policy).write_text(POLICY + "".join(
        f"  - {{user: u{number}, console: nix}}\n" for number in range(150)))
    assert main(["check", "--policy", policy]) == 1
    said = capsys.readouterr().err
    assert said.count("there is no console 'nix'") == 100
    assert "\nand 50 errors more; --json prints all\n150 errors;" in said


def test_check_of_what_is_no_policy_is_unusable(policy: str,
                                                capsys: pytest.CaptureFixture[str]) -> None:
    Path(policy).write_text("grants: [")
    assert asked(capsys, "check", "--policy", policy)[0] == 2
    assert main(["check", "--policy", f"{policy}.away"]) == 2
    assert "No such file" in capsys.readouterr().err


def test_one_of_a_kind_is_counted_in_the_singular(policy: str,
                                                  capsys: pytest.CaptureFixture[str]) -> None:
    Path(policy).write_text(POLICY[:POLICY.index("  - {user: boss")].replace(
        "  webdev:      {server: mysrv, tls_port: 20002}\n", ""))
    assert main(["check", "--policy", policy]) == 0
    assert capsys.readouterr().out == "fine: 1 server, 1 console, 1 grant\n"
    Path(policy).write_text(POLICY.replace("user: boss", "usr: boss"))
    main(["check", "--policy", policy])
    assert capsys.readouterr().err.endswith("\n1 error; an entry with an error is skipped\n")


def test_the_page_that_lint_names_is_there_and_is_installed_too(
        policy: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--lint", "--policy", policy]) == 1
    named = re.search(r"(\S+) explains each code\n$", capsys.readouterr().err)
    assert named is not None
    page = Path(named[1])
    assert page.is_file()
    root = Path(installing.__file__).resolve().parents[1]
    assert page.relative_to(root).parts[0] in installing._TREES


def test_a_policy_can_not_make_check_say_that_it_is_fine(
        policy: str, capsys: pytest.CaptureFixture[str]) -> None:
    name = r'"x\nfine: 1 server, 1 console, 1 grant\n\e[2J"'
    Path(policy).write_text(POLICY.replace("  webdev:", f"  {name}:")
                            .replace("webdev", "nothing-like-it"))
    assert main(["check", "--policy", policy]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert r"known are: bookkeeping, x\nfine: 1 server" in printed.err
    assert not [line for line in printed.err.splitlines() if line.startswith("fine")]
    assert "\x1b" not in printed.err


@pytest.mark.parametrize(("user", "console", "at", "answer"), [
    ("charlie", "bookkeeping", "2026-11-23T03:00:00+01:00", (True, None, None)),
    ("charlie", "webdev", "2026-11-23T03:00:00+01:00", (False, None, None)),
    # Berlin is an hour ahead of UTC in winter, two in summer.
    ("boss", "bookkeeping", "2026-11-23T17:59:59+01:00", (False, None, "2026-11-23T17:00:00")),
    ("boss", "bookkeeping", "2026-11-23T18:00:00",
     (True, "2026-11-23T21:00:00", "2026-11-24T17:00:00")),
    ("boss", "bookkeeping", "2026-11-27T21:00:00Z", (False, None, "2026-11-30T17:00:00")),
    ("boss", "bookkeeping", "2026-07-01T16:00:00Z",
     (True, "2026-07-01T20:00:00", "2026-07-02T16:00:00")),
    ("maggie", "webdev", "2026-11-23T12:00:00Z",
     (True, "2026-11-24T23:00:00", "2026-11-29T23:00:00"))])
def test_explain_tells_the_verdict_its_end_and_the_next_time(
        user: str, console: str, at: str, answer: tuple[bool, str | None, str | None],
        policy: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, document = asked(capsys, "explain", user, console, "--at", at, "--groups", "",
                             "--policy", policy)
    allowed, until, following = answer
    assert isinstance(document, dict)
    assert status == (0 if allowed else 1)
    assert document["allowed"] is allowed
    assert document["until"] == (until and f"{until}+00:00")
    assert document["next"] == (following and f"{following}+00:00")
    assert document["reason"]


def test_explain_names_the_entry_that_decides_and_what_the_others_lack(
        policy: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, document = asked(capsys, "explain", "maggie", "webdev", "--at", "2026-11-23T12:00:00Z",
                        "--groups", "", "--policy", policy)
    assert isinstance(document, dict)
    entries = {entry["line"]: entry for entry in document["entries"]}
    assert entries[16]["counts"] is True
    assert entries[17]["counts"] is False
    assert "it is for group auditors" in entries[17]["lacks"]
    assert document["reason"] == f"granted at {policy}:16"


def test_explain_tells_an_excepted_day_from_a_closed_window(
        policy: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(policy).write_text(POLICY.replace("when: [Mon, Tue]}",
                                           "when: [Mon, Tue], except: 2026-11-23}"))
    lacks = []
    for day in ("2026-11-23", "2026-11-25"):
        _, document = asked(capsys, "explain", "maggie", "webdev", "--at", f"{day}T12:00:00Z",
                            "--groups", "", "--policy", policy)
        assert isinstance(document, dict)
        lacks.append(document["entries"][0]["lacks"])
    assert lacks == [["that day is excepted"], ["its window is not open then"]]


def test_explain_takes_groups_from_the_command_line(policy: str,
                                                    capsys: pytest.CaptureFixture[str]) -> None:
    question = ["explain", "someone", "webdev", "--at", "2026-11-28T02:00:00", "--policy", policy]
    assert asked(capsys, *question, "--groups", "staff,auditors")[0] == 0
    assert asked(capsys, *question, "--groups", "staff")[0] == 1


def test_explain_says_where_there_is_no_such_user_here(
        policy: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("pam_spice.verbs.read_contents", lambda _path: read_any(policy))
    note = "note: there is no user 'nobodyx' here\n"
    assert main(["explain", "nobodyx", "webdev"]) == 1
    told = capsys.readouterr()
    assert (told.err, told.out.splitlines()[0].split(" at ")[0]) == (
        note, "nobodyx may not reach webdev")
    assert main(["explain", "nobodyx", "webdev", "--json"]) == 1
    told = capsys.readouterr()
    assert (told.err, json.loads(told.out)["allowed"]) == (note, False)
    for others in (["--policy", policy], ["--groups", "staff"], ["--workstation", "front-9"]):
        assert main(["explain", "nobodyx", "webdev", *others]) == 1
        assert capsys.readouterr().err == ""
    assert main(["explain", "root", "webdev"]) == 1
    assert capsys.readouterr().err == ""


def test_explain_says_where_a_login_has_its_consoles_revoked(
        policy: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("pam_spice.verbs.read_contents", lambda _path: read_any(policy))
    monkeypatch.setattr(explain_verb, "_note_who_is_unknown", lambda _arguments: None)
    revoked = record("3", 1021).revoked_until(FOREVER)
    monkeypatch.setattr(explain_verb, "read_records", lambda: {"3": revoked})
    main(["explain", revoked.user, "webdev"])
    assert capsys.readouterr().err == (
        f"note: in his login now the consoles of {revoked.user} are revoked, see pam-spice status; "
        f"this is what the policy gives\n")
    for others in (["nobodyx"], [revoked.user, "--policy", policy]):
        main(["explain", others[0], "webdev", *others[1:]])
        assert capsys.readouterr().err == ""


def test_the_command_alone_tells_its_verbs_and_is_no_use(
        capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "\n    explain " in told.err
    assert "tell whether a user may reach a console, and why" in told.err
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert (ended.value.code, capsys.readouterr().out) == (0, told.err)


def test_windows_are_absolute_merged_and_sorted(policy: str,
                                                capsys: pytest.CaptureFixture[str]) -> None:
    _, document = asked(capsys, "windows", "maggie", "--groups", "auditors",
                        "--from", "2026-11-23T00:00:00", "--to", "2026-11-30T12:00:00",
                        "--policy", policy)
    assert document == [
        {"console": "webdev", "start": "2026-11-22T23:00:00+00:00",
         "end": "2026-11-24T23:00:00+00:00"},
        {"console": "bookkeeping", "start": "2026-11-27T21:00:00+00:00",
         "end": "2026-11-28T05:00:00+00:00"},
        {"console": "webdev", "start": "2026-11-27T21:00:00+00:00",
         "end": "2026-11-28T05:00:00+00:00"},
        {"console": "webdev", "start": "2026-11-29T23:00:00+00:00",
         "end": "2026-11-30T11:00:00+00:00"}]


def test_windows_of_one_console_leave_out_the_others(policy: str,
                                                     capsys: pytest.CaptureFixture[str]) -> None:
    _, document = asked(capsys, "windows", "charlie", "bookkeeping", "--from", "2026-11-23",
                        "--to", "2026-11-24", "--groups", "", "--policy", policy)
    assert document == [{"console": "bookkeeping", "start": "2026-11-22T23:00:00+00:00",
                         "end": "2026-11-23T23:00:00+00:00"}]


@pytest.mark.parametrize("arguments", [
    ["explain", "charlie", "nosuch"],
    ["explain", "charlie", "webdev", "--at", "someday"],
    ["explain", "charlie", "webdev", "--at", "0001-01-01T00:00:00"],
    ["windows", "charlie", "--from", "2026-11-24", "--to", "2026-11-23"],
    ["windows", "charlie", "nosuch", "--from", "2026-11-23", "--to", "2026-11-24"]])
def test_an_unusable_question_exits_with_2_and_prints_no_document(
        arguments: list[str], policy: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments, "--groups", "", "--policy", policy, "--json"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("pam-spice: ")


@pytest.mark.parametrize("verb", [["status"], ["reconcile"], ["setup"], ["uninstall"]])
def test_what_changes_the_workstation_needs_root(verb: list[str], monkeypatch: pytest.MonkeyPatch,
                                                 capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1021)
    assert main(verb) == 2
    assert "needs root" in capsys.readouterr().err


@pytest.mark.parametrize(("is_in_force", "last"), [
    (True, "put firewall and sudo as the policy says"),
    (False, "note that there is no policy yet: PAM, sudo, viewer and firewall stay as they are")])
def test_setup_says_what_it_really_does(is_in_force: bool, last: str,
                                        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installing, "is_in_force", lambda: is_in_force)
    monkeypatch.setattr(installing, "is_packaged", lambda: True)
    monkeypatch.setattr(installing, "_units_are_active", lambda: True)
    steps = [step.describe for step in installing.setup_steps()]
    assert steps[-1] == last
    assert any("PAM" in step for step in steps[:-1]) is is_in_force


# status

DAY = 86400
OPEN_NOW: Chain = (("192.168.2.2", 20002, 997, 0, 0),)
ALWAYS = zoned("UTC", (127, 0, DAY))
MONDAY_EVENINGS = zoned("UTC", (1, 18 * 3600, 22 * 3600))


@pytest.mark.parametrize(("grants", "until", "following"), [
    ([grant()], None, None),
    # Revoked until then: endless from a later instant on.
    ([grant().valid_from(NOON + 600)], None, NOON + 600),
    ([grant().valid_from(NOON + 90 * DAY)], None, NOON + 90 * DAY),
    ([grant().valid_from(NOON + 600), grant(windows=MONDAY_EVENINGS)], None, NOON + 600),
    ([grant(windows=MONDAY_EVENINGS)], None, NOON + 6 * 3600),
    ([grant(windows=MONDAY_EVENINGS).valid_from(NOON + DAY)], None, NOON + 7 * DAY + 6 * 3600)])
def test_a_closed_console_is_shown_with_when_it_opens_next(
        grants: list[GrantLine], until: int | None, following: int | None) -> None:
    assert consoles(grants, ()) == [
        {"console": "webdev", "open": False, "until": iso(until), "next": iso(following)}]


def lasting(end: int, start: int = 0) -> GrantLine:
    line = grant()
    line.valid = (start, end)
    return line


@pytest.mark.parametrize(("grants", "until", "following"), [
    ([grant()], None, None),
    ([grant(windows=ALWAYS)], None, None),
    ([lasting(NOON + 3600)], NOON + 3600, None),
    ([lasting(NOON + 90 * DAY)], NOON + 90 * DAY, None),
    ([lasting(NOON + 3600), lasting(FOREVER, NOON + 7200)], NOON + 3600, NOON + 7200),
    ([lasting(NOON + 3600), lasting(FOREVER, NOON + 3600)], None, None),
    ([lasting(NOON + 3600), grant(windows=MONDAY_EVENINGS)], NOON + 3600, NOON + 6 * 3600)])
def test_an_open_console_is_shown_with_its_end_and_when_it_opens_again(
        grants: list[GrantLine], until: int | None, following: int | None) -> None:
    assert consoles(grants, OPEN_NOW) == [
        {"console": "webdev", "open": True, "until": iso(until), "next": iso(following)}]


def consoles(grants: list[GrantLine], chain: Chain) -> object:
    return session_status(record(grants=tuple(grants)), chain, NOON)["consoles"]
