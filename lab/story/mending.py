"""What breaks is put right; what ends, ends."""

from __future__ import annotations

from lab.door import wait_until
from lab.story.attempts import REFUSED
from lab.story.stage import MYSELF, Stage

_SOONER = "/run/systemd/system/pam-spice-reconcile.timer.d/sooner.conf"


def what_is_broken_is_mended(stage: Stage) -> None:
    """A flushed ruleset is mended, a killed login is noticed"""
    box = stage.lab.workstation
    stage.lab.login("myself", 1)
    box.run(["systemctl", "stop", "pam-spice-watch.service"])
    rules = stage.chain(MYSELF)
    box.run(["nft", "flush", "ruleset"])
    stage.line("root has flushed the ruleset: everything is open",
               stage.connect(0, 20004) == "connected")
    # It comes each minute: here somebody waits for it.
    box.write_file(_SOONER, "[Timer]\nOnUnitInactiveSec=1s\n")
    box.run(["systemctl", "daemon-reload"])
    try:
        wait_until("the timer has run", lambda: stage.connect(0, 20004) == REFUSED, 15)
    finally:
        box.shell(f"rm {_SOONER}; systemctl daemon-reload")
    stage.line("the timer has loaded the guard again", stage.connect(0, 20004) == REFUSED)
    stage.line("and myself's chain", _without_counters(stage.chain(MYSELF))
               == _without_counters(rules))
    box.run(["nft", "add", "rule", "inet", "pam_spice", f"user-{MYSELF}", "accept"])
    box.run(["pam-spice", "reconcile"])
    stage.line("a rule that somebody slipped into his chain is gone",
               _without_counters(stage.chain(MYSELF)) == _without_counters(rules))
    stage.start_everything()
    stage.open_console(stage.lab.desktop("myself", 1), "debianx")
    leader = stage.lab.session_at(1).leader
    box.run(["kill", "-KILL", str(leader)])
    stage.soon("kill -9 of the login process is noticed: chain and console are gone",
               lambda: not stage.chains() and stage.is_silent("debianx"), 2)


def _without_counters(chain: str) -> list[str]:
    return [line.split(" counter ")[0] for line in chain.splitlines()]


def a_reboot_closes_everything(stage: Stage) -> None:
    """After a reboot the guard stands before the network is up, and no chain is open"""
    box = stage.lab.workstation
    stage.lab.login("myself", 1)
    box.reboot()
    stamps = box.shell(
        "systemctl show -P ActiveEnterTimestampMonotonic pam-spice-guard.service; "
        "systemctl show -P ActiveEnterTimestampMonotonic network-pre.target; "
        "systemctl show -P InactiveExitTimestampMonotonic systemd-networkd.service").stdout.split()
    guard, pre, network = map(int, stamps)
    stage.line("the guard was loaded before the network was configured",
               0 < guard <= pre and guard <= network,
               f"guard {guard} us, network-pre.target {pre} us, networkd {network} us")
    stage.line("no chain is open", not stage.chains(), stage.chains())
    got = stage.connect(0, 20002)
    stage.line("nobody gets through, root included", got == REFUSED, got)
    stage.lab.login("myself", 1)
    stage.line("the next login opens as ever", stage.chains() == {MYSELF}, stage.chains())
