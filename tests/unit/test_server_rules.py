"""A policy to the rules that its KVM hosts are to have; tests/kernel gives the golden files to nft
and knocks at a host that has them."""

import re
from argparse import Namespace
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conf.model import Policy
from pam_spice.serverrules import render
from pam_spice.verbs import UsageError, server_rules
from tests.unit.conftest import GOLDEN, Golden
from tests.unit.support import SERVER, policy_of

CASES = sorted((GOLDEN / "server-rules").glob("*.yaml"))
OFFICE = GOLDEN / "server-rules" / "office.yaml"


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_rules_of_each_server_are_their_golden_file(path: Path, golden: Golden) -> None:
    policy = policy_of(path.read_text())
    for name, server in policy.servers.items():
        golden(path.with_name(f"{path.stem}.{name}.nft"), render(policy, server))


def elements(text: str) -> list[tuple[str, str]]:
    """The networks and ports of the two sets."""
    return re.findall(r"^ {12}(\S+) \. (\S+),$", text, re.MULTILINE)


def admitted(text: str, address: str, port: int) -> int:
    """How many elements of the sets hold a workstation's address with a port."""
    return sum(ip_address(address) in ip_network(network)
               and int(ports.partition("-")[0]) <= port <= int(ports.rpartition("-")[2])
               for network, ports in elements(text))


NETWORKS = st.sampled_from([
    "192.0.2.0", "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.0/30", "192.0.2.0/31",
    "192.0.2.2/31", "192.0.2.0/24", "fd00::", "fd00::1", "fd00::/126", "fd00::/127", "fd00::/64"])
ADDRESSES = [*(f"192.0.2.{last}" for last in (0, 1, 2, 3, 4, 255)), "192.0.3.1",
             *(f"fd00::{last}" for last in (0, 1, 3, 4)), "fd01::1"]


def grant(console: str, glob: str) -> str:
    patterns = glob if "[" in glob else f'"{glob}"'
    return (f"  - {{user: anne, console: {console}"
            + (f", workstations: {patterns}" if glob else "") + "}\n")


@st.composite
def offices(draw: st.DrawFn) -> Policy:
    """Three workstations and three consoles, two of them on one port, with random grants."""
    listed = "".join(f"  {name}: {draw(st.lists(NETWORKS, min_size=1, max_size=3))}\n"
                     for name in ("a1", "a2", "b1"))
    grants = draw(st.lists(st.builds(grant, st.sampled_from("xyz"), st.sampled_from(
        ["", "a*", "a1", "?1", "[a2, b1]", "c"])), max_size=4))
    return policy_of(f"""{SERVER}
consoles:
  x: {{server: mysrv, tls_port: 20001}}
  y: {{server: mysrv, tls_port: 20002}}
  z: {{server: mysrv, tls_port: 20002}}
workstations:
{listed}
grants: {"" if grants else "[]"}
""" + "".join(grants))


@settings(max_examples=200, deadline=None)
@given(offices())
def test_an_address_is_admitted_once_to_a_port_exactly_if_a_grant_counts_on_its_workstation(
        policy: Policy) -> None:
    fits = {"": {"a1", "a2", "b1"}, "a*": {"a1", "a2"}, "a1": {"a1"}, "?1": {"a1", "b1"},
            "a2": {"a2"}, "b1": {"b1"}, "c": set[str]()}
    text = render(policy, policy.servers["mysrv"])
    for address in ADDRESSES:
        for port in (20001, 20002, 20003):
            names = set[str]().union(*(
                fits[glob] for grant in policy.grants for glob in grant.workstations or ("",)
                if any(console.tls_port == port for console in grant.consoles)))
            is_admitted = any(ip_address(address) in network for name in names
                              for network in policy.workstations[name].networks)
            # More than one element that holds it would be refused by nft.
            assert admitted(text, address, port) == is_admitted, (address, port)


# The verb

def ask(policy: Path, server: str = "mysrv") -> int:
    return server_rules.run(Namespace(policy=str(policy), server=server))


def test_the_verb_prints_the_file_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(OFFICE) == 0
    printed = capsys.readouterr()
    assert printed.out == OFFICE.with_name("office.mysrv.nft").read_text()
    assert printed.err == ""


@pytest.mark.parametrize(("old", "new", "fact", "remedy"), [
    ("", "", "the policy has no server 'nosuch'", "it has: mysrv, other"),
    ("console: bookkeeping}", "console: nosuch}", "the policy has an error", "pam-spice check"),
    ("servers:", "server:", "the policy has an error", "pam-spice check"),
    ("workstations:\n", "windows:\n  w: Mon\n#", "does not say which addresses",
     "add `workstations: {front-1: 192.168.2.22}`")])
def test_without_what_it_needs_it_prints_no_rules(
        old: str, new: str, fact: str, remedy: str, tmp_path: Path,
        capsys: pytest.CaptureFixture[str]) -> None:
    text = OFFICE.read_text().replace(old, new, 1)
    if "workstations" in old:
        text = re.sub(r"^  (front|pc)\S+: .*\n", "", text, flags=re.MULTILINE)
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=re.escape(fact)) as caught:
        ask(path, "mysrv" if old else "nosuch")
    assert remedy in str(caught.value)
    assert capsys.readouterr().out == ""
