"""What a hook is made to fail at: logins and logouts, each time anew from the same state.

anne is who logs in and out; ralph is logged in beside her and must not notice.
"""

import os
from dataclasses import dataclass

from pam_spice import paths
from pam_spice.firewall import nft
from pam_spice.reconcile import Reconciliation
from session.records import CLOSED, OPEN, WAITING, remove_record
from tests.faults.injecting import Ended
from tests.faults.installed import Leader, half_written
from tests.faults.machine import Machine, Table, expected_chain, files, forget_session
from tests.kernel import namespace as ns
from tests.kernel.workstation import OFFICE

ANNE, RALPH = ns.USERS["anne"], ns.USERS["ralph"]
ANNES = expected_chain(ns.GUARDED_PORT, ns.OTHER_GUARDED_PORT)
RALPHS = expected_chain(ns.OTHER_GUARDED_PORT)
MANY_USERS = OFFICE + "workstation: {one_user: false}\n"
ANNES_SESSION, RALPHS_SESSION = "7", "2"

NOTHING, PART, WHOLE = "nothing", "part", "whole"


@dataclass(frozen=True, slots=True)
class Seen:
    """What one fault led to."""

    outcome: str  # when the hook has ended
    after: str  # after the next full run
    problems: tuple[str, ...]


class Scenario:
    """One phase from one state. ``prepare``, a hook by the leader, ``judge``: again and again."""

    name = ""
    title = ""
    describe = ""
    phase = ""
    every_call = True  # else those that others can see the effect of
    policy = MANY_USERS

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.problems: list[str] = []
        self.turn = 0
        machine.workstation.policy(self.policy)
        machine.workstation.reconcile()
        self.set_up()
        self.guard = self._guard_now()
        self.guards = {self.guard}  # those that a hook may leave; "" is none
        self.files = files()

    def set_up(self) -> None:
        """Who else is here, for all times."""
        self.machine.workstation.log_in(RALPHS_SESSION, "ralph")
        self.machine.workstation.reconcile()
        self._connect_ralph()

    def _connect_ralph(self) -> None:
        self.ralph = ns.Client(RALPH, ns.VIEWER_GID, ns.V4, ns.OTHER_GUARDED_PORT)
        assert self.ralph.state == "connected"

    def tear_down(self) -> None:
        """Nobody is here any more."""
        os.kill(self.ralph.pid, 9)
        os.waitpid(self.ralph.pid, 0)
        self.machine.workstation.log_out(RALPHS_SESSION, hint=False)
        self._full_run()

    def prepare(self) -> Leader:
        """Bring about the state in which the hook is called; who calls it."""
        raise NotImplementedError

    def judge(self, ended: Ended) -> Seen:
        """Look at what the hook left, have the next full run, and look again; all is as before
        ``prepare`` then."""
        self.problems = []
        outcome = self.after_hook(ended)
        after = self.after_full_run()
        self.turn += 1
        self._expect(not half_written(), f"left in the prefix: {half_written()}")
        self._mend()
        return Seen(outcome, after, tuple(self.problems))

    def _mend(self) -> None:
        """Nothing that one fault has spoilt shall count against the next."""
        for path in files() - self.files:
            os.unlink(path)
        if self.machine.workstation.states() != {RALPHS_SESSION: OPEN}:
            remove_record(RALPHS_SESSION)
            self._full_run()
        if self.ralph.say() != "yes":
            self._connect_ralph()

    def after_hook(self, ended: Ended) -> str:
        """What the hook has left; the outcome in words."""
        raise NotImplementedError

    def after_full_run(self) -> str:
        """What a full run makes of it; in words."""
        raise NotImplementedError

    # Looking

    def _expect(self, is_so: bool, otherwise: str) -> None:
        if not is_so:
            self.problems.append(otherwise)

    def _look(self, when: str, guards: set[str]) -> Table:
        """The table, with what must hold at any time."""
        table = self.machine.table() or Table("", True, {}, frozenset())
        self._expect(table.guard in guards, f"{when}: the guard is missing or another")
        self._expect(table.is_ours, f"{when}: something foreign is in the table")
        strangers = (set(table.chains) | table.jumps) - {ANNE, RALPH}
        self._expect(not strangers, f"{when}: open for {strangers}")
        return table

    def _guard_now(self) -> str:
        table = self.machine.table()
        return table.guard if table else ""

    def _look_after_hook(self) -> Table:
        return self._look("after the hook", self.guards)

    def _expect_ralph_undisturbed(self, table: Table, when: str) -> None:
        is_open = table.what_is_open(RALPH, RALPHS)
        self._expect(is_open == WHOLE, f"{when}: ralph has {is_open}")
        said = self.ralph.say()
        self._expect(said == "yes", f"{when}: ralph's connection: {said}")

    def _full_run(self) -> Table:
        try:
            Reconciliation().run()
        except Exception as error:
            self.problems.append(f"the full run: {error!r}")
        return self._look("after the full run", {self.guard})

    def _expect_no_leftovers(self, extra: set[str]) -> None:
        left = files() ^ (self.files | extra)
        self._expect(not left, f"left over or missing: {sorted(left)}")


class Login(Scenario):
    """anne logs in."""

    name = "open"
    title = "A login"
    describe = """\
anne logs in while ralph has a console open. The next full run must open what the hook did not."""
    phase = "open"

    def set_up(self) -> None:
        super().set_up()
        self.leader = Leader()

    def prepare(self) -> Leader:
        self.machine.workstation.state(ANNES_SESSION, "anne", self.leader.pid)
        return self.leader

    def after_hook(self, ended: Ended) -> str:
        table = self._look_after_hook()
        is_open = table.what_is_open(ANNE, ANNES)
        # glibc tells nobody that it could not read all of the groups, so a login may get less.
        self.is_less = is_open == PART
        self._expect(is_open in (NOTHING, PART, WHOLE), f"after the hook: anne has {is_open}")
        self._expect_ralph_undisturbed(table, "after the hook")
        return ("opened whole" if is_open == WHOLE else
                "opened without her groups' consoles" if self.is_less else "nothing opened")

    def after_full_run(self) -> str:
        table = self._full_run()
        is_open = table.what_is_open(ANNE, ANNES)
        self._expect(is_open == (PART if self.is_less else WHOLE),
                     f"after the full run: anne has {is_open}")
        states = self.machine.workstation.states()
        self._expect(states == {RALPHS_SESSION: OPEN, ANNES_SESSION: OPEN},
                     f"after the full run: records {states}")
        self._expect_ralph_undisturbed(table, "after the full run")
        self._expect_no_leftovers({f"{paths.RUN}/sessions/{ANNES_SESSION}"})
        forget_session(ANNES_SESSION)
        self._end_session()
        return "the same" if self.is_less else "open whole"

    def _end_session(self) -> None:
        self.leader.end()
        Reconciliation().run()
        self._expect_no_leftovers(set())
        self.leader = Leader()


class LoginAfterEdit(Login):
    """The login finds an edited policy, compiles it and makes guard and sudoers follow."""

    name = "open-edited"
    title = "A login that finds the policy edited, and compiles it"
    describe = """\
The same login, but the policy and with it the guard was edited a moment before, and the hook
compiles it. Only calls of our own part that others can see the effect of."""
    every_call = False

    def prepare(self) -> Leader:
        # Another endpoint, so that the guard changes too, and then the old text again.
        workstation = self.machine.workstation
        workstation.policy(MANY_USERS.replace("20001-20010", "20001-20011"))
        workstation.reconcile()
        if len(self.guards) == 1:
            self.guards.add(self._guard_now())
        workstation.policy(MANY_USERS)
        return super().prepare()


class LoginAfterFlush(Login):
    """Somebody has flushed the ruleset; the login's own update fails, and it mends all."""

    name = "open-flushed"
    title = "A login after somebody flushed the ruleset"
    describe = """\
The same login, but there is no guard when the hook begins. Its own update fails, so it makes a full
run, with nft. Only calls of our own part that others can see the effect of."""
    every_call = False

    def prepare(self) -> Leader:
        leader = super().prepare()
        ns.nft("flush ruleset\n")
        if len(self.guards) == 1:
            # Users' chains are there before the guard: live connections must find them.
            nft.apply(nft.BASE)
            self.guards |= {"", self._guard_now()}
            ns.nft("flush ruleset\n")
        return leader

    def _expect_ralph_undisturbed(self, table: Table, when: str) -> None:
        if table.guard != self.guard:  # nothing is guarded yet, as before the hook
            said = self.ralph.say()
            self._expect(said == "yes", f"{when}: ralph's connection without a guard: {said}")
            return
        super()._expect_ralph_undisturbed(table, when)


class Logout(Scenario):
    """anne logs out while her connection is up; after the hook her login process ends."""

    name = "close"
    title = "A logout"
    describe = """\
anne logs out while her connection and ralph's are up. Between the hook and the next full run, by
turns, her login process dies and logind goes on calling the session active, or logind calls it
closing and the process lives."""
    phase = "close"

    def prepare(self) -> Leader:
        self.leader = Leader()
        self.machine.workstation.state(ANNES_SESSION, "anne", self.leader.pid)
        Reconciliation(self.leader.pid, "open").run()
        self.anne = ns.Client(ANNE, ns.VIEWER_GID, ns.V4, ns.GUARDED_PORT)
        assert self.anne.state == "connected"
        return self.leader

    def after_hook(self, ended: Ended) -> str:
        table = self._look_after_hook()
        is_open = table.what_is_open(ANNE, ANNES)
        self._expect(is_open in (NOTHING, WHOLE), f"after the hook: anne has {is_open}")
        self._expect_ralph_undisturbed(table, "after the hook")
        if ended.status == 0:
            self._expect(is_open == NOTHING, "the hook said that all is well, and it is open")
            self._expect_cut("after the hook")
            return "closed, connection cut"
        return "closed" if is_open == NOTHING else "still open as before"

    def after_full_run(self) -> str:
        # logind's word comes in one of two ways.
        if self.turn % 2:
            self.machine.workstation.set_state(ANNES_SESSION, "closing")
        else:
            self.leader.end()
        table = self._full_run()
        is_open = table.what_is_open(ANNE, ANNES)
        self._expect(is_open == NOTHING, f"after the full run: anne has {is_open}")
        self._expect_cut("after the full run")
        self._expect_ralph_undisturbed(table, "after the full run")
        states = self.machine.workstation.states()
        self._expect(states == {RALPHS_SESSION: OPEN}, f"after the full run: records {states}")
        self._expect_no_leftovers(set())
        if self.turn % 2:
            self.leader.end()
        forget_session(ANNES_SESSION)
        os.kill(self.anne.pid, 9)
        os.waitpid(self.anne.pid, 0)
        return "closed, connection cut"

    def _expect_cut(self, when: str) -> None:
        """Nothing is sent here: an idle connection must be dead as well."""
        end = self.anne.wait_for_end()
        self._expect(end not in ("data", "TimeoutError"), f"{when}: anne's connection: {end}")


class Handover(Scenario):
    """One user a workstation: anne logs out, and ralph, who waited, gets in."""

    name = "close-handover"
    title = "A logout while another user waits for his turn (one_user: true)"
    describe = """\
anne logs out, and ralph gets in in the same transaction; they must never both be in. Only calls of
our own part that others can see the effect of. The last column is after two full runs: one while
her login process lives, one later."""
    phase = "close"
    every_call = False
    policy = OFFICE

    def set_up(self) -> None:
        pass

    def tear_down(self) -> None:
        pass

    def _mend(self) -> None:
        for path in files() - self.files:
            os.unlink(path)

    def prepare(self) -> Leader:
        self.leader = Leader()
        self.machine.workstation.state(ANNES_SESSION, "anne", self.leader.pid)
        Reconciliation(self.leader.pid, "open").run()
        other = self.machine.workstation.log_in(RALPHS_SESSION, "ralph")
        Reconciliation(other, "open").run()
        assert self.machine.workstation.states() == {ANNES_SESSION: OPEN, RALPHS_SESSION: WAITING}
        return self.leader

    def after_hook(self, ended: Ended) -> str:
        table = self._look_after_hook()
        annes, ralphs = table.what_is_open(ANNE, ANNES), table.what_is_open(RALPH, RALPHS)
        self._expect({annes, ralphs} in ({NOTHING}, {NOTHING, WHOLE}),
                     f"after the hook: anne has {annes}, ralph {ralphs}")
        if ended.status == 0:
            self._expect(annes == NOTHING, "the hook said that all is well, and it is open")
        return ("anne still has hers" if annes == WHOLE else
                "ralph has his" if ralphs == WHOLE else "nobody has one")

    def after_full_run(self) -> str:
        # First while anne's process lives: a record may say CLOSED of what is open.
        table = self._full_run()
        annes, ralphs = table.what_is_open(ANNE, ANNES), table.what_is_open(RALPH, RALPHS)
        self._expect({annes, ralphs} == {NOTHING, WHOLE},
                     f"after a full run: anne has {annes}, ralph {ralphs}")
        state = self.machine.workstation.states().get(ANNES_SESSION)
        self._expect(annes == NOTHING or state != CLOSED, "after a full run: closed, yet open")
        self.leader.end()
        forget_session(ANNES_SESSION)
        table = self._full_run()
        annes, ralphs = table.what_is_open(ANNE, ANNES), table.what_is_open(RALPH, RALPHS)
        self._expect((annes, ralphs) == (NOTHING, WHOLE),
                     f"after the full run: anne has {annes}, ralph {ralphs}")
        self._expect_no_leftovers({f"{paths.RUN}/sessions/{RALPHS_SESSION}"})
        self.machine.workstation.log_out(RALPHS_SESSION, hint=False)
        self._full_run()
        self._expect_no_leftovers(set())
        return "ralph has his"


SCENARIOS: tuple[type[Scenario], ...] = (Login, Logout, LoginAfterEdit, LoginAfterFlush, Handover)

