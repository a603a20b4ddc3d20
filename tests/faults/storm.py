"""A storm: twenty users log in and out at once, while hooks, reconcilers and nft are killed.

One process starts, ends and looks at everything, so what it has not done yet has not happened;
only the ends of hooks and reconcilers come by themselves, and count when they are seen.
"""

import collections
import heapq
import itertools
import os
import random
import select
import time
from collections.abc import Callable
from pathlib import Path

from pam_spice import paths
from tests.faults.crowd import STRANGER, Crowd, Login, Person, people, policy
from tests.faults.injecting import LIMIT
from tests.faults.installed import COMMAND, HOOK, Leader
from tests.faults.killing import Killer
from tests.faults.knocking import Stranger
from tests.faults.machine import Machine, files, forget_session
from tests.faults.processes import Process, adopt_orphans, start
from tests.faults.tally import Tally
from tests.kernel import namespace as ns

_AWAY, _HERE, _LINGERS, _REMEMBERED = 0.15, 0.25, 0.1, 0.2
"""Seconds, on average: how long somebody stays away, stays, how long his login process outlives
his logout, and how long logind remembers a session whose process has died."""

_BETWEEN_RECONCILES, _BETWEEN_EDITS, _BETWEEN_LOOKS = 0.4, 4.0, 0.1
_SHARE_KILLED = 0.4
"""Of hooks, of reconcilers, of the nfts that a reconciler starts; and of logins, which end with
their process instead of a logout."""

_LASTS = {"hook": 0.1, "pam-spice": 0.4, "nft": 0.01}
"""Seconds, about, that what is killed would run; named as in proc(5), comm."""

_ALARM = -14
"""The status of a hook that its own limit of time has ended."""

_STORY = 25
"""Lines of what happened before, for whoever looks into a problem."""

_LATEST = LIMIT + 0.5
"""Seconds in which a hook must have ended; the machine has much to do."""


class Storm:
    """One storm on a fresh workstation; ``problems`` is what it did wrong."""

    def __init__(self, machine: Machine, seed: int, one_user: bool) -> None:
        self.machine = machine
        self.one_user = one_user
        self.people = people()
        self.crowd = Crowd()
        self.tally = Tally()
        self.problems: list[str] = []
        self._story: collections.deque[str] = collections.deque(maxlen=2000)
        self._random = random.Random(seed)
        self._is_over = False
        self.has_more = False
        self._sessions = 0
        self._order = itertools.count()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._running: dict[int, tuple[Process, Callable[[Process], None]]] = {}
        self._poll = select.poll()
        self._began = 0.0
        adopt_orphans()
        _add_accounts(self.people)
        self.guards = []  # of either policy
        for _ in range(2):
            self._edit()
            machine.workstation.reconcile()
            table = machine.table()
            assert table is not None
            self.guards.append(table.guard)
        self.files = files()

    def run(self, seconds: float) -> None:
        """Let it rage for so long; then nothing runs any more, and some are logged in."""
        self._began = time.monotonic()
        stranger = Stranger(STRANGER)
        killer = Killer(_LASTS, _SHARE_KILLED, self._random.randrange(10**6))
        for person in self.people:
            self._after(self._random.random() * 0.5, self._logging_in(person))
        self._after(0, self._reconcile_again)
        self._after(_BETWEEN_EDITS, self._edit_again)
        self._after(0, self._look_again)
        while time.monotonic() < self._began + seconds:
            self._step()
        self._calm_down()
        killed = killer.stop()
        self.tally.hooks_killed, self.tally.reconcilers_killed, self.tally.nfts_killed = (
            killed[program] for program in _LASTS)
        self.tally.knocks, let_in = stranger.stop()
        self.expect(self.tally.knocks > 0 and not let_in,
                    f"a stranger was let in {let_in} times of {self.tally.knocks}")

    def expect(self, is_so: bool, otherwise: str) -> None:
        """Else it is a problem."""
        if not is_so:
            self.problems.append(f"{time.monotonic() - self._began:.2f} s: {otherwise}")

    def _note(self, what: str) -> None:
        self._story.append(f"{time.monotonic() - self._began:.3f} s: {what}")

    def _expect_of(self, is_so: bool, person: Person | None, otherwise: str) -> None:
        """The same; with what happened before."""
        if not is_so:
            name = person.name if person is not None else ""
            story = [line for line in self._story if f" {name} " in line or "reconcile" in line]
            self.expect(False, "\n    ".join([otherwise, *story[-_STORY:]]))

    # What happens next

    def _after(self, seconds: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._due, (time.monotonic() + seconds, next(self._order), what))

    def _some(self, average: float) -> float:
        return self._random.expovariate(1 / average)

    def _is_by_chance(self) -> bool:
        return self._random.random() < _SHARE_KILLED

    def _step(self) -> None:
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:  # what comes to be due meanwhile has to wait
            heapq.heappop(self._due)[2]()
        self._see_what_ended(2)

    def _see_what_ended(self, milliseconds: int) -> None:
        for descriptor, _ in self._poll.poll(milliseconds):
            process, then = self._running.pop(descriptor)
            self._poll.unregister(descriptor)
            then(process)
            process.close()

    def _watch(self, process: Process, then: Callable[[Process], None]) -> None:
        """Wait for its end."""
        self._running[process.descriptor] = process, then
        self._poll.register(process.descriptor, select.POLLIN)

    # Logins and logouts

    def _logging_in(self, person: Person) -> Callable[[], None]:
        return lambda: self._log_in(person)

    def _log_in(self, person: Person) -> None:
        if self._is_over:
            return
        self._sessions += 1
        login = Login(str(self._sessions), person, Leader())
        self.machine.workstation.state(login.session, person.name, login.leader.pid,
                                       UID=str(person.uid))
        self.crowd.add(login)
        self.tally.logins += 1
        self._note(f"{login} logs in")
        self._hook(login, "open", lambda _done: self._after(
            self._some(_HERE), lambda: self._log_out(login)))
        if self._is_by_chance():
            self._after(self._some(_HERE / 2), lambda: self._die(login))

    def _log_out(self, login: Login) -> None:
        if self._is_over or not login.is_alive:
            return
        self.tally.logouts += 1
        self._note(f"{login} logs out")
        login.is_leaving = True

        def leave(is_done: bool) -> None:
            if is_done:
                self._expect_dead(self.crowd.has_logged_out(login))
            self._after(self._some(_LINGERS), lambda: self._leave(login))

        self._hook(login, "close", leave)

    def _leave(self, login: Login) -> None:
        """The login process ends by itself; logind has noticed, or notices."""
        if not login.is_alive:
            return
        if self._is_by_chance():
            self.machine.workstation.set_state(login.session, "closing")
            self._note(f"{login} is closing")
        self.end(login)
        self.forget(login)
        self._after(self._some(_AWAY), self._logging_in(login.person))

    def _die(self, login: Login) -> None:
        """The login process is killed; logind calls the session active for a while."""
        if self._is_over or not login.is_alive:
            return
        self.tally.deaths += 1
        self.end(login)
        self._after(self._some(_REMEMBERED), lambda: self.forget(login))
        self._after(self._some(_AWAY), self._logging_in(login.person))

    def end(self, login: Login) -> None:
        """The login process is no more."""
        login.leader.end()
        login.is_alive = False
        login.over_since = time.monotonic()
        self._note(f"{login} has no leader any more")

    def forget(self, login: Login) -> None:
        """logind has noticed."""
        forget_session(login.session)
        login.is_forgotten = True
        self._note(f"{login} is forgotten")

    def _hook(self, login: Login, phase: str, then: Callable[[bool], None]) -> None:
        process = Process(*login.leader.start(HOOK, phase))

        def ended(process: Process) -> None:
            # Where its leader has died, it is this process's own child by now.
            status = login.leader.status() if login.is_alive else process.status_if_ours()
            self._note(f"{login} {phase} hook, {process.age:.3f} s old: {status}")
            self.tally.hooks_done += status == 0
            self.tally.hooks_failed += status == 1
            self.tally.hooks_late += status == _ALARM
            if status != -9:
                self.tally.longest_hook = max(self.tally.longest_hook, process.age)
                self.expect(process.age < _LATEST, f"a hook took {process.age:.1f} s")
                self.expect(status in (0, 1, _ALARM) or not login.is_alive, f"a hook: {status}")
            if status == 0:
                self._expect_dead(self.crowd.has_run(process.began))
                if phase == "open" and login.is_alive and self._is_by_chance():
                    login.client = ns.Client(login.person.uid, ns.VIEWER_GID, ns.V4,
                                             login.person.ports[0])
            then(status == 0)

        self._watch(process, ended)

    def _expect_dead(self, logins: list[Login]) -> None:
        for login in logins:
            if login.client is not None:
                said = login.client.say()
                self.expect(said != "yes", f"{login.person.name} is out, and still connected")
                hang_up(login)

    # What goes on beside

    def _reconcile_again(self) -> None:
        if not self._is_over:
            self._reconcile()
            self._after(self._some(_BETWEEN_RECONCILES), self._reconcile_again)

    def _reconcile(self) -> None:
        process = start(COMMAND, "reconcile")

        def ended(process: Process) -> None:
            status = process.status_if_ours()
            self._note(f"reconcile, {process.age:.3f} s old: {status}")
            self.tally.reconcilers_done += status == 0
            self.tally.reconcilers_failed += status not in (0, -9)  # its nft was killed
            if status == 0:
                self._expect_dead(self.crowd.has_run(process.began))

        self._watch(process, ended)

    def _edit_again(self) -> None:
        if not self._is_over:
            self._edit()
            self.tally.edits += 1
            self._after(self._some(_BETWEEN_EDITS), self._edit_again)

    def _edit(self) -> None:
        """The policy becomes the other one of two, which have the same grants."""
        self.has_more = not self.has_more
        fresh = Path(f"{paths.POLICY}.edited")
        fresh.write_text(policy(self.people, self.one_user, self.has_more))
        fresh.chmod(0o644)
        fresh.rename(paths.POLICY)

    def _look_again(self) -> None:
        if not self._is_over:
            self._look()
            self._after(self._some(_BETWEEN_LOOKS), self._look_again)

    def _look(self) -> None:
        """Nothing is open for anybody who is not here, and the guard is there."""
        self._see_what_ended(0)
        self.tally.looks += 1
        table = self.machine.table()
        if table is None:
            self.expect(False, "there is no table")
            return
        self.expect(table.guard in self.guards, "the guard is another")
        self.expect(table.is_ours, "something foreign is in the table")
        may_be_open = self.crowd.who_may_be_open()
        by_uid = {person.uid: person for person in self.people}
        # While a transaction is being committed, chains without rules can be seen that it has both
        # made and deleted; they let nothing through.
        open_uids = {uid for uid in table.jumps if table.chains.get(uid) != ()}
        for uid in open_uids:
            person = by_uid.get(uid)
            self._expect_of(uid in may_be_open, person, f"open for {uid}")
            if person is not None:
                is_open = table.what_is_open(uid, person.chain)
                self._expect_of(is_open == "whole", person, f"{person.name} has {is_open}")
        self.expect(not self.one_user or len(open_uids) < 2,
                    f"{len(open_uids)} users are in at once")
        self.tally.most_open = max(self.tally.most_open, len(open_uids))

    # The end

    def _calm_down(self) -> None:
        """Who has begun to leave leaves, all that runs ends; the others stay."""
        self._is_over = True
        latest = time.monotonic() + 3 * LIMIT
        while self._running or any(login.is_leaving if login.is_alive else not login.is_forgotten
                                   for login in self.crowd.logins):
            self._step()
            if time.monotonic() > latest:
                self.expect(False, f"{len(self._running)} processes do not end")
                return
        self._look()


def hang_up(login: Login) -> None:
    """The viewer is ended."""
    if login.client is not None:
        os.kill(login.client.pid, 9)
        os.waitpid(login.client.pid, 0)
        login.client = None


def _add_accounts(crowd: list[Person]) -> None:
    for file, line in (("/etc/passwd", "{0.name}:x:{0.uid}:{0.uid}::/:/bin/sh\n"),
                       ("/etc/group", "{0.name}:x:{0.uid}:\n")):
        with open(file, "a", encoding="utf-8") as accounts:
            accounts.writelines(line.format(person) for person in crowd)
