"""Work that is done side by side, each piece in namespaces of its own."""

import os
import pickle
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from tests.faults.installed import prepared
from tests.kernel import namespace as ns

Answer = TypeVar("Answer")


def answers(pieces: Sequence[Callable[[], Answer]], seconds: float) -> list[Answer]:
    """What each piece of work comes to. Raises RuntimeError where one fails, or takes longer."""
    prepared()
    with tempfile.TemporaryDirectory() as directory:
        files = [Path(directory, str(number)) for number in range(len(pieces))]
        children = [_start(piece, file, seconds)
                    for piece, file in zip(pieces, files, strict=True)]
        statuses = [os.waitpid(pid, 0)[1] for pid in children]
        failures = [file.read_text() for status, file in zip(statuses, files, strict=True)
                    if status]
        if failures:
            raise RuntimeError("\n".join(failures))
        return [pickle.loads(file.read_bytes()) for file in files]


def _start(piece: Callable[[], object], file: Path, seconds: float) -> int:
    """Do it in a child, whose answer or failure comes to be in the file; its pid."""
    pid = os.fork()
    if pid == 0:
        ns.die_with_parent()
        failure = ns.in_child(lambda: _do(piece, file), seconds)
        if failure is not None:
            file.write_text(failure)
        os._exit(failure is not None)
    return pid


def _do(piece: Callable[[], object], file: Path) -> None:
    ns.die_with_parent()
    file.write_bytes(pickle.dumps(piece()))
