"""The compiled policy, as a login reads it: a header, then grants sorted by subject.

On the login path: imports ``os`` and nothing slow. A login reads the header and finds its few
lines by bisection, so its cost does not grow with the policy.

The file is text. The header's lines are ``key value``; it ends with ``check CRC``. The body holds
one grant a line (``conf.grantline``), sorted by its bytes.
"""

import os
from zlib import crc32

from conf.files import FileRefused, open_trusted
from conf.grantline import DamagedLine, GrantLine, parse_grant, parse_offsets
from conf.intervals import Offsets

FORMAT = "pam-spice-compiled 3"
SKIPPED = "skipped:"
"""Begins the line of a grant that has an error: for whom, where it is, what is wrong."""

MAX_HEADER = 4 * 1024 * 1024
_MOST_LINES = 256
"""Bytes; longer lines take a second look."""

Endpoint = tuple[str, int, int]
"""(address, first port, last port): one guarded range."""


class Unusable(Exception):
    """There is no compiled policy, or it is damaged or of another version."""


class Settings:
    """The policy's ``workstation`` section, as far as a login needs it."""

    __slots__ = ("one_user", "require_seat", "services")

    def __init__(self, one_user: bool, require_seat: bool, services: tuple[str, ...]) -> None:
        self.one_user = one_user
        self.require_seat = require_seat
        self.services = services


class CompiledPolicy:
    """An open compiled policy: one snapshot, whatever replaces the file meanwhile."""

    def __init__(self, path: str, owner: int = 0) -> None:
        """Open the file; raises Unusable. ``owner``: see ``conf.files.open_trusted``."""
        try:
            self._descriptor = open_trusted(path, owner)
        except FileRefused as error:
            raise Unusable(str(error)) from None
        try:
            self._end = os.fstat(self._descriptor).st_size
            self._read_header()
        except (OSError, ValueError, KeyError, IndexError) as error:
            raise Unusable(f"{path}: damaged header: {error!r}") from None

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            os.close(self._descriptor)

    def _read_header(self) -> None:
        size = 4096
        while (end := (text := os.pread(self._descriptor, size, 0)).find(b"\ncheck ") + 1) == 0 or (
                body := text.find(b"\n", end) + 1) == 0:
            if len(text) < size or size > MAX_HEADER:
                raise ValueError("has no end")
            size *= 4
        header = text[:end]
        if text[end:body] != b"check %08x\n" % crc32(header):
            raise ValueError("checksum")
        lines = header.decode().rstrip("\n").split("\n")
        if lines[0] != FORMAT:
            raise ValueError("format")
        values: dict[str, str] = {}
        self.sources: list[tuple[str, str]] = []
        self.offsets: dict[str, Offsets] = {}  # the policy's own zone comes first
        self.endpoints: list[Endpoint] = []
        for line in lines[1:]:
            key, _, value = line.partition(" ")
            if key == "source":
                stamp, _, path = value.partition(" ")
                self.sources.append((path, stamp))
            elif key == "zone":
                zone, _, offsets = value.partition(" ")
                self.offsets[zone] = parse_offsets(offsets)
            elif key == "guarded":
                address, low, high = value.split(" ")
                self.endpoints.append((address, int(low), int(high)))
            else:
                values[key] = value
        self.revision = values["revision"]
        self.outcome = values["outcome"]
        self.workstation = values["workstation"]
        self.sudo_password = values["sudo_password"] == "1"  # noqa: S105
        self.since, self.expires = int(values["since"]), int(values["expires"])
        self.settings = Settings(values["one_user"] == "1", values["require_seat"] == "1",
                                 tuple(filter(None, values["services"].split(","))))
        self._body = body
        if self._end - body != int(values["size"]):
            raise ValueError("truncated")

    @property
    def timezone(self) -> str | None:
        """The policy's own zone; None where nothing of it is usable."""
        return next(iter(self.offsets), None)

    def is_current(self, now: int) -> bool:
        """Whether the sources are those that were compiled, the zones' offsets reach on, and it
        was for this workstation."""
        return (self.since <= now < self.expires and os.uname().nodename == self.workstation
                and all(stamp(path) == then for path, then in self.sources))

    def grants_of(self, subjects: list[str]) -> tuple[list[GrantLine], list[str]]:
        """The grants of ``user:NAME`` and ``group:NAME``, and the lines that are damaged."""
        grants = []
        damaged = []
        for subject in subjects:
            for line in self._lines_of(subject):
                try:
                    grant = parse_grant(line)
                    # A name with a tab in it could go on like a line of somebody else.
                    if grant.subject == subject:
                        grants.append(grant)
                except DamagedLine:
                    damaged.append(line)
        return grants, damaged

    def skipped_of(self, subjects: list[str]) -> list[tuple[str, str]]:
        """(file:line, what is wrong) of each grant of these that is left out for an error."""
        found: list[tuple[str, str]] = []
        if not self._has_lines(SKIPPED.encode()):
            return found
        for subject in subjects:
            for line in self._lines_of(f"{SKIPPED}{subject}"):
                place, _, fact = line.partition("\t")[2].partition("\t")
                found.append((place, fact))
        return found

    def _lines_of(self, subject: str) -> list[str]:
        key = subject.encode() + b"\t"
        at = self._first_line_from(key)
        lines = []
        while (line := self._line_at(at, at)[1]).startswith(key):
            lines.append(line.decode("utf-8", "replace"))
            at += len(line) + 1
        return lines

    def has_group_grants(self) -> bool:
        """Whether any grant names a group, also one that is skipped: if not, a login need not ask
        NSS for groups."""
        return self._has_lines(b"group:") or self._has_lines(f"{SKIPPED}group:".encode())

    def _has_lines(self, beginning: bytes) -> bool:
        at = self._first_line_from(beginning)
        return self._line_at(at, at)[1].startswith(beginning)

    def body(self) -> bytes:
        """The grants' lines as they lie in the file: other than before if any grant is."""
        return os.pread(self._descriptor, self._end - self._body, self._body)

    def all_grants(self) -> list[GrantLine]:
        """Every grant that is not damaged; takes time with the policy's size."""
        grants = []
        for line in self.body().decode("utf-8", "replace").split("\n")[:-1]:
            try:
                if not line.startswith(SKIPPED):
                    grants.append(parse_grant(line))
            except DamagedLine:
                continue
        return grants

    def _first_line_from(self, key: bytes) -> int:
        """The offset of the first line that is not before ``key``."""
        low, high = self._body, self._end
        while low < high:
            start, line = self._line_at((low + high) // 2, low)
            if line < key:
                low = start + len(line) + 1
            else:
                high = start
        return low

    def _line_at(self, at: int, low: int) -> tuple[int, bytes]:
        """Where the line begins in which ``at`` lies, and the line without its newline: nothing at
        the end. A line begins at ``low``, which is not after ``at``."""
        reach = _MOST_LINES
        while True:
            begin = max(low, at - reach)
            text = os.pread(self._descriptor, at - begin + reach, begin)
            start = text.rfind(b"\n", 0, at - begin) + 1
            end = text.find(b"\n", at - begin)
            is_last = len(text) < at - begin + reach  # and its newline may be damaged
            if is_last and begin + len(text) < self._end:
                raise OSError("the compiled policy was cut short")
            if (start or begin == low) and (end >= 0 or is_last):
                return begin + start, text[start:end] if end >= 0 else text[start:]
            reach *= 4


def stamp(path: str) -> str:
    """What changes when the file does; ``-`` where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return "-"
    return (f"{found.st_dev}:{found.st_ino}:{found.st_size}:{found.st_mtime_ns}:"
            f"{found.st_ctime_ns}")
