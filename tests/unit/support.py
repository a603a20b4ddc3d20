"""What several unit tests need: short policies, records, sessions, and a limit for hangs."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from conf.compiling import Source, compile_policy
from conf.grantline import GrantLine, ZonedWindows
from conf.intervals import EVERY_DATE, Offsets
from conf.lookup import CompiledPolicy
from conf.model import Policy
from conf.parser import parse_policy
from session.logind import LogindSession
from session.records import OPEN, Record

NOON = 1795435200  # 2026-11-23T12:00:00Z, a Monday
UTC_OFFSETS: Offsets = ((0, 0),)

SERVER = """\
servers:
  mysrv:
    host: mysrv.example
    addresses: [192.168.2.2, "fd00::2"]
    guarded_ports: [20001-20010]
    ca_file: /etc/pam-spice/mysrv-ca.pem
"""


class Hang(Exception):
    """Something took far too long."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise Hang in a body that does not end in time."""

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise Hang(f"did not end within {seconds:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def policy_of(text: str) -> Policy:
    """The policy of a text that has no problems."""
    parsed = parse_policy(text.encode(), "policy.yaml")
    assert parsed.problems == ()
    assert parsed.policy is not None
    return parsed.policy


def compile_text(directory: Path, text: str | bytes, now: int = NOON) -> CompiledPolicy:
    """Write ``text`` as a policy and compile it, all within a directory of the test's."""
    source = directory / "policy.yaml"
    source.write_bytes(text.encode() if isinstance(text, str) else text)
    source.chmod(0o644)
    return compile_policy(Source(str(source), os.getuid()), str(directory / "policy.compiled"),
                          now, os.getuid())


def zoned(zone: str, *windows: tuple[int, int, int]) -> ZonedWindows:
    """Weekly windows, (days, start, end), in one zone."""
    return ((zone, tuple((*window, EVERY_DATE) for window in windows), ()),)


def grant(console: str = "webdev", port: int = 20002, windows: ZonedWindows | None = None,
          addresses: tuple[str, ...] = ("192.168.2.2",), subject: str = "user:anne") -> GrantLine:
    """A grant line with everything that does not matter filled in."""
    return GrantLine(subject, console, "mysrv", "mysrv.example", port, addresses,
                     "/etc/pam-spice/mysrv-ca.pem", windows, "policy.yaml:1")


def record(session: str = "3", uid: int = 1021, leader: int = 100, state: str = OPEN,
           grants: tuple[GrantLine, ...] = (), since: int = 1000,
           offsets: dict[str, Offsets] | None = None, user: str = "anne") -> Record:
    """A session's record with everything that does not matter filled in."""
    return Record(session, uid, user, leader, 5000, since, "0123456789ab", state,
                  offsets if offsets is not None else {"UTC": UTC_OFFSETS}, list(grants))


def logind_session(id_: str = "3", uid: int = 1021, leader: int = 100, since: int = 1000,
                   fields: dict[str, str] | None = None, **more: str) -> LogindSession:
    """A console login on seat0, changed by fields in logind's spelling."""
    return LogindSession(id_, {
        "UID": str(uid), "USER": "anne", "STATE": "active", "REMOTE": "0", "CLASS": "user",
        "SERVICE": "login", "SEAT": "seat0", "LEADER": str(leader), "MONOTONIC": str(since),
        **(fields or {}), **more})
