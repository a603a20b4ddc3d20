"""One structured journal record per event, in journald's native protocol.

On the login path. Which events there are and what their records hold: docs/journal.md. The form,
<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>: a datagram of fields, ``KEY=value`` lines or, for a
value with newlines, the key, a newline, the length in 64 bits and the value. Values are always sent
in the second form, so that no name can forge a field.
"""

import os
import time
from _socket import (
    AF_UNIX,
    MSG_DONTWAIT,
    SCM_CREDENTIALS,
    SCM_RIGHTS,
    SO_SNDTIMEO,
    SOCK_CLOEXEC,
    SOCK_DGRAM,
    SOL_SOCKET,
    socket,
)
from struct import pack

from conf.grantline import FOREVER
from pam_spice import paths
from pam_spice.desired import chain_of
from session.records import CLOSED, OPEN, SHUT, WAITING, Record

TYPE_CHECKING = False  # typing and collections are slow to import, and a login needs neither
if TYPE_CHECKING:
    from collections.abc import Iterable

    from conf.grantline import GrantLine
    from pam_spice.sockets import Connections

_ADDRESS = "/run/systemd/journal/socket"

ERROR = 3
WARNING = 4
NOTICE = 5
INFO = 6

_MOST_CHARACTERS = 8192  # of a message
_MOST_CONSOLES = 5  # of a message; the field names them all
_MOST_BYTES = 65536  # of a datagram, for which there is always room; some 700 consoles

_PATIENCE = 500_000
"""Microseconds. Four processes that write to the journal as fast as they can keep its socket full:
of records that didn't wait 65 in 100 were lost, of those that did none, and none waited 60 ms."""

_TRUCE = 10.0
"""Seconds in which no process of ours waits again for a journal that did not take a record in
time: most wait while others wait for them."""

_STALLED = f"{paths.RUN}/journal.stalled"  # changed when that was

_KEPT = f"{paths.RUN}/journal.kept"
"""A directory of records that the journal did not take in time, a file each, until ``deliver``.
Anybody can keep journald busy, with records of up to 32 MB and many processes that wait to send."""

_MOST_KEPT = 500
_DELIVERY = 20  # seconds that a kept record waits for the journal

_lost = 0  # records that this process could not deliver since the last one that it could


def log(priority: int, message: str, **fields: object) -> None:
    """Write a record; ``fields`` become PAM_SPICE_<NAME>, those that are None none. Never raises;
    waits half a second at most, and not even that for a journal that is known to hang."""
    global _lost
    entries = {"MESSAGE": _one_line(message), "PRIORITY": str(priority),
               "SYSLOG_IDENTIFIER": "pam-spice"}
    entries.update({f"PAM_SPICE_{name.upper()}": str(value)
                    for name, value in fields.items() if value is not None})
    if _lost:
        entries["PAM_SPICE_LOST"] = str(_lost)
    datagram = b"".join(_field(key, value) for key, value in entries.items())
    try:
        _send(datagram)
        _lost = 0
    except BlockingIOError:
        try:
            _keep(datagram)
        except OSError:
            _lost += 1
    except OSError:  # a missing journal must not decide about a login
        _lost += 1


def placed(what: str, words: str) -> None:
    """A piece is put onto the workstation that was never there."""
    log(NOTICE, f"setup: put in place: {words}", event="setup", what=what)


def _field(key: str, value: str) -> bytes:
    data = value.encode("utf-8", "backslashreplace")
    return key.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"


def _keep(datagram: bytes) -> None:
    from conf.files import write_all

    os.makedirs(_KEPT, 0o700, exist_ok=True)
    if len(os.listdir(_KEPT)) >= _MOST_KEPT:
        raise OSError("too many")
    datagram += _field("PAM_SPICE_KEPT_SINCE", instant(int(time.time())))
    name = f"{time.time_ns():020d}.{os.getpid()}"
    file = os.open(f"{_KEPT}/{name}.new",
                   os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        write_all(file, datagram)
        os.rename(f"{_KEPT}/{name}.new", f"{_KEPT}/{name}")
    except OSError:
        os.unlink(f"{_KEPT}/{name}.new")
        raise
    finally:
        os.close(file)


def deliver() -> None:
    """Send what was kept, oldest first; for a process that has time and holds no lock. What the
    journal does not take now stays. Raises OSError."""
    if not os.path.isdir(_KEPT):
        return
    for name in sorted(os.listdir(_KEPT)):
        path = f"{_KEPT}/{name}"
        if not name.endswith(".new"):
            with open(path, "rb") as file:
                _send(file.read(), _DELIVERY)
        elif os.path.exists(f"/proc/{name.split('.')[1]}"):
            continue  # being written
        os.unlink(path)


def _one_line(text: str) -> str:
    """As ``conf.problems.printable``, which is slow to import."""
    if len(text) > _MOST_CHARACTERS:
        text = text[:_MOST_CHARACTERS] + "..."
    return text if text.isprintable() else "".join(
        character if character.isprintable() else ascii(character)[1:-1] for character in text)


def _send(datagram: bytes, patience: int = 0) -> None:
    """``patience`` in seconds; 0: ``_PATIENCE``, and none where the journal is known to hang."""
    # Of a sender who says nothing about himself the kernel tells the real uid, and lets nobody but
    # root say that he is root: unix(7), SO_PASSCRED and SCM_CREDENTIALS. Under su and sudo the
    # hook's real uid is the caller's, whose own writings nobody could tell from ours then.
    control = [(SOL_SOCKET, SCM_CREDENTIALS,
                pack("iII", os.getpid(), os.geteuid(), os.getegid()))]
    sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC)
    file = None
    try:
        if len(datagram) > _MOST_BYTES:
            file = _sealed(datagram)
            datagram = b""
            control.append((SOL_SOCKET, SCM_RIGHTS, pack("i", file)))
        try:
            sender.sendmsg([datagram], control, MSG_DONTWAIT, _ADDRESS)
        except BlockingIOError:
            if not patience and _is_known_to_hang():
                raise
            sender.setsockopt(SOL_SOCKET, SO_SNDTIMEO,
                              pack("ll", patience, 0 if patience else _PATIENCE))
            try:
                sender.sendmsg([datagram], control, 0, _ADDRESS)
            except BlockingIOError:
                os.close(os.open(_STALLED, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
                os.utime(_STALLED)
                raise
    finally:
        sender.close()
        if file is not None:
            os.close(file)


def _is_known_to_hang() -> bool:
    try:
        return 0 <= time.time() - os.stat(_STALLED).st_mtime < _TRUCE
    except OSError:
        return False


def _sealed(content: bytes) -> int:
    """A memory file that nobody can change any more, in which journald takes what is too long for
    a datagram."""
    from fcntl import F_ADD_SEALS, F_SEAL_GROW, F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_WRITE, fcntl

    from conf.files import write_all

    file = os.memfd_create("pam-spice", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        write_all(file, content)
        fcntl(file, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
    except BaseException:
        os.close(file)
        raise
    return file


def instant(seconds: int) -> str:
    """An instant as the fields have it: ISO 8601 in UTC, ``-`` for one that never comes (0 is the
    end of a rule that has none)."""
    if seconds in (0, FOREVER):
        return "-"
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


# What a session may reach

def session(record: Record, before: Record | None, now: int, ended: str) -> None:
    """A session's record is written in place of ``before``. ``ended`` says why, if it is over."""
    if before is not None and not before.is_of(record.uid, record.leader):
        over(before, "its process is gone, and another login has its id")
        before = None
    if record.state == OPEN:
        is_new = before is None or before.state != OPEN
        reaches("open" if is_new else "change", [record], now, _why(record, before))
    elif record.state == WAITING:
        _session(INFO, "wait", record, "has no console yet", "another user is there")
    elif record.state == SHUT:
        _session(NOTICE, "shut", record, "has no console any more",
                 "the policy that was applied does not count such a login")
    elif before is None or before.state != CLOSED:
        _session(NOTICE, "close", record, "is over", ended)


def over(record: Record, reason: str) -> None:
    """A session has ended, or one that has ended before is forgotten."""
    if record.state == CLOSED:
        # In the user's own unit, where it was closed, he can use up what journald takes of a unit.
        _session(INFO, "gone", record, "is forgotten", reason)
    else:
        _session(NOTICE, "close", record, "is over", reason)


def reaches(event: str, records: "Iterable[Record]", now: int, reason: str,
            **fields: object) -> None:
    """What the kernel is told to let these sessions reach, and when; a record for each."""
    priority = WARNING if event == "mend" else NOTICE
    for record in records:
        spans = _spans(record, now)
        first: dict[str, str] = {}
        for name, _, _, start, end in spans:
            first.setdefault(name, name + (f" from {instant(start)}" if start > now else "")
                             + (f" until {instant(end)}" if end else ""))
        words = (f"{len(first)} consoles" if len(first) > _MOST_CONSOLES
                 else ", ".join(first.values()) or "no console")
        _session(priority, event, record, f"may reach {words}", reason,
                 consoles="\n".join(_console(*span) for span in spans),
                 revoked=instant(record.revoked) if record.revoked else None, **fields)


def _why(record: Record, before: Record | None) -> str:
    if before is None:
        return "login"
    if before.state == WAITING:
        return "the user who was there has left"
    if before.state == SHUT:
        return "the policy that was applied counts such a login"
    if record.revoked != before.revoked:
        return "revoked" if record.revoked > before.revoked else "not revoked any more"
    return "a command"


def _session(priority: int, event: str, record: Record, words: str, reason: str,
             **fields: object) -> None:
    log(priority, f"{event}: session {record.session} of {record.user} {words} ({reason})",
        event=event, user=record.user, uid=record.uid, session=record.session, reason=reason,
        revision=record.revision, **fields)


def _spans(record: Record, now: int) -> "list[tuple[str, list[str], int, int, int]]":
    """Console, addresses, port, start and end (0: none) of all that the record lets its session
    reach: what the user's chain is made of."""
    consoles: dict[tuple[str, int], set[str]] = {}
    for grant in record.grants:
        for address in grant.addresses:
            consoles.setdefault((address, grant.port), set()).add(grant.console)
    spans: dict[tuple[str, int, int, int], list[str]] = {}
    for address, port, _, start, end in chain_of([record], 0, now):
        for name in consoles[address, port]:
            spans.setdefault((name, max(start, now), end, port), []).append(address)
    return [(name, addresses, port, start, end)
            for (name, start, end, port), addresses in sorted(spans.items())]


def _console(name: str, addresses: "Iterable[str]", port: int, start: int, end: int) -> str:
    """A line of the field ``consoles``. No name of the policy's has a space in it."""
    return f"{name} {','.join(addresses)} {port} {instant(start)} {instant(end)}"


def granted(lines: "Iterable[GrantLine]") -> str:
    """The field ``consoles`` for grants that have no windows."""
    return "\n".join(_console(line.console, line.addresses, line.port, *line.valid)
                     for line in lines)


def cut(connections: "Connections", had: "Iterable[Record]", has: "Iterable[Record]",
        now: int, leaver: int | None) -> None:
    """Live connections are destroyed. ``had`` and ``has`` are all sessions' records, before and
    now; of ``has`` only those that count. ``leaver``: the user whose logout this is."""
    uid, address, port = connections.uid, connections.address, connections.port
    own = [record for record in has if record.uid == uid and record.state == OPEN]
    all_ = [*own, *(record for record in had if record.uid == uid)]
    names = sorted({grant.console for record in all_ for grant in record.granted
                    if grant.port == port and address in grant.addresses})
    if connections.is_orphan:
        reason = "its program has ended"
    elif not own:
        reason = ("he has logged out" if uid == leaver
                  else "his login is over" if all_ and not any(record.uid == uid for record in has)
                  else "no session of his counts")
    elif all(record.revoked > now for record in own):
        reason = "revoked"
    else:
        reason = "outside its time" if names else "not granted"
    count = len(connections.sockets)
    user = all_[0].user if all_ else None
    log(NOTICE, f"cut: {count} connection{'s' if count > 1 else ''} of {user or f'uid {uid}'} to "
        f"{' '.join(names) or f'{address} port {port}'} ({reason})",
        event="cut", user=user, uid=uid, reason=reason, count=count,
        consoles="\n".join(_console(name, [address], port, 0, 0) for name in names or ["-"]))
