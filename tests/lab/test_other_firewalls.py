"""Other firewalls start, reload and stop beside ours: the guard stands, and theirs is as they made
it. The real programs, while a user is logged in and has a connection."""

import os
import re
import time
from collections.abc import Iterator

import pytest

from lab.story import Stage
from lab.story.stage import MYBRO, MYSELF, SERVER4, SERVER6, policy
from lab.workstation import Workstation
from tests.lab.deeds import FIREWALLS, GRANTED_PORT, Deed, Firewall
from tests.lab.prober import OPEN, REFUSED
from tests.lab.probing import Prober
from tests.lab.walls_page import Row, Rows

REFUSED_PORT = 20009
_WITHIN = 1.0  # seconds
TABLE = "inet pam_spice"


@pytest.fixture(scope="module")
def furnished(stage: Stage) -> Iterator[Stage]:
    """`myself` is logged in, with a console that echoes."""
    stage.reset()
    for port in (GRANTED_PORT, REFUSED_PORT):
        stage.lab.server.add_listener(port)
    stage.set_policy(policy().replace("tls_port: 20002", f"tls_port: {GRANTED_PORT}"))
    stage.lab.login("myself")
    yield stage
    stage.lab.logout()


@pytest.fixture
def prober(furnished: Stage) -> Iterator[Prober]:
    with Prober(furnished.lab.workstation, REFUSED_PORT, GRANTED_PORT,
                (SERVER4, SERVER6)) as started:
        yield started


def ours(box: Workstation) -> list[str]:
    """Our table, but for counters, what packets have put into sets and the order in which chains
    were made."""
    listed = box.run(["nft", "-s", "-t", "list", "table", *TABLE.split()], check=False).stdout
    elements = [box.run(["nft", "-s", "list", kind, *TABLE.split(), name], check=False).stdout
                for kind, name in (("set", "guarded4"), ("set", "guarded6"), ("map", "sessions"))]
    return sorted(listed.splitlines()) + elements


def theirs(box: Workstation) -> str:
    """All other rules of this workstation, but for counters."""
    listed = box.shell("nft -s list ruleset; iptables-legacy-save; ip6tables-legacy-save").stdout
    before, mark, rest = listed.partition(f"table {TABLE} {{\n")
    listed = before + rest.partition("\n}\n")[2] if mark else listed
    # docker names a bridge by chance.
    bridges = dict.fromkeys(re.findall(r"br-[0-9a-f]{12}", listed))
    for number, name in enumerate(bridges):
        listed = listed.replace(name, f"br-{number}")
    # The legacy programs print when they ran, and how many packets a policy met.
    return "\n".join(line.partition(" [")[0] for line in listed.splitlines()
                     if not line.startswith("# "))


def versions(box: Workstation) -> str:
    """What this is about, as Debian numbers it."""
    listed = box.run(["dpkg-query", "-W", "-f", "${Package} ${Version}, ", "nftables", "firewalld",
                      "ufw", "iptables", "docker.io"]).stdout
    return f"kernel {os.uname().release}, {listed.removesuffix(', ')}"


def clear(box: Workstation, firewall: Firewall) -> None:
    """No other firewall's rules are left."""
    box.shell(f"{firewall.afterwards}; nft list tables | grep -v '{TABLE}' | "
              "while read table; do nft delete $table; done")
    assert theirs(box).split() in ([], LEGACY), theirs(box)


LEGACY = """*filter
:INPUT ACCEPT
:FORWARD ACCEPT
:OUTPUT ACCEPT
COMMIT""".split()
"""The legacy programs' table, once there was one: it can't be taken away without the module."""


def alone(stage: Stage, firewall: Firewall) -> list[str]:
    """What each deed makes of their rules where pam-spice isn't there."""
    box = stage.lab.workstation
    stage.stop_everything()
    box.run(["nft", "delete", "table", *TABLE.split()])
    try:
        found = []
        for deed in firewall.deeds:
            box.shell(deed.script)
            found.append(theirs(box))
        return found
    finally:
        clear(box, firewall)
        stage.start_everything()
        box.run(["pam-spice", "reconcile"])


def beside(box: Workstation, prober: Prober, deed: Deed, before: list[str],
           without_us: str) -> Row:
    """What the deed does where pam-spice is."""
    prober.report()
    time.sleep(0.7)  # the watcher rests after work; each deed is to meet one that has rested
    box.shell(deed.script)
    done = time.monotonic()
    while ours(box) != before and time.monotonic() - done < _WITHIN:
        time.sleep(0.01)
    assert ours(box) == before, f"not within {_WITHIN} s: guard and chains as before"
    time.sleep(0.05)  # it is to be tried afterwards too
    seen = prober.report()
    assert seen.last == REFUSED or (deed.drops_all and seen.last != OPEN)
    assert seen.longest_gap < _WITHIN
    assert seen.ended == ""
    now = theirs(box)
    assert now == without_us, "what they have is other than where pam-spice isn't there"
    return Row(deed.what, seen, deed.drops_all)


@pytest.mark.parametrize("firewall", FIREWALLS, ids=lambda firewall: firewall.name)
def test_the_guard_stands_again_within_a_second_and_theirs_is_as_they_made_it(
        firewall: Firewall, furnished: Stage, prober: Prober, rows: Rows) -> None:
    box = furnished.lab.workstation
    rows.versions = versions(box)
    for path, text in firewall.files:
        box.write_file(path, text)
    box.shell(firewall.beforehand)
    clear(box, firewall)
    without_us = alone(furnished, firewall)
    before = ours(box)
    assert furnished.chain(MYSELF)
    try:
        for deed, found in zip(firewall.deeds, without_us, strict=True):
            rows.add(firewall.name, beside(box, prober, deed, before, found))
            if not deed.drops_all:
                assert furnished.connect(MYBRO, REFUSED_PORT) == "ConnectionRefusedError"
                assert furnished.connect(MYSELF, GRANTED_PORT) == "connected"
    finally:
        clear(box, firewall)
