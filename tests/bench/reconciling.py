"""A reconcile that finds nothing to do, beside nft alone listing the same table.

A workstation on which 100 or 1,000 users are logged in, each with two consoles over IPv4 and IPv6,
every second one in windows. logind is played: its files, and processes as the sessions' leaders;
the kernel's table, the records, the users' accounts, the sudo and PAM files are real, in a
namespace. Timed are two processes, from their start to their end: ``pam-spice reconcile``, as the
timer runs it, and ``nft -j list table``, whose output goes to /dev/null.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from pam_spice import pamstack, paths
from tests.bench.isolation import in_namespaces
from tests.bench.measuring import Effort, Results, Row, Times, in_turn, milliseconds, ratio
from tests.kernel import namespace as ns
from tests.kernel.workstation import Workstation

_SIZES = [100, 1000]
_FULL_ROUNDS = 20
_SECONDS = 170
_FIRST_UID = 2000
_CONSOLES = 100
_SERVICES = ["login", "lightdm"]
_WHEN = ("", ", when: evenings", "", ', when: ["Wed,Thu 08:00-12:00", "Wed,Thu 12:30-17:00"]')
_ROOT = Path(__file__).parents[2]
_COMMAND = Path("/run/pam-spice-command")
_RECONCILE = [str(_COMMAND), "reconcile"]
_LIST = [paths.NFT, "-j", "-nn", "list", "table", "inet", "pam_spice"]
_MS_REMOUNT = 32
_PROFILE = pamstack.PROFILE


def measure(effort: Effort) -> Results:
    """Measure both at each size. Raises RuntimeError where there is something to do."""
    results = Results()
    for size in effort.sizes(_SIZES):
        times = _times(size, effort.rounds(_FULL_ROUNDS))
        what = f"reconcile that finds nothing to do, {size:,} sessions"
        results.rows.append(Row(what, "`nft -j list table`", 2.0 if size == 1000 else None,
                                ratio(times["reconcile"], times["nft"])))
        results.medians += [
            (what, milliseconds(times["reconcile"])),
            (f"`nft -j list table` of {size:,} users' chains", milliseconds(times["nft"]))]
    return results


def _times(size: int, rounds: int) -> Times:
    return in_namespaces(lambda: _measure(size, rounds), _SECONDS)


def _measure(size: int, rounds: int) -> Times:
    leaders = _fill_workstation(size)
    try:
        return in_turn({"reconcile": lambda: _timed(_RECONCILE), "nft": lambda: _timed(_LIST)},
                       rounds)
    finally:
        for leader in leaders:
            os.kill(leader, signal.SIGKILL)
            os.waitpid(leader, 0)


def _timed(argv: list[str]) -> float:
    """Seconds that the program takes."""
    began = time.perf_counter()
    pid = os.posix_spawn(argv[0], argv, {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
                         file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)])
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    taken = time.perf_counter() - began
    if status != 0:
        raise RuntimeError(f"{argv}: status {status}")
    return taken


def _fill_workstation(size: int) -> list[int]:
    """Log so many users in; the pids of their sessions' leaders."""
    ns.mount("none", "/run", "none", _MS_REMOUNT, "size=64m")  # two files a session
    with open("/etc/passwd", "a") as passwd:
        passwd.writelines(f"user{number}:x:{_FIRST_UID + number}:{_FIRST_UID + number}::/:/bin/sh\n"
                          for number in range(size))
    workstation = Workstation()
    workstation.policy(_policy(size))
    _put_lines_into_pam()
    leaders = []
    for number in range(size):
        leader = os.fork()
        if leader == 0:
            ns.die_with_parent()
            while True:
                signal.pause()
        leaders.append(leader)
        workstation.state(str(number + 1), f"user{number}", leader, UID=str(_FIRST_UID + number))
    _write_command()
    ns.command(*_RECONCILE)
    assert len(workstation.chains()) == size
    if plan := ns.command(*_RECONCILE, "--dry-run"):
        raise RuntimeError(f"there is something to do: {plan}")
    return leaders


def _write_command() -> None:
    """The command's script, with the checkout as its prefix."""
    script = (_ROOT / "conf/system/bin/pam-spice").read_text()
    assert paths.PREFIX in script
    _COMMAND.write_text(script.replace(paths.PREFIX, str(_ROOT)))
    _COMMAND.chmod(0o755)


def _put_lines_into_pam() -> None:
    """As ``pam-spice setup`` does."""
    ns.mount("tmpfs", str(_PROFILE.parent), "tmpfs", 0, "mode=0755,size=1m")
    text = pamstack.profile(_SERVICES)
    _PROFILE.write_text(text)
    with open("/etc/pam.d/common-session", "a") as stack:
        stack.writelines(f"session {line}\n" for line in pamstack.stack_lines(text))


def _policy(size: int) -> str:
    lines = ["timezone: Europe/Berlin",
             f'servers: {{kvm: {{host: kvm.example, addresses: [{ns.V4}, "{ns.V6}"], '
             f"guarded_ports: [20001-{20000 + _CONSOLES}], ca_file: /etc/pam-spice/kvm.pem}}}}",
             f"workstation: {{one_user: false, services: [{', '.join(_SERVICES)}]}}",
             "windows: {evenings: [Mon-Fri 18:00-22:00]}", "consoles:"]
    lines += [f"  c{number}: {{server: kvm, tls_port: {20001 + number}}}"
              for number in range(_CONSOLES)]
    lines.append("grants:")
    for number in range(size):
        first = number % _CONSOLES
        lines += [f"  - {{user: user{number}, console: c{first}}}",
                  f"  - {{user: user{number}, console: c{(first + 1) % _CONSOLES}"
                  f"{_WHEN[number % len(_WHEN)]}}}"]
    return "\n".join([*lines, ""])
