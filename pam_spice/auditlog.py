"""What happened here, from the journal: pam-spice's own records, and what the kernel refused.

Anybody can write records into the journal that look like ours. What can't be forged are the fields
that journald itself adds, systemd.journal-fields(7): ``_UID`` of who wrote it, ``_TRANSPORT`` of
the way it came. So a record of ours is one that root wrote, and a refusal one of the kernel's
facility, in which not even root can write (``devkmsg_write`` in the kernel). The kernel begins some
lines with a program's name, which is the user's to choose but holds 15 characters at most: more
than that of a line is looked at.

Apart from starting journalctl all this is pure.
"""

import json
import os
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from ipaddress import ip_address

from pam_spice import run
from pam_spice.firewall.nft import CUT_PREFIX, DENY_PREFIX

JOURNALCTL = "/usr/bin/journalctl"
_DIRECTORIES = ("/var/log/journal", "/run/log/journal")

_SUPPRESSED = "a596d6fe7bfa4994828e72309e95d61e"  # SD_MESSAGE_JOURNAL_DROPPED, sd-messages(3)
_MISSED = "e9bf28e6e834481bb6f48f548ad13606"  # SD_MESSAGE_JOURNAL_MISSED
_OF_A_UNIT = re.compile(r"Suppressed [0-9]+ messages from ((?:session-|pam-spice-).*)", re.ASCII)

_MATCHES = ("_UID=0", "_TRANSPORT=journal", "SYSLOG_IDENTIFIER=pam-spice", "+",
            "_TRANSPORT=kernel", "SYSLOG_FACILITY=0", "+",
            "_UID=0", "_TRANSPORT=driver", f"MESSAGE_ID={_SUPPRESSED}", f"MESSAGE_ID={_MISSED}")
# What a line must hold to be worth parsing: most are other words of the kernel's.
_SIGNS = (b"PAM_SPICE_EVENT", DENY_PREFIX.encode(), CUT_PREFIX.encode(), _SUPPRESSED.encode(),
          _MISSED.encode())
_REFUSALS = f"^(?:refuse: |{DENY_PREFIX}|{CUT_PREFIX})"
"""journalctl's filter. What else there is would count among the last ones, and by logging in and
out, or by programs that crash, a user makes as much of it as he wants."""
_KERNEL = re.compile(rf"(?:{DENY_PREFIX}|{CUT_PREFIX})(IN=\S* OUT=\S* .*)", re.ASCII | re.DOTALL)
_INSTANT = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class Reach:
    """A console, or where none is known an endpoint, and the interval that counts for it."""

    console: str | None
    addresses: tuple[str, ...] = ()
    port: int | None = None
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened; None where that has no meaning."""

    time: int  # when journald got it, microseconds since the epoch
    source: str  # who says so: pam-spice, kernel or journald
    event: str
    priority: int
    message: str
    user: str | None = None
    uid: int | None = None
    session: str | None = None
    consoles: tuple[Reach, ...] = ()
    count: int | None = None
    reason: str | None = None
    by: str | None = None
    revision: str | None = None
    until: int | None = None  # of a revocation; seconds since the epoch
    details: dict[str, str] = field(default_factory=dict)
    """All other fields of pam-spice's."""
    boot: str | None = None  # of journald's own; sessions' ids come again after each

    def as_json(self) -> dict[str, object]:
        """For programs: always the same keys."""
        return {"time": _moment(self.time),
                "source": self.source, "event": self.event, "priority": self.priority,
                "user": self.user, "uid": self.uid, "session": self.session,
                "consoles": [{"console": each.console, "addresses": list(each.addresses),
                              "port": each.port, "start": _iso(each.start), "end": _iso(each.end)}
                             for each in self.consoles],
                "count": self.count, "reason": self.reason, "by": self.by,
                "revision": self.revision, "until": _iso(self.until), "message": self.message,
                "details": self.details}


class NoJournal(Exception):
    """There is none to read: a line of fact and one of remedy."""


def journal_lines(since: int | None, until: int | None = None,
                  also: Sequence[str] = ()) -> Generator[bytes, None, None]:
    """Records in journalctl's JSON, oldest first, from an instant on, up to another; those too that
    ``also`` matches, in journalctl's words, and in the users' own journals too. Raises NoJournal.

    A journal that is kept has a file for each user, with all that came from his uid: what sudo says
    of him as well, journald.conf(5), SplitMode. He can read that file and not write it.
    """
    if not os.path.exists(JOURNALCTL):
        raise NoJournal(f"there is no {JOURNALCTL}, and nobody else keeps what happened\n"
                        f"  install systemd")
    empty = True
    # --all: fields over 4 KB too.
    options = ["--output=json", "--all", "--quiet", "--no-pager"]
    if not also:  # what root and the kernel say is in the system's
        options.append("--system")
    if since is not None:
        options.append(f"--since=@{since}")
    if until is not None:
        options.append(f"--until=@{until}")
    matches = (*_MATCHES, "+", *also) if also else _MATCHES
    try:
        for line in run.lines([JOURNALCTL, *options, *matches]):
            empty = False
            yield line
    except run.CommandFailed as error:
        raise NoJournal(f"the journal can't be read: {error}\n  journalctl --verify") from None
    if empty and not _has_journal():
        raise NoJournal(f"there is no journal in {' or '.join(_DIRECTORIES)}\n"
                        f"  systemctl start systemd-journald")


def last_refusals(since: int, most: int, seconds: float) -> list[bytes]:
    """So many records of refusals at most, the last ones, oldest first; in so many seconds at most.
    Raises NoJournal."""
    try:
        # Without --reverse, --since makes --lines count from there on.
        read = run.run([JOURNALCTL, "--system", "--output=json", "--all", "--quiet", "--no-pager",
                        "--reverse", f"--lines={most}", f"--since=@{since}",
                        f"--grep={_REFUSALS}", *_MATCHES], timeout=seconds, ok=(0, 1))
    except run.CommandFailed as error:
        raise NoJournal(f"the journal can't be read: {error.what}\n  pam-spice log") from None
    if read.status and read.error:  # without words it is as grep's: nothing was found
        raise NoJournal(f"the journal can't be read: {read.error}\n  pam-spice log")
    return read.output.splitlines()[::-1]


def _has_journal() -> bool:
    """journalctl itself makes no difference between an empty journal and none."""
    for directory in _DIRECTORIES:
        for _, _, names in os.walk(directory):
            if any(name.endswith(".journal") for name in names):
                return True
    return False


class Reader:
    """Records to events, in the order of time: numbers get the names that they had then, as far as
    earlier records tell them, else those of now."""

    def __init__(self, user_of: Callable[[int], str | None],
                 consoles: Mapping[tuple[str, int], Sequence[str]], viewer_gid: int | None) -> None:
        """``user_of`` and ``consoles``, by address and port: what is known now."""
        self._user_of = user_of
        self._users: dict[int, str | None] = {}
        self._consoles = {endpoint: tuple(names) for endpoint, names in consoles.items()}
        self._viewer_gid = viewer_gid

    def event(self, line: bytes) -> Event | None:
        """The event of one record in journalctl's JSON; None for what is nothing of ours, or can't
        be trusted."""
        if not any(sign in line for sign in _SIGNS):
            return None
        try:
            fields = fields_of(line)
            time = int(fields["__REALTIME_TIMESTAMP"])
            # The kernel's facility and journald's own words can't be written through any socket.
            way = fields["_TRANSPORT"], fields.get("_UID"), fields.get("SYSLOG_FACILITY")
        except (ValueError, KeyError):
            return None
        if way[:2] == ("journal", "0") and fields.get("SYSLOG_IDENTIFIER") == "pam-spice":
            event = _ours(time, fields)
            if event is not None:
                self._learn(event)
        elif way[0] == "kernel" and way[2] == "0":
            event = self._kernels(time, fields)
        elif way[:2] == ("driver", "0"):
            event = _journalds(time, fields)
        else:
            return None
        if event is None:
            return None
        user = event.user
        if user is None and event.uid is not None:
            user = self.name(event.uid)
        return replace(event, user=user, boot=fields.get("_BOOT_ID"))

    def _learn(self, event: Event) -> None:
        # A login may be refused for a name that is not the uid's.
        if event.uid is not None and event.user is not None and event.event != "refuse":
            self._users[event.uid] = event.user
        endpoints: dict[tuple[str, int], dict[str, None]] = {}
        for each in event.consoles:
            if each.console is not None and each.port is not None:
                for address in each.addresses:
                    endpoints.setdefault((address, each.port), {})[each.console] = None
        self._consoles |= {endpoint: tuple(names) for endpoint, names in endpoints.items()}

    def name(self, uid: int) -> str | None:
        """What the account was called, by the last record about it, or is called now."""
        if uid not in self._users:
            self._users[uid] = self._user_of(uid)
        return self._users[uid]

    def _kernels(self, time: int, fields: dict[str, str]) -> Event | None:
        message = fields.get("MESSAGE", "")
        match = _KERNEL.fullmatch(message)
        if match is None:
            return None
        said: dict[str, str] = {}
        for word in match[1].split():
            key, found, value = word.partition("=")
            if found:
                said.setdefault(key, value)
        uid, gid, port = (_number(said.get(key)) for key in ("UID", "GID", "DPT"))
        try:
            address = str(ip_address(said.get("DST", "")))
        except ValueError:
            return None
        consoles: tuple[str | None, ...] = (None,)
        if port is not None:
            consoles = self._consoles.get((address, port), consoles)
        if said["IN"]:
            reason = f"forwarded from {said.get('SRC')} by {said['IN']}"
        elif uid is None:
            reason = "without an owner"
        elif self._viewer_gid is not None and gid != self._viewer_gid:
            reason = f"not the viewer, gid {gid}"
        else:
            reason = "not open"
        return Event(time, "kernel", "cut" if message.startswith(CUT_PREFIX) else "deny",
                     _number(fields.get("PRIORITY")) or 4, message.rstrip(), uid=uid,
                     consoles=tuple(Reach(name, (address,), port) for name in consoles),
                     reason=reason)


def fields_of(line: bytes) -> dict[str, str]:
    """A record's fields. Raises ValueError for what is no record."""
    try:
        return {name: _text(value) for name, value in json.loads(line).items()}
    except (AttributeError, RecursionError):
        raise ValueError("no record") from None


def _ours(time: int, fields: dict[str, str]) -> Event | None:
    said = {name.removeprefix("PAM_SPICE_").lower(): value for name, value in fields.items()
            if name.startswith("PAM_SPICE_")}
    event = said.pop("event", "")
    if not event:
        return None
    known = {name: said.pop(name, None) for name in
             ("user", "session", "reason", "by", "revision")}
    if known["reason"] == "-":  # none was given
        known["reason"] = None
    uid, count = (_number(said.pop(name, None)) for name in ("uid", "count"))
    try:
        until = _instant(said["until"])
        del said["until"]
    except (KeyError, ValueError):
        until = None
    consoles = tuple(map(_reach, filter(None, said.pop("consoles", "").split("\n"))))
    return Event(time, "pam-spice", event, _number(fields.get("PRIORITY")) or 0,
                 fields.get("MESSAGE", ""), uid=uid, count=count, consoles=consoles, until=until,
                 details=said, **known)


def _journalds(time: int, fields: dict[str, str]) -> Event | None:
    message = fields.get("MESSAGE", "")
    if fields.get("MESSAGE_ID") == _MISSED:
        return Event(time, "journald", "missed", 4, message)
    match = _OF_A_UNIT.fullmatch(message)
    if fields.get("MESSAGE_ID") != _SUPPRESSED or match is None:
        return None
    session = re.fullmatch(r"session-([A-Za-z0-9]+)\.scope", match[1])
    return Event(time, "journald", "suppressed", 4, message,
                 uid=_number(fields.get("OBJECT_SYSTEMD_OWNER_UID")),
                 session=session and session[1], count=_number(fields.get("N_DROPPED")))


def _reach(line: str) -> Reach:
    """See ``pam_spice.journal``; what is not so is shown as it stands."""
    try:
        name, addresses, port, start, end = line.split(" ")
        return Reach(None if name == "-" else name, tuple(addresses.split(",")), int(port),
                     _instant(start), _instant(end))
    except ValueError:
        return Reach(line)


def _instant(text: str) -> int | None:
    if text == "-":
        return None
    return int(datetime.strptime(text, _INSTANT).replace(tzinfo=UTC).timestamp())


def _moment(microseconds: int) -> str:
    seconds, rest = divmod(microseconds, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest).isoformat(
        timespec="microseconds")


def _iso(instant: int | None) -> str | None:
    return None if instant is None else datetime.fromtimestamp(instant, UTC).isoformat()


def _number(text: str | None) -> int | None:
    """At most 19 digits: int() of many is slow, and refused from some thousand on."""
    return int(text) if text is not None and re.fullmatch("[0-9]{1,19}", text) else None


def _text(value: object) -> str:
    """A field: text, or the bytes of one that is not UTF-8 or not printable; several of a name are
    lines of one. See <https://systemd.io/JOURNAL_EXPORT_FORMATS/>."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        if all(isinstance(each, int) for each in value):
            return bytes(value).decode("utf-8", "replace")
        return "\n".join(map(_text, value))
    return ""
