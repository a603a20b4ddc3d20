"""The one door through which another program is started.

On the login path: ``subprocess`` takes 19 ms to import. Input and output go through memory files,
so that neither side can block on the other.
"""

import os
import select
import time

from conf.files import write_all

TYPE_CHECKING = False  # typing and collections are slow to import, and a login needs neither
if TYPE_CHECKING:
    from collections.abc import Generator

_MAX_OUTPUT = 64 * 1024 * 1024
# Nothing of the caller's: under pam_exec that would be the user's. TZ, because nft reads and
# prints times in its own zone.
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
_SIGKILL, _SIGSTOP = 9, 19
_SIGINT, _SIGQUIT = 2, 3
# A caller may ignore them.
_SIGNALS_TO_RESET = [number for number in range(1, 32) if number not in (_SIGKILL, _SIGSTOP)]
# What a program at a terminal needs to know of it, of its user and of his screen.
_OF_THE_TERMINAL = ("TERM", "COLORTERM", "LANG", "LANGUAGE", "HOME", "USER", "LOGNAME", "SHELL",
                    "DISPLAY", "XAUTHORITY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR")


_deadline: float | None = None


def limit_all(seconds: float) -> None:
    """No program started from now on may run longer than until this many seconds from now."""
    global _deadline
    _deadline = time.monotonic() + seconds


class CommandFailed(Exception):
    """A program could not be started, failed, or took too long."""

    def __init__(self, argv: list[str], what: str, error_output: str = "") -> None:
        super().__init__(f"{paste(argv)}: {what}")
        self.argv = argv
        self.what = what
        self.error_output = error_output


class Completed:
    """How a program ended."""

    __slots__ = ("error", "output", "status")

    def __init__(self, status: int, output: bytes, error: str) -> None:
        self.status = status
        self.output = output
        self.error = error


def paste(argv: list[str]) -> str:
    """The command in a form that can be pasted into a shell."""
    plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-"
    return " ".join(word if word and all(c in plain for c in word)
                    else "'" + word.replace("'", "'\\''") + "'" for word in argv)


def run(argv: list[str], data: bytes = b"", *, timeout: float = 20.0,
        ok: tuple[int, ...] = (0,)) -> Completed:
    """Run a program given by absolute path, with ``data`` as its standard input.

    ``timeout`` is in seconds; a program that takes longer is killed.

    Raises CommandFailed, also for an exit status that is not among ``ok``.
    """
    assert argv[0].startswith("/")
    if _deadline is not None:
        timeout = min(timeout, _deadline - time.monotonic())
    files = [os.memfd_create(name, os.MFD_CLOEXEC) for name in ("stdin", "stdout", "stderr")]
    try:
        write_all(files[0], data)
        os.lseek(files[0], 0, os.SEEK_SET)
        try:
            pid = os.posix_spawn(
                argv[0], argv, _ENVIRONMENT, setsigmask=(), setsigdef=_SIGNALS_TO_RESET,
                file_actions=[(os.POSIX_SPAWN_DUP2, file, target)
                              for target, file in enumerate(files)])
        except OSError as error:
            raise CommandFailed(argv, f"can't be started: {error.strerror}") from None
        status = _wait(pid, timeout)
        output, error_output = (_content(file) for file in files[1:])
    finally:
        for file in files:
            os.close(file)
    completed = Completed(status if status is not None else -1, output,
                          error_output.decode("utf-8", "replace").strip())
    if status is None:
        raise CommandFailed(argv, f"did not end within {round(timeout, 1):g} s and was killed",
                            completed.error)
    if status not in ok:
        how = f"exit status {status}" if status >= 0 else f"signal {-status}"
        raise CommandFailed(argv, how + (f": {completed.error}" if completed.error else ""),
                            completed.error)
    return completed


def run_interactive(argv: list[str]) -> int:
    """Run a program given by absolute path at our own terminal, without a limit in time; the exit
    status, negative for a signal. An interrupt from the keyboard is for the program alone.

    Raises CommandFailed where it can't be started.
    """
    assert argv[0].startswith("/")
    import signal  # no login comes here

    environment = {"PATH": _ENVIRONMENT["PATH"]}
    environment |= {name: value for name, value in os.environ.items()
                    if name in _OF_THE_TERMINAL or name.startswith("LC_")}
    before = [(number, signal.signal(number, signal.SIG_IGN)) for number in (_SIGINT, _SIGQUIT)]
    try:
        try:
            pid = os.posix_spawn(argv[0], argv, environment, setsigmask=(),
                                 setsigdef=_SIGNALS_TO_RESET)
        except OSError as error:
            raise CommandFailed(argv, f"can't be started: {error.strerror}") from None
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def lines(argv: list[str]) -> "Generator[bytes, None, None]":
    """Run a program given by absolute path and give each line of its output, with its newline, as
    it comes: without a limit in time or size. It is killed when nobody wants more of it.

    Raises CommandFailed where it can't be started, or at its end, for an exit status other than 0.
    """
    assert argv[0].startswith("/")
    # The first of them: where 0 to 2 are closed it may get 0, where it belongs.
    nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    errors = os.memfd_create("stderr", os.MFD_CLOEXEC)
    reader, writer = os.pipe2(os.O_CLOEXEC)
    pid = status = None
    try:
        with open(reader, "rb") as output:
            try:
                pid = os.posix_spawn(
                    argv[0], argv, _ENVIRONMENT, setsigmask=(), setsigdef=_SIGNALS_TO_RESET,
                    file_actions=[(os.POSIX_SPAWN_DUP2, file, target)
                                  for target, file in enumerate((nothing, writer, errors))])
            except OSError as error:
                raise CommandFailed(argv, f"can't be started: {error.strerror}") from None
            finally:
                os.close(writer)
            yield from output
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status:
            error_output = _content(errors).decode("utf-8", "replace").strip()
            how = f"exit status {status}" if status > 0 else f"signal {-status}"
            raise CommandFailed(argv, how + (f": {error_output}" if error_output else ""),
                                error_output)
    finally:
        if pid is not None and status is None:
            os.kill(pid, _SIGKILL)
            os.waitpid(pid, 0)
        os.close(nothing)
        os.close(errors)


class Partner:
    """A program given by absolute path that says a line when it is ready, and goes on until its
    input ends. Leaving ``with`` ends it, with a kill where it does not end within 20 seconds.

    It has no terminal: what it starts as another user could type into ours there (TIOCSTI)."""

    _PATIENCE = 20.0

    def __init__(self, argv: list[str]) -> None:
        assert argv[0].startswith("/")
        self._argv = argv
        self._errors = os.memfd_create("stderr", os.MFD_CLOEXEC)
        reader, self._writer = os.pipe2(os.O_CLOEXEC)
        self._reader, writer = os.pipe2(os.O_CLOEXEC)
        self._rest = b""
        self._pid: int | None = None
        try:
            self._pid = os.posix_spawn(
                argv[0], argv, _ENVIRONMENT, setsigmask=(), setsigdef=_SIGNALS_TO_RESET,
                setsid=True, file_actions=[(os.POSIX_SPAWN_DUP2, file, target)
                              for target, file in enumerate((reader, writer, self._errors))])
        except OSError as error:
            self._close()
            raise CommandFailed(argv, f"can't be started: {error.strerror}") from None
        finally:
            os.close(reader)
            os.close(writer)

    def line(self, timeout: float) -> str:
        """Its next line. Raises CommandFailed where none comes in time, in seconds."""
        deadline = time.monotonic() + timeout
        poll = select.poll()
        poll.register(self._reader, select.POLLIN)
        while b"\n" not in self._rest:
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise CommandFailed(self._argv, f"said nothing within {timeout:g} s")
            data = os.read(self._reader, 65536)
            if not data:
                said = _content(self._errors).decode("utf-8", "replace").strip()
                raise CommandFailed(self._argv, f"ended{f': {said}' if said else ''}", said)
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode("utf-8", "replace")

    def end_input(self) -> None:
        """Let it know that nothing more comes."""
        if self._writer >= 0:
            os.close(self._writer)
            self._writer = -1

    def __enter__(self) -> "Partner":
        return self

    def __exit__(self, *_: object) -> None:
        self.end_input()
        try:
            if self._pid is not None:
                _wait(self._pid, self._PATIENCE)
        finally:
            self._pid = None
            self._close()

    def _close(self) -> None:
        self.end_input()
        os.close(self._reader)
        os.close(self._errors)


def _wait(pid: int, timeout: float) -> int | None:
    """The exit status, negative for a signal; None if the time ran out."""
    deadline = time.monotonic() + timeout
    watched = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(watched, select.POLLIN)
        in_time = bool(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))
    finally:
        os.close(watched)
    if not in_time:
        os.kill(pid, _SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return status if in_time else None


def _content(file: int) -> bytes:
    size = min(os.fstat(file).st_size, _MAX_OUTPUT)
    return os.pread(file, size, 0)
