"""Whatever fails, a login works, and nothing opens that shouldn't."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from lab import seat
from lab.story.attempts import REFUSED
from lab.story.stage import MYSELF, UNITS, Stage

_HOOK = "/usr/lib/pam-spice/hook"


@contextmanager
def _broken(stage: Stage, breaks: str, mends: str) -> Iterator[None]:
    stage.lab.workstation.shell(breaks)
    try:
        yield
    finally:
        stage.lab.workstation.shell(mends)


def a_login_works_whatever_fails(stage: Stage) -> None:
    """A login works, with nothing opened, when a part is missing or dies"""
    # The timer would mend some of these within the minute; here the moment itself is looked at.
    stage.stop_everything()
    for name, breaks, mends in (
            ("the policy is missing", "mv /etc/pam-spice/policy.yaml /etc/pam-spice/away",
             "mv /etc/pam-spice/away /etc/pam-spice/policy.yaml"),
            ("logind is stopped", "systemctl mask --runtime --now systemd-logind.service",
             "systemctl unmask --runtime systemd-logind.service; "
             "systemctl start systemd-logind.service"),
            ("the hook is killed", f"mv {_HOOK} {_HOOK}.away; "
             f"printf '#!/bin/sh\\nkill -KILL $$\\n' >{_HOOK}; chmod 755 {_HOOK}",
             f"mv {_HOOK}.away {_HOOK}"),
            ("the hook hangs", f"mv {_HOOK} {_HOOK}.away; "
             f"sed 's|^from pam_spice.hook.*|&\\nimport os; os.getppid = lambda: "
             f"__import__(\"time\").sleep(60)|' {_HOOK}.away >{_HOOK}; chmod 755 {_HOOK}",
             f"mv {_HOOK}.away {_HOOK}"),
            ("/run is full",
             "mount -o remount,size=$(($(df -k --output=used /run | tail -1) + 64))k /run; "
             "dd if=/dev/zero of=/run/filler bs=4k 2>/dev/null || true",
             "rm /run/filler; mount -o remount,size=20% /run")):
        with _broken(stage, breaks, mends):
            began = time.monotonic()
            # Not Lab.login, which asks logind.
            seat.login(1, "myself", stage.lab.passwords["myself"])
            took = time.monotonic() - began
            ran = stage.lab.run_at("id -un", 1)
            chains = _chains(stage)
            got = stage.connect(MYSELF, 20002)
            stage.line(f"{name}: the login works and nothing opens",
                       "myself" in ran.text and not chains and got == REFUSED and took < 30,
                       f"prompt after {took:.1f} s, chains: {chains or 'none'}, connect: {got}")
            stage.lab.logout(1)
        stage.lab.workstation.run(["systemctl", "stop", *UNITS])
    with _broken(stage, "mv /usr/sbin/nft /usr/sbin/nft.away",
                 "mv /usr/sbin/nft.away /usr/sbin/nft"):
        stage.lab.login("myself", 1)
        during = _chains(stage)
        stage.lab.logout(1)
        stage.line("nft is missing: the login opens and the logout closes, for neither needs it",
                   during == {MYSELF} and not _chains(stage),
                   f"chains: {during}, then {_chains(stage) or 'none'}")
    stage.start_everything()
    stage.lab.login("myself", 1)
    stage.line("with all of it mended the next login opens again", stage.chains() == {MYSELF})


def _chains(stage: Stage) -> set[int]:
    """The chains, also while nft is away."""
    box = stage.lab.workstation
    listed = box.shell("$(command -v nft || echo /usr/sbin/nft.away) list chains inet").stdout
    return {int(line.split()[1].removeprefix("user-")) for line in listed.splitlines()
            if line.strip().startswith("chain user-")}
