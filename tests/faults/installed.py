"""pam-spice as it is installed, and processes that hold PAM sessions and start its hook."""

import atexit
import functools
import os
import shutil
import socket
import tempfile
from pathlib import Path

from pam_spice import pamstack, paths
from tests.kernel import namespace as ns

ROOT = Path(__file__).parents[2]
HOOK = f"{paths.PREFIX}/hook"
COMMAND = f"{paths.PREFIX}/pam-spice"

_PROFILES = pamstack.PROFILE.parent
_PYTHON = "/usr/bin/python3"
_NULL = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]


@functools.cache
def prepared() -> str:
    """A directory with the checkout's pam-spice, compiled as setup does it; made once by whoever
    asks first and all that it forks later."""
    directory = tempfile.mkdtemp(prefix="pam-spice-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    for package in ("conf", "session", "pam_spice"):
        shutil.copytree(ROOT / package, f"{directory}/{package}",
                        ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("hook", "pam-spice"):
        target = shutil.copyfile(ROOT / "conf/system/bin" / name, f"{directory}/{name}")
        os.chmod(target, 0o755)
    ns.command(_PYTHON, "-I", "-m", "compileall", "-q", "-s", directory, "-p", paths.PREFIX,
               directory)
    return directory


def install() -> None:
    """Put pam-spice where setup puts it, in this mount namespace alone.

    What Python might write beside its own modules, which are in /usr/lib too, stays here as well.
    """
    os.mkdir("/run/.usr")
    ns.mount("tmpfs", "/run/.usr", "tmpfs", 0, "mode=0755,size=64m")
    for layer in ("upper", "work"):
        os.mkdir(f"/run/.usr/{layer}")
    ns.mount("overlay", "/usr/lib", "overlay", 0,
             "lowerdir=/usr/lib,upperdir=/run/.usr/upper,workdir=/run/.usr/work")
    shutil.copytree(prepared(), paths.PREFIX)
    os.chmod(paths.PREFIX, 0o755)
    # A full run brings the PAM stack in line where setup has been: not this machine's.
    if _PROFILES.is_dir():
        ns.mount("tmpfs", str(_PROFILES), "tmpfs", 0, "mode=0755,size=1m")


def half_written() -> list[str]:
    """What a writer of compiled modules left behind, in the prefix or among Python's own."""
    return [str(path) for path in Path("/run/.usr/upper").rglob("*.pyc.*")]


class Leader:
    """A process that holds a PAM session; it starts what it is told to, as pam_exec does."""

    def __init__(self) -> None:
        self.link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pid = os.fork()
        if self.pid == 0:
            ns.die_with_parent()
            self.link.close()
            _lead(theirs)
        theirs.close()

    def start(self, *argv: str) -> tuple[int, int]:
        """Start a program; its pid, and a descriptor of the process (pidfd_open(2))."""
        self.link.send("\0".join(argv).encode())
        pid = int(self.link.recv(64))
        # Its parent waits for it only now, so the pid is still this process's.
        descriptor = os.pidfd_open(pid)
        self.link.send(b"go")
        return pid, descriptor

    def status(self) -> int:
        """Wait until what was started has ended; the exit status, negative for a signal."""
        return int(self.link.recv(64))

    def end(self) -> None:
        """The process dies; neither PAM nor logind notices."""
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        self.link.close()


def _lead(link: socket.socket) -> None:
    while argv := link.recv(4096).decode().split("\0"):
        if not argv[0]:
            break
        child = os.posix_spawn(argv[0], argv, {}, file_actions=_NULL)
        link.send(str(child).encode())
        link.recv(64)
        link.send(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode())
    os._exit(0)
