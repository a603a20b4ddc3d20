"""Many users in and out as fast as PAM can, with the rule of one user off.

    python -m tests.lab.crowd [--users 200] [--at-once 16] [--rounds 5]

Real PAM, real logind with a service manager for each user, the real hook: pamtester opens a session
in a stack like any login's, and closes it at once. A probe in that stack tries the user's console
as his viewer would: once the session is open it must get in, once it is closed it must not.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from lab.door import wait_until
from lab.errors import LabError
from lab.lab import Lab
from lab.product import write_policy
from lab.story.stage import SERVER4, policy

FIRST_UID = 5000
SERVICE = "crowd"
_PORT = 20002
_LATEST = 8.0
"""Seconds: a hook's own limit of time."""

_SEEN = "/run/crowd.seen"
_PROBE = f"""\
#!/usr/bin/python3 -IS
import grp, os, pwd, socket, sys
user = pwd.getpwnam(os.environ["PAM_USER"])
group = grp.getgrnam("spicegrp").gr_gid
os.umask(0)
seen = os.open("{_SEEN}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
os.setgroups([]); os.setresgid(group, group, group); os.setresuid(*[user.pw_uid] * 3)
try:
    socket.create_connection(("{SERVER4}", {_PORT}), 5).close()
    answer = "in"
except OSError as error:
    answer = type(error).__name__
os.write(seen, f"{{os.environ['PAM_TYPE']}} {{user.pw_name}} {{answer}}\\n".encode())
"""


@dataclass
class Outcome:
    """What was seen; ``problems`` must be empty."""

    users: int
    seconds: float
    most_in: int
    problems: list[str] = field(default_factory=list)


def crowd(lab: Lab, users: int, at_once: int, rounds: int = 1) -> Outcome:
    """Everybody in and out that often, so many at the same time. Raises LabError, TimeoutError."""
    box = lab.workstation
    names = [f"crowd{number}" for number in range(users)]
    accounts = "".join(f"{name}:x:{FIRST_UID + number}:{FIRST_UID + number}::/:/bin/sh\n"
                       for number, name in enumerate(names))
    groups = "".join(f"{name}:x:{FIRST_UID + number}:\n" for number, name in enumerate(names))
    before = {path: box.read_file(path) for path in ("/etc/passwd", "/etc/group",
                                                     "/etc/pam-spice/policy.yaml")}
    box.write_file("/etc/passwd", before["/etc/passwd"] + accounts)
    box.write_file("/etc/group", before["/etc/group"] + groups)
    box.write_file("/usr/local/bin/probe", _PROBE, mode=0o755)
    write_policy(box, _policy(names))
    box.run(["pam-spice", "reconcile"])
    _write_stack(lab)
    box.run(["rm", "-f", _SEEN])
    box.write_file("/run/crowd.users", "".join(f"{name}\n" for name in names * rounds))
    since = box.run(["date", "+%F %T"]).stdout.strip()
    began = time.monotonic()
    most_in = _storm(lab, at_once, 60 + 2.0 * users * rounds)
    outcome = Outcome(users, time.monotonic() - began, most_in)
    _judge(lab, outcome, names, rounds, since)
    for path, text in before.items():
        box.write_file(path, text)
    box.run(["rm", f"/etc/pam.d/{SERVICE}"])
    box.run(["pam-spice", "reconcile"])
    return outcome


def _write_stack(lab: Lab) -> None:
    ours = lab.workstation.read_file("/usr/share/pam-configs/pam-spice").partition("Session:\n")[2]
    hook = "".join(f"session {line.strip()}\n" for line in ours.splitlines())
    probe = "session required pam_exec.so quiet /usr/local/bin/probe\n"
    lab.workstation.write_file(
        f"/etc/pam.d/{SERVICE}", f"session required pam_systemd.so class=user\n{hook}{probe}")


def _policy(names: list[str]) -> str:
    grants = "".join(f"  - {{user: {name}, console: debianx}}\n" for name in names)
    return f"""\
servers:
  mysrv: {{host: mysrv, addresses: [{SERVER4}], guarded_ports: [20001-20010],
          ca_file: /etc/pam-spice/mysrv-ca.pem}}
consoles:
  debianx: {{server: mysrv, tls_port: {_PORT}}}
grants:
{grants}workstation: {{one_user: false, require_seat: false, services: [{SERVICE}]}}
"""


def _storm(lab: Lab, at_once: int, limit: float) -> int:
    """Run it; the most users who had a chain when somebody looked."""
    running = lab.workstation.popen(
        ["/bin/sh", "-c", f"xargs -P {at_once} -I USER sh -c 'pamtester {SERVICE} USER "
                          f"open_session close_session >/dev/null' </run/crowd.users >/dev/null"])
    most_in = 0
    end = time.monotonic() + limit
    while running.poll() is None:
        if time.monotonic() > end:
            running.kill()
            raise TimeoutError(f"not over after {limit:.0f} s")
        chains = lab.workstation.run(["nft", "list", "chains", "inet"]).stdout
        most_in = max(most_in, len(re.findall(r"chain user-", chains)))
    if running.returncode:  # xargs tells that one of them failed
        raise LabError(f"not everybody got in and out: {running.communicate()[0]}")
    return most_in


def _judge(lab: Lab, outcome: Outcome, names: list[str], rounds: int, since: str) -> None:
    box, problems = lab.workstation, outcome.problems
    seen = Counter(box.read_file(_SEEN).splitlines())
    wanted = Counter({f"{phase} {name} {answer}": rounds for name in names for phase, answer in (
        ("open_session", "in"), ("close_session", "ConnectionRefusedError"))})
    problems += [f"{what}: {seen[what]} times, not {wanted[what]}"
                 for what in seen | wanted if seen[what] != wanted[what]]
    journal = box.run(["journalctl", "--quiet", "--since", since, "-o", "cat",
                       "PAM_SPICE_EVENT=hook-failed", "PAM_SPICE_EVENT=hook-again",
                       "PAM_SPICE_EVENT=refuse", "+", "PAM_SPICE_EVENT=mend",
                       "PAM_SPICE_WHAT=chain", "PAM_SPICE_WHAT=guard"]).stdout
    problems += journal.splitlines()
    if outcome.seconds > _LATEST * 2 * len(names) * rounds:
        problems.append(f"took {outcome.seconds:.0f} s")
    wait_until("all sessions are over", lambda: not [
        each for each in lab.sessions() if each.user in names], 60)
    box.run(["pam-spice", "reconcile"])
    plan = box.run(["pam-spice", "reconcile", "--dry-run"]).stdout
    chains = re.findall(r"chain user-\d+", box.run(["nft", "list", "chains", "inet"]).stdout)
    records = box.run(["ls", "/run/pam-spice/sessions"]).stdout.split()
    problems += [*plan.splitlines(), *chains, *(f"left over: record {name}" for name in records)]


def main() -> int:
    """0 where nothing was lost, left over, late or stuck."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab.crowd")
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--at-once", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with Lab.start(policy()) as lab:
        outcome = crowd(lab, arguments.users, arguments.at_once, arguments.rounds)
    print(outcome)
    return 1 if outcome.problems else 0


if __name__ == "__main__":
    sys.exit(main())
