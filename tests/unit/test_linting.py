"""What lint asks the system, and the verb that prints it."""

import grp
import json
import os
import socket
import threading
import time
from base64 import b64decode
from pathlib import Path

import pytest

from conf.lint.endpoints import CaFault
from conf.lint.findings import Code
from pam_spice.cli import main
from pam_spice.linting import SystemAccounts, certificate_spans, read_ca, resolve
from tests.unit.support import SERVER, within

PAGE = Path(__file__).parents[2] / "docs/lint.md"
CA = """\
-----BEGIN CERTIFICATE-----
MIIBfTCCASOgAwIBAgIUefun6Ey1wJYKcb6JU/Arc//Fy+IwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJT2ZmaWNlIENBMB4XDTI2MTEyNDA5NTczMVoXDTM2MTEyMTA5
NTczMVowFDESMBAGA1UEAwwJT2ZmaWNlIENBMFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAEFUfvcaCSwXGCgkY69EC/5heg6LmlhLiaeBDUI4p+1g+rF+YV9lYZZ62c
T+wo5tqa7fN3iEi9//X/PLqtmjv016NTMFEwHQYDVR0OBBYEFIHsYtG2tiQVYXgt
WbP7olyRJdIdMB8GA1UdIwQYMBaAFIHsYtG2tiQVYXgtWbP7olyRJdIdMA8GA1Ud
EwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIhAJmoqqIXOU4wjZDURt2wgcf6
MEATbTOWug/UaenK4E0IAiAdeQSKlYNKTS4MoVKghKqcqFolcsCaGk7SmrdXuThz
vQ==
-----END CERTIFICATE-----
"""
CA_SPAN = (1795514251, 2110874251)  # of that certificate
NO_CA = """\
-----BEGIN CERTIFICATE-----
MIIBgjCCASigAwIBAgIUFaSsQbRiJhMZank8/8/jPwxdPxgwCgYIKoZIzj0EAwIw
GDEWMBQGA1UEAwwNbXlzcnYuZXhhbXBsZTAeFw0yNjExMjQwOTU3MzFaFw0zNjEx
MjEwOTU3MzFaMBgxFjAUBgNVBAMMDW15c3J2LmV4YW1wbGUwWTATBgcqhkjOPQIB
BggqhkjOPQMBBwNCAASAc+BRvGQdNhBS0o8oY4Renfmw+5Gjg/jt9jihuhElgj5f
italLDdGVcvx0pcNcXXH+pOTHuYDwuTj2U8WuV6Jo1AwTjAdBgNVHQ4EFgQUh9Jm
+oTZNP5ej6p48hSPTGPHua0wHwYDVR0jBBgwFoAUh9Jm+oTZNP5ej6p48hSPTGPH
ua0wDAYDVR0TAQH/BAIwADAKBggqhkjOPQQDAgNIADBFAiB9uU3HeQD9g3AFrfOw
6RlKFqD953rslsgVdeNsZRewHgIhAOGncxVtqb+m0nBcrfAiNGmwSmlmMaBYhWej
08DIrNjY
-----END CERTIFICATE-----
"""
DAMAGED = CA[:100] + "AAAA" + CA[104:]
DER = b64decode("".join(CA.split("\n")[1:-2]))
FILE = "/etc/pam-spice/mysrv-ca.pem"


# CA files

@pytest.mark.parametrize("text", [
    CA, f"subject=/CN=B\N{LATIN SMALL LETTER U WITH DIAERESIS}ro\n{CA}trailing text\n", CA * 2,
    NO_CA + CA, CA.replace("\n", "\r\n")])
def test_a_ca_s_certificate_is_found_whatever_stands_around_it(text: str) -> None:
    assert certificate_spans(text.encode(), FILE) == (CA_SPAN,)


@pytest.mark.parametrize("data", [
    b"", b"\0" * 100, b"hello", NO_CA.encode(), DAMAGED.encode(), CA.encode()[:-40],
    CA.encode() + DAMAGED.encode(), DER])  # the viewer reads PEM alone
def test_what_the_viewer_can_t_use_as_a_ca_is_unusable(data: bytes) -> None:
    outcome = certificate_spans(data, FILE)
    assert isinstance(outcome, CaFault)
    assert outcome.code == Code.CA_UNUSABLE


@pytest.mark.parametrize("data", [b"", b"hello", NO_CA.encode(), CA.encode()[:-40],
                                  DER[:-1], DER + b"x"])
def test_of_what_is_no_ca_s_certificate_it_is_said_which_file_of_the_server_s_is_one(
        data: bytes) -> None:
    outcome = certificate_spans(data, FILE)
    assert isinstance(outcome, CaFault)
    assert outcome.remedy == ("copy it anew from the server: ca-cert.pem in /etc/pki/qemu, or "
                              "where spice_tls_x509_cert_dir of its qemu.conf says")


def test_the_remedy_of_der_is_the_command_that_turns_the_file_itself_into_pem() -> None:
    """tests/lab/test_doctor.py types it."""
    outcome = certificate_spans(DER, FILE)
    assert isinstance(outcome, CaFault)
    assert outcome.fact == "is in DER form, and the viewer reads PEM alone"
    assert outcome.remedy == f"openssl x509 -inform der -in {FILE} -out {FILE}"


def fault_of(path: Path) -> Code:
    outcome = read_ca(str(path))
    assert isinstance(outcome, CaFault)
    return outcome.code


def test_a_ca_file_is_missing_unreadable_unusable_or_good(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    assert fault_of(path) == Code.CA_MISSING
    assert fault_of(path / "below") == Code.CA_MISSING
    path.write_text(CA)
    path.chmod(0o644)
    assert read_ca(str(path)) == (CA_SPAN,)
    assert fault_of(path / "below") == Code.CA_MISSING
    path.chmod(0o600)
    assert fault_of(path) == Code.CA_UNREADABLE
    path.unlink()
    path.mkdir()
    assert fault_of(path) == Code.CA_UNUSABLE


def test_a_fifo_in_a_ca_file_s_place_hangs_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ca.pem")
    with within(5):
        assert fault_of(tmp_path / "ca.pem") == Code.CA_UNUSABLE


def test_a_ca_file_for_the_viewer_s_group_alone_is_readable(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ca.pem"
    path.write_text(CA)
    path.chmod(0o640)
    gid = path.stat().st_gid
    monkeypatch.setattr(grp, "getgrnam", lambda name: grp.struct_group((name, "x", gid, [])))
    assert read_ca(str(path)) == (CA_SPAN,)
    monkeypatch.setattr(grp, "getgrnam", lambda name: grp.struct_group((name, "x", gid + 1, [])))
    assert fault_of(path) == Code.CA_UNREADABLE


def test_before_there_is_the_viewer_s_group_a_ca_file_for_a_group_alone_is_not_readable(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ca.pem"
    path.write_text(CA)
    path.chmod(0o640)

    def no_such_group(_: str) -> None:
        raise KeyError

    monkeypatch.setattr(grp, "getgrnam", no_such_group)
    assert fault_of(path) == Code.CA_UNREADABLE


# Host names

def answering(monkeypatch: pytest.MonkeyPatch, **hosts: list[str]) -> None:
    """Let getaddrinfo know these hosts and no other."""

    def getaddrinfo(host: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        if host == "hang":
            threading.Event().wait(30)
        if host not in hosts:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(0, 0, 0, "", (address, 0)) for address in hosts[host]]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_addresses_come_in_their_canonical_form(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, a=["192.168.2.2", "FD00:0::2", "fe80::1%eth0"])
    assert resolve(["a", "b", "a"]) == {
        "a": frozenset({"192.168.2.2", "fd00::2", "fe80::1"}), "b": "Name or service not known"}


def test_a_resolver_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, a=["192.168.2.2"])
    before = time.monotonic()
    found = resolve(["hang", "a"], 0.3)
    assert time.monotonic() - before < 5
    assert found == {"hang": "no answer within 0.3 s", "a": frozenset({"192.168.2.2"})}


def test_no_name_at_all_is_answered_at_once() -> None:
    assert resolve([]) == {}


def test_a_name_that_no_resolver_takes_has_no_address() -> None:
    assert isinstance(resolve(["a" * 64 + ".example"])["a" * 64 + ".example"], str)


# Accounts

def test_root_is_a_user_but_no_person_and_in_its_own_group() -> None:
    accounts = SystemAccounts()
    assert accounts.has_user("root") and not accounts.is_person("root")
    assert accounts.has_group("root") and accounts.is_member("root", "root")
    assert not accounts.has_user("no such user") and not accounts.has_group("no such group")
    assert not accounts.is_member("no such user", "no such group")
    assert not accounts.is_member("root", "no such group")


# The verb

@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A policy without a finding but that root is no person."""
    (tmp_path / "ca.pem").write_text(CA)
    (tmp_path / "ca.pem").chmod(0o644)
    monkeypatch.setattr(time, "time", lambda: CA_SPAN[0] + 86400)
    path = tmp_path / "policy.yaml"
    path.write_text(SERVER.replace("/etc/pam-spice/mysrv-ca.pem", str(tmp_path / "ca.pem"))
                    + "consoles: {webdev: {server: mysrv, tls_port: 20002}}\n"
                    + "grants:\n  - {user: root, console: webdev}\n")
    return path


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, object]]:
    status = main(["check", *arguments, "--json"])
    document = json.loads(capsys.readouterr().out)
    assert isinstance(document, dict)
    return status, document


def test_findings_are_in_the_document_only_if_asked_for(
        policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(capsys, "--policy", str(policy)) == (
        0, {"ok": True, "usable": True, "problems": []})
    assert asked(capsys, "--lint", "--policy", str(policy)) == (1, {
        "ok": False, "usable": True, "problems": [], "findings": [
            {"code": "L503", "name": "not-a-person", "file": str(policy), "line": 9, "column": 5,
             "fact": "'root' is no person's account: consoles open for none such",
             "remedy": "grant it to the account that the person logs in with"}]})


def test_a_finding_is_printed_with_its_line_and_a_count_ends_it(
        policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--lint", "--policy", str(policy)]) == 1
    assert capsys.readouterr().err == f"""\
{policy}:9:5: L503 not-a-person: 'root' is no person's account: consoles open for none such
      - {{user: root, console: webdev}}
        ^
  grant it to the account that the person logs in with
1 finding; {PAGE} explains each code
"""


def test_without_findings_lint_says_that_all_is_fine(
        policy: Path, capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SystemAccounts, "is_person", lambda *_: True)
    assert main(["check", "--lint", "--policy", str(policy)]) == 0
    assert capsys.readouterr() == ("fine: 1 server, 1 console, 1 grant\n", "")


def test_online_asks_for_the_names_and_lint_does_not(
        policy: Path, capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, **{"mysrv.example": ["192.168.2.2", "192.168.2.9"]})
    _, document = asked(capsys, "--online", "--policy", str(policy))
    assert isinstance(document["findings"], list)
    assert [each["code"] for each in document["findings"]] == ["L802", "L803", "L503"]
    assert len(asked(capsys, "--lint", "--policy", str(policy))[1]["findings"]) == 1  # type: ignore[arg-type]


def test_an_unusable_policy_has_no_findings_and_the_status_2(
        policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy.write_text("grants: [")
    status, document = asked(capsys, "--lint", "--policy", str(policy))
    assert status == 2
    assert (document["findings"], document["usable"]) == ([], False)


def test_problems_and_findings_are_counted_in_one_line(
        policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with policy.open("a") as file:
        file.write("  - {usr: anne, console: webdev}\n")
    assert main(["check", "--lint", "--policy", str(policy)]) == 1
    assert capsys.readouterr().err.endswith(
        f"1 error; an entry with an error is skipped; 1 finding; {PAGE} explains each code\n")
