"""Logins in the lab's workstation, through PAM stacks that are the same but for their hook.

pamtester opens and closes a session in one of them. The shell hook tells nft what ours tells the
kernel: before anything is measured, the kernel has listed the same chain of both.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from lab.lab import Lab
from lab.product import write_policy
from lab.story.stage import UNITS
from lab.workstation import Workstation
from tests.bench import measuring, policies, stopwatch
from tests.bench.measuring import Times
from tests.bench.stopwatch import Program

OURS = "bench-ours"
"""The PAM service with the lines that setup puts into a stack."""

NAMESPACE = "bench"
"""Holds the table of all hooks but ours, by itself: nft reads what other tables hold, too."""

HOME = "/usr/local/lib/bench"
BATCHES = {"open": f"{HOME}/open.nft", "close": f"{HOME}/close.nft"}

_USER, _UID = "myself", 1021
_TABLE = "inet bench"
_TIMEOUT = 900
# The first line is the time for which somebody is logged in: see ``stopwatch.REST``. Without a
# class it would be "background" where there is no terminal, and that opens no console.
_STACK = f"""\
session required pam_exec.so quiet type=close_session /usr/bin/sleep {stopwatch.REST}
session optional pam_systemd.so class=user
"""
_PROOF = f"""\
/usr/sbin/nft list chain inet pam_spice user-{_UID} >{HOME}/ours.seen
ip netns exec {NAMESPACE} /usr/sbin/nft -f {BATCHES["open"]}
ip netns exec {NAMESPACE} /usr/sbin/nft list chain {_TABLE} user-{_UID} >{HOME}/shell.seen
ip netns exec {NAMESPACE} /usr/sbin/nft -f {BATCHES["close"]}
"""


@contextmanager
def logins(grants: int = 2) -> Iterator[Logins]:
    """A lab with an office's policy of so many grants, in which only what a login runs itself
    runs. Raises LabError, RuntimeError."""
    with Lab.start(_office(grants)) as lab:
        yield Logins(lab)


def _office(grants: int) -> str:
    return policies.office(grants, [OURS], require_seat=False)


def install(workstation: Workstation) -> None:
    """Put the stopwatch there."""
    for module in (measuring, stopwatch):
        path = Path(str(module.__file__))
        workstation.write_file(f"{HOME}/tests/bench/{path.name}", path.read_text())


def write_task(workstation: Workstation, contenders: Mapping[str, Program], rounds: int,
               quantity: str = "seconds") -> str:
    """Put a task for the stopwatch there; the command that does it, for a shell."""
    task = {"quantity": quantity, "rounds": rounds,
            "contenders": {name: asdict(program) for name, program in contenders.items()}}
    workstation.write_file(f"{HOME}/task.json", json.dumps(task))
    return (f"env --chdir={HOME} python3 -B -m tests.bench.stopwatch {HOME}/task.json "
            f"/tmp/bench.json")


def read_result(workstation: Workstation) -> Times:
    """What the stopwatch has measured."""
    times: Times = json.loads(workstation.read_file("/tmp/bench.json"))
    return times


def exec_lines(opens: str, closes: str) -> str:
    """The lines of a stack for a hook of two commands."""
    return "".join(f"session required pam_exec.so quiet type={phase}_session {command}\n"
                   for phase, command in (("open", opens), ("close", closes)))


def shell_hook() -> str:
    """The yardstick: /bin/sh, which runs nft on a batch and nothing else."""
    return exec_lines(*(f"/bin/sh {HOME}/{phase}.sh" for phase in BATCHES))


class Logins:
    """The workstation, with a service for each stack that was added."""

    def __init__(self, lab: Lab) -> None:
        self.workstation = lab.workstation
        self._ours = "".join(
            f"session {line.strip()}\n" for line in self.workstation.read_file(
                "/usr/share/pam-configs/pam-spice").partition("Session:\n")[2].splitlines())
        install(self.workstation)
        self.workstation.run(["systemctl", "stop", *UNITS])
        # The user's service manager would come and go with his sessions.
        self.workstation.run(["loginctl", "enable-linger", _USER])
        self.workstation.run(["systemctl", "start", f"user@{_UID}"])
        self._make_table()
        self._prove()
        self.add_stack(OURS, self._ours)

    def add_stack(self, service: str, hook: str) -> None:
        """A PAM service: what every stack has, and these lines."""
        self.workstation.write_file(f"/etc/pam.d/{service}", _STACK + hook)

    def set_policy(self, grants: int) -> None:
        """Write the office's policy with so many grants, and have it taken in."""
        write_policy(self.workstation, _office(grants))
        self.workstation.run(["pam-spice", "reconcile"], timeout=300)

    def login(self, service: str, before: str | None = None) -> Program:
        """Open and close a session of that service; ``before`` is a script of /bin/sh."""
        return Program(["/usr/bin/pamtester", service, _USER, "open_session", "close_session"],
                       ["/bin/sh", "-euc", before] if before else None,
                       None if service == OURS else NAMESPACE)

    def measure(self, contenders: Mapping[str, Program], rounds: int,
                quantity: str = "seconds") -> Times:
        """See ``stopwatch``. Raises LabError if a program fails, RuntimeError if one of our hooks
        did not do its work, which PAM does not tell."""
        times, failed = self.measure_all(contenders, rounds, quantity)
        if failed:
            raise RuntimeError(f"{failed} sessions were not opened and closed by our hook")
        return times

    def measure_all(self, contenders: Mapping[str, Program], rounds: int,
                    quantity: str = "seconds") -> tuple[Times, int]:
        """The same, and for how many logins our hook did not do its work."""
        before = self._opened_and_closed()
        command = write_task(self.workstation, contenders, rounds, quantity)
        self.workstation.shell(command, timeout=_TIMEOUT)
        wanted = sum(OURS in program.argv for program in contenders.values()) * (rounds + 1)
        done = min(after - then for after, then in
                   zip(self._opened_and_closed(), before, strict=True))
        return read_result(self.workstation), wanted - done

    def _opened_and_closed(self) -> tuple[int, ...]:
        """How many sessions our hooks have opened, and closed, by the journal."""
        self.workstation.run(["journalctl", "--sync"])
        return tuple(self.workstation.run(
            ["journalctl", "--quiet", "--output=cat", f"PAM_SPICE_EVENT={event}"],
        ).stdout.count("\n") for event in ("open", "close"))

    def _make_table(self) -> None:
        """The same table as ours, under another name, and the shell's batches for it."""
        gid = self.workstation.run(["getent", "group", "spicegrp"]).stdout.split(":")[2]
        element = f"element {_TABLE} sessions {{ {_UID} : jump user-{_UID} }}"
        chain = f"chain {_TABLE} user-{_UID}"
        rules = [f"add rule {_TABLE} user-{_UID} {family} daddr {address} tcp dport 20001 "
                 f"meta skgid {gid} counter accept"
                 for family, address in (("ip", "192.168.2.2"), ("ip6", "fd00::2"))]
        texts = {
            "open": [f"add {chain}", f"flush {chain}", *rules, f"add {element}"],
            "close": [f"add {chain}", f"add {element}", f"delete {element}", f"flush {chain}",
                      f"delete {chain}"],
        }
        for phase, batch in BATCHES.items():
            self.workstation.write_file(batch, "\n".join([*texts[phase], ""]))
            self.workstation.write_file(f"{HOME}/{phase}.sh", f"exec /usr/sbin/nft -f {batch}\n")
        guard = self.workstation.read_file("/var/lib/pam-spice/guard.nft")
        self.workstation.run(["ip", "netns", "add", NAMESPACE])
        self.workstation.run(["ip", "netns", "exec", NAMESPACE, "nft", "-f", "-"],
                             stdin=guard.replace("inet pam_spice", _TABLE))

    def _prove(self) -> None:
        """Raises RuntimeError unless ours and the shell hook's batch make the same chain."""
        self.workstation.write_file(f"{HOME}/proof.sh", _PROOF)
        self.add_stack(OURS, f"{self._ours}session required pam_exec.so type=open_session "
                             f"/bin/sh -e {HOME}/proof.sh\n")
        self.workstation.run(self.login(OURS).argv)
        ours, shell = (self._rules(f"{HOME}/{name}.seen") for name in ("ours", "shell"))
        if not ours or ours != shell:
            raise RuntimeError(f"the hooks' chains differ: {ours}, {shell}")

    def _rules(self, path: str) -> list[str]:
        return [line.strip() for line in self.workstation.read_file(path).splitlines()
                if "accept" in line]
