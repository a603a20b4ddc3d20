"""Files that decide about access: read only if none but root can have written them.

On the login path: imports ``os`` and ``stat`` alone.
"""

import os
import stat

MAX_POLICY_BYTES = 32 * 1024 * 1024  # some 500,000 grants


class FileRefused(Exception):
    """A file can't be used: one line of fact and one of remedy."""

    def __init__(self, path: str, fact: str, remedy: str) -> None:
        super().__init__(f"{path}: {fact}")
        self.path = path
        self.fact = fact
        self.remedy = remedy


class FileMissing(FileRefused):
    """The file, or a directory on the way to it, does not exist."""


def _refuse_foreign(path: str, found: os.stat_result, owner: int) -> None:
    if found.st_uid not in (0, owner):
        raise FileRefused(path, f"belongs to uid {found.st_uid}, not to root",
                          f"chown root {path}")
    # In a sticky directory (/tmp) others can add files but not replace this one.
    sticky_directory = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
    if found.st_mode & 0o022 and not sticky_directory:
        raise FileRefused(path, f"can be written by others than root "
                                f"(mode {stat.S_IMODE(found.st_mode):04o})",
                          f"chmod go-w {path}")


def open_trusted(path: str, owner: int = 0) -> int:
    """Open an absolute path for reading and return the descriptor.

    The file must be a regular file, and it and every directory on the way must belong to root
    (or to uid ``owner``, for tests) and be writable by nobody else; no part may be a symbolic
    link. Checked on open descriptors, so that nothing can be swapped between check and use.

    Raises FileMissing or FileRefused.
    """
    if not path.startswith("/"):
        raise FileRefused(path, "is not an absolute path", "give the path from / on")
    *directories, name = [part for part in path.split("/") if part] or ["."]
    walked = "/"
    directory = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in directories:
            walked = os.path.join(walked, part)
            deeper = _open_at(part, os.O_PATH | os.O_DIRECTORY, directory, walked)
            os.close(directory)
            directory = deeper
            _refuse_foreign(walked, os.fstat(directory), owner)
        # O_NONBLOCK: a FIFO in this place must not hang a login.
        descriptor = _open_at(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY, directory, path)
    finally:
        os.close(directory)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise FileRefused(path, "is not a regular file", "put a plain file in its place")
        _refuse_foreign(path, found, owner)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _open_at(part: str, flags: int, directory: int, path: str) -> int:
    try:
        return os.open(part, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    except FileNotFoundError:
        raise FileMissing(path, "does not exist", f"create {path}") from None
    except OSError as error:
        if os.path.islink(path):
            raise FileRefused(path, "is a symbolic link",
                              "put the file or directory itself there") from None
        raise FileRefused(path, error.strerror or "can't be opened",
                          f"make {path} readable for root") from None


def read_all(descriptor: int, limit: int = MAX_POLICY_BYTES) -> bytes:
    """Read a descriptor to its end.

    Raises ValueError for more than ``limit`` bytes, OSError where reading fails.
    """
    chunks = []
    size = 0
    while chunk := os.read(descriptor, 1 << 20):
        size += len(chunk)
        if size > limit:
            raise ValueError(f"is larger than {limit} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of ``data``; raises OSError (a full disk, for one)."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view):]


def remove_leftovers(path: str) -> None:
    """Remove what writers of ``path`` left beside it that were killed, as far as it can be."""
    directory, name = os.path.split(path)
    try:
        found = os.listdir(directory)
    except OSError:
        return
    for each in found:
        pid, _, rest = each.removeprefix(f"{name}.").partition(".")
        if (each.startswith(f"{name}.") and pid.isdecimal() and rest in ("", "new", f"{pid}.new")
                and not os.path.exists(f"/proc/{pid}")):
            try:
                os.unlink(f"{directory}/{each}")
            except OSError:  # a directory, which is none of ours
                pass


def write_atomically(path: str, data: bytes, mode: int = 0o600, acl: bytes | None = None,
                     owner: int = -1, group: int = -1) -> None:
    """Replace ``path`` by ``data`` so that a reader or a power cut sees the old file or the new.

    ``acl`` is a POSIX access list in the form of the attribute system.posix_acl_access; ``owner``
    and ``group`` are ids, -1 being those of a file that the process makes there.

    Raises OSError and leaves the old file as it was.
    """
    # The pid keeps two writers apart; both names are in a directory that only root can write.
    temporary = f"{path}.{os.getpid()}.new"
    descriptor = os.open(temporary,
                         os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC,
                         0o600)
    try:
        try:
            write_all(descriptor, data)
            if (owner, group) != (-1, -1):  # before the mode, of which chown takes bits away
                os.fchown(descriptor, owner, group)
            os.fchmod(descriptor, mode)
            if acl is not None:
                os.setxattr(descriptor, "system.posix_acl_access", acl)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    directory = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
