"""The files of a policy: the main one, and those of the directory beside it."""

import errno
import os
import stat
from collections.abc import Callable, Sequence

from conf.files import MAX_POLICY_BYTES, FileRefused, open_trusted, read_all
from conf.problems import Mark, Problem

MAX_FILES = 128

TEMPORARY = "temporary.yaml"
"""The file of the directory that ``pam-spice grant`` writes; its entries expire by themselves."""

Content = tuple[str, bytes | Problem]
"""A file's path, and its text or why it can't be read."""


def directory_of(path: str) -> str:
    """``policy.d`` beside ``policy.yaml``."""
    return f"{path.removesuffix('.yaml')}.d"


def is_temporary(path: str, main: str) -> bool:
    """Whether a file of the policy is that of ``pam-spice grant``."""
    return path == os.path.join(directory_of(main), TEMPORARY)


def paths_of(path: str) -> tuple[list[str], list[Problem]]:
    """The main file, then ``*.yaml`` of its directory by name, as far as there are such; and what
    is wrong with the directory, all of whose files are left out then."""
    directory = directory_of(path)
    try:
        there = [name for name in os.listdir(directory) if not name.startswith(".")]
    except FileNotFoundError:
        return [path], []
    except OSError as error:
        return [path], [_unreadable(directory, f"can't be read: {error.strerror}",
                                    "make it a directory that root can read")]
    names = sorted(name for name in there if name.endswith(".yaml"))
    if len(names) >= MAX_FILES:
        return [path], [_unreadable(directory, f"holds {len(names)} files",
                                    f"join some of them: at most {MAX_FILES - 1} beside the main "
                                    f"one")]
    odd = [name for name in names if not name.isprintable()]
    unread = sorted(name for name in there if name.lower().endswith(".yml"))
    return ([path, *(os.path.join(directory, name) for name in names if name not in odd)],
            [_unreadable(directory, f"holds a file with an odd name: {name!a}", "rename it")
             for name in odd]
            + [_unreadable(os.path.join(directory, name),
                           "is not read: only files that end in .yaml are",
                           f"rename it to {name[:-4]}.yaml") for name in unread])


def read_trusted(path: str, owner: int = 0) -> list[Content]:
    """The policy's files as far as none but root can have written them; ``owner``: see
    ``conf.files.open_trusted``."""
    return _read(path, lambda file: open_trusted(file, owner))


def read_any(path: str) -> list[Content]:
    """The policy's files, whoever has written them; links are followed. Raises OSError where the
    main file can't be read."""
    try:
        os.close(_open(path))
    except FileRefused as error:
        raise OSError(errno.EINVAL, error.fact, path) from None
    return _read(path, _open)


def with_file(contents: Sequence[Content], path: str, data: bytes) -> list[Content]:
    """The policy's files as they would be read with ``data`` in the place of that file, or as a
    file more of the directory."""
    new: Content = path, data
    if any(name == path for name, _ in contents):
        files = [new if name == path else (name, content) for name, content in contents]
    else:
        files = [contents[0], *sorted([*contents[1:], new], key=lambda each: each[0])]
    main = contents[0][0]
    if len(files) > MAX_FILES:
        return [(main, Problem(Mark(main, 1, 1), f"the policy has more than {MAX_FILES} files",
                               "join some of them"))]
    if sum(len(content) for _, content in files if isinstance(content, bytes)) > MAX_POLICY_BYTES:
        too_large = Problem(Mark(path, 1, 1), f"the policy is larger than {MAX_POLICY_BYTES} bytes "
                                              f"with it", "shorten it")
        files = [(name, too_large if name == path else content) for name, content in files]
    return files


def _open(path: str) -> int:
    # Looked at before it is opened: a FIFO waits for a writer, and opening a device can act (that
    # of a watchdog turns the machine off).
    found = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(found).st_mode):
            raise FileRefused(path, "is not a regular file", "put a plain file in its place")
        return os.open(f"/proc/self/fd/{found}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(found)


def _read(path: str, opened: Callable[[str], int]) -> list[Content]:
    paths, problems = paths_of(path)
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
        except OSError as error:
            content = _unreadable(file, f"can't be read: {error.strerror}",
                                  "make it readable for root")
        except ValueError:
            content = _unreadable(file, f"all files of the policy come to more than "
                                        f"{MAX_POLICY_BYTES // 1024 // 1024} MiB",
                                  "take entries out, or join grants by groups")
        found.append((file, content))
    return found + [(problem.mark.file, problem) for problem in problems]


def _unreadable(path: str, fact: str, remedy: str) -> Problem:
    return Problem(Mark(path, 1, 1), fact, remedy)
