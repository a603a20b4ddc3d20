"""The files of a policy: the main one, and those of the directory beside it."""

import os
from collections.abc import Callable

from conf.files import MAX_POLICY_BYTES, FileRefused, open_trusted, read_all
from conf.problems import Mark, Problem

MAX_FILES = 128

Content = tuple[str, bytes | Problem]
"""A file's path, and its text or why it can't be read."""


def directory_of(path: str) -> str:
    """``policy.d`` beside ``policy.yaml``."""
    return f"{path.removesuffix('.yaml')}.d"


def paths_of(path: str) -> list[str]:
    """The main file, then ``*.yaml`` of its directory by name, as far as there are such.

    Raises OSError where the directory can't be read, ValueError for too many files.
    """
    directory = directory_of(path)
    try:
        names = sorted(name for name in os.listdir(directory)
                       if name.endswith(".yaml") and not name.startswith(".")
                       and name.isprintable())
    except (FileNotFoundError, NotADirectoryError):
        return [path]
    if len(names) >= MAX_FILES:
        raise ValueError(f"{directory} holds more than {MAX_FILES - 1} files")
    return [path, *(os.path.join(directory, name) for name in names)]


def read_trusted(path: str, owner: int = 0) -> list[Content]:
    """The policy's files as far as none but root can have written them; ``owner``: see
    ``conf.files.open_trusted``."""
    return _read(path, lambda file: open_trusted(file, owner))


def read_any(path: str) -> list[Content]:
    """The policy's files, whoever has written them. Raises OSError where the main file can't be
    read."""
    os.close(_open(path))
    return _read(path, _open)


def _open(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)


def _read(path: str, opened: Callable[[str], int]) -> list[Content]:
    try:
        paths = paths_of(path)
    except (OSError, ValueError) as error:
        return [(path, _unreadable(path, str(error), "mend the directory"))]
    left = MAX_POLICY_BYTES
    found: list[Content] = []
    for file in paths:
        content: bytes | Problem
        try:
            descriptor = opened(file)
            try:
                content = read_all(descriptor, left)
                left -= len(content)
            finally:
                os.close(descriptor)
        except FileRefused as error:
            content = _unreadable(file, error.fact, error.remedy)
        except (OSError, ValueError) as error:
            content = _unreadable(file, f"can't be read: {error}", "see `pam-spice check`")
        found.append((file, content))
    return found


def _unreadable(path: str, fact: str, remedy: str) -> Problem:
    return Problem(Mark(path, 1, 1), fact, remedy)
