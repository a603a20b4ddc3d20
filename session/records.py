"""Our record of each session that counts, in /run: what it was opened with.

A session keeps the grants that it was opened with, so they are written down here, in the form of
the compiled policy. Root alone writes; the session's own user may read his own record, by an
access list, so that the launcher can tell him what he may do without anyone reading others'
grants. (Ownership would let him fill root's tmpfs; a primary group may be shared.)
"""

import os
import struct
from zlib import crc32

from conf.files import write_all, write_atomically
from conf.grantline import (
    FOREVER,
    DamagedLine,
    GrantLine,
    format_grant,
    format_offsets,
    parse_grant,
    parse_offsets,
)
from conf.intervals import Offsets
from session.logind import is_session_id

DIRECTORY = "/run/pam-spice/sessions"
FORMAT = "pam-spice-session 4"

OPEN = "open"
WAITING = "waiting"
CLOSED = "closed"
SHUT = "shut"


class Record:
    """One session: who, since when, under which policy, with which grants."""

    __slots__ = ("granted", "leader", "leader_start", "offsets", "revision", "revoked", "session",
                 "since", "state", "uid", "user")

    def __init__(self, session: str, uid: int, user: str, leader: int, leader_start: int,
                 since: int, revision: str, state: str, offsets: dict[str, Offsets],
                 granted: list[GrantLine], revoked: int = 0) -> None:
        self.session = session
        self.uid = uid
        self.user = user
        self.leader = leader
        self.leader_start = leader_start  # clock ticks since boot
        self.since = since  # microseconds of CLOCK_MONOTONIC, as logind's
        self.revision = revision
        # OPEN, WAITING (for another user to leave), CLOSED (logged out) or SHUT (by an edit that
        # was applied, such a login doesn't count any more)
        self.state = state
        self.offsets = offsets  # the policy's own zone comes first
        self.granted = granted
        self.revoked = revoked  # until this instant nothing of it counts; FOREVER: no more at all

    @property
    def grants(self) -> list[GrantLine]:
        """What was granted, less what is revoked."""
        if not self.revoked:
            return self.granted
        if self.revoked == FOREVER:
            return []
        return [grant.valid_from(self.revoked) for grant in self.granted]

    def in_state(self, state: str) -> "Record":
        """This record in that state: itself, or a copy."""
        if state == self.state:
            return self
        return Record(self.session, self.uid, self.user, self.leader, self.leader_start,
                      self.since, self.revision, state, self.offsets, self.granted, self.revoked)

    def with_more(self, grants: list[GrantLine]) -> "Record":
        """A copy with these grants too; their zones must be among its offsets."""
        return Record(self.session, self.uid, self.user, self.leader, self.leader_start,
                      self.since, self.revision, self.state, self.offsets,
                      [*self.granted, *grants], self.revoked)

    def without(self, grants: list[GrantLine]) -> "Record":
        """A copy that lacks these of its grants."""
        return Record(self.session, self.uid, self.user, self.leader, self.leader_start,
                      self.since, self.revision, self.state, self.offsets,
                      [grant for grant in self.granted if grant not in grants], self.revoked)

    def revoked_until(self, instant: int) -> "Record":
        """This record, revoked until then (0: not): itself, or a copy."""
        if instant == self.revoked:
            return self
        return Record(self.session, self.uid, self.user, self.leader, self.leader_start,
                      self.since, self.revision, self.state, self.offsets, self.granted, instant)

    def has_lost(self, after: "Record", now: int) -> bool:
        """Whether ``after`` is this record with less of its grants, and nothing else but that it
        may be revoked for longer, or no more where that is over."""
        left = set(map(format_grant, after.granted))
        return (len(after.granted) < len(self.granted)
                and left <= set(map(format_grant, self.granted))
                and (after.revoked >= self.revoked or self.revoked <= now)
                and format_record(self.without(self.granted).revoked_until(after.revoked))
                == format_record(after.without(after.granted)))

    def is_of(self, uid: int, leader: int) -> bool:
        """Whether this records that login: session ids come again after a reboot."""
        return self.uid == uid and self.leader == leader


def format_record(record: Record) -> str:
    """The record's text."""
    lines = [FORMAT, f"session {record.session}", f"uid {record.uid}", f"user {record.user}",
             f"leader {record.leader} {record.leader_start}", f"since {record.since}",
             f"revision {record.revision}", f"state {record.state}", f"revoked {record.revoked}"]
    lines += [f"zone {name} {format_offsets(offsets)}"
              for name, offsets in record.offsets.items()]
    lines += [f"grant {format_grant(grant)}" for grant in record.granted]
    text = "\n".join([*lines, ""])
    return f"{text}check {crc32(text.encode()):08x}\n"


def parse_record(text: str) -> Record:
    """The record of a text; raises ValueError, damaged grants included."""
    # Not splitlines(): that also breaks at \x85, \v and others, which a name may hold.
    lines = text.split("\n")
    body = text[:text.rfind("\n", 0, -1) + 1]
    if lines[0] != FORMAT or text != f"{body}check {crc32(body.encode()):08x}\n":
        raise ValueError("not a record, or not as it was written")
    values: dict[str, str] = {}
    offsets = {}
    grants = []
    for line in lines[1:-2]:
        key, _, value = line.partition(" ")
        if key == "zone":
            name, _, pairs = value.partition(" ")
            offsets[name] = parse_offsets(pairs)
        elif key == "grant":
            grants.append(parse_grant(value))
        else:
            values[key] = value
    if any(zone not in offsets for grant in grants
           for zone, _, _ in grant.windows or ()):
        raise ValueError("lacks a zone")
    try:
        leader, _, leader_start = values["leader"].partition(" ")
        return Record(values["session"], int(values["uid"]), values["user"], int(leader),
                      int(leader_start), int(values["since"]), values["revision"],
                      values["state"], offsets, grants, int(values["revoked"]))
    except KeyError as error:
        raise ValueError(f"lacks {error}") from None


def read_record(session: str, directory: str = DIRECTORY) -> Record | None:
    """The session's record; None where there is none or it is damaged. Raises OSError where it
    can't be read, or is not ours to read."""
    path = f"{directory}/{session}"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError:
        if os.path.islink(path):  # no record of ours
            return None
        raise
    try:
        chunks = []
        while chunk := os.read(descriptor, 1 << 16):
            chunks.append(chunk)
        return parse_record(b"".join(chunks).decode())
    except (IsADirectoryError, ValueError, DamagedLine):
        return None
    finally:
        os.close(descriptor)


def overwrite_record(record: Record, directory: str = DIRECTORY) -> None:
    """Write a record that says less than before into its old file, which a full disk still
    allows. Not atomic: half a record is none. Raises OSError."""
    text = format_record(record).encode()
    descriptor = os.open(f"{directory}/{record.session}",
                         os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        write_all(descriptor, text)
        os.ftruncate(descriptor, len(text))
    finally:
        os.close(descriptor)


def recorded_names(directory: str = DIRECTORY) -> list[str]:
    """Every name in the directory: records, and what a writer that was killed left behind. Raises
    OSError."""
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


def read_records(directory: str = DIRECTORY) -> dict[str, Record]:
    """All records that are not damaged, by session. Raises OSError."""
    return records_of(recorded_names(directory), directory)


def records_of(names: list[str], directory: str = DIRECTORY) -> dict[str, Record]:
    """The records among these names that are not damaged, by session. Raises OSError."""
    records = {}
    for name in filter(is_session_id, names):
        record = read_record(name, directory)
        if record is not None:
            records[name] = record
    return records


def write_record(record: Record, directory: str = DIRECTORY) -> None:
    """Write or replace a record, readable by root and the record's user; raises OSError."""
    path = f"{directory}/{record.session}"
    write_atomically(path, format_record(record).encode(), acl=_readable_by(record.uid))


def remove_record(name: str, directory: str = DIRECTORY) -> None:
    """Remove a record, if it is there; raises OSError."""
    try:
        os.unlink(f"{directory}/{name}")
    except FileNotFoundError:
        pass


def _readable_by(uid: int) -> bytes:
    """A POSIX access list rw for the owner, r for one user: linux/posix_acl_xattr.h."""
    version, undefined = 2, 0xFFFFFFFF
    user_obj, user, group_obj, mask, other = 0x01, 0x02, 0x04, 0x10, 0x20
    read, write = 4, 2
    entries = ((user_obj, read | write, undefined), (user, read, uid), (group_obj, 0, undefined),
               (mask, read, undefined), (other, 0, undefined))
    return struct.pack("<I", version) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
