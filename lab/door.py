"""The one door to other programs, and the one way of waiting."""

from __future__ import annotations

import logging
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, TypeVar

from lab.errors import LabError, LabTimeout

log = logging.getLogger("lab")
T = TypeVar("T")
_children: list[subprocess.Popen[bytes]] = []

CLEAN_ENV = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/root",
    "TERM": "linux",
}


def call(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    check: bool = True,
    stdin: str | bytes | None = None,
    timeout: float = 60,
    cwd: str | Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, and return its status and both outputs as text.

    Its environment is CLEAN_ENV plus `env`; `timeout` is in seconds, and at its end the whole
    process group is killed. Raises LabError when the program fails and `check` is on, LabTimeout
    when it takes too long.
    """
    words = [str(word) for word in argv]
    data = stdin.encode() if isinstance(stdin, str) else stdin
    # A group of its own: nsenter forks when it enters a pid namespace, and killing nsenter alone
    # would leave the program running.
    process = subprocess.Popen(  # noqa: S603
        words,
        env=CLEAN_ENV | dict(env or {}),
        cwd=cwd,
        stdin=subprocess.DEVNULL if data is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(data, timeout)
    except BaseException as failure:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if isinstance(failure, subprocess.TimeoutExpired):
            raise LabTimeout(f"no end within {timeout} s: {shlex.join(words)}") from failure
        raise
    done = subprocess.CompletedProcess(
        words, process.returncode, out.decode(errors="replace"), err.decode(errors="replace")
    )
    if done.returncode:
        log.debug("status %d: %s", done.returncode, shlex.join(words))
        if check:
            raise LabError(
                f"status {done.returncode}: {shlex.join(words)}\n{done.stdout}{done.stderr}".strip()
            )
    return done


def spawn(
    argv: Sequence[str | Path], *, output: IO[bytes], env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, without input, with both outputs into `output`."""
    child = subprocess.Popen(  # noqa: S603
        [str(word) for word in argv],
        env=CLEAN_ENV | dict(env or {}),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )
    _children.append(child)
    return child


def reap() -> set[int]:
    """Take leave of the spawned programs that have ended, and return the pids of the others."""
    _children[:] = [child for child in _children if child.poll() is None]
    return {child.pid for child in _children}


def wait_until(what: str, probe: Callable[[], T], timeout: float, every: float = 0.05) -> T:
    """Ask `probe` every so many seconds until its answer is true, and return the answer.

    Raises LabTimeout, which names `what`, after `timeout` seconds.
    """
    end = time.monotonic() + timeout
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > end:
            raise LabTimeout(f"not within {timeout} s: {what}")
        time.sleep(every)
