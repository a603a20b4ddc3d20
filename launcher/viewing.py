"""The running viewer and what is around it: processes, signals, the clock."""

from __future__ import annotations

import _locale
import fcntl
import os
import time

from conf.viewer import CONFINER, VIEWER
from launcher.tell import notify, say, start

TYPE_CHECKING = False  # see launcher
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable

    from launcher.consoles import Console
    from launcher.desktop import PasswordNotes
    from launcher.diagnosis import Diagnosis
else:
    import _signal as signal  # without its enums: they take 5 ms


SUDO = "/usr/bin/sudo"

_LONGEST_LINE = 4096  # bytes


class Viewing:
    """A viewer behind sudo, as a child of this process. Is a ``surroundings.Surroundings``."""

    def __init__(self, command: list[str],
                 console: Callable[[float], tuple[bool, Console | None]],
                 notes: PasswordNotes | None = None) -> None:
        """Start the command, an absolute path and its arguments; raises OSError.

        ``console`` is asked with the present instant. With ``notes`` there is no terminal.
        """
        self._console = console
        self._notes = notes
        self._rest = b""  # of a line that isn't whole yet
        self._status: int | None = None
        self._notifiers: list[int] = []
        # Ignored, children would vanish without a status; this holds across exec.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # What nohup has set ignored stays so.
        self._ends = {number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
                      if signal.getsignal(number) is not signal.SIG_IGN}
        self._signals = {signal.SIGCHLD, signal.SIGIO, *self._ends}
        before = signal.pthread_sigmask(signal.SIG_BLOCK, self._signals)
        self._output, inlet = os.pipe()
        # SIGIO when there is something to read.
        fcntl.fcntl(self._output, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(self._output, fcntl.F_SETFL, os.O_NONBLOCK | os.O_ASYNC)
        # On a terminal sudo's words belong there, between its questions. Without one it must not
        # find that from which the desktop itself was started, and which nobody sees.
        outputs = (1,) if notes is None else (1, 2)
        # The interpreter ignores these two.
        self._pid = os.posix_spawn(command[0], command, os.environ, setsigmask=before,
                                   setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
                                   setsid=notes is not None,
                                   file_actions=[(os.POSIX_SPAWN_DUP2, inlet, output)
                                                 for output in outputs])
        os.close(inlet)
        from launcher.diagnosis import Diagnosis, is_debugging  # while sudo starts

        self._diagnosis = Diagnosis(_texts_of)
        self._is_debugging = is_debugging

    def now(self) -> float:
        """See Surroundings."""
        return time.time()

    def console(self) -> tuple[bool, Console | None]:
        """See Surroundings."""
        return self._console(self.now())

    def has_started(self) -> bool:
        """See Surroundings: it runs below sudo once that has agreed."""
        return self._status is None and _has_viewer_below(self._pid)

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

    def heard(self) -> Diagnosis:
        """See Surroundings."""
        while True:
            try:
                read = os.read(self._output, 1 << 14)
            except OSError:  # nothing more for now
                break
            if not read:
                break
            *lines, self._rest = (self._rest + read).split(b"\n")
            self._rest = self._rest[:_LONGEST_LINE]
            for line in lines:
                self._hear(line.decode(errors="replace"))
        return self._diagnosis

    def _hear(self, line: str) -> None:
        self._diagnosis.hear(line)
        if not self._is_debugging(line):  # for who looks into the session's log, or the terminal
            say(line)

    def password_notes(self) -> str:
        """See Surroundings."""
        return "" if self._notes is None else self._notes.read()

    def tell(self, text: str) -> None:
        """See Surroundings."""
        say(text)

    def announce(self, text: str) -> None:
        """See Surroundings."""
        say(text)
        if self._notes is None:
            self._keep(notify(text))
        else:
            from launcher.desktop import WINDOW

            self._keep(start([WINDOW, "notice", text]) or notify(text))

    def explain(self, text: str) -> None:
        """See Surroundings."""
        say(text)
        if self._notes is None:
            self._keep(notify(text))
        else:
            from launcher.desktop import show

            self._keep(show(text))

    def _keep(self, notifier: int | None) -> None:
        if notifier is not None:
            self._notifiers.append(notifier)


def _has_viewer_below(pid: int) -> bool:
    """Whether sudo has started the viewer. Before, its child may be what asks for the password;
    with a terminal of its own (sudoers(5), use_pty) the viewer's parent is a second sudo."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            children = file.read().split()
        for child in children:
            with open(f"/proc/{child}/cmdline", encoding="utf-8", errors="replace") as file:
                words = file.read().split("\0")
            if is_viewer(words) or words[0] == SUDO and _has_viewer_below(int(child)):
                return True
    except OSError:  # it has just ended
        pass
    return False


def is_viewer(words: list[str]) -> bool:
    """Whether a process with these arguments is the viewer, or what becomes it."""
    return words[0] == VIEWER or CONFINER in words[1:4] and words[0] != SUDO


def _texts_of(number: int) -> tuple[str, ...]:
    """strerror(3), in English and in the language of the environment, as the viewer has it."""
    english = os.strerror(number)
    try:
        _locale.setlocale(_locale.LC_MESSAGES, "")
    except _locale.Error:  # type: ignore[attr-defined]  # it is not installed
        return (english,)
    translated = os.strerror(number)
    _locale.setlocale(_locale.LC_MESSAGES, "C")
    return english, translated


def _reaped(pid: int) -> bool:
    return os.waitpid(pid, os.WNOHANG)[0] != 0
