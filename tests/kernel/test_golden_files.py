"""The golden files of tests/unit, given to the tools that they are for."""

import json
import re
from pathlib import Path

import pytest

from pam_spice import sudoers
from pam_spice.firewall import nft
from tests.kernel import namespace as ns
from tests.unit.support import grant

POLICIES = Path(__file__).parents[1] / "unit" / "golden" / "policies"
guards = pytest.mark.parametrize("path", sorted(POLICIES.glob("*.guard.nft")),
                                 ids=lambda path: path.name.partition(".")[0])
drop_ins = pytest.mark.parametrize("path", sorted(POLICIES.glob("*.sudoers")),
                                   ids=lambda path: path.stem)


@guards
def test_nft_takes_the_guard_and_chains_of_a_golden_policy(path: Path) -> None:
    chains = path.with_name(path.name.replace(".guard.", ".chains."))
    text = path.read_text() + chains.read_text()
    ns.command("nft", "-c", "-f", "-", data=text)
    ns.nft(text)
    once = ns.listing()
    ns.nft(text)
    assert ns.listing() == once


@guards
def test_the_kernel_holds_the_elements_and_rules_of_a_golden_policy(path: Path) -> None:
    chains = path.with_name(path.name.replace(".guard.", ".chains.")).read_text()
    ns.nft(path.read_text() + chains)
    observed = nft.observe()
    assert observed is not None
    rules = re.findall(r"^add rule inet pam_spice user-(\d+) ", chains, re.MULTILINE)
    assert {uid: len(chain or ()) for uid, chain in observed.chains.items() if chain} == {
        int(uid): rules.count(uid) for uid in rules}
    assert None not in observed.chains.values()
    assert observed.jumps == {int(uid) for uid in re.findall(r"{ (\d+) : jump", chains)}


def visudo(text: str) -> None:
    path = Path("/run/drop-in")
    path.write_text(text)
    path.chmod(0o440)
    ns.command("visudo", "-cf", str(path))


def as_sudo_reads_it(text: str) -> dict[str, object]:
    path = Path("/run/drop-in")
    path.write_text(text)
    found: dict[str, object] = json.loads(ns.command("cvtsudoers", "-f", "json", str(path)))
    return found


@drop_ins
def test_visudo_takes_the_sudoers_of_a_golden_policy(path: Path) -> None:
    visudo(path.read_text())


NAMES = ["anne", "ALL", "Defaults", "User_Alias", "NOPASSWD", "DOM\\anne", "anne@corp",
         "domain admin", "host$", "1021", "_apt", "a.b-c_d", "list", "sudoedit", "sha224", "sha256",
         "sha384", "sha512", "include", "includedir", "no", "any", "role", "cwd", "10.0.0.1",
         "192.168.2.2", "fe80", "a..b", "x41", "0x41", "root", "-x"]


@pytest.mark.parametrize("kind", ["user", "group"])
@pytest.mark.parametrize("name", NAMES)
def test_sudo_reads_each_odd_name_as_that_user_or_group_and_nobody_else(kind: str,
                                                                        name: str) -> None:
    read = as_sudo_reads_it(sudoers.render([grant(subject=f"{kind}:{name}")], True))
    specification, = read["User_Specs"]  # type: ignore[misc]
    assert specification["User_List"] == [  # type: ignore[has-type]
        {"username" if kind == "user" else "usergroup": name}]


@pytest.mark.parametrize("sign", "_.+@-")
def test_sudo_reads_each_sign_that_a_ca_file_may_have(sign: str) -> None:
    line = grant()
    line.ca_file = f"/etc/a{sign}b/{sign}c.pem"
    read = as_sudo_reads_it(sudoers.render([line], True))
    aliases = read["Command_Aliases"]
    assert isinstance(aliases, dict)
    (command,), = aliases.values()
    plain = re.sub(r"\\(.)", r"\1", command["command"])
    assert plain == (f"/usr/lib/pam-spice/viewer --spice-ca-file=/etc/a{sign}b/{sign}c.pem "
                     "--title=webdev -- spice://mysrv.example?tls-port=20002")


def test_sudo_reads_one_runas_group_and_no_runas_user() -> None:
    read = as_sudo_reads_it(sudoers.render([grant()], True))
    specification, = read["User_Specs"]  # type: ignore[misc]
    command, = specification["Cmnd_Specs"]  # type: ignore[has-type]
    assert command["runasgroups"] == [{"usergroup": "spicegrp"}]
    assert "runasusers" not in command
