"""The rule in small, after DESIGN.md and the manual: who has which console when.

It knows no chains, intervals or records. What happens on the workstation (a ``Login``) and what
pam-spice knows of it (a ``Session``) are two things: a fact counts from the next run on that
notices it, and until then the kernel's table stays what it is.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.model.policies import (
    Endpoint,
    Meaning,
    Policy,
    Right,
    Temporary,
    endpoints_of,
    meaning_of,
)
from tests.model.windows import BASE, EVER, edges_of

FIRST_SANE_YEAR = 1767225600
"""The beginning of 2026: a clock that is before it has lost its battery."""

NOBODY = 65534


@dataclass(eq=False)
class Login:
    """A session as logind has it, and the process that leads it."""

    id: str
    user: str
    uid: int
    leader: int
    number: int  # who came before whom
    service: str = "login"
    is_remote: bool = False
    has_seat: bool = True
    class_: str = "user"
    is_ending: bool = False  # logind's state "closing"
    is_listed: bool = True
    is_alive: bool = True  # its leader

    def __repr__(self) -> str:
        return f"{self.user}'s {self.id}"


@dataclass(eq=False)
class Session:
    """What pam-spice remembers of a login that counts."""

    login: Login
    rights: tuple[Right, ...]
    is_in: bool = False  # has the workstation, and does not wait for another user to leave
    has_left: bool = False
    is_shut: bool = False  # by an edit that was applied: such a login counts no more
    is_record_damaged: bool = False
    is_damaged: bool = False  # and a run has noticed that
    is_present: bool = True  # logind lists it
    revoked: int = 0  # closed until then

    def __repr__(self) -> str:
        what = [name for name in ("is_in", "has_left", "is_shut", "is_damaged", "is_present")
                if getattr(self, name)]
        return (f"{self.login}: {', '.join(what)}; revoked until {self.revoked}; "
                f"{', '.join(map(str, self.rights))}")

    @property
    def is_candidate(self) -> bool:
        """Whether it counts where one user at a time has the workstation."""
        return self.is_present and not (self.has_left or self.is_shut or self.is_damaged)

    def holds(self, endpoint: Endpoint, instant: int) -> bool:
        """Whether it opens the endpoint at that instant."""
        return (self.is_candidate and self.is_in and instant >= self.revoked
                and any(endpoint in endpoints_of(right.console) and right.holds(instant)
                        for right in self.rights))


Amend = Callable[[Session], None]


class Model:
    """A workstation, and what pam-spice must make of it."""

    def __init__(self, policy: Policy) -> None:
        self.now = BASE
        self.on_disk = policy
        self.temporaries: tuple[Temporary, ...] = ()
        self.accounts: dict[str, int] = {}
        self.staff: frozenset[str] = frozenset()
        self.logins: list[Login] = []
        self.is_logind_silent = False

        self.policy: Meaning | None = None  # as it was taken in last; None: nobody can tell
        self.guarded: frozenset[Endpoint] | None = None  # None: there never was a guard
        self.sessions: list[Session] = []
        self.revocations: dict[int, int] | None = {}  # None: the list can't be read
        self.seen_at = self.now  # when all was looked at last
        self.is_dark = False  # the clock was wrong then

    # What the kernel's table must say

    def allows(self, uid: int, endpoint: Endpoint, instant: int) -> bool:
        """Whether the user's viewer gets there at that instant, if nothing runs until then."""
        return not self.is_dark and any(session.login.uid == uid
                                        and session.holds(endpoint, instant)
                                        for session in self.sessions)

    def edges(self, uid: int) -> set[int]:
        """Instants at which that may change."""
        found: set[int] = set()
        for session in self.sessions:
            if session.login.uid == uid:
                found.add(session.revoked)
                for right in session.rights:
                    found |= {right.start, right.end}
                    for name in right.windows:
                        found |= set(edges_of(name))
        return found

    def may_have_chain(self, uid: int) -> bool:
        """Whether an open session of the user was given anything."""
        return any(session.login.uid == uid and session.is_candidate and session.is_in
                   and session.rights for session in self.sessions)

    @property
    def remembered(self) -> set[str]:
        """The ids of the sessions of which there is a record."""
        return {session.login.id for session in self.sessions}

    # What is on the disk

    @property
    def meaning(self) -> Meaning:
        """The policy as it stands on the disk."""
        return meaning_of(self.on_disk, self.temporaries)

    def session_of(self, login: Login) -> Session | None:
        """What is remembered of that login."""
        return next((each for each in self.sessions if each.login is login), None)

    # Runs

    def timer(self) -> None:
        """The run of each minute, and of boot."""
        self._look(is_whole=True, admits=True)

    def watcher(self) -> None:
        """The run of the watcher: for who is here, by the policy as it was taken in."""
        self._look(is_whole=True, admits=False)

    def hook(self, login: Login, phase: str, is_whole: bool = False) -> None:
        """The run of a login or a logout."""
        if phase == "open":
            self._look(is_whole=is_whole, admits=True, comer=login)
        else:
            self._look(is_whole=is_whole, admits=False, leaver=login)

    def boot(self) -> None:
        """Power cut, and the guard is loaded again; nothing of the logins is left."""
        self.logins = []
        self.sessions = []
        self.is_logind_silent = False

    # An admin's hand; each tells "done", "not done" (not for everybody) or "refused"

    def revoke(self, uid: int, until: int | None) -> str:
        """Take a user's consoles back, until an instant or for as long as his logins last."""

        def close(session: Session) -> None:
            if session.login.uid == uid and session.revoked != EVER:
                session.revoked = until or EVER

        self._look(is_whole=True, admits=False, amend=close)
        if until is not None:
            if self.revocations is None:
                return "not done"
            self.revocations = {**self._living_revocations(), uid: until}
        self._look(is_whole=True, admits=True, amend=close)
        return "done"

    def lift(self, uid: int) -> str:
        """End a revocation: the policy counts again, at once."""
        if self.revocations is None:
            return "refused"
        living = self._living_revocations()
        was_listed = living.pop(uid, None) is not None
        self.revocations = living
        if not was_listed and not any(
                session.login.uid == uid and session.revoked and not session.is_record_damaged
                for session in self.sessions):
            return "refused"
        return self._renew(lambda session: session.login.uid == uid, lifts=True)

    def apply(self) -> str:
        """Let the policy count at once for those who are logged in."""
        return self._renew(lambda _: True) if self.meaning.is_valid else "refused"

    def grant(self, user: str, console: str, seconds: int) -> str:
        """A console for a time, at once."""
        uid = self.accounts[user]
        if (not self.meaning.is_valid or console not in self.meaning.consoles
                or self.revocations is None or uid in self._living_revocations()):
            return "refused"
        living = tuple(each for each in self.temporaries if each.end > self.now)
        self.temporaries = (*living, Temporary(user, console, self.now, self.now + seconds))
        right = Right(console, (), self.now, self.now + seconds, is_temporary=True)

        def add(session: Session) -> None:
            if session.login.uid == uid:
                session.rights += (right,)

        self._look(is_whole=True, admits=True, amend=add)
        return "done"

    def end_grant(self, user: str, console: str) -> str:
        """Take back what was granted for a time, at once."""
        uid = self.accounts[user]

        def drop(session: Session) -> None:
            if session.login.uid == uid:
                session.rights = tuple(right for right in session.rights
                                       if not (right.is_temporary and right.console == console))

        is_listed = any((each.user, each.console) == (user, console) for each in self.temporaries)
        if not is_listed and not any(
                session.login.uid == uid and not session.has_left
                and not session.is_record_damaged
                and any(right.is_temporary and right.console == console
                        for right in session.rights) for session in self.sessions):
            return "not done"
        self._look(is_whole=True, admits=False, amend=drop)
        if is_listed:
            self.temporaries = tuple(each for each in self.temporaries if each.end > self.now
                                     and (each.user, each.console) != (user, console))
        self._look(is_whole=True, admits=True, amend=drop)
        return "done"

    # How a run goes

    def _look(self, *, is_whole: bool, admits: bool, comer: Login | None = None,
              leaver: Login | None = None, amend: Amend | None = None,
              amends_new: bool = True) -> None:
        """What is, becomes what should be. Where not ``is_whole``, no login but ``comer`` is new;
        only a run that ``admits`` takes an edit in and lets anybody new in. Before there ever was a
        policy that can be used nobody is new: the first one is to count for who is here."""
        is_first = self.guarded is None
        if admits:
            self._take_in()
        for session in self.sessions:
            session.is_damaged = session.is_record_damaged
        readable = [session for session in self.sessions if not session.is_damaged]
        if amend is not None:
            for session in readable:
                amend(session)
        self._part(leaver)
        if is_whole and admits and amend is None:
            self._part_from_strangers()
        if not self.is_logind_silent:
            for session in self.sessions:
                session.is_present = session.login.is_listed
            self._restore(leaver)
            if leaver is not None:
                self._note_that_it_has_left(leaver)
            if (admits and self.now >= FIRST_SANE_YEAR and self.revocations is not None
                    and not (is_first and self.on_disk.flaw.is_fatal)):
                self._admit(None if is_whole else comer)
            self._share()
        if amend is not None and amends_new:
            for session in self.sessions:
                if session not in readable and not session.is_damaged:
                    amend(session)
        if self.revocations is not None:
            for session in self.sessions:
                own = session.revoked if session.revoked > self.now else 0
                session.revoked = max(own, self._living_revocations().get(session.login.uid, 0))
        if is_whole:
            self.seen_at = self.now
            self.is_dark = self.now < FIRST_SANE_YEAR

    def _take_in(self) -> None:
        meaning = self.meaning
        if self.on_disk.flaw.is_fatal and self.policy is not None:
            # Nothing is granted; who is in keeps what he has.
            meaning = replace(meaning, one_user=self.policy.one_user,
                              services=self.policy.services,
                              require_seat=self.policy.require_seat)
        self.policy = meaning
        if meaning.is_valid:
            self.guarded = meaning.declared
        elif self.guarded is not None or meaning.declared:
            self.guarded = (self.guarded or frozenset()) | meaning.declared

    def _part(self, leaver: Login | None) -> None:
        """Forget who is over: his leader is dead, or logind says that he is leaving; note who has
        logged out."""
        for session in list(self.sessions):
            if session.is_damaged:
                if not self.is_logind_silent:
                    self._guess_whose_it_is(session)
                continue
            login = session.login
            if not login.is_alive or (login.is_ending and not self.is_logind_silent):
                self.sessions.remove(session)
            elif login is leaver:
                session.has_left = True

    def _guess_whose_it_is(self, session: Session) -> None:
        """Only a name is left of a record that can't be read: it is that of the living login of
        that id, be it another one by now."""
        owner = next((login for login in self.logins if login.id == session.login.id
                      and login.is_listed and login.is_alive), None)
        if owner is None:
            self.sessions.remove(session)
        else:
            session.login = owner

    def _part_from_strangers(self) -> None:
        """Whose name or uid belongs to somebody else by now is not the one who logged in."""
        for session in self.sessions:
            login = session.login
            named = self.accounts.get(login.user)
            owners = {name for name, uid in self.accounts.items() if uid == login.uid}
            if ((named is not None and named != login.uid) or owners - {login.user}) and (
                    login.is_listed or self.is_logind_silent) and not session.is_damaged:
                session.has_left = True

    def _restore(self, leaver: Login | None) -> None:
        """A record that can't be read may have said that its session is closed: nothing opens
        before the next login, but that user is here."""
        for session in self.sessions:
            login = session.login
            if (session.is_damaged and session.is_present and not login.is_ending
                    and self.policy is not None and self._counts(login, self.policy)):
                session.is_record_damaged = session.is_damaged = False
                session.is_in = session.is_shut = False
                session.has_left = login is leaver
                session.rights = ()
                session.revoked = 0 if session.has_left else EVER

    def _note_that_it_has_left(self, login: Login) -> None:
        """The hook of its login did not run, or was killed: it is over all the same."""
        if (self.session_of(login) is None and login.is_listed and login.is_alive
                and not login.is_ending and self.policy is not None
                and self._counts(login, self.policy)):
            self.sessions.append(Session(login, (), has_left=True))

    def _admit(self, comer: Login | None) -> None:
        assert self.policy is not None
        for login in self.logins:
            if (login.is_listed and login.is_alive and not login.is_ending
                    and (comer is None or login is comer) and self.session_of(login) is None
                    and self._counts(login, self.policy) and self._is_himself(login)):
                self.sessions.append(Session(login, self._rights_of(login.user)))

    def _share(self) -> None:
        """One user at a time: who has the workstation keeps it until he leaves, then who came
        first of those who wait gets it."""
        if self.policy is None:
            return
        candidates = [session for session in self.sessions if session.is_candidate]
        holder = min(candidates, key=lambda session: (not session.is_in, session.login.number),
                     default=None)
        for session in candidates:
            session.is_in = (not self.policy.one_user or holder is None
                             or session.login.uid == holder.login.uid)

    def _renew(self, concerns: Callable[[Session], bool], lifts: bool = False) -> str:
        unknown: list[Session] = []

        def renew(session: Session) -> None:
            if not concerns(session):
                return
            if not self._is_decidable(session.login):
                if not session.has_left:
                    unknown.append(session)
                return
            assert self.policy is not None
            if lifts:
                session.revoked = 0
            if session.has_left:
                return
            if not self._counts(session.login, self.policy):
                session.is_shut, session.is_in = True, False
                return
            session.rights = self._rights_of(session.login.user)
            session.is_shut = False

        self._look(is_whole=True, admits=True, amend=renew, amends_new=False)
        assert self.policy is not None
        is_done = self.policy.is_valid and not any(each in self.sessions for each in unknown)
        return "done" if is_done else "not done"

    def _is_decidable(self, login: Login) -> bool:
        """Whether somebody can tell what a login like this would get at this moment."""
        assert self.policy is not None
        if (not self.policy.is_valid or self.is_logind_silent or not login.is_listed
                or self.now < FIRST_SANE_YEAR):
            return False
        return not self._counts(login, self.policy) or (
            self.revocations is not None and self._is_himself(login))

    # Small questions

    def _counts(self, login: Login, policy: Meaning) -> bool:
        """A person at the workstation's own screen and keyboard, by a service of the policy."""
        return (1000 <= login.uid != NOBODY and not login.is_remote and login.class_ == "user"
                and (login.has_seat or not policy.require_seat)
                and login.service in policy.services)

    def _is_himself(self, login: Login) -> bool:
        return self.accounts.get(login.user) == login.uid

    def _rights_of(self, user: str) -> tuple[Right, ...]:
        assert self.policy is not None
        groups = {user} | ({"staff"} if user in self.staff else set())
        return self.policy.rights_of(user, frozenset(groups))

    def _living_revocations(self) -> dict[int, int]:
        return {uid: until for uid, until in (self.revocations or {}).items()
                if until > self.now}
