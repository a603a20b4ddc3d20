"""One system call of a session's hook fails, or the hook dies at it: by strace(1)."""

import os
import select
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.errors import KILL
from tests.faults.installed import HOOK, Leader
from tests.faults.recording import Call, calls_of

LIMIT = 8.0
"""Seconds: that of ``pam_spice.hook``."""

_MOST_OF_NFT = 20
"""So often nft makes no call, those for memory left out."""

_LATEST = LIMIT + 1.0
_STRACE = ("/usr/bin/strace", "-D", "-q", "-s", "0")
# -D: the hook must be the leader's own child, not strace's.


class TooLong(Exception):
    """The hook did not end within its limit of time, and was ended."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a hook ended."""

    status: int  # of its exit, negative for a signal
    seconds: float
    trace: str = field(repr=False)

    @property
    def was_hit(self) -> bool:
        """Whether the fault came to pass: the interpreter asks for memory now and then."""
        return self.status == -9 or "(INJECTED)" in self.trace

    @property
    def how(self) -> str:
        """In a word."""
        return "killed" if self.status == -9 else "done" if self.status == 0 else "failed"


class Tracer:
    """Starts hooks under strace. What strace writes comes through a FIFO, whose end tells that it
    is done with the hook."""

    def __init__(self, fifo: str) -> None:
        os.mkfifo(fifo, 0o600)
        self._fifo = fifo

    def record(self, leader: Leader, phase: str) -> tuple[Ended, list[Call]]:
        """An undisturbed hook, and the calls that it made. Raises TooLong."""
        ended = self._run(leader, phase, "-yy")
        return ended, calls_of(ended.trace, HOOK)

    def inject(self, leader: Leader, phase: str, call: Call, fault: str) -> Ended:
        """A hook that meets this fault at this call. Raises TooLong."""
        if fault == KILL:
            how: tuple[str, ...] = (f"signal={KILL}",)
        elif _is_only_the_hook_s(call):
            # With seccomp-bpf all other calls run at their full speed; but it sends no signals,
            # and the programs that the hook starts have to be followed.
            how = (f"error={fault}", "-f", "--seccomp-bpf")
        else:
            how = (f"error={fault}",)
        return self._run(leader, phase, *how[1:], "-e", f"trace={call.name}",
                         "-e", f"inject={call.name}:{how[0]}:when={call.number}")

    def _run(self, leader: Leader, phase: str, *options: str) -> Ended:
        reader = os.open(self._fifo, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        began = time.monotonic()
        pid, descriptor = leader.start(*_STRACE, *options, "-o", self._fifo, HOOK, phase)
        try:
            trace = _read_until_both_end(leader, reader, began + _LATEST)
            seconds = time.monotonic() - began
            if trace is None:
                where = _where_it_waits(pid)
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                leader.status()
                raise TooLong(f"the hook had not ended after {seconds:.1f} s: {where}")
            return Ended(leader.status(), seconds, trace)
        finally:
            os.close(reader)
            os.close(descriptor)


def _read_until_both_end(leader: Leader, reader: int, deadline: float) -> str | None:
    """What strace wrote, when hook and strace have ended; None if that is not by then."""
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    poll.register(leader.link, select.POLLIN)
    has_ended = False
    chunks = []
    while (left := deadline - time.monotonic()) > 0:
        events = dict(poll.poll(left * 1000))
        if leader.link.fileno() in events:
            has_ended = True
            poll.unregister(leader.link)
        if reader in events or has_ended:
            try:
                chunk = os.read(reader, 65536)
            except BlockingIOError:
                continue
            chunks.append(chunk)
            if has_ended and not chunk:
                return b"".join(chunks).decode("utf-8", "replace")
            if not chunk:  # the last words of strace are here before the leader's
                poll.unregister(reader)
    return None


def _is_only_the_hook_s(call: Call) -> bool:
    """Whether nothing that the hook may start in its distress would meet the same fault."""
    return not call.is_own or call.name in ("getdents64", "lseek") or (
        call.number > _MOST_OF_NFT and call.name not in ("brk", "mmap", "munmap"))


def _where_it_waits(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/syscall").read_text().strip()
    except OSError as error:
        return str(error)
