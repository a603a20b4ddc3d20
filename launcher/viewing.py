"""The running viewer and what is around it: processes, signals, the clock."""

from __future__ import annotations

import os
import time

from launcher.tell import notify, say

TYPE_CHECKING = False  # see launcher
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable

    from launcher.consoles import Console
else:
    import _signal as signal  # without its enums: they take 5 ms


class Viewing:
    """A viewer behind sudo, as a child of this process. Is a ``surroundings.Surroundings``."""

    def __init__(self, command: list[str],
                 console: Callable[[float], tuple[bool, Console | None]]) -> None:
        """Start the command, an absolute path and its arguments; raises OSError.

        ``console`` is asked with the present instant.
        """
        self._console = console
        self._status: int | None = None
        self._notifiers: list[int] = []
        # Ignored, children would vanish without a status; this holds across exec.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # What nohup has set ignored stays so.
        self._ends = {number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
                      if signal.getsignal(number) is not signal.SIG_IGN}
        self._signals = {signal.SIGCHLD, *self._ends}
        before = signal.pthread_sigmask(signal.SIG_BLOCK, self._signals)
        # The interpreter ignores these two.
        self._pid = os.posix_spawn(command[0], command, os.environ, setsigmask=before,
                                   setsigdef=[signal.SIGPIPE, signal.SIGXFSZ])

    def now(self) -> float:
        """See Surroundings."""
        return time.time()

    def console(self) -> tuple[bool, Console | None]:
        """See Surroundings."""
        return self._console(self.now())

    def has_started(self) -> bool:
        """See Surroundings: sudo has a child once it has agreed."""
        if self._status is not None:
            return False
        try:
            with open(f"/proc/{self._pid}/task/{self._pid}/children", encoding="ascii") as file:
                return bool(file.read().strip())
        except OSError:
            return False

    def status(self) -> int | None:
        """See Surroundings."""
        self._notifiers = [pid for pid in self._notifiers if not _reaped(pid)]
        if self._status is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status

    def wait(self, seconds: float) -> bool:
        """See Surroundings."""
        found = signal.sigtimedwait(self._signals, seconds)
        return found is not None and found.si_signo in self._ends

    def stop(self) -> None:
        """See Surroundings.

        sudo runs as root, but keeps its caller's real uid, so kill(2) lets him; it hands the
        signal on to the viewer and puts the terminal right.
        """
        try:
            os.kill(self._pid, signal.SIGTERM)
        except (ProcessLookupError, PermissionError):
            pass

    def tell(self, text: str) -> None:
        """See Surroundings."""
        say(text)

    def announce(self, text: str) -> None:
        """See Surroundings."""
        say(text)
        pid = notify(text)
        if pid is not None:
            self._notifiers.append(pid)


def _reaped(pid: int) -> bool:
    return os.waitpid(pid, os.WNOHANG)[0] != 0
