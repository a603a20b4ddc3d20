"""The state machine: random days on a workstation, each step played, modelled and compared."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pam_spice import paths
from session.records import DIRECTORY, read_records
from tests.model.comparing import (
    PROMISED,
    nothing_more_is_open,
    the_guard_is_whole,
    the_same_is_open,
)
from tests.model.drawing import CLOSING_DEEDS, KINDS, OPENING_DEEDS, PEOPLE, kinds, policies
from tests.model.listing import Table, read_table
from tests.model.played import UIDS, Played
from tests.model.policies import CONSOLES, Flaw, Policy
from tests.model.rule import Login, Model
from tests.model.tally import Tally
from tests.model.windows import BASE, SPAN
from tests.oracle.wallclock import DAY

DEAD_CLOCK = 1700000000  # 2023
_IDS = ("1", "2", "3", "4", "c1")
_CLOSED_TOO_MUCH, _ANYTHING = 1, 2  # what somebody's hand in our table may have done
_ACCOUNTS = ("right", "gone", "renumbered", "renamed", "taken")

STEPS: list[str] = []
"""The names of all kinds of steps."""


def _step(when: Callable[[Any], bool] = lambda _: True, *, is_login: bool = False,
          **strategies: Any) -> Callable[[Callable[..., None]], Any]:
    """A rule, taken where ``when`` holds. On a workstation that has been empty for a while
    somebody logs in first: nothing else is worth a step there."""

    def decorate(function: Callable[..., None]) -> Any:
        @wraps(function)
        def counted(machine: "WorkstationMachine", **drawn: Any) -> None:
            machine.tally.add(function.__name__)
            function(machine, **drawn)

        def is_due(machine: "WorkstationMachine") -> bool:
            return (is_login or machine.empty_steps < 3 or not machine.has_room()) and when(machine)

        STEPS.append(function.__name__)
        decorated: Any = rule(**strategies)
        return precondition(is_due)(decorated(counted))

    return decorate


def _login_step(kind: str, **strategies: Any) -> Callable[[Callable[..., None]], Any]:
    """A rule for one of the logins of that kind, see ``WorkstationMachine.logins``."""
    ids = st.runner().flatmap(
        lambda machine: st.sampled_from([login.id for login in machine.logins(kind)]))
    return _step(lambda machine: bool(machine.logins(kind)), id_=ids, **strategies)


def _comes(user: str) -> Any:
    """One of the people sits down at the workstation and logs in."""

    def come(machine: "WorkstationMachine", id_: int) -> None:
        machine.begin_session(user, "at the seat", id_, has_hook=True)

    come.__name__ = f"{user}_comes"  # by it Hypothesis tells rules apart
    return _step(lambda machine: machine.has_room(), is_login=True,
                 id_=st.integers(0, len(_IDS) - 1))(come)


def _somebody_is_here(machine: "WorkstationMachine") -> bool:
    return bool(machine.model.sessions)


def _several_are_here(machine: "WorkstationMachine") -> bool:
    return len(machine.model.sessions) > 1


class WorkstationMachine(RuleBasedStateMachine):
    """A workstation, and the model of it."""

    played: ClassVar[Played]
    tally: ClassVar[Tally]

    def __init__(self) -> None:
        super().__init__()
        self.model = Model(Policy(()))
        self.table: Table | None = None
        self.tampered = 0
        self.logged_in = 0
        self.highest = BASE
        self.empty_steps = 0  # without anybody's session

    @initialize(policy=policies(), staff=st.sets(st.sampled_from(PEOPLE)),
                here=st.lists(st.sampled_from(PEOPLE), max_size=3, unique=True))
    def begin(self, policy: Policy, staff: set[str], here: list[str]) -> None:
        """Everybody has an account, there is a policy, some are logged in."""
        self.played.reset()
        self.model = Model(policy)
        self.model.staff = frozenset(staff)
        self.model.accounts = {name: uid for name, uid in UIDS.items() if name != "ghost"}
        self.played.write_accounts(self.model.accounts, self.model.staff)
        self._write_policy()
        self._run_timer()
        for user in here:
            self.begin_session(user, "at the seat", 0, has_hook=True)

    # Logging in and out

    anne_comes = _comes("anne")
    ralph_comes = _comes("ralph")
    zoe_comes = _comes("zoe")

    @_step(lambda self: self.has_room(), is_login=True, kind=kinds,
           user=st.sampled_from((*PEOPLE, *PEOPLE, *UIDS)), id_=st.integers(0, len(_IDS) - 1),
           has_hook=st.booleans())
    def log_in(self, user: str, kind: str, id_: int, has_hook: bool) -> None:
        """Anybody, in any way; without a hook because it was killed, or there is none."""
        self.begin_session(user, kind, id_, has_hook)

    @_login_step("alive", goes=st.booleans())
    def log_out(self, id_: str, goes: bool) -> None:
        """A proper logout; where the leader does not go yet, logind has not noticed it."""
        login = self._login(id_)
        self._run_hook(login, "close")
        if goes:
            self._end(login)
            if login in self.model.logins and not self.model.is_logind_silent:
                self._forget(login)

    @_login_step("alive")
    def crash(self, id_: str) -> None:
        """The leader is killed; neither PAM nor logind notices."""
        self._end(self._login(id_))

    @_login_step("dead and listed", wholly=st.booleans())
    def logind_notices(self, id_: str, wholly: bool) -> None:
        """logind sees that the leader is gone: the session is closing, or over."""
        login = self._login(id_)
        if wholly:
            self._forget(login)
        else:
            self._close(login)

    @_login_step("alive and listed")
    def logind_closes(self, id_: str) -> None:
        """The session is closing while its leader lingers."""
        self._close(self._login(id_))

    @_login_step("alive and listed")
    def logind_loses(self, id_: str) -> None:
        """logind's file about a session can't be written, and is gone for a while."""
        login = self._login(id_)
        self.played.lose(login)
        login.is_listed = False

    @_login_step("lost")
    def logind_finds(self, id_: str) -> None:
        """It is there again; only a whole run opens what it had."""
        login = self._login(id_)
        self.played.find(login)
        login.is_listed = True
        self._run_timer()

    @_step(lambda self: self.model.is_logind_silent or self.can_fall_silent())
    def logind_is_silent_or_speaks(self) -> None:
        """logind's directory is not there, or is there again."""
        self.model.is_logind_silent = not self.model.is_logind_silent
        self.played.silence(self.model.is_logind_silent)

    # Time

    @_step(lambda self: DEAD_CLOCK < self.model.now < BASE + SPAN, which=st.integers(0, 5),
           more=st.sampled_from([-1, 0, 1, 3600, DAY, 3 * DAY]))
    def time_passes(self, which: int, more: int) -> None:
        """To the edge of a window or somewhere near; where that is far away, the timer runs."""
        model = self.model
        edges = {edge for uid in UIDS.values() for edge in model.edges(uid)}
        edges |= {each.end for each in model.temporaries}
        coming = sorted(edge for edge in edges if model.now < edge < BASE + SPAN)
        edge = coming[min(which, len(coming) - 1)] if coming else model.now + 1
        self._set_clock(max(model.now, edge + more))
        if model.now >= model.seen_at + PROMISED:
            self._run_timer()

    @_step(lambda self: self.model.now > DEAD_CLOCK, seconds=st.sampled_from([1, 60, 3600, DAY]))
    def clock_is_set_back(self, seconds: int) -> None:
        """By the admin or by NTP, a day at most; the timer runs on that."""
        self._set_clock(max(self.model.now - seconds, self.highest - DAY))
        self._run_timer()

    @_step(lambda self: self.model.now == DEAD_CLOCK or _several_are_here(self))
    def battery_dies_or_clock_is_right_again(self) -> None:
        """The clock says 2023, or is right again; the timer runs on that."""
        self._set_clock(DEAD_CLOCK if self.model.now > DEAD_CLOCK else self.highest)
        self._run_timer()

    # The admin

    @_step(policy=policies(), is_noticed=st.booleans())
    def edit(self, policy: Policy, is_noticed: bool) -> None:
        """The policy is replaced; where that is noticed, by the path unit."""
        self.model.on_disk = policy
        self._write_policy()
        if is_noticed:
            self._run_timer()

    @_step(user=st.sampled_from(PEOPLE), seconds=st.sampled_from([1, 5, 600, DAY, None]))
    def revoke(self, user: str, seconds: int | None) -> None:
        """``pam-spice revoke``, for a time or for as long as the logins last."""
        if self._has_account(user):
            until = seconds and self.model.now + seconds
            self._has_run(self.played.revoke(user, until), self.model.revoke(UIDS[user], until))

    @_step(_somebody_is_here, user=st.sampled_from(PEOPLE))
    def lift(self, user: str) -> None:
        """``pam-spice revoke --lift``."""
        if self._has_account(user):
            self._has_run(self.played.lift(user), self.model.lift(UIDS[user]))

    @_step(_somebody_is_here)
    def apply(self) -> None:
        """``pam-spice apply --now``."""
        self._has_run(self.played.apply(), self.model.apply())

    @_step(user=st.sampled_from(PEOPLE), console=st.sampled_from(sorted(CONSOLES)),
           minutes=st.sampled_from([1, 90, 2000]))
    def grant(self, user: str, console: str, minutes: int) -> None:
        """``pam-spice grant``."""
        if self._has_account(user):
            self._has_run(self.played.grant(user, console, minutes),
                          self.model.grant(user, console, 60 * minutes))

    @_step(lambda self: bool(self.model.temporaries), which=st.integers(0, 7),
           other=st.sampled_from([None, *sorted(CONSOLES)]))
    def end_of_a_grant(self, which: int, other: str | None) -> None:
        """``pam-spice grant --end``: of one that there is, or of another console of that user."""
        temporary = self.model.temporaries[which % len(self.model.temporaries)]
        user, console = temporary.user, other or temporary.console
        if self._has_account(user):
            self._has_run(self.played.end_grant(user, console),
                          self.model.end_grant(user, console))

    @_step(user=st.sampled_from(PEOPLE))
    def join_or_leave_staff(self, user: str) -> None:
        """Groups count as they are at login."""
        self.model.staff ^= {user}
        self.played.write_accounts(self.model.accounts, self.model.staff)

    @_step(lambda self: _somebody_is_here(self) or self.has_odd_accounts(),
           user=st.sampled_from(PEOPLE), becomes=st.sampled_from(_ACCOUNTS),
           is_noticed=st.booleans())
    def change_account(self, user: str, becomes: str, is_noticed: bool) -> None:
        """The account is deleted, gets another uid or name, or its uid goes to somebody else."""
        accounts = {name: uid for name, uid in self.model.accounts.items()
                    if name not in (user, f"new-{user}")}
        if becomes in ("right", "renumbered", "taken"):
            accounts[user] = UIDS[user] + (0 if becomes == "right" else 900)
        if becomes in ("renamed", "taken"):
            accounts[f"new-{user}"] = UIDS[user]
        self.model.accounts = accounts
        self.played.write_accounts(accounts, self.model.staff)
        if is_noticed:
            self._run_timer()

    # Runs

    @_step(_somebody_is_here)
    def a_minute_passes(self) -> None:
        """The timer runs. By its name it is Hypothesis's simplest step, which it takes often."""
        self._run_timer()

    @_step(_somebody_is_here)
    def watcher(self) -> None:
        """The watcher wakes up."""
        self.played.run_whole("close")
        self.model.watcher()
        self.tampered = 0

    @_step(lambda self: len(self.model.sessions) > 2, timer_has_run=st.booleans())
    def reboot(self, timer_has_run: bool) -> None:
        """Power cut. The guard is loaded, then the timer runs."""
        self.played.power_off()
        self.model.boot()
        self.played.load_guard()
        self.tampered = 0
        if timer_has_run:
            self._run_timer()

    # Damage

    @_step(lambda self: self.table is not None and bool(self.table.chains),
           number=st.integers(0, len(CLOSING_DEEDS) + len(OPENING_DEEDS) - 1),
           who=st.integers(0, 5), is_noticed=st.booleans())
    def tamper(self, number: int, who: int, is_noticed: bool) -> None:
        """Somebody's hand in our table, or a restart of nftables.service."""
        if self.tampered == _ANYTHING or self.table is None:
            return  # what is there is not known
        jumps, chains = self.table.jumps.keys(), self.table.chains.keys()
        inside, outside = sorted(chains & jumps), sorted(set(UIDS.values()) - chains - jumps)
        deed = (*CLOSING_DEEDS, *OPENING_DEEDS)[number]
        if "UID" in deed and not inside:
            return
        for word, uids in (("UID", inside), ("OTHER", outside)):
            if uids:
                deed = deed.replace(word, str(uids[who % len(uids)]))
        self.played.nft(deed)
        self.tampered = max(self.tampered, _CLOSED_TOO_MUCH if number < len(CLOSING_DEEDS)
                            else _ANYTHING)
        if is_noticed:
            self._run_timer()

    @_step(_somebody_is_here, which=st.integers(0, 9), is_cut=st.booleans(),
           at=st.integers(0, 10_000), bit=st.integers(0, 7), is_noticed=st.booleans())
    def damage_record(self, which: int, is_cut: bool, at: int, bit: int, is_noticed: bool) -> None:
        """A record is cut off, or a bit of it turns."""
        path = self._some_record(which)
        data = bytearray(path.read_bytes() if path else b"")
        if path is None or not data:
            return
        at %= len(data)
        if is_cut:
            del data[at:]
        else:
            data[at] ^= 1 << bit
        path.write_bytes(data)
        for session in self.model.sessions:
            if session.login.id == path.name:
                session.is_record_damaged = True
        if is_noticed:
            self._run_timer()

    @_step(_somebody_is_here, which=st.integers(0, 9))
    def delete_record(self, which: int) -> None:
        """A record is gone: then nobody knows what it said."""
        path = self._some_record(which)
        if path is not None:
            path.unlink()
            self.model.sessions = [session for session in self.model.sessions
                                   if session.login.id != path.name]
            self._run_timer()

    @_step(lambda self: _somebody_is_here(self) and not self.model.is_logind_silent,
           name=st.sampled_from(["9", "1.77.new", ".x"]))
    def leave_a_stray(self, name: str) -> None:
        """A writer of records was killed."""
        Path(DIRECTORY, name).write_text("pam-spice-session 4\n")
        self._run_timer()

    @_step(how=st.sampled_from(["gone", "cut", "garbage"]), is_noticed=st.booleans())
    def damage_compiled_policy(self, how: str, is_noticed: bool) -> None:
        """The compiled policy is lost or damaged."""
        path = Path(paths.COMPILED)
        if not path.exists():
            return
        data = path.read_bytes()
        if how == "gone":
            path.unlink()
        else:
            path.write_bytes(data[:-3] if how == "cut" else b"x" + data)
        self.model.policy = None
        if is_noticed:
            self._run_timer()

    @_step(lambda self: self.model.revocations is None or _several_are_here(self))
    def damage_or_delete_list_of_revocations(self) -> None:
        """A list that can't be read lets nobody new in; what records say stays."""
        path = Path(paths.REVOKED)
        if self.model.revocations is None:
            path.unlink()
            self.model.revocations = {}
        else:
            with path.open("a") as file:
                file.write("x\n")
            self.model.revocations = None

    @invariant()
    def the_table_is_the_model_s(self) -> None:
        """After each step, as nft lists it."""
        self.empty_steps = 0 if self.model.sessions else self.empty_steps + 1
        listing = self.played.listing()
        try:
            self._compare(listing)
        except AssertionError as error:
            states = {name: record.state for name, record in read_records().items()}
            for line in (f"the clock: {self.model.now}", *map(str, self.model.sessions),
                         f"records: {states}", f"table: {self.table and self.table.chains}",
                         *self.played.told[-20:]):
                error.add_note(line)
            raise

    def _compare(self, listing: str | None) -> None:
        if self.tampered == _ANYTHING:
            return
        assert (listing is None) == (self.model.guarded is None), "is there a table?"
        self.table = table = (None if listing is None
                              else read_table(listing, is_strict=not self.tampered))
        if self.tampered:
            nothing_more_is_open(self.model, table)
            return
        names = self.played.records()
        assert names == self.model.remembered, f"records: {names}"
        if table is not None:
            the_guard_is_whole(self.model, table, self.played.rest_of_guard(table.guarded))
            the_same_is_open(self.model, table, UIDS.values())

    # What rules ask

    def has_room(self) -> bool:
        """Whether somebody can log in."""
        return not self.model.is_logind_silent and len(self.model.logins) < len(_IDS)

    def can_fall_silent(self) -> bool:
        """Whether logind may fall silent: not while it has lost a session, which is a fault more
        than anybody can tell apart."""
        return (bool(self.model.sessions) and all(login.is_listed for login in self.model.logins)
                and all(session.is_present for session in self.model.sessions))

    def has_odd_accounts(self) -> bool:
        """Whether an account is not as it was."""
        return not all(map(self._has_account, PEOPLE))

    def logins(self, kind: str) -> list[Login]:
        """The logins of which that is true."""
        speaks = not self.model.is_logind_silent
        return [login for login in self.model.logins if {
            "alive": login.is_alive,
            "alive and listed": (speaks and login.is_alive and login.is_listed
                                 and not login.is_ending),
            "dead and listed": speaks and not login.is_alive and login.is_listed,
            "lost": speaks and not login.is_listed}[kind]]

    # Small things

    def begin_session(self, user: str, kind: str, id_: int, has_hook: bool) -> None:
        """A login of that kind, with one of the ids that are free."""
        how = KINDS[kind]
        free = [each for each in _IDS if each not in {login.id for login in self.model.logins}]
        uid = UIDS["ralph" if user != "ralph" else "anne"] if how.is_forged else UIDS[user]
        self.logged_in += 1
        login = Login(free[id_ % len(free)], user, uid, self.played.start_leader(),
                      self.logged_in, how.service, how.is_remote, how.has_seat, how.class_,
                      how.is_ending)
        self.model.logins.append(login)
        self.played.write_state(login)
        if has_hook:
            self._run_hook(login, "open")

    def _login(self, id_: str) -> Login:
        return next(login for login in self.model.logins if login.id == id_)

    def _end(self, login: Login) -> None:
        self.played.end(login.leader)
        login.is_alive = False
        if not login.is_listed:
            self.model.logins.remove(login)

    def _forget(self, login: Login) -> None:
        self.played.forget(login)
        login.is_listed = False
        self.model.logins.remove(login)

    def _close(self, login: Login) -> None:
        self.played.set_ending(login)
        login.is_ending = True

    def _has_account(self, user: str) -> bool:
        return self.model.accounts.get(user) == UIDS[user]

    def _some_record(self, which: int) -> Path | None:
        names = sorted(self.played.records() & self.model.remembered)
        return Path(DIRECTORY, names[which % len(names)]) if names else None

    def _set_clock(self, now: int) -> None:
        self.model.now = self.played.now = now
        self.highest = max(self.highest, now)

    def _write_policy(self) -> None:
        policy = self.model.on_disk
        self.played.write_policy(None if policy.flaw == Flaw.MISSING else policy.text,
                                 0o666 if policy.flaw == Flaw.WRITABLE else 0o644,
                                 policy.flaw == Flaw.LINK)

    def _run_hook(self, login: Login, phase: str) -> None:
        has_begun_anew = self.played.hook(login.leader, phase)
        is_damaged = any(session.is_record_damaged for session in self.model.sessions)
        # With a damaged record nothing was done at first, with a damaged table the records were.
        if not (has_begun_anew and is_damaged):
            self.model.hook(login, phase)
        if has_begun_anew:
            assert is_damaged or self.tampered == _ANYTHING or self.model.guarded is None, (
                f"the hook began anew: {self.played.told}")
            self.model.hook(login, phase, is_whole=True)
            self.tampered = 0

    def _run_timer(self) -> None:
        self.played.run_whole()
        self.model.timer()
        self.tampered = 0

    def _has_run(self, outcome: str, wanted: str) -> None:
        """An admin's command, with its outcome."""
        assert outcome == wanted, f"the command: {outcome}, the model: {wanted}"
        if outcome != "refused":
            self.tampered = 0
