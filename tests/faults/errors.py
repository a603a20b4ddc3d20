"""How each system call can fail: the errors of its manual page among those that we try."""

from tests.faults.recording import Call

KILL = "SIGKILL"
"""Not an error: the process dies before the call is made."""

_ALL = ("EACCES", "EINTR", "EIO", "EMFILE", "ENOMEM", "ENOSPC")
_LOOKED_UP = ("EACCES", "EIO", "ENOMEM")
_READ = ("EINTR", "EIO", "ENOMEM")
_CHANGED = ("EACCES", "EIO", "ENOMEM", "ENOSPC")
_NEW_DESCRIPTOR = ("EMFILE", "ENOMEM")
_NEVER: tuple[str, ...] = ()

_BY_CALL = {
    "access": _LOOKED_UP, "chdir": _LOOKED_UP, "getcwd": _LOOKED_UP, "newfstatat": _LOOKED_UP,
    "readlink": _LOOKED_UP, "statx": _LOOKED_UP, "statfs": _LOOKED_UP, "unlink": _LOOKED_UP,
    "execve": ("EACCES", "EIO", "EMFILE", "ENOMEM"),
    "openat": ("EACCES", "EINTR", "EIO", "EMFILE", "ENOMEM"),
    "read": _READ, "pread64": _READ, "getdents64": _READ, "ioctl": _READ,
    "lseek": ("EIO",), "close": ("EINTR", "EIO", "ENOSPC"), "fcntl": ("EACCES", "EINTR", "ENOMEM"),
    "write": ("EINTR", "EIO", "ENOSPC"), "fsync": ("EINTR", "EIO", "ENOSPC"),
    "fchmod": _CHANGED, "fchown": _CHANGED, "fsetxattr": _CHANGED, "ftruncate": _CHANGED,
    "mkdir": _CHANGED, "mknod": _CHANGED, "rename": _CHANGED,
    "brk": ("ENOMEM",), "mmap": ("EACCES", "ENOMEM"), "mprotect": ("EACCES", "ENOMEM"),
    "mremap": ("ENOMEM",), "munmap": ("ENOMEM",), "madvise": ("ENOMEM",),
    "clone": ("ENOMEM",), "clone3": ("ENOMEM",), "vfork": ("ENOMEM",),
    "wait4": ("EINTR",), "poll": ("EINTR", "ENOMEM"),
    "dup": _NEW_DESCRIPTOR, "dup2": ("EINTR", "EMFILE"), "epoll_create1": _NEW_DESCRIPTOR,
    "memfd_create": _NEW_DESCRIPTOR, "pidfd_open": _NEW_DESCRIPTOR, "pipe2": _NEW_DESCRIPTOR,
    "socket": ("EACCES", "EMFILE", "ENOMEM"), "connect": ("EACCES", "EINTR"),
    "bind": ("EACCES", "ENOMEM"), "getsockname": ("ENOMEM",), "setsockopt": ("ENOMEM",),
    "sendto": ("EACCES", "EINTR", "ENOMEM"), "sendmsg": ("EACCES", "EINTR", "ENOMEM"),
    "recvfrom": ("EINTR", "ENOMEM"), "recvmsg": ("EINTR", "ENOMEM"),
    "getrandom": ("EINTR",), "futex": ("EINTR",),
    **dict.fromkeys((
        # Their manual pages name no error that a right call can meet.
        "alarm", "arch_prctl", "dup3", "exit_group", "getegid", "geteuid", "getgid", "getpid",
        "getppid", "gettid", "getuid", "kill", "prlimit64", "restart_syscall", "rseq",
        "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "set_robust_list", "set_tid_address",
        "sigaltstack", "sysinfo", "umask", "uname"), _NEVER),
}


def fitting(call: Call) -> tuple[str, ...]:
    """The errors that this call can meet; all of them for a call that is not known here."""
    errors = _BY_CALL.get(call.name, _ALL)
    return (*errors, "ENOSPC") if call.creates else errors
