"""PAM's session stack: which services may carry the hook, and the line that calls it."""

from collections.abc import Iterator
from pathlib import Path

_DIRECTORIES = (Path("/etc/pam.d"), Path("/usr/lib/pam.d"))


def lines_of(service: str, directories: tuple[Path, ...] = _DIRECTORIES,
             depth: int = 0) -> Iterator[str]:
    """A service's lines with what it includes (pam.d(5): @include, include, substack)."""
    if depth > 32:
        return
    for directory in directories:
        try:
            text = (directory / service).read_text(encoding="utf-8", errors="replace")
            break
        except OSError:
            continue
    else:
        return
    for line in text.replace("\\\n", " ").splitlines():
        words = line.partition("#")[0].split()
        if len(words) == 2 and words[0] == "@include":
            yield from lines_of(words[1], directories, depth + 1)
        elif len(words) >= 3 and words[1] in ("include", "substack"):
            yield from lines_of(words[2], directories, depth + 1)
        elif words:
            yield " ".join(words)


def lets_users_set_its_environment(service: str,
                                   directories: tuple[Path, ...] = _DIRECTORIES) -> bool:
    """Whether the service's stack reads ~/.pam_environment.

    The hook inherits that environment, LD_PRELOAD included, before a line of it has run: in such
    a stack it must not be started at all. Stock sshd is one.
    """
    return any("pam_env" in line and "user_readenv=" in line and "user_readenv=0" not in line
               for line in lines_of(service, directories))
