"""The one function: login, logout, boot, timer and watcher all make what is what should be.

On the login path: see ``pam_spice``. A login or logout passes the process that holds the PAM
session as a hint; then the kernel's table is not read back, only the users concerned are written.
"""

import grp
import os
import pwd
import time

from conf.files import remove_leftovers, write_atomically
from conf.grantline import FOREVER, GrantLine
from conf.lookup import CompiledPolicy, Endpoint, Unusable
from conf.viewer import VIEWER, VIEWER_GROUP
from pam_spice import journal, paths
from pam_spice.desired import FIRST_SANE_SECOND, allows, desired_chains, desired_records
from pam_spice.firewall import Chain, KernelRefused, netlink
from pam_spice.locking import Lock
from pam_spice.plan import Plan
from pam_spice.policy import current_policy, is_in_force
from pam_spice.revocations import read_revocations
from session.eligibility import LIVING_STATES, is_alive, is_ordinary, why_not_eligible
from session.logind import LogindSession, LogindSilent, is_session_id, read_sessions
from session.processes import start_ticks
from session.records import (
    CLOSED,
    OPEN,
    SHUT,
    Record,
    overwrite_record,
    recorded_names,
    records_of,
    remove_record,
    write_record,
)

TYPE_CHECKING = False  # typing and collections are slow to import, and a login needs neither
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_TRIES = 3  # to load the guard behind the users' chains, whatever others do meanwhile

Admissions = dict[tuple[str, int], Record]
"""New sessions' records, by (session, leader)."""


class RecordDamaged(Exception):
    """A record can't be read, and all has to be looked at."""


class Reconciliation:
    """One run. ``leader`` and ``phase`` ("open" or "close") are the hint of a login or logout;
    with ``full`` the whole workstation is put right all the same.

    ``amend`` is the admin's hand in live sessions: it is given each record and returns it as it
    should be. With ``renew`` it is also given the record that a login would make now (in the state
    SHUT where such a login would not count); else, and where that can't be told, None.
    """

    def __init__(self, leader: int | None = None, phase: str | None = None, full: bool = False,
                 amend: "Callable[[Record, Record | None], Record] | None" = None,
                 renew: bool = False) -> None:
        self.now = int(time.time())
        self.amend = amend
        self.renew = renew
        self.failed: list[Record] = []  # what could not be recorded, and is as it was before
        self.leader = leader
        self.phase = phase
        self.is_full = full or leader is None
        self.strangers: frozenset[str] = frozenset()
        self.ineligible: set[tuple[str, int]] = set()
        self.unreadable: set[str] = set()  # sessions that live, with a damaged record, which stays
        self.ending: set[str] = set()  # by logind's word
        self.lost: set[str] = set()  # recorded, their leader lives, but logind doesn't list them
        # Whether there ever was a usable policy; before it is read, for it may come meanwhile.
        self.had_guard = os.path.lexists(paths.GUARD)
        self.policy: CompiledPolicy | None = None
        self.endpoints: list[Endpoint] = []
        self.names: list[str] = []  # of all that lies beside the records
        self.before: dict[str, Record] = {}  # the records before the lock was taken
        self.records: dict[str, Record] = {}
        self.kept: set[int] = set()  # users who keep their chains, though nobody can say which
        self.chains: dict[int, Chain] = {}
        self.is_waiting = False  # for the doctor, who has not looked yet
        self.changed: dict[int, tuple[str, str]] = {}  # the kernel's chains, see ``mending``
        self.plan = Plan()

    def run(self, dry_run: bool = False) -> Plan:
        """Make it so; with ``dry_run`` only find out what would be done.

        Raises OSError, CommandFailed or RecordDamaged: then nothing more is open than before.
        """
        os.makedirs(paths.RUN, 0o711, exist_ok=True)
        os.makedirs(f"{paths.RUN}/sessions", 0o711, exist_ok=True)
        self._read_policy()
        # NSS may hang, so it is asked before the lock is taken.
        if self.is_full or self.phase != "close":
            self.names = recorded_names()
            self.before = records_of(self.names)
        admissions = self._admissions()
        # No admin's word, watcher or logout waits for a directory of users: the timer asks it.
        if self.is_full and self.amend is None and self.phase != "close":
            self.strangers = frozenset(name for name, record in self.before.items()
                                       if not _still_the_same_person(record))
        with Lock(paths.LOCK):
            if self.is_full:
                self._reopen_policy()
            self.names = recorded_names()
            known = records_of(self.names)
            if not self.is_full and not known.keys() >= set(filter(is_session_id, self.names)):
                raise RecordDamaged  # whose chain it is for, only the kernel can tell
            self._plan_records(known, admissions)
            if not dry_run:
                self._write_records(known)
            self._plan_chains(known)
            if not dry_run:
                self._apply(known)
        return self.plan

    # Gathering

    def _read_policy(self) -> None:
        try:
            # A logout needs nothing of an edit, and must not wait for it to be compiled.
            self.policy = (CompiledPolicy(paths.COMPILED) if self.phase == "close"
                           else current_policy(self.now))
            self.endpoints = self.policy.endpoints
        except Exception as error:  # whatever is wrong with it, logouts must be seen to
            if isinstance(error, Unusable) and (not is_in_force() or (
                    self.phase == "close" and not self.had_guard)):
                return  # there never was one here, and the watcher was the first to look
            reason = error if isinstance(error, (Unusable, OSError)) else repr(error)
            journal.log(journal.ERROR, f"no compiled policy, nothing new opens: {reason}",
                        event="no-policy")
            try:
                # A full disk: what was guarded when it was compiled last still is.
                self.endpoints = CompiledPolicy(paths.COMPILED).endpoints
            except Unusable:
                pass

    def _reopen_policy(self) -> None:
        """What was compiled while the lock was waited for counts: else an older run could put an
        older guard in the place of a newer one."""
        try:
            newest = CompiledPolicy(paths.COMPILED)
        except Unusable:
            return
        self.endpoints = newest.endpoints
        if self.policy is not None:
            self.policy = newest

    def _admissions(self) -> Admissions:
        """Records for the sessions that are new."""
        if self.policy is None or self.phase == "close" or self.now < FIRST_SANE_SECOND:
            return {}
        if self.policy.outcome in ("missing", "unusable") and not self.had_guard:
            return {}  # a record holds for as long as its login, and the first policy is to count
        try:
            sessions = read_sessions()
        except LogindSilent:
            return {}
        admitted: Admissions = {}
        for session in sessions:
            known = self.before.get(session.id)
            if (known is not None and known.is_of(session.uid, session.leader)
                    and not self.renew):
                continue
            if known is None and session.id in self.names:
                continue  # damaged; that is seen to under the lock
            if not self.is_full and session.leader != self.leader:
                continue
            why_not = why_not_eligible(session, self.policy.settings)
            if why_not is not None:
                self.ineligible.add((session.id, session.leader))
            if why_not is None and is_alive(session):
                record = self._admit_or_none(session)
                if record is not None:
                    admitted[session.id, session.leader] = record
            elif self.phase == "open" and why_not is not None and is_ordinary(session.uid):
                # Of root and of services nobody expects a console.
                journal.log(journal.INFO, f"refuse: nothing opens for {session.user}: {why_not}",
                            event="refuse", user=session.user, uid=session.uid,
                            session=session.id, service=session.service, reason=why_not,
                            revision=self.policy.revision)
        return admitted

    def _instead_of_damaged(self, session: LogindSession) -> Record | None:
        """A record may say that its session is closed or revoked. Where it can't be read nothing
        opens until the next login; the session counts for the rule of one user all the same."""
        ticks = start_ticks(session.leader)
        if (ticks is None or self.policy is None
                or why_not_eligible(session, self.policy.settings) is not None):
            return None
        journal.log(journal.ERROR, f"the record of session {session.id} of {session.user!r} is "
                    f"damaged: nothing opens until the next login", event="record-damaged",
                    user=session.user, uid=session.uid, session=session.id)
        return Record(session.id, session.uid, session.user, session.leader, ticks, session.since,
                      self.policy.revision, "new", self._offsets_for([]), [], FOREVER)

    def _admit_or_none(self, session: LogindSession) -> Record | None:
        try:
            return self._admit(session)
        except Exception as error:  # of this one session; the others must not wait for it
            journal.log(journal.ERROR, f"refuse: nothing opens for {session.user}: {error!r}",
                        event="refuse", user=session.user, uid=session.uid, session=session.id,
                        service=session.service, reason=f"failed: {error!r}",
                        revision=self.policy.revision if self.policy else None)
            return None

    def _admit(self, session: LogindSession) -> Record | None:
        assert self.policy is not None
        try:
            account = pwd.getpwuid(session.uid)
            same = pwd.getpwnam(session.user).pw_uid == session.uid
        except KeyError:
            same = False
        ticks = start_ticks(session.leader)
        has_group = same and account.pw_gid == _gid_of(VIEWER_GROUP)
        if not same or ticks is None or has_group:
            why_not = (f"{VIEWER_GROUP} is his first group, and so that of all his programs"
                       if has_group else
                       "name and uid do not belong together, or its process is gone")
            journal.log(journal.WARNING, f"refuse: nothing opens for {session.user}: {why_not}",
                        event="refuse", user=session.user, uid=session.uid, session=session.id,
                        service=session.service, reason=why_not, revision=self.policy.revision)
            return None
        subjects = [f"user:{account.pw_name}"]
        if self.policy.has_group_grants():
            for gid in os.getgrouplist(account.pw_name, account.pw_gid):
                try:
                    subjects.append(f"group:{grp.getgrgid(gid).gr_name}")
                except KeyError:
                    continue  # a group without a name can't be in the policy
        grants, damaged = self.policy.grants_of(subjects)
        if damaged:
            journal.log(journal.ERROR, f"{len(damaged)} damaged grants of {account.pw_name} in "
                        f"the compiled policy are left out; delete {paths.COMPILED}",
                        event="grants-damaged", user=account.pw_name, uid=session.uid,
                        session=session.id, revision=self.policy.revision)
        for place, fact in self.policy.skipped_of(subjects):
            journal.log(journal.WARNING, f"{place} gives {account.pw_name} nothing: {fact}",
                        event="skipped", user=account.pw_name, uid=session.uid, place=place,
                        session=session.id, revision=self.policy.revision)
        return Record(session.id, session.uid, account.pw_name, session.leader, ticks,
                      session.since, self.policy.revision, "new",
                      self._offsets_for(grants), grants)

    def _offsets_for(self, grants: list[GrantLine]) -> dict[str, tuple[tuple[int, int], ...]]:
        assert self.policy is not None
        zones = {zone for grant in grants for zone, _, _ in grant.windows or ()}
        # First the policy's own: in it users are told times where a grant names no zone.
        own = list(self.policy.offsets)[:1]
        return {zone: self.policy.offsets[zone] for zone in (*own, *sorted(zones.difference(own)))}

    # Planning

    def _plan_records(self, known: dict[str, Record], admissions: Admissions) -> None:
        revocations = self._revocations()
        if revocations is None:
            admissions = {}
        amended = {session: self._amended(record, admissions)
                   for session, record in known.items()}
        self.records = self._desired_records(amended, admissions)
        if self.amend is not None and not self.renew:  # who is new is meant too
            self.records = {session: record if session in amended else self.amend(record, None)
                            for session, record in self.records.items()}
        if revocations is not None:
            # At every run and under the lock: no login, no crash and no grant gets round it. What
            # a record says stays, too, if the list gets lost.
            self.records = {
                session: record.revoked_until(max(
                    record.revoked if record.revoked > self.now else 0,
                    revocations.get(record.uid, 0)))
                for session, record in self.records.items()}
        self.plan.write = [record for session, record in self.records.items()
                           if known.get(session) is not record]
        self.plan.remove = [name for name in self.names
                            if name not in self.records and name not in self.unreadable]

    def _revocations(self) -> dict[int, int] | None:
        """Until when each uid's consoles are revoked; None where that can't be read."""
        try:
            return {uid: each.until for uid, each in read_revocations(self.now).items()}
        except (OSError, ValueError) as error:
            journal.log(journal.ERROR, f"nothing new opens: {paths.REVOKED} can't be read: {error}",
                        event="revocations-unreadable")
            return None

    def _amended(self, record: Record, admissions: Admissions) -> Record:
        if self.amend is None:
            return record
        key = record.session, record.leader
        fresh = record.in_state(SHUT) if key in self.ineligible else admissions.get(key)
        return self.amend(record, fresh)

    def _write_records(self, known: dict[str, Record]) -> None:
        """Before anything opens: what opens must be known to every later run."""
        for record in list(self.plan.write):
            try:
                write_record(record)
            except OSError as error:
                before = known.get(record.session)
                if ((record.state in (CLOSED, SHUT) or record.revoked == FOREVER)
                        and _is_overwritten(_bare(record))):
                    continue
                if (before is not None and before.has_lost(record, self.now)
                        and _is_overwritten(record)):
                    continue
                if before is not None and record.revoked > before.revoked:
                    # The list of revocations says it again at every run; not what else changes.
                    if record.granted == before.granted:
                        continue
                    before = before.revoked_until(record.revoked)
                journal.log(journal.ERROR, f"session {record.session} of {record.user} can't be "
                            f"recorded as {record.state}, nothing opens for it: {error}",
                            event="record-failed", user=record.user, uid=record.uid,
                            session=record.session)
                self.plan.write.remove(record)
                if before is not None and before.state == record.state == OPEN:
                    self.records[record.session] = before
                    self.failed.append(record)
                else:
                    del self.records[record.session]
                    self.plan.remove.append(record.session)

    def _plan_chains(self, known: dict[str, Record]) -> None:
        touched = {record.uid for record in self.plan.write}
        # A session's id may have come again, for another user, before anybody saw the first go.
        touched |= {known[name].uid for name in (
            *self.plan.remove, *(record.session for record in self.plan.write)) if name in known}
        explained = set(touched)
        # A logout that was killed may have left what its record calls closed.
        touched |= {record.uid for record in known.values() if record.state == CLOSED}
        present = {session: record for session, record in self.records.items()
                   if session not in self.lost}
        touched |= {self.records[session].uid for session in self.lost}
        # The last one to leave needs no group, and so no NSS, which may hang.
        open_uids = {record.uid for record in present.values() if record.state == OPEN}
        # What it will mend; a login that got nothing says so all the same.
        is_doctors = self.leader is None and not os.path.lexists(paths.DOCTOR_TOLD)
        group = _viewer_group(is_doctors) if open_uids else None
        barred = None if group is None else _barred(group, present.values(), is_doctors)
        if group is not None and barred is not None:
            touched |= {record.uid for record in barred}
            self.chains = desired_chains(
                {session: record for session, record in present.items() if record not in barred},
                group.gr_gid, self.now)
        else:  # it may be the directory of groups that fails
            self.kept = open_uids - touched
        self.is_waiting = is_doctors and bool(open_uids) and not self.chains
        if self.is_full:
            self._compare(explained)
        else:
            self.plan.set = {uid: chain for uid, chain in self.chains.items() if uid in touched}
            self.plan.close = sorted(touched - set(self.chains))

    def _desired_records(self, known: dict[str, Record],
                         admissions: Admissions) -> dict[str, Record]:
        try:
            sessions = read_sessions()
        except LogindSilent as error:
            # One bad answer doesn't end a session whose leader lives; and opens nothing.
            journal.log(journal.WARNING, f"logind is silent, only kept what is open: {error}",
                        event="logind-silent")
            self.unreadable = set(self.names) - set(known)
            return {session: record.in_state(CLOSED) if self._is_leaving(record.leader)
                    or session in self.strangers else record
                    for session, record in known.items()
                    if start_ticks(record.leader) == record.leader_start}
        damaged = [session for session in sessions if session.id not in known
                   and session.id in self.names and is_alive(session)]
        self.unreadable = {session.id for session in damaged}
        instead = {(session.id, session.leader): self._instead_of_damaged(session)
                   for session in damaged if not self._is_leaving(session.leader)}
        admissions = admissions | {key: record for key, record in instead.items() if record}
        counting = [session for session in sessions
                    if self._counts(session, known.get(session.id), admissions)]
        result = desired_records(
            counting, known, self.policy.settings.one_user if self.policy else None,
            lambda session: admissions.get((session.id, session.leader)))
        # Until logind has noticed a logout, the record says that it happened.
        for session in sessions:
            record = known.get(session.id)
            if record is None or not record.is_of(session.uid, session.leader):
                # Its login was killed. A run that is under way may be about to open it.
                closed = self._closed(session) if self._is_leaving(session.leader) else None
                if closed is not None:
                    result[session.id] = closed
            elif (session.id not in result and session.state != "closing"
                    and is_alive(session)):
                result[session.id] = record.in_state(CLOSED)
        # logind deletes the file of a session that it can't write (/run is full), and writes it
        # again later. What the record says must not be forgotten meanwhile.
        listed = {session.id for session in sessions}
        self.ending = {session.id for session in sessions if session.state not in LIVING_STATES}
        self.lost = {session for session, record in known.items() if session not in listed
                     and start_ticks(record.leader) == record.leader_start}
        return result | {session: known[session].in_state(CLOSED)
                         if self._is_leaving(known[session].leader) else known[session]
                         for session in self.lost}

    def _closed(self, session: LogindSession) -> Record | None:
        """The record of a session that has none and logs out; None where none could open."""
        ticks = start_ticks(session.leader)
        if (ticks is None or self.policy is None or not is_alive(session)
                or why_not_eligible(session, self.policy.settings) is not None):
            return None
        return Record(session.id, session.uid, session.user, session.leader, ticks, session.since,
                      self.policy.revision, CLOSED, {}, [])

    def _counts(self, session: LogindSession, record: Record | None,
                admissions: Admissions) -> bool:
        if self._is_leaving(session.leader):
            return False
        if record is None or not record.is_of(session.uid, session.leader):
            return ((session.id, session.leader) in admissions and is_alive(session)
                    and session.state in LIVING_STATES)
        # The policy of its login holds on, so only what changes by itself is asked again.
        return (session.state in LIVING_STATES and is_ordinary(session.uid)
                and start_ticks(record.leader) == record.leader_start
                and record.session not in self.strangers)

    def _is_leaving(self, leader: int) -> bool:
        return self.phase == "close" and leader == self.leader

    def _guard_text(self) -> str | None:
        """What the guard should be; None if there never was a policy and nothing is enforced."""
        try:
            with open(paths.GUARD, encoding="utf-8", errors="replace") as file:
                saved: str | None = file.read()
        except FileNotFoundError:
            saved = None
        if self.policy is None or not (self.policy.endpoints or self.policy.outcome == "valid"):
            return saved
        from pam_spice.firewall import nft

        text = nft.render_guard(self.policy.endpoints)
        if saved != text:
            self.plan.guard_file = text
        return text

    def _compare(self, explained: set[int]) -> None:
        from pam_spice import mending
        from pam_spice.firewall import nft

        observed = nft.observe()
        guard = self._guard_text()
        if guard is not None and (observed is None
                                  or nft.digest(observed, guard) != nft.seen_guard()):
            self.plan.guard = guard
            self.plan.is_table_missing = observed is None
            self.plan.foreign = observed.foreign if observed else []
            self.plan.set = dict(self.chains)
        chains, jumps = (observed.chains, observed.jumps) if observed else ({}, set())
        if observed is not None or guard is not None:
            self.changed = {uid: event for uid, event in mending.found(
                chains, jumps, self.chains, self.now).items()
                if uid not in explained and uid not in self.kept}
        if observed is None:
            return
        if self.plan.guard is None:
            self.plan.set = {uid: chain for uid, chain in self.chains.items()
                             if chains.get(uid) != chain or uid not in jumps}
        self.plan.close = sorted((set(chains) | jumps) - set(self.chains) - self.kept)

    # Applying

    def _apply(self, known: dict[str, Record]) -> None:
        self._log_what_opens(known)  # whatever ends us in between, it is known
        if self.plan.guard:
            self._load_guard(self.plan.guard)
        with netlink.Connection() as kernel:
            try:
                kernel.change(self.plan.close, self.plan.set)
            except KernelRefused:
                kernel.change(self.plan.close, {})  # who leaves waits for nobody's rules
                raise
            self._finish(known)

    def _finish(self, known: dict[str, Record]) -> None:
        if not self.is_full and self.phase == "close":
            self._cut(self._left_endpoints(known), known)
        if self.plan.guard_file:
            try:
                write_atomically(paths.GUARD, self.plan.guard_file.encode())
            except OSError as error:  # it serves the next boot; this one goes on
                journal.log(journal.ERROR, f"can't write {paths.GUARD}: {error}",
                            event="write-failed")
        for session in self.plan.remove:
            remove_record(session)
        self._log_what_closes(known)
        if self.is_full:
            self._remember_waiting()
            self._cut(self.endpoints, known)
            self._follow_settings()
            for path in (paths.COMPILED, paths.GUARD, paths.GUARD_SEEN, paths.REVOKED,
                         paths.SUDOERS, paths.TEMPORARY):
                remove_leftovers(path)
        if self.plan.write or self.plan.remove:
            wake_watcher()

    def _remember_waiting(self) -> None:
        """What opens once the doctor has put its pieces in place was not missing before."""
        try:
            if self.is_waiting:
                os.close(os.open(paths.WAITING, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
            else:
                os.unlink(paths.WAITING)
        except OSError:  # most often it is not there
            pass

    def _load_guard(self, guard: str) -> None:
        from pam_spice.firewall import nft
        from pam_spice.run import CommandFailed

        strays = tuple(int(name) for kind, name in self.plan.foreign
                       if kind == "element" and name.isdecimal())
        text = nft.render_reload(guard, self.plan.foreign)
        is_missing = self.plan.is_table_missing
        for _ in range(_TRIES):
            try:  # live connections must find their chains when the guard begins to look
                if is_missing:
                    nft.apply(nft.BASE)
                if is_missing or strays:
                    netlink.change([], self.plan.set, strays)
                nft.apply(nft.if_there(text))
                is_loaded = True
                break
            except (CommandFailed, OSError) as error:
                is_loaded = False
                if isinstance(error, CommandFailed) and not nft.tells_of_nothing_there(error):
                    break
                is_missing = True  # it has been flushed again
        try:
            if not is_loaded:
                nft.apply(text)  # the guard matters more
            observed = nft.observe()
        except CommandFailed:
            observed = None
        if observed is None or observed.foreign:
            nft.apply(nft.DELETE_TABLE + guard)
            observed = nft.observe()
        if observed is not None:
            nft.remember_guard(observed, guard)
            # Of a table that could not be read nobody knew what else was in it.
            self.plan.close = sorted((set(observed.chains) | observed.jumps)
                                     - set(self.chains) - self.kept)
        reason = "it was missing" if self.plan.is_table_missing else "it was changed"
        journal.log(journal.WARNING, f"mend: the guard was loaded ({reason})", event="mend",
                    what="guard", reason=reason, foreign=" ".join(
                        f"{kind}:{name}" for kind, name in self.plan.foreign) or None)

    def _left_endpoints(self, known: dict[str, Record]) -> list[Endpoint]:
        """Where those whose chains change can have connections: where they ever had a grant. To
        look at all others' too takes a logout 10 ms longer where there are 10,000; what is left
        of them is the next full run's."""
        if not any(self._is_leaving(record.leader) for record in known.values()):
            return self.endpoints  # the leaver has no record
        changed = {*self.plan.close, *self.plan.set}
        return [(address, grant.port, grant.port) for record in known.values()
                if record.uid in changed for grant in record.granted
                for address in grant.addresses]

    def _cut(self, endpoints: list[Endpoint], known: dict[str, Record]) -> None:
        """Destroy connections that may not be: after their rules are gone, and with resets let
        out, so that neither side keeps a half and nothing can come between."""
        from errno import ENOENT, EOPNOTSUPP, EPROTONOSUPPORT

        from pam_spice import sockets

        now = time.time()
        try:
            doomed = [each for each in sockets.guarded_connections(endpoints)
                      if each.is_orphan or each.uid not in self.kept and not allows(
                          self.chains.get(each.uid, ()), each.address, each.port, now)]
            sockets.destroy(doomed)
        except OSError as error:
            if error.errno not in (ENOENT, EOPNOTSUPP, EPROTONOSUPPORT):
                raise
            # A kernel without inet_diag; the rules are gone all the same.
            journal.log(journal.ERROR, f"connections that may not be can't be ended: {error}",
                        event="cut-failed")
            return
        counting = [record for record in self.records.values() if record.session not in self.lost]
        leaver = next((record.uid for record in known.values()
                       if self._is_leaving(record.leader)), None)
        for each in doomed:
            journal.cut(each, known.values(), counting, self.now, leaver)

    def _follow_settings(self) -> None:
        if self.policy is None:
            return
        from pam_spice import pamstack, sudoers
        from pam_spice.run import CommandFailed

        for what, follow in (
                ("sudoers do", lambda p: sudoers.bring(p, self.records.values())),
                ("PAM's session stack does", lambda p: pamstack.bring(p.settings.services))):
            try:
                follow(self.policy)
            except (CommandFailed, OSError) as error:
                journal.log(journal.ERROR, f"{what} not follow the policy: {error}",
                            event="follow-failed")

    def _log_what_opens(self, known: dict[str, Record]) -> None:
        for record in self.plan.write:
            if record.state == OPEN:
                journal.session(record, known.get(record.session), self.now, "")
        if not self.changed:
            return
        from pam_spice.mending import MISSING

        has_waited = os.path.lexists(paths.WAITING)
        for uid, (event, reason) in sorted(self.changed.items()):
            own = [record for record in self.records.values()
                   if record.uid == uid and record.state == OPEN and uid in self.chains]
            if own and reason == MISSING and self.plan.guard is None and has_waited:
                journal.reaches("change", own, self.now, "what it had to wait for is in place")
            else:
                journal.reaches(event, own, self.now, reason, what="chain")
            if not own:
                journal.log(journal.WARNING, f"mend: the chain of uid {uid} was taken away "
                            f"({reason})", event="mend", what="chain", uid=uid, reason=reason)

    def _log_what_closes(self, known: dict[str, Record]) -> None:
        for record in self.plan.write:
            if record.state != OPEN:
                ended = "logout"
                if not self._is_leaving(record.leader):
                    ended = ("name and uid do not belong together any more"
                             if record.session in self.strangers else "logind says so")
                journal.session(record, known.get(record.session), self.now, ended)
        for name in self.plan.remove:
            gone = known.get(name)
            if gone is not None:
                journal.over(gone, "logind says so" if name in self.ending
                             else "its login is over")
            elif name in self.names and is_session_id(name):
                reason = "its record was damaged"
                journal.log(journal.WARNING, f"close: session {name} is over ({reason})",
                            event="close", session=name, reason=reason)


def _still_the_same_person(record: Record) -> bool:
    """False if the name now has another uid or the uid another name. An account that NSS doesn't
    find at all may be a directory server that is down, which ends no session."""
    try:
        if pwd.getpwnam(record.user).pw_uid != record.uid:
            return False
    except KeyError:
        pass
    try:
        return pwd.getpwuid(record.uid).pw_name == record.user
    except KeyError:
        return True


def _bare(record: Record) -> Record:
    """A record that opens nothing any more, without what it was opened with."""
    return Record(record.session, record.uid, record.user, record.leader, record.leader_start,
                  record.since, record.revision, record.state, {}, [], record.revoked)


def _is_overwritten(record: Record) -> bool:
    """Whether a record that says less could be written into its own file: that needs no room."""
    try:
        overwrite_record(record)
    except OSError:
        return False
    return True


def _gid_of(group: str) -> int | None:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        return None


def _viewer_group(is_doctors: bool) -> grp.struct_group | None:
    """None where there is none, which is told unless the doctor is about to see to it."""
    try:
        return grp.getgrnam(VIEWER_GROUP)
    except KeyError:
        if not is_doctors:
            journal.log(journal.ERROR, f"there is no group {VIEWER_GROUP}, nothing opens; run "
                        f"pam-spice doctor --fix", event="no-group")
        return None


def _barred(group: grp.struct_group, records: "Iterable[Record]",
            is_doctors: bool) -> list[Record] | None:
    """The sessions in which nothing is open: their user can have the viewer's group without sudo's
    leave, by newgrp(1) or from a viewer that is not as it should be. None where nobody can tell."""
    from pam_spice import viewerfile

    try:
        fault = viewerfile.fault(group.gr_gid)
    except OSError as error:  # for once, it may be, which ends no session of others
        journal.log(journal.ERROR, f"whether only sudo may start {VIEWER} can't be told, nothing "
                    f"new opens: {error}", event="viewer-fault",
                    reason=f"it can't be looked at: {error}")
        return None
    if fault is not None:
        if not is_doctors:
            journal.log(journal.ERROR, f"nothing opens for anybody, {VIEWER} is not as it should "
                        f"be: {fault}; run pam-spice doctor --fix", event="viewer-fault",
                        reason=fault)
        return list(records)
    try:
        is_open_to_all = has_password(group)
    except OSError as error:
        journal.log(journal.ERROR, f"whether the group {VIEWER_GROUP} has a password can't be "
                    f"told, nothing new opens: {error}", event="no-group")
        return None
    if is_open_to_all:
        journal.log(journal.ERROR, f"the group {VIEWER_GROUP} has a password, which opens it to "
                    f"all who know it: nothing opens; run gpasswd -r {VIEWER_GROUP}",
                    event="group-password")
        return list(records)
    barred = [record for record in records if record.user in group.gr_mem]
    for record in barred:
        from pam_spice.run import paste

        remedy = paste(["gpasswd", "-d", record.user, VIEWER_GROUP])
        journal.log(journal.ERROR, f"{record.user} is a member of {VIEWER_GROUP}, nothing opens "
                    f"for him; run {remedy}", event="group-member", user=record.user,
                    uid=record.uid, session=record.session)
    return barred


def has_password(group: grp.struct_group) -> bool:
    """Whether somebody can join the group by newgrp(1) who knows a password; raises OSError.

    gshadow(5): what begins with ! or * matches no password, and without one nobody may join.
    """
    word = group.gr_passwd or ""
    try:
        with open("/etc/gshadow", encoding="utf-8", errors="replace") as file:
            for line in file:
                name, _, rest = line.partition(":")
                if name == group.gr_name:
                    word = rest.partition(":")[0]
    except FileNotFoundError:
        pass
    return word not in ("", "x") and not word.startswith(("!", "*"))


def wake_watcher() -> None:
    """Tell the watcher that there is something new; without a watcher, nothing happens."""
    try:
        descriptor = os.open(paths.WAKE, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # no FIFO, or nobody who reads it
        return
    try:
        os.write(descriptor, b".")
    except OSError:  # full: then it is about to wake anyway
        pass
    finally:
        os.close(descriptor)
