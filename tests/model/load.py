"""Load: many users in and out as fast as their hooks can, with the rule of one user off.

    python -m tests.model.load [--seconds 600] [--users 200] [--at-once 16] [--seed S]

Each user has a leader, which runs the real hook script as pam_exec does; the watcher and the timer
run beside them. The kernel is asked the whole time: who is in must have his chain, who is out must
have none; each leader also tries his console, as the viewer would, after each of its hooks.
Needs root, and namespaces of its own.
"""

import argparse
import os
import random
import select
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

from pam_spice import journal, paths
from pam_spice.reconcile import Reconciliation
from session.records import DIRECTORY
from tests.kernel import namespace as ns
from tests.kernel.workstation import SESSIONS, Workstation
from tests.model.crowd import (
    FIRST_UID,
    PORTS,
    PYTHON,
    Hook,
    Leader,
    Whereabouts,
    chains_of_users,
    executable,
    policy,
    script,
    start_service,
    watch_the_kernel,
    write_accounts,
)

LIMIT = 8.0
"""Seconds: so long a hook may take at most."""

_TIMER_EVERY = 5.0  # seconds; a real one runs each minute
_OURS = {"lock", "admin.lock", "compile.lock", "guard.seen", "wake", "sessions"}


@dataclass
class Outcome:
    """What came of it all."""

    hooks: list[Hook] = field(default_factory=list)
    listings: int = 0  # how often the kernel was asked for all chains
    most_in: int = 0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        times = {phase: sorted(hook.seconds for hook in self.hooks if hook.phase == phase)
                 for phase in ("open", "close")}
        return "\n".join([
            f"{len(self.hooks)} hooks, {self.most_in} users in at once, {self.listings} listings",
            *(f"{phase}: {len(each)}, median {median(each) * 1e3:.0f} ms, 95 % within "
              f"{quantiles(each, n=20)[-1] * 1e3:.0f} ms, longest {each[-1] * 1e3:.0f} ms"
              for phase, each in times.items() if len(each) > 1),
            *(f"PROBLEM: {each}" for each in self.problems)])


def _turns(users: int, seconds: float, chance: random.Random) -> Iterator[list[int]]:
    """Whose turn it is, to log in or, who is in, to log out: all in, all out, and between that
    everybody in his own time. In the end all are out."""
    end = time.monotonic() + seconds
    everybody = list(range(users))
    while True:
        for times in (1, 1, 0 if time.monotonic() > end else 6):
            crowd = everybody * times
            chance.shuffle(crowd)
            yield crowd
        if time.monotonic() > end:
            return


class Storm:
    """All of it, in this process's namespaces."""

    def __init__(self, users: int, at_once: int, limit: float = LIMIT, before: str = "") -> None:
        """``before``: lines of a shell script that runs before each hook."""
        self.users = users
        self.limit = limit
        self.at_once = at_once
        self.outcome = Outcome()
        self.whereabouts = Whereabouts(users)
        self.workstation = Workstation()
        self.hook = script("hook")
        if before:
            self.hook = executable("before", f'#!/bin/sh\n{before}\nexec {self.hook} "$1"\n')
        self._leaders: dict[int, Leader] = {}
        self._helpers: list[int] = []
        self._timer = 0
        self._timer_ended = time.monotonic()
        self._poll = select.poll()
        write_accounts(users)
        for address in (f"{ns.V4}/24", f"{ns.V6}/64"):
            ns.ip("addr", "add", address, "dev", "lo", *(["nodad"] if ":" in address else []))
        ns.listen([(ns.V4, port) for port in PORTS])
        self.workstation.policy(policy(users))
        Reconciliation().run()
        self._clean = self._what_is_there()

    def blow(self, seconds: float = 0.0, seed: int = 0) -> Outcome:
        """All users in and out, again and again for this time; then all must be as before."""
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            ns.die_with_parent()
            try:
                watch_the_kernel(self.whereabouts, writer)
            finally:
                os._exit(1)
        os.close(writer)
        self._helpers = [pid, start_service(PYTHON, "-I", script("watch"))]
        try:
            for turns in _turns(self.users, seconds, random.Random(seed)):
                self._go(deque(turns))
            self._settle()
        finally:
            for pid in self._helpers:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        with os.fdopen(reader) as pipe:
            told = sorted(set(pipe.read().splitlines()))
        self.outcome.problems += [f"the kernel: {each}" for each in told]
        self.outcome.listings = self.whereabouts.counted()
        self._judge()
        return self.outcome

    def _go(self, turns: deque[int]) -> None:
        """At most so many hooks at once; each of a user only when his last one has ended."""
        running: dict[int, Leader] = {}
        deadline = time.monotonic() + 60 + len(turns) * LIMIT / self.at_once
        while turns or running:
            for _ in range(len(turns)):
                if len(running) >= self.at_once:
                    break
                user = turns.popleft()
                if any(leader.user == user for leader in running.values()):
                    turns.append(user)
                    continue
                leader = self._begin(user)
                running[leader.link.fileno()] = leader
                self._poll.register(leader.link, select.POLLIN)
            for descriptor, _ in self._poll.poll(1000):
                leader = running.pop(descriptor)
                self._poll.unregister(descriptor)
                self._end(leader)
            self._run_timer()
            assert time.monotonic() < deadline, f"a deadlock: {len(running)} hooks do not end"

    def _begin(self, user: int) -> Leader:
        self.whereabouts.set(user, 0.0)
        leader = self._leaders.get(user)
        if leader is None:
            leader = self._leaders[user] = Leader(user, self.hook)
            self.workstation.state(f"s{user}", f"u{user}", leader.pid, UID=str(FIRST_UID + user))
            leader.run_hook("open")
        else:
            leader.run_hook("close")
        return leader

    def _end(self, leader: Leader) -> None:
        hook = leader.ended_hook()
        self.outcome.hooks.append(hook)
        if hook.phase == "open":
            self.whereabouts.set(leader.user, time.monotonic())
            self.outcome.most_in = max(self.outcome.most_in, len(self._leaders))
        else:
            self.whereabouts.set(leader.user, -time.monotonic())
            del self._leaders[leader.user]
            leader.end()
            (SESSIONS / f"s{leader.user}").unlink()

    def _run_timer(self) -> None:
        if self._timer:
            pid, status = os.waitpid(self._timer, os.WNOHANG)
            if not pid:
                return
            self._timer, self._timer_ended = 0, time.monotonic()
            if status:
                self.outcome.problems.append(f"the timer's run ended with {status}")
        elif time.monotonic() > self._timer_ended + _TIMER_EVERY:
            self._timer = start_service(PYTHON, "-I", script("pam-spice"), "reconcile")

    def _settle(self) -> None:
        while self._timer:
            self._run_timer()
            time.sleep(0.05)

    # Afterwards

    def _judge(self) -> None:
        problems = self.outcome.problems
        for hook in self.outcome.hooks:
            if hook.status:
                problems.append(f"u{hook.user}: the hook {hook.phase} ended with {hook.status}")
            if hook.seconds >= self.limit:
                problems.append(f"u{hook.user}: the hook {hook.phase} took {hook.seconds:.1f} s")
            if hook.is_reachable != (hook.phase == "open"):
                problems.append(f"u{hook.user} {'reaches' if hook.is_reachable else 'lacks'} his "
                                f"console after {hook.phase}")
        problems += [f"left over before the last run: chain user-{uid}"
                     for uid in chains_of_users()[1]]
        Reconciliation().run()
        problems += [f"left over: {each}"
                     for each in sorted(self._what_is_there() - self._clean)]
        problems += [f"lost: {each}" for each in sorted(self._clean - self._what_is_there())]
        problems += [f"a second run would {line}" for line in
                     Reconciliation().run(dry_run=True).describe(journal.instant)]

    def _what_is_there(self) -> set[str]:
        """Names of files and lines of the kernel's table that must be the same at the end."""
        files = {f"{directory}/{name}" for directory in (
            paths.RUN, DIRECTORY, paths.STATE, "/etc/sudoers.d", "/etc/pam-spice")
            for name in os.listdir(directory) if name not in _OURS}
        text = Path(paths.SUDOERS).read_text()
        return files | {f"sudoers: {text}"} | {
            f"nft: {line}" for line in ns.listing().splitlines() if "counter packets" not in line}


def main(argv: Sequence[str] | None = None) -> int:
    """0 where nothing was lost, left over, late or stuck."""
    parser = argparse.ArgumentParser(prog="python -m tests.model.load")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--at-once", type=int, default=16)
    parser.add_argument("--seed", type=int, default=random.randrange(10**9))
    arguments = parser.parse_args(argv)
    print(f"seed {arguments.seed}", flush=True)

    def body() -> None:
        began = time.monotonic()
        outcome = Storm(arguments.users, arguments.at_once).blow(arguments.seconds,
                                                                 arguments.seed)
        print(f"{outcome}\nin {time.monotonic() - began:.0f} s", flush=True)
        assert not outcome.problems

    failure = ns.in_child(body, arguments.seconds + 600)
    if failure:
        print(failure)
    return 1 if failure else 0


if __name__ == "__main__":
    sys.exit(main())
