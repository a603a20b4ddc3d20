"""Does a guarded port that isn't his open to who runs this, and does a connection of his go on?

Run on the workstation: ``python3 -I prober.py REFUSED GRANTED ADDRESS...``, two ports of the server
at each of its addresses. GRANTED echoes. A line on standard input is answered by one on standard
output: a JSON object of what was seen since the line before, see ``Seen``. The end of input is the
end of it.
"""

from __future__ import annotations

import errno
import json
import select
import socket
import struct
import sys
import time
from dataclasses import asdict, dataclass

OPEN, REFUSED, SILENT = "open", "refused", "silent"
_PATIENCE = 0.02  # seconds for one attempt's answer, which takes less than a millisecond
_PAUSE = 0.001


@dataclass(frozen=True)
class Attempt:
    """One connect to the port that must be refused; instants of CLOCK_MONOTONIC."""

    start: float
    end: float
    outcome: str


@dataclass(frozen=True)
class Seen:
    """What a span of time was like."""

    attempts: int
    got_through: int
    unanswered: int
    """Neither refused nor connected: something drops packets."""

    longest_gap: float
    """Seconds, at most, of which the guard was away at one time; see ``gaps``."""

    all_gaps: float
    last: str
    """The last attempt's outcome."""

    held_up: float
    """Seconds that the live connection waited for an echo, at the longest."""

    ended: str
    """The name of the error that ended it; empty while it lives."""


def gaps(attempts: list[Attempt]) -> list[float]:
    """For each time that attempts got through, how long it may have lasted: from the last one
    before that was refused until the next one that is. An unanswered one tells nothing."""
    found = []
    began: float | None = None
    is_open = False
    for each in attempts:
        if each.outcome == REFUSED:
            if is_open and began is not None:
                found.append(each.end - began)
            began, is_open = each.start, False
        elif each.outcome == OPEN:
            began = each.start if began is None else began
            is_open = True
    if is_open and began is not None:
        found.append(attempts[-1].end - began)
    return found


def attempt(address: str, port: int) -> Attempt:
    """Connect, and leave at once with a reset."""
    start = time.monotonic()
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setblocking(False)
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        error = probe.connect_ex((address, port))
        outcome = SILENT
        if error == errno.EINPROGRESS:
            poll = select.poll()
            poll.register(probe, select.POLLOUT)
            if poll.poll(_PATIENCE * 1000):
                error = probe.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error in (0, errno.ECONNREFUSED):
            outcome = REFUSED if error else OPEN
    return Attempt(start, time.monotonic(), outcome)


class Live:
    """A connection on which a word goes to and fro all the time."""

    def __init__(self, address: str, port: int) -> None:
        self._socket = socket.create_connection((address, port), 5)
        self._socket.setblocking(False)
        self._since = time.monotonic()
        self._longest = 0.0
        self.ended = ""
        self._socket.send(b"w")

    def look(self) -> None:
        """Take the echo, if it is there, and send the word again."""
        if self.ended:
            return
        try:
            if self._socket.recv(1) == b"":
                self.ended = "closed"
                return
            now = time.monotonic()
            self._longest = max(self._longest, now - self._since)
            self._since = now
            self._socket.send(b"w")
        except BlockingIOError:
            pass
        except OSError as error:
            self.ended = errno.errorcode[error.errno or 0]

    def held_up(self) -> float:
        """The longest wait for an echo since this was last asked, in seconds."""
        longest = max(self._longest, time.monotonic() - self._since)
        self._longest = 0.0
        return longest


def main(refused: int, granted: int, addresses: list[str]) -> None:
    """Try, all the time, until the input ends."""
    live = Live(addresses[0], granted)
    attempts: list[Attempt] = []
    poll = select.poll()
    poll.register(sys.stdin, select.POLLIN)
    while True:
        for address in addresses:
            attempts.append(attempt(address, refused))
            live.look()
        if poll.poll(_PAUSE * 1000):
            if not sys.stdin.readline():
                return
            lengths = gaps(attempts)
            seen = Seen(
                len(attempts), sum(each.outcome == OPEN for each in attempts),
                sum(each.outcome == SILENT for each in attempts), max(lengths, default=0.0),
                sum(lengths), attempts[-1].outcome, live.held_up(), live.ended)
            print(json.dumps(asdict(seen)), flush=True)
            attempts = attempts[-1:] if attempts[-1].outcome == REFUSED else []


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
