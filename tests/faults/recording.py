"""Which system calls a program makes: recorded once, so that each can be made to fail."""

import re
from collections import Counter
from dataclasses import dataclass

CHANGING = frozenset((
    "clone", "clone3", "execve", "exit_group", "fchmod", "fchown", "fcntl", "fork", "fsetxattr",
    "fsync", "ftruncate", "mkdir", "mknod", "rename", "sendmsg", "sendto", "setsockopt", "unlink",
    "vfork", "write"))
"""Calls that others can see the effect of. Between two of them it does not matter to anybody else
at which a process dies."""

_LINE = re.compile(r"^(\w+)\((.*)")


@dataclass(frozen=True, slots=True)
class Call:
    """The ``number``-th time that a process makes this system call, counted from 1."""

    name: str
    number: int
    is_own: bool  # not of the interpreter's start
    changes: bool
    creates: bool  # opens a file that may be new
    text: str  # as strace -yy writes it


def calls_of(trace: str, script: str) -> list[Call]:
    """The calls in what strace(1) wrote of a process, in their order; our own part begins where
    ``script`` is opened."""
    counted: Counter[str] = Counter()
    calls = []
    is_own = False
    for line in trace.splitlines():
        match = _LINE.match(line)
        if match is None:  # a signal, the end
            continue
        name, rest = match[1], match[2]
        is_own = is_own or name == "openat" and f'"{script}"' in rest
        counted[name] += 1
        creates = name == "openat" and "O_CREAT" in rest
        calls.append(Call(name, counted[name], is_own, creates or name in CHANGING, creates, line))
    return calls
