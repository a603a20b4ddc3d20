"""What the model test found, each in its smallest form."""

from pathlib import Path

import pytest

from pam_spice import paths
from pam_spice.cli import main
from pam_spice.firewall import Observed, nft
from pam_spice.reconcile import Reconciliation
from session.records import DIRECTORY, OPEN, format_record, parse_record, read_records
from tests.kernel import namespace as ns
from tests.kernel.namespace import GUARDED_PORT, OTHER_GUARDED_PORT, USERS
from tests.kernel.workstation import OFFICE, REFUSED, SESSIONS, Workstation, office

ANNE, RALPH = USERS["anne"], USERS["ralph"]
BOTH = OFFICE + "workstation: {one_user: false}\n"
SPOILT = OFFICE.replace(f"addresses: [{ns.V4}", "addresses: [nowhere").replace(
    "consoles:", "  other: {host: other.example, addresses: [10.77.0.9], guarded_ports: 30001,"
    " ca_file: /etc/other.pem}\nconsoles:", 1)
"""The server whose ports are guarded has an error; there is another one."""


def spoil_record(session: str) -> None:
    """Cut the end of it off."""
    path = Path(DIRECTORY, session)
    path.write_bytes(path.read_bytes()[:-3])


def rewrite_accounts(before: str, after: str) -> None:
    """Change /etc/passwd."""
    path = Path("/etc/passwd")
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


# Records

def test_no_record_of_which_a_bit_has_turned_counts() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    data = format_record(read_records()["3"]).encode()
    counted = []
    for at in range(len(data)):
        for bit in range(8):
            turned = bytearray(data)
            turned[at] ^= 1 << bit
            try:
                parse_record(turned.decode())
            except ValueError:
                continue
            counted.append((at, bit))
    assert counted == []


def test_a_bit_that_turns_in_a_record_does_not_bring_back_who_has_logged_out() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    workstation.hook("3", "close")
    path = Path(DIRECTORY, "3")
    path.write_text(path.read_text().replace("state closed", "state cl/sed"))
    workstation.reconcile()
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED


def test_a_damaged_record_lets_no_second_user_in_when_somebody_else_logs_out() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    workstation.log_in("4", "ralph", hint=True)
    workstation.log_in("5", "zoe", hint=True)
    spoil_record("3")
    workstation.log_out("5")
    assert len(workstation.chains()) <= 1, "one user at a time"
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == REFUSED, "anne has not left"


def test_a_damaged_record_lets_no_second_user_in_when_the_watcher_wakes_up() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    workstation.log_in("4", "ralph", hint=True)
    spoil_record("3")
    Reconciliation(phase="close").run()
    assert workstation.chains() == {}


# Sessions

def test_a_session_s_id_that_comes_again_leaves_no_chain_of_the_one_who_had_it() -> None:
    workstation = office()
    workstation.policy(BOTH)
    workstation.log_in("3", "anne", hint=True)
    workstation.kill("3")
    workstation.log_in("3", "ralph", hint=True)
    assert workstation.chains().keys() == {RALPH}


def test_a_logout_while_logind_has_lost_the_session_is_not_forgotten() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    file = SESSIONS / "3"
    text = file.read_text()
    file.unlink()
    workstation.reconcile()
    assert workstation.hook("3", "close") == 0
    file.write_text(text)
    workstation.reconcile()
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED


def test_apply_does_not_bring_back_who_has_logged_out() -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    assert workstation.hook("3", "close") == 0  # logind has not noticed yet
    workstation.policy(OFFICE + "workstation: {services: [sddm]}\n")
    assert main(["apply", "--now"]) == 0
    workstation.policy(OFFICE)
    assert main(["apply", "--now"]) == 0
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED


@pytest.mark.parametrize("account", ["", "olga:x:1021:1021::/:/bin/sh\n"])
def test_a_uid_that_goes_to_somebody_else_is_closed_though_the_old_name_is_gone(
        account: str) -> None:
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    rewrite_accounts("anne:x:1021:1021::/:/bin/sh\n", account)
    workstation.reconcile()
    # An account that is not found at all may be a directory server that is down.
    assert workstation.reaches("anne", GUARDED_PORT) == (REFUSED if account else "yes")


# The table

def test_a_dormant_table_wakes_up_without_the_chain_of_who_left_meanwhile(
        monkeypatch: pytest.MonkeyPatch) -> None:
    """nft 1.0.6 prints whatever lies in memory for the flag; mostly that is no JSON."""
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    ns.nft("add table inet pam_spice { flags dormant; }\n")
    parse = nft.parse_listing
    listings: list[bytes] = []

    def first_is_broken(listing: bytes) -> Observed:
        listings.append(listing)
        return parse(listing if len(listings) > 1 else b'{"nftables": [{"table": {"flags": ]')

    monkeypatch.setattr(nft, "parse_listing", first_is_broken)
    workstation.kill("3")
    workstation.reconcile()
    assert len(listings) > 1
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED


# The policy

def typed(workstation: Workstation, text: str) -> None:
    """An edit that the path unit has noticed."""
    workstation.policy(text)
    workstation.reconcile()


@pytest.mark.parametrize("text", [BOTH + "grants: [", BOTH.replace("one_user: f", "oneuser: f"),
                                  BOTH.replace("UTC", "Atlantis")])
def test_a_policy_that_is_unusable_turns_nobody_out_who_is_in(text: str) -> None:
    workstation = office()
    typed(workstation, BOTH)
    workstation.log_in("3", "anne", hint=True)
    workstation.log_in("4", "ralph", hint=True)
    typed(workstation, text)
    assert workstation.states() == {"3": OPEN, "4": OPEN}
    assert workstation.reaches("anne", GUARDED_PORT) == "yes"
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == "yes"


def test_a_lost_compiled_policy_opens_nothing_that_was_guarded() -> None:
    workstation = office()
    typed(workstation, SPOILT)
    assert workstation.reaches("zoe", GUARDED_PORT) == REFUSED
    Path(paths.COMPILED).unlink()
    workstation.reconcile()
    assert workstation.reaches("zoe", GUARDED_PORT) == REFUSED
