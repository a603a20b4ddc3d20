"""``pam-spice status``: who is here, what is open, and whether all is well."""

import argparse
import os
import shutil
import sys
import time
from dataclasses import dataclass

from conf.grantline import FOREVER
from conf.intervals import DAY, merged
from conf.lookup import CompiledPolicy, Settings, Unusable
from conf.viewer import VIEWER_GROUP
from conf.zones import zone_to_tell_in
from pam_spice import landlock, paths, viewerfile
from pam_spice.auditlog import NoJournal
from pam_spice.desired import allows
from pam_spice.firewall import Chain, nft
from pam_spice.holders import NotInTime, holders_of
from pam_spice.naming import granted_consoles, user_of, viewer_gid
from pam_spice.refusals import Refusal, Refusals
from pam_spice.revocations import read_revocations
from pam_spice.run import CommandFailed
from pam_spice.run import run as run_program
from pam_spice.sockets import guarded_sockets
from pam_spice.statusview import Document, Line, faults, health, painted, render
from pam_spice.takingin import let_the_units_go_first
from pam_spice.told import read_told
from pam_spice.verbs import (
    NO,
    YES,
    UsageError,
    iso,
    need_root,
    need_set_up,
    print_json,
)
from pam_spice.verbs.log import in_a_line
from session.eligibility import why_not_eligible
from session.logind import LogindSession, LogindSilent, read_sessions
from session.records import Record, read_records

_AHEAD = 60 * DAY
_WATCHER = "pam-spice-watch.service"
_EVERY = 2.0  # seconds


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the verb."""
    parser = verbs.add_parser(
        "status", help="show whether all is well, who is here, what is open and was refused",
        description="The first line says whether all is well, and so does the exit status. "
                    "The kernel keeps no age of a connection: what is shown is since when the "
                    "process runs that has it.")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--watch", action="store_true",
                        help=f"show it anew every {_EVERY:g} seconds until Ctrl-C")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0: all is well; 1: not."""
    if arguments.watch and (arguments.json or not sys.stdout.isatty()):
        raise UsageError("--watch needs a terminal to show it on, and has no --json\n"
                         "  leave it out, and ask again when you want to know")
    need_root()
    need_set_up()
    if arguments.watch:
        return _watch()
    let_the_units_go_first()
    found = Found.now(Refusals())
    if arguments.json:
        print_json(found.document)
    else:
        print("\n".join(painted(found.lines(), _is_in_colour())))
    return YES if not faults(found.document) else NO


def _watch() -> int:
    """Redraw over what is there, so that nothing flickers; what has no room is said."""
    refusals = Refusals()
    status = NO
    print("\x1b[2J", end="")
    try:
        while True:
            found = Found.now(refusals)
            status = YES if not faults(found.document) else NO
            size = shutil.get_terminal_size()
            lines = painted(found.lines(), _is_in_colour(), size.columns - 1)
            room = max(1, size.lines - 2)
            if len(lines) > room:
                lines = [*lines[:room], f"... {len(lines) - room} lines more"]
            print("\x1b[H" + "".join(f"{line}\x1b[K\n" for line in lines) + "\x1b[J", end="",
                  flush=True)
            time.sleep(_EVERY)
    except KeyboardInterrupt:
        print()
        return status


def _is_in_colour() -> bool:
    """See <https://no-color.org>."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get(
        "TERM") != "dumb"


@dataclass(frozen=True, slots=True)
class Found:
    """What there is to show at an instant."""

    document: Document
    refused: list[str] | None  # a line each; None where the journal can't be read
    zone: str
    """In which times are told: as it was compiled, for to parse the policy takes long, and it is
    asked every few seconds."""

    def lines(self) -> list[Line]:
        """All of it for a person."""
        return render(self.document, self.refused, self.zone)

    @classmethod
    def now(cls, refusals: Refusals) -> "Found":
        """Raises OSError, CommandFailed."""
        now = int(time.time())
        observed = nft.observe()
        chains = observed.chains if observed else {}
        settings: Settings | None = None
        zone = None
        try:
            policy = CompiledPolicy(paths.COMPILED)
            revision, outcome, endpoints = policy.revision, policy.outcome, policy.endpoints
            is_current, settings = policy.is_current(now), policy.settings
            zone = policy.timezone
        except Unusable as error:
            revision, outcome, endpoints, is_current = "none", str(error), [], False
        records = read_records()
        try:
            logins = {each.id: each for each in read_sessions()}
        except LogindSilent:
            logins = None
        refused: list[Refusal] | None
        try:
            refused = refusals.read(now)
        except NoJournal:
            refused = None
        document: Document = {
            "guard": {"loaded": observed is not None,
                      "endpoints": [f"{address} {low}-{high}" for address, low, high in endpoints]},
            "policy": {"revision": revision, "outcome": outcome, "current": is_current},
            "viewer": {"confined": landlock.is_there(), "fault": _viewer_fault()},
            "watcher": _watcher(),
            "doctor": _doctor(),
            "sessions": [session_status(record, chains.get(record.uid) or (), now)
                         | _login((logins or {}).get(record.session), record)
                         for record in records.values()],
            "others": None if logins is None else [
                _other(login, settings) for login in logins.values()
                if login.class_ == "user" and login.id not in records],
            "chains": sorted(chains),
            "revoked": _revoked(now),
            "connections": _connections(endpoints),
            "refusals": None if refused is None else [
                each.event.as_json() | {"times": each.times} for each in refused],
        }
        document["health"] = {"well": not faults(document), "faults": faults(document),
                              "line": health(document)}
        zone = zone_to_tell_in(zone)
        return cls(document, None if refused is None else [
            in_a_line(each.event, zone) + (f"  ({each.times} times)" if each.times > 1 else "")
            for each in refused], zone)


def _doctor() -> Document | None:
    """What it found when its units let it look last, which is cheap to know: looking takes a third
    of a second. None: it has not looked yet."""
    told = read_told()
    return told and {"looked": iso(told[0]), "findings": [
        {"code": each.code, "fact": each.fact} for each in told[1] if not each.is_note]}


def _viewer_fault() -> str | None:
    gid = viewer_gid()
    if gid is None:
        return f"there is no group {VIEWER_GROUP}"
    try:
        return viewerfile.fault(gid)
    except OSError as error:
        return f"it can't be looked at: {error}"


def _watcher() -> str | None:
    """systemd's word for the watcher's state; None where there is no systemd to tell it."""
    try:
        told = run_program([paths.SYSTEMCTL, "show", "--property=ActiveState", "--value", _WATCHER],
                           timeout=2.0)
    except CommandFailed:
        return None
    return told.output.decode("utf-8", "replace").strip() or None


def _connections(endpoints: list[tuple[str, int, int]]) -> list[Document]:
    """One for each socket."""
    sockets = guarded_sockets(endpoints)
    consoles = granted_consoles() if sockets else {}
    is_whole = True
    try:
        holders = holders_of({inode for *_, inode in sockets if inode})
    except NotInTime as error:
        holders, is_whole = error.found, False
    found = []
    for uid, address, port, inode in sockets:
        holder = holders.get(inode)
        found.append({
            "uid": uid, "address": address, "port": port, "user": user_of(uid),
            "consoles": consoles.get((address, port), []),
            "pid": holder and holder.pid, "program": holder and holder.program,
            "since": iso(holder.since) if holder else None,
            # Where not all could be looked at, a process that has it may run longer, or be there.
            "searched": is_whole or not inode})
    return found


def _login(login: LogindSession | None, record: Record) -> Document:
    if login is None or login.leader != record.leader:  # another one has its number
        return {"seat": None, "tty": None, "service": None, "since": None}
    return _place(login)


def _other(login: LogindSession, settings: Settings | None) -> Document:
    return {"session": login.id, "user": login.user, "uid": login.uid, "remote": login.remote,
            "why": settings and why_not_eligible(login, settings), **_place(login)}


def _place(login: LogindSession) -> Document:
    began = login.began if login.began.isascii() and login.began.isdigit() else ""
    return {"seat": login.seat or None, "tty": login.tty or login.display or None,
            "service": login.service or None,
            "since": iso(int(began[:16]) // 1_000_000) if began else None}


def _revoked(now: int) -> list[dict[str, object]] | None:
    """None: the list is damaged, and nobody new gets a console."""
    try:
        return [{"user": each.user, "uid": each.uid, "until": iso(each.until), "by": each.by,
                 "reason": each.reason} for each in read_revocations(now).values()]
    except (OSError, ValueError):
        return None


def session_status(record: Record, chain: Chain, now: int) -> dict[str, object]:
    """A session and its consoles, as ``status --json`` shows them."""
    consoles = []
    for name in sorted({grant.console for grant in record.grants}):
        grants = [grant for grant in record.grants if grant.console == name]
        # What the kernel does now; until and next by the grants, for the chain ends earlier.
        is_open = all(allows(chain, address, grants[0].port, now)
                      for address in grants[0].addresses)
        # Windows are looked up so far ahead; of what has none all is known.
        coming = merged([interval for grant in grants for interval in grant.open_in(
            record.offsets, now, FOREVER if grant.windows is None else now + _AHEAD)])
        until = next((end for start, end in coming if start == now), None)
        if until in (now + _AHEAD, FOREVER):
            until = None
        following = next((start for start, _ in coming if start > now), None)
        consoles.append({"console": name, "open": is_open,
                         "until": iso(until) if is_open else None, "next": iso(following)})
    return {"session": record.session, "user": record.user, "uid": record.uid,
            "state": record.state, "revision": record.revision, "consoles": consoles,
            "revoked": record.revoked > now}
