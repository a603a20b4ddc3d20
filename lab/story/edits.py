"""Edits of the policy while people work."""

from __future__ import annotations

from lab.door import wait_until
from lab.story.attempts import REFUSED
from lab.story.stage import MYSELF, Stage, policy


def an_edit_counts_from_the_next_session(stage: Stage) -> None:
    """An edit leaves the running session as it is and counts from the next one on"""
    stage.lab.login("myself", 1)
    desktop = stage.lab.desktop("myself", 1)
    before = stage.chain(MYSELF)
    swapped = policy(myself="never").replace("user: mybro", "user: myself")
    stage.set_policy(swapped)
    stage.lab.workstation.run(["pam-spice", "reconcile"])
    stage.line("his chain is the same", _rules(stage.chain(MYSELF)) == _rules(before))
    stage.open_console(desktop, "debianx")
    stage.line("and spice-open still opens the console he had",
               len(stage.lab.server.channels("debianx")) == 4)
    listed = stage.lab.workstation.run(["sudo", "-l", "-U", "mybro"]).stdout
    stage.line("sudo followed without a command typed: mybro has lost leaptest",
               "20004" not in listed, listed)
    stage.lab.logout(1)
    stage.lab.login("myself", 1)
    chain = stage.chain(MYSELF)
    stage.line("his next session has leaptest instead of debianx",
               "20004" in chain and "20002" not in chain, chain)
    wider = swapped.replace("20001-20010", "20001-20010, 8080")
    stage.set_policy(wider)
    wait_until("the guard follows", lambda: stage.connect(0, 8080) == REFUSED, 10)
    stage.line("the guard followed the edit too: a newly guarded port is closed at once",
               stage.connect(0, 8080) == REFUSED)
    stage.set_policy(policy())
    wait_until("the guard follows", lambda: stage.connect(0, 8080) == "connected", 10)
    stage.line("and opened again when a valid edit drops it", True)


def _rules(chain: str) -> list[str]:
    return [line.split(" counter ")[0] for line in chain.splitlines()]


def a_broken_edit_opens_nothing(stage: Stage) -> None:
    """A broken edit opens nothing new, keeps the guard and is shown with line and caret"""
    stage.lab.login("myself", 1)
    stage.set_policy(policy().replace("consoles:\n", "consoles: [\n"))
    checked = stage.lab.workstation.run(["pam-spice", "check"], check=False)
    stage.line("pam-spice check shows file, line and caret",
               checked.returncode == 2 and "policy.yaml:" in checked.stderr
               and "^" in checked.stderr, checked.stderr)
    stage.lab.workstation.run(["pam-spice", "reconcile"])
    stage.line("the running session keeps what it has",
               stage.connect(MYSELF, 20002) == "connected")
    stage.lab.logout(1)
    stage.lab.login("myself", 1)
    stage.line("the next login opens nothing", not stage.chains(), stage.chains())
    got = stage.connect(0, 20002)
    stage.line("the guard stands", got == REFUSED, got)
    stage.lab.logout(1)
    stage.set_policy(policy().replace("tls_port: 20002", "tls_port: 2002"))
    checked = stage.lab.workstation.run(["pam-spice", "check"], check=False)
    stage.line("one bad entry is shown in the same way", checked.returncode == 1
               and "tls_port: 2002" in checked.stderr, checked.stderr)
    stage.lab.login("mybro", 1)
    stage.line("and denies only itself: mybro has his console", "20004" in stage.chain(1022))
