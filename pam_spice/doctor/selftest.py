"""A login from beginning to end: what opens, what a connect gets, what closes."""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from socket import AF_INET, AF_INET6, SOCK_STREAM, socket

from conf.lookup import CompiledPolicy
from conf.viewer import VIEWER_GROUP
from pam_spice import journal
from pam_spice.desired import allows
from pam_spice.doctor.certificate import PROVED, proof_of
from pam_spice.firewall import Chain, nft
from pam_spice.naming import viewer_gid
from pam_spice.reconcile import Reconciliation
from pam_spice.run import CommandFailed, Partner, run
from pam_spice.sessions_now import actor
from session.eligibility import why_not_eligible
from session.logind import LogindSession, read_session
from session.records import CLOSED, OPEN, Record, read_records

_SCOPE = ["/usr/bin/systemd-run", "--quiet", "--scope", "--collect"]
"""Out of the admin's own session: logind makes none for who is in one."""

_PAM_SPICE = "/usr/sbin/pam-spice"
_OPENING = 60.0  # seconds: the stack may ask a directory server, the hook takes 8 at most
_CLOSED_WITHIN = 5.0
_MOST_CONSOLES = 4  # that are tried
_SEAT = "/run/systemd/seats/seat0"
_SESSIONS = "/run/systemd/sessions"
_LAST_VT = 63
_PATIENCE = 5.0  # seconds, for a connection

_CONNECTED, _REFUSED = "connected", "Connection refused"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was looked at. ``holds`` is None where it is only said."""

    name: str
    wanted: str
    seen: str
    holds: bool | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where the login is made: a terminal's name and PAM's environment; ``note`` says what could
    not be had."""

    tty: str
    environment: dict[str, str]
    note: str


def free_place(taken: Sequence[int]) -> Place:
    """A terminal of the seat on which nobody is. ``taken`` are the VTs of other sessions."""
    try:
        with open(_SEAT, encoding="utf-8") as file:
            fields = dict(line.strip().partition("=")[::2] for line in file)
    except OSError:
        return Place("", {}, "logind has no seat0 here, so the login has no seat")
    if fields.get("CAN_TTY") != "1":
        return Place("", {"XDG_SEAT": "seat0"}, "seat0 has no virtual terminals")
    number = next(vt for vt in range(_LAST_VT, 0, -1) if vt not in taken)
    return Place(f"tty{number}", {"XDG_SEAT": "seat0", "XDG_VTNR": str(number),
                                  "XDG_SESSION_TYPE": "tty"}, "")


class Selftest:
    """One login of ``user``, of that uid and first group, through the PAM service."""

    def __init__(self, user: str, uid: int, gid: int, service: str, policy: CompiledPolicy,
                 place: Place) -> None:
        self._user = user
        self._uid = uid
        self._gid = gid
        self._service = service
        self._policy = policy
        self._place = place
        self._session = ""
        self._tried: list[tuple[str, str, int]] = []

    def steps(self) -> Iterator[Step]:
        """Each step as it is done. Nothing is left of the login, however this ends.

        Raises CommandFailed or OSError where it can't go on.
        """
        argv = [*_SCOPE, _PAM_SPICE, "selftest", "--hold", json.dumps(
            [self._place.tty, self._place.environment]), "--service", self._service, self._user]
        try:
            with Partner(argv) as child:
                opened = json.loads(child.line(_OPENING))
                self._session = opened["session"]
                self._tell_journal()
                yield from self._while_open(opened)
                child.end_input()
                closed = json.loads(child.line(_OPENING))
            yield from self._after(closed)
        finally:
            self._leave_nothing()

    def _tell_journal(self) -> None:
        """The hook has written of a login of his, which is none."""
        if not self._session:
            return
        by = actor()
        journal.log(journal.NOTICE, f"selftest: session {self._session} of {self._user} is made by "
                    f"pam-spice selftest (by {by})", event="selftest", user=self._user,
                    uid=self._uid, session=self._session, by=by)

    def _while_open(self, opened: dict[str, object]) -> Iterator[Step]:
        if self._place.note:
            yield Step("seat", "a seat", self._place.note, None)
        session = self._logind_session()
        seat = f" at {session.seat}" if session and session.seat else " without a seat"
        yield Step("login", "PAM opens a session, and logind knows it",
                   f"PAM: {opened['reason']}; logind: " + (
                       f"session {session.id} ({session.state}){seat}" if session else "none"),
                   opened["code"] == 0 and session is not None)
        record = read_records().get(self._session)
        why_not = why_not_eligible(session, self._policy.settings) if session else None
        yield Step("counts", "it opens consoles",
                   "it opens consoles" if record and record.state == OPEN else
                   why_not or (f"it is {record.state}" if record else
                               "the hook did not open anything: see pam-spice log, doctor"),
                   record is not None and record.state == OPEN)
        observed = nft.observe()
        chain = (observed.chains.get(self._uid) or ()) if observed else ()
        yield from self._consoles(record, chain)

    def _consoles(self, record: Record | None, chain: Chain) -> Iterator[Step]:
        # Here: status of its own imports much.
        from conf.zones import zone_to_tell_in
        from pam_spice.statusview import moment
        from pam_spice.verbs.status import session_status

        now, zone = int(time.time()), zone_to_tell_in(self._policy.timezone)
        # A temporary grant that has expired stands in the record still.
        granted = [grant for grant in record.grants if grant.valid[1] > now] if record else []
        names = {grant.console for grant in granted}
        told = session_status(record, chain, now)["consoles"] if record else []
        assert isinstance(told, list)
        told = [each for each in told if each["console"] in names]
        for each in told[:_MOST_CONSOLES]:
            grant = next(grant for grant in granted if grant.console == each["console"])
            address, port = grant.addresses[0], grant.port
            is_open = allows(chain, address, port, now)
            until = f"until {moment(each['until'], zone)}" if each["until"] else "without end"
            yield Step(f"console {grant.console}", "",
                       f"open {until}" if is_open else
                       f"closed, opens {moment(each['next'], zone)}" if each["next"] else
                       "closed, and opens at no time within 60 days", None)
            self._tried.append((grant.console, address, port))
            viewers = self._connect(f"{grant.console} with the viewer's group", address, port,
                                    is_open)
            yield viewers
            if viewers.seen == _CONNECTED:
                yield self._certificate(address, port, grant.host, grant.ca_file)
            yield self._connect(f"{grant.console} with his own group", address, port, False,
                                is_viewer=False)
        if not told:
            yield Step("consoles", "", "he has none now", None)
        other = self._other_endpoint({(address, grant.port) for grant in granted
                                      for address in grant.addresses})
        if other is not None:
            name, address, port = other
            yield self._connect(f"{name}, which he is not granted", address, port, False)

    def _other_endpoint(self, granted: set[tuple[str, int]]) -> tuple[str, str, int] | None:
        """A console of others, where something should listen; else any guarded endpoint."""
        others = [(grant.console, address, grant.port) for grant in self._policy.all_grants()
                  for address in grant.addresses]
        others += [("a guarded port", address, low) for address, low, _ in self._policy.endpoints]
        return next((each for each in others if each[1:] not in granted), None)

    def _connect(self, what: str, address: str, port: int, is_open: bool,
                 is_viewer: bool = True) -> Step:
        seen = _attempt(self._uid, self._viewers_gid() if is_viewer else self._gid, address, port)
        wanted = _CONNECTED if is_open else _REFUSED
        if is_open and seen == _REFUSED:
            seen += " (by the guard, or nothing listens there)"
        return Step(f"connect {what} ({address} port {port})", wanted, seen, seen == wanted)

    def _certificate(self, address: str, port: int, host: str, ca_file: str) -> Step:
        seen = _attempt(self._uid, self._viewers_gid(), address, port,
                        lambda connection: proof_of(connection, host, ca_file))
        return Step(f"certificate of {host} ({address} port {port})",
                    f"one that fits {ca_file} and this name", seen, seen == PROVED)

    def _viewers_gid(self) -> int:
        gid = viewer_gid()
        if gid is None:
            raise OSError(f"there is no group {VIEWER_GROUP} any more")
        return gid

    def _after(self, closed: dict[str, object]) -> Iterator[Step]:
        yield Step("logout", "PAM closes the session", f"PAM: {closed['reason']}",
                   closed["code"] == 0)
        observed = nft.observe()
        has_chain = observed is None or self._uid in {*observed.chains, *observed.jumps}
        record = read_records().get(self._session)
        left = ["his rules are in the kernel still"] if has_chain else []
        if record is not None and record.state != CLOSED:
            left.append(f"the login's record is {record.state}")
        yield Step("closed", "nothing of his is open any more",
                   "; ".join(left) or "nothing of his is open any more", not left)
        for console, address, port in self._tried:
            yield self._connect(f"{console} after the logout, with the viewer's group", address,
                                port, False)
        end = time.monotonic() + _CLOSED_WITHIN
        while self._logind_session() is not None and time.monotonic() < end:
            time.sleep(0.05)
        session = self._logind_session()
        yield Step("session", "logind has forgotten the session",
                   "logind has forgotten it" if session is None else
                   f"logind calls it {session.state}",
                   session is None)

    def _logind_session(self) -> LogindSession | None:
        if not self._session.isalnum():
            return None
        try:
            found = read_session(self._session, _SESSIONS)
        except (OSError, ValueError, KeyError):
            return None
        return found if found.uid == self._uid else None

    def _leave_nothing(self) -> None:
        """Also where the child was killed: a session that has no leader is over."""
        try:
            if self._session and self._logind_session() is not None:
                run(["/usr/bin/loginctl", "terminate-session", self._session], timeout=5)
        except CommandFailed:
            pass  # it is over already
        record = read_records().get(self._session)
        observed = nft.observe()
        if (record is not None and record.state == OPEN) or (
                observed is not None and self._uid in {*observed.chains, *observed.jumps}):
            Reconciliation().run()


def _attempt(uid: int, gid: int, address: str, port: int,
             then: Callable[[socket], str] = lambda _: _CONNECTED) -> str:
    """What a program of that uid and gid gets when it connects; ``then`` says what comes of it."""
    try:
        with _socket_of(uid, gid, AF_INET6 if ":" in address else AF_INET) as connection:
            connection.settimeout(_PATIENCE)
            connection.connect((address, port))
            return then(connection)
    except OSError as error:
        return error.strerror or str(error)


def _socket_of(uid: int, gid: int, family: int) -> socket:
    """A socket of theirs: the kernel judges by who made it, and forgets us.

    No process is theirs even for a moment. The user could take it over (ptrace(2)), say what he
    likes in its place, and type into the terminal that it has in common with root (TIOCSTI).
    """
    own_uid, own_gid = os.geteuid(), os.getegid()
    os.setegid(gid)
    try:
        os.seteuid(uid)
        try:
            return socket(family, SOCK_STREAM)
        finally:
            os.seteuid(own_uid)
    finally:
        os.setegid(own_gid)
