"""What the hook costs at login and logout, beside a shell hook that does nothing but run nft.

Three PAM stacks in the workstation, the same but for the hook; pamtester opens and closes a
session through each in turn. Quoted are ratios of medians from one run: times differ from machine
to machine and from minute to minute.
"""

from __future__ import annotations

import statistics
import time

from lab.lab import Lab
from lab.story.stage import policy

_ROUNDS = 40
_BASE = ("auth required pam_permit.so\naccount required pam_permit.so\n"
         "session required pam_permit.so\nsession optional pam_systemd.so\n")


def _exec(phase: str, command: str) -> str:
    return f"session optional pam_exec.so quiet type={phase}_session {command}\n"


def bench(rounds: int = _ROUNDS) -> None:
    """Measure and print."""
    stacks = {
        "none": "",
        "shell": _exec("open", "/bin/sh /root/hook-open")
        + _exec("close", "/bin/sh /root/hook-close"),
        "ours": _exec("open", "/usr/lib/pam-spice/hook open")
        + _exec("close", "/usr/lib/pam-spice/hook close"),
    }
    services = ", ".join(f"bench-{name}" for name in stacks)
    with Lab.start(policy(services=services, require_seat=False)) as lab:
        box = lab.workstation
        # Only what a login runs itself is measured.
        box.run(["systemctl", "stop", "pam-spice-watch", "pam-spice-reconcile.timer",
                 "pam-spice-doctor.timer", "pam-spice-doctor.path"])
        for name, hook in stacks.items():
            box.write_file(f"/etc/pam.d/bench-{name}", _BASE + hook)
        _make_shell_hook(lab)
        times: dict[str, list[float]] = {name: [] for name in stacks}
        for _ in range(rounds):
            for name, measured in times.items():
                measured.append(_once(lab, name))
    medians = {name: statistics.median(measured) for name, measured in times.items()}
    shell, ours = (medians[name] - medians["none"] for name in ("shell", "ours"))
    for name, measured in times.items():
        low, _, high = statistics.quantiles(measured, n=4)
        print(f"open + close, hook {name}: median {medians[name] * 1000:.1f} ms "
              f"(quartiles {low * 1000:.1f} to {high * 1000:.1f}, {rounds} rounds)")
    print(f"pam-spice's hook, against a shell hook that only runs nft: {ours / shell:.2f}x")


def _make_shell_hook(lab: Lab) -> None:
    """The same batches as ours, in a table of its own, by /bin/sh and nft -f."""
    lab.workstation.shell(
        "cd /root; cat >open.nft; sed 's/inet pam_spice/inet bench/' "
        "/var/lib/pam-spice/guard.nft >base.nft; "
        "sed -i '/hook /d; / output \\| forward /d' base.nft; nft -f base.nft; "
        "echo 'nft -f /root/open.nft' >hook-open; echo 'nft -f /root/close.nft' >hook-close",
        stdin="""\
add chain inet bench user-1021
flush chain inet bench user-1021
add rule inet bench user-1021 ip daddr 192.168.2.2 tcp dport 20002 meta skgid 997 counter accept
add rule inet bench user-1021 ip6 daddr fd00::2 tcp dport 20002 meta skgid 997 counter accept
add element inet bench sessions { 1021 : jump user-1021 }
""")
    lab.workstation.shell("cat >/root/close.nft", stdin="""\
add chain inet bench user-1021
add element inet bench sessions { 1021 : jump user-1021 }
delete element inet bench sessions { 1021 : jump user-1021 }
flush chain inet bench user-1021
delete chain inet bench user-1021
""")


def _once(lab: Lab, name: str) -> float:
    """Seconds for one session, timed inside the workstation."""
    script = (f"s=$(date +%s%N); pamtester bench-{name} myself open_session close_session "
              f">/dev/null; e=$(date +%s%N); echo $((e-s))")
    taken = int(lab.workstation.shell(script).stdout) / 1e9
    time.sleep(0.05)  # logind ends the session after pamtester
    return taken
