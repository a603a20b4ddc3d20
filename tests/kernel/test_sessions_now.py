"""apply, revoke and grant: what an admin does to live sessions, in a real kernel."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pam_spice import paths, sessions_now
from pam_spice.cli import main
from pam_spice.revocations import Revocation, read_revocations, write_revocations
from pam_spice.verbs import iso as iso_of
from session.records import read_records
from tests.kernel import namespace as ns
from tests.kernel.namespace import GUARDED_PORT, OTHER_GUARDED_PORT, USERS, V4, V6, VIEWER_GID
from tests.kernel.workstation import OFFICE, REFUSED, office

ANNE, RALPH = USERS["anne"], USERS["ralph"]
BOTH = OFFICE + "workstation: {one_user: false}\n"


def iso(seconds: float) -> str:
    """An instant so many seconds from now."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


# apply

def test_apply_takes_what_the_policy_no_longer_gives_and_gives_what_it_does_now() -> None:
    workstation = office()
    workstation.log_in("3", "ralph", hint=True)
    live = ns.Client(RALPH, VIEWER_GID, V4, OTHER_GUARDED_PORT)
    assert live.say() == "yes"
    workstation.policy(OFFICE.replace("user: ralph, console: second",
                                      "user: ralph, console: first"))
    workstation.reconcile()
    assert live.say() == "yes", "an edit alone leaves the session as it is"
    assert main(["apply", "--now"]) == 0
    assert ns.until(lambda: ns.established(OTHER_GUARDED_PORT) == [], 1), "cut on both sides"
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == REFUSED
    assert workstation.reaches("ralph", GUARDED_PORT) == "yes"


def test_apply_says_for_whom_something_changes(capsys: pytest.CaptureFixture[str]) -> None:
    workstation = office()
    workstation.log_in("3", "ralph", hint=True)
    workstation.policy(OFFICE.replace("user: ralph, console: second",
                                      "user: ralph, console: first"))
    main(["apply", "--now"])
    assert capsys.readouterr().out == "session 3 of ralph: gains first; loses second\n"
    main(["apply", "--now"])
    assert capsys.readouterr().out == "nothing changes for anyone\n"


def test_apply_of_a_policy_with_an_error_changes_nothing() -> None:
    workstation = office()
    workstation.log_in("3", "ralph", hint=True)
    workstation.policy(OFFICE.replace("user: ralph, console: second", "user: ralph, console: nix"))
    assert main(["apply", "--now"]) == 2
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == "yes"


def test_apply_closes_a_session_whose_service_counts_no_more() -> None:
    workstation = office()
    workstation.log_in("3", "ralph", hint=True)
    workstation.policy(OFFICE + "workstation: {services: [sddm]}\n")
    workstation.reconcile()
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == "yes"
    assert main(["apply", "--now"]) == 0
    assert workstation.chains() == {}
    workstation.reconcile()
    assert workstation.chains() == {}


def test_apply_keeps_who_waits_waiting() -> None:
    workstation = office()
    workstation.log_in("3", "ralph", hint=True)
    workstation.log_in("4", "anne", hint=True)
    workstation.policy(OFFICE.replace("console: first", "console: [first, second]"))
    assert main(["apply", "--now"]) == 0
    assert workstation.chains().keys() == {RALPH}
    workstation.log_out("3")
    assert workstation.chains().keys() == {ANNE}


# revoke

def test_revoke_cuts_the_user_s_consoles_at_once_and_nobody_else_s() -> None:
    workstation = office()
    workstation.policy(BOTH)
    workstation.log_in("3", "anne", hint=True)
    workstation.log_in("4", "ralph", hint=True)
    cut = [ns.Client(ANNE, VIEWER_GID, address, GUARDED_PORT) for address in (V4, V6)]
    kept = ns.Client(RALPH, VIEWER_GID, V4, OTHER_GUARDED_PORT)
    assert [client.say() for client in (*cut, kept)] == ["yes"] * 3
    assert main(["revoke", "anne"]) == 0
    assert ns.until(lambda: ns.established(GUARDED_PORT) == [], 1)
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED
    assert kept.say() == "yes"
    workstation.reconcile()
    assert workstation.chains().keys() == {RALPH}


def test_revoke_without_a_time_ends_with_the_session() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    main(["revoke", "anne"])
    workstation.log_out("3")
    workstation.log_in("4", "anne", hint=True)
    assert workstation.reaches("anne", GUARDED_PORT) == "yes"


def test_revoke_until_a_time_opens_again_by_itself_without_any_process() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    assert main(["revoke", "anne", "--until", iso(4)]) == 0
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED
    assert ns.until(lambda: workstation.reaches("anne", GUARDED_PORT) == "yes", 6)


def test_revoke_says_what_is_lost(capsys: pytest.CaptureFixture[str]) -> None:
    workstation = office()
    workstation.log_in("3", "ralph", hint=True)
    main(["revoke", "ralph", "--until", iso(600)])
    first, second = capsys.readouterr().out.splitlines()
    assert first == "session 3 of ralph: loses second"
    assert second.startswith("ralph has no console before ")


def test_revoke_until_a_time_holds_for_new_logins_too() -> None:
    workstation = office()
    assert main(["revoke", "anne", "--until", iso(600)]) == 0
    workstation.log_in("3", "anne", hint=True)
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED
    assert workstation.reaches("anne", OTHER_GUARDED_PORT) == REFUSED, "nor what her group has"
    workstation.log_out("3")
    workstation.log_in("4", "ralph", hint=True)
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == "yes"


def test_apply_does_not_give_back_what_is_revoked() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    main(["revoke", "anne", "--until", iso(600)])
    assert main(["apply", "--now"]) == 0
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED


def test_a_login_that_was_decided_before_the_revocation_does_not_slip_through(
        monkeypatch: pytest.MonkeyPatch) -> None:
    """The revocation is written between a login's look at the policy and its lock."""
    from pam_spice import reconcile

    workstation = office()
    admissions = reconcile.Reconciliation._admissions

    def slow(run: reconcile.Reconciliation) -> reconcile.Admissions:
        found = admissions(run)
        if run.phase == "open":
            later = int(time.time()) + 600
            write_revocations({ANNE: Revocation(ANNE, later, "anne", "root", "-")})
        return found

    monkeypatch.setattr(reconcile.Reconciliation, "_admissions", slow)
    workstation.log_in("3", "anne", hint=True)
    assert read_records()["3"].grants, "she was admitted"
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED


def test_lift_gives_back_what_the_policy_gives() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    main(["revoke", "anne", "--until", iso(600)])
    assert main(["revoke", "anne", "--lift"]) == 0
    assert workstation.reaches("anne", GUARDED_PORT) == "yes"
    assert not Path(paths.REVOKED).exists()
    assert main(["revoke", "anne", "--lift"]) == 2, "there is nothing to lift"


@pytest.mark.parametrize("damage", ["x", "1021\tsoon\tanne\troot\t-\n", "1021\t1\n", "\udcff"])
def test_a_damaged_list_of_revocations_opens_nothing_new(damage: str) -> None:
    workstation = office()
    workstation.log_in("2", "ralph", hint=True)
    Path(paths.REVOKED).write_bytes(damage.encode("utf-8", "surrogateescape"))
    workstation.policy(BOTH)
    workstation.log_in("3", "anne", hint=True)
    assert workstation.chains().keys() == {RALPH}, "who is in stays in"
    assert main(["revoke", "anne", "--until", iso(600)]) == 1
    Path(paths.REVOKED).unlink()
    workstation.reconcile()
    assert workstation.chains().keys() == {ANNE, RALPH}


def test_an_expired_revocation_goes_with_the_next_one() -> None:
    office()
    now = int(time.time())
    write_revocations({RALPH: Revocation(RALPH, now - 1, "ralph", "root", "-")})
    assert main(["revoke", "anne", "--until", iso(600), "--reason", "exam"]) == 0
    assert list(read_revocations(0)) == [ANNE]
    assert read_revocations(now)[ANNE].reason == "exam"


@pytest.mark.parametrize("arguments", [
    ["revoke", "nobody-of-that-name"], ["revoke", "root"], ["revoke", "nobody"],
    ["revoke", "anne", "--until", "2020-01-01"], ["revoke", "anne", "--until", "soon"],
    ["revoke", "anne", "--lift"], ["grant", "root", "first", "--for", "2h", "--reason", "x"],
    ["grant", "anne", "nosuch", "--for", "2h", "--reason", "x"],
    ["grant", "anne", "second", "--for", "2", "--reason", "x"],
    ["grant", "anne", "second", "--for", "0h", "--reason", "x"],
    ["grant", "anne", "second", "--for", "32d", "--reason", "x"],
    ["grant", "anne", "second", "--for", "", "--reason", "x"],
    ["grant", "anne", "second", "--for", "2h", "--reason", "x" * 201]])
def test_what_can_not_be_done_exits_with_2_and_changes_nothing(arguments: list[str]) -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    before = read_records()["3"].grants
    assert main(arguments) == 2
    assert len(read_records()["3"].grants) == len(before)
    assert not Path(paths.TEMPORARY).exists()
    assert not Path(paths.REVOKED).exists()


def test_explain_and_status_tell_of_a_revocation(capsys: pytest.CaptureFixture[str]) -> None:
    office()
    main(["revoke", "anne", "--until", iso(600), "--reason", "exam"])
    capsys.readouterr()
    assert main(["explain", "anne", "first", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["allowed"] is False
    assert told["next"] == iso_of(read_revocations(0)[ANNE].until)
    assert told["reason"].startswith("revoked by root until ")
    assert main(["explain", "anne", "first", "--at", iso(601)]) == 0
    assert main(["explain", "ralph", "second"]) == 0
    capsys.readouterr()
    assert main(["status", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["revoked"]
    assert [(each["user"], each["by"], each["reason"]) for each in told] == [
        ("anne", "root", "exam")]


# Who did it

def test_the_journal_is_told_who_did_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from pam_spice import journal

    told: list[dict[str, object]] = []
    monkeypatch.setattr(journal, "log", lambda _priority, _message, **fields: told.append(fields))
    monkeypatch.setattr(sessions_now, "actor", lambda: "olga")
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    main(["revoke", "anne", "--reason", "misuse"])
    assert [(each["by"], each["user"], each["reason"]) for each in told
            if each.get("event") == "revoke"] == [("olga", "anne", "misuse")]
