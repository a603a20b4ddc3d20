"""What `pam-spice check` of a large policy costs, beside PyYAML's C loader on the same file."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from lab.door import call
from lab.product import CHECKOUT

_GRANTS, _USERS, _CONSOLES = 100_000, 20_000, 1000
_LOADER = "import sys, yaml; yaml.load(open(sys.argv[1]), yaml.CSafeLoader)"
_WHEN = ("", ", when: evenings", ", when: [Mon, Tue]",
         ', when: ["Wed,Thu 08:00-12:00", "Wed,Thu 12:30-17:00"]')


def large_policy(grants: int = _GRANTS) -> str:
    """A policy of that many grants, in the shape of the example's."""
    lines = ["timezone: Europe/Berlin", "servers:", "  mysrv:", "    host: mysrv.example",
             '    addresses: [192.168.2.2, "fd00::2"]', "    guarded_ports: [20001-25000]",
             "    ca_file: /etc/pam-spice/mysrv-ca.pem", "consoles:"]
    lines += [f"  c{number}: {{server: mysrv, tls_port: {20001 + number}}}"
              for number in range(_CONSOLES)]
    lines += ["windows:", "  evenings: [Mon-Fri 18:00-22:00]", "grants:"]
    lines += [f"  - {{user: user{number % _USERS}, console: c{number % _CONSOLES}"
              f"{_WHEN[number % len(_WHEN)]}}}" for number in range(grants)]
    return "\n".join([*lines, ""])


def bench(rounds: int = 5) -> None:
    """Measure and print: whole processes, in turn."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "policy.yaml")
        path.write_text(large_policy())
        commands: dict[str, list[str | Path]] = {
            "PyYAML's C loader": [sys.executable, "-c", _LOADER, path],
            "pam-spice check": [sys.executable, "-m", "pam_spice", "check", "--policy", path],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                began = time.perf_counter()
                call(command, cwd=CHECKOUT, timeout=300)
                times[name].append(time.perf_counter() - began)
    for name, measured in times.items():
        print(f"{name}, {_GRANTS:,} grants: median {statistics.median(measured):.1f} s "
              f"({min(measured):.1f} to {max(measured):.1f}, {rounds} rounds)")
    loader, check = times.values()
    ratios = [ours / theirs for ours, theirs in zip(check, loader, strict=True)]
    print(f"pam-spice check, against the loader alone: {statistics.median(ratios):.2f}x "
          f"({min(ratios):.2f} to {max(ratios):.2f})")
