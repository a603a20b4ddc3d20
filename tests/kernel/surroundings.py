"""Programs as they are installed, started in surroundings that somebody else has prepared."""

import os
import re
import stat
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.kernel import namespace as ns
from tests.kernel.namespace import USERS

BAIT = Path("/run/bait")
"""A directory of anne's with everything in it that a program might take from a directory."""

CAUGHT = Path("/run/caught")
"""What runs of the bait leaves this behind."""

CHILDREN = Path("/run/children")
_MS_BIND = 4096
_TRACED = "trace=%file,%process,connect"
_SECONDS = 20.0
_PYTHON_BAIT = f"import posix; posix.close(posix.open({str(CAUGHT)!r}, 0o101, 0o666))\n"
_MODULES = ("os", "site", "sitecustomize", "usercustomize", "gc", "signal", "_signal", "time", "re",
            "stat", "json", "struct", "encodings", "conf", "session", "pam_spice", "yaml", "codecs",
            "zoneinfo", "argparse", "pwd")
_PROGRAMS = ("nft", "visudo", "systemctl", "pam-auth-update", "python3", "sh", "strace")
_CALL = re.compile(r'^\d+ +(\w+)\((?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:[^"\\]|\\.)+)"')
_EXECUTED = re.compile(r'^\d+ +execve\("([^"]*)", \[(.*?)\], \[(.*?)\](?:\) += 0| <unf)')
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_WRAPPER = """\
#!/bin/sh
( cat /proc/$$/status; ls -l /proc/$$/fd; cat /proc/$$/limits; cat /proc/$$/stat
  echo "cwd $(readlink /proc/$$/cwd)"; tr '\\0' '\\n' </proc/$$/environ | sed 's/^/env /'
) >{children}/$$.{name} 2>&1
exec {real} "$@"
"""


def lay_bait() -> None:
    """Make the directory, writable by everybody, with what root must not take from it."""
    BAIT.mkdir()
    for module in _MODULES:
        (BAIT / f"{module}.py").write_text(_PYTHON_BAIT)
    for package in ("encodings", "pam_spice", "site-packages", "lib/python3.11"):
        (BAIT / package).mkdir(parents=True)
        (BAIT / package / "__init__.py").write_text(_PYTHON_BAIT)
    for program in _PROGRAMS:
        (BAIT / program).write_text(f"#!/bin/sh\necho {program} >>{CAUGHT}\n")
    for name in (".nftrc", ".python_history", ".pam_environment", "gconv-modules", "pyvenv.cfg",
                 "python3._pth", "terminfo", "zone", ".editrc", ".inputrc"):
        (BAIT / name).write_text("include bait\n")
    for path in (BAIT, *BAIT.rglob("*")):
        os.chown(path, USERS["anne"], USERS["anne"])
        path.chmod(0o777 if path.is_dir() or path.name in _PROGRAMS else 0o666)


def hostile_environment() -> dict[str, str]:
    """All that is known to steer Python, libc, nft, perl or sudo's tools, pointing at the bait.

    Without what libc reads before a program's first line: see ``BEFORE_THE_FIRST_LINE``.
    """
    here = str(BAIT)
    names = (
        "HOME", "PWD", "TMPDIR", "TEMP", "TMP", "SHELL", "BASH_ENV", "ENV", "CDPATH", "TERMINFO",
        "TERMCAP", "TZDIR", "EDITOR", "VISUAL", "SUDO_EDITOR", "PAGER", "MAIL",
        "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONUSERBASE", "PYTHONPYCACHEPREFIX",
        "PYTHONPLATLIBDIR", "PYTHONDUMPREFSFILE", "PYTHONHISTORY",
        "PYTHON_HISTORY", "PYTHONBREAKPOINT", "PYTHONCASEOK", "PYTHONINSPECT", "PYTHONDEBUG",
        "PYTHONVERBOSE", "PYTHONDEVMODE", "PYTHONTRACEMALLOC", "PYTHONFAULTHANDLER",
        "PYTHONPROFILEIMPORTTIME", "PYTHONSAFEPATH", "PYTHONINTMAXSTRDIGITS",
        "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR", "XDG_DATA_DIRS",
        "XDG_CONFIG_DIRS", "XDG_SESSION_ID", "NFT_CONFIG", "NFT_DEBUG", "NFTRC", "NFT_INCLUDE",
        "PERL5LIB", "PERL5OPT", "PERLLIB", "DEBCONF_DB_OVERRIDE", "DEBCONF_SYSTEMRC",
        "HOSTALIASES", "RES_OPTIONS", "LOCALDOMAIN", "RESOLV_HOST_CONF", "SSL_CERT_FILE",
        "OPENSSL_CONF", "SUDO_UID", "SUDO_USER", "SYSTEMD_PAGER", "DBUS_SYSTEM_BUS_ADDRESS")
    return {**dict.fromkeys(names, here), "PATH": f"{here}:.", "PYTHONMALLOC": "debug",
            "PYTHONHASHSEED": "0", "PYTHONOPTIMIZE": "2", "PYTHONWARNINGS": "error",
            "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "rot13",
            "LANG": "../../run/bait", "LANGUAGE": here, "LC_ALL": here, "LC_MESSAGES": here,
            "PAM_USER": "root", "PAM_TYPE": "open_session", "PAM_SERVICE": "login",
            "PAM_RHOST": "$(id)", "IFS": "/", "a name": "", "\n": "\n"}


BEFORE_THE_FIRST_LINE = {
    "LD_PRELOAD": f"{BAIT}/x.so", "LD_LIBRARY_PATH": str(BAIT), "LD_AUDIT": f"{BAIT}/x.so",
    "GCONV_PATH": str(BAIT), "LOCPATH": str(BAIT), "LC_CTYPE": "xx_XX.UTF-8",
    "TZ": f"{BAIT}/zone", "GLIBC_TUNABLES": "glibc.malloc.check=3", "NLSPATH": str(BAIT),
    "MALLOC_TRACE": f"{BAIT}/x"}
"""What libc's loader and a program's own start read: no program can refuse these for itself."""

PYTHON_S_PLACE = {"PYTHONEXECUTABLE": f"{BAIT}/python3", "__PYVENV_LAUNCHER__": f"{BAIT}/python3"}
"""Around this Python 3.11 looks for its own modules, with -I too."""


@dataclass(frozen=True)
class Surroundings:
    """What a process brings with it: variables, and what ``prepare`` makes of it just before."""

    name: str = "plain"
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[], object] = lambda: None


PLAIN = Surroundings()


@dataclass(frozen=True)
class Seen:
    """What strace(1) saw of one run, from the program's start on."""

    status: int  # negative for a signal
    lines: list[str]

    @property
    def paths(self) -> set[str]:
        """Every file that was opened, executed or looked for, its numbers written as N."""
        found = set()
        for line in self.lines:
            match = _CALL.match(line)
            if match is not None:
                _, directory, path = match.groups()
                found.add(re.sub(r"\d+", "N", os.path.join(directory or ".", path)))
        return found

    @property
    def programs(self) -> list[tuple[str, list[str], list[str]]]:
        """Each program that was started beside this one: its path, arguments and environment."""
        matches = [match for match in map(_EXECUTED.match, self.lines) if match]
        return [(path, _STRING.findall(argv), sorted(_STRING.findall(environment)))
                for path, argv, environment in (match.groups() for match in matches)][1:]

    def after(self, script: str) -> "Seen":
        """What came after the interpreter had opened the script."""
        at = next(number for number, line in enumerate(self.lines)
                  if "openat(" in line and f'"{script}"' in line)
        return Seen(self.status, self.lines[at:])


def see(argv: list[str], surroundings: Surroundings = PLAIN, uid: int = 0) -> Seen:
    """Run a program as this process's own child in these surroundings."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        ns.die_with_parent()
        os.close(writer)
        for number in (0, 1, 2):
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
        os.read(reader, 1)
        os.closerange(3, 4096)
        if uid:
            ns.become(uid, uid)
        surroundings.prepare()
        try:
            os.execve(argv[0], argv, dict(surroundings.environment))
        finally:
            os._exit(127)
    os.close(reader)
    trace = Path(f"/run/trace.{pid}")
    tracer = subprocess.Popen(["strace", "-f", "-y", "-v", "-s", "4096", "-e", _TRACED,
                               "-o", str(trace), "-p", str(pid)], stderr=subprocess.DEVNULL)
    assert ns.until(lambda: "TracerPid:\t0\n" not in Path(f"/proc/{pid}/status").read_text())
    os.write(writer, b"x")
    os.close(writer)
    watched = os.pidfd_open(pid)
    status = os.waitstatus_to_exitcode(_wait(pid, watched))
    os.close(watched)
    tracer.wait(_SECONDS)
    lines = trace.read_text(errors="replace").splitlines()
    trace.unlink()
    starts = [number for number, line in enumerate(lines) if f'execve("{argv[0]}"' in line]
    assert starts, f"{argv[0]} was not started: {lines[-5:]}"
    return Seen(status, lines[starts[0]:])


def _wait(pid: int, watched: int) -> int:
    import select
    poll = select.poll()
    poll.register(watched, select.POLLIN)
    if not poll.poll(_SECONDS * 1000):
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        raise AssertionError(f"it did not end within {_SECONDS:g} s")
    return os.waitpid(pid, 0)[1]


def taken_from_users(seen: Seen) -> set[str]:
    """What was looked at in places that users can write, or by a relative path."""
    places = (str(BAIT), "/home", "/tmp", "/var/tmp", "/dev/shm", "/root", "/run/user")
    return {path for path in seen.paths
            if any(path == place or path.startswith(f"{place}/") for place in places)
            or not path.startswith("/")}


# What children are given

@dataclass(frozen=True)
class Child:
    """A program that one of ours has started, as it was in its first moment."""

    name: str
    environment: set[str]
    directory: str
    umask: str
    blocked: int  # signals, as a mask
    ignored: int
    descriptors: set[int]
    limits: dict[str, str]  # soft ones
    nice: int
    policy: int  # sched(7)


def spy_on(program: str) -> None:
    """Have every start of this program written down; it runs all the same."""
    CHILDREN.mkdir(exist_ok=True)
    name = os.path.basename(program)
    real = Path("/run/real") / name
    real.parent.mkdir(exist_ok=True)
    real.write_bytes(Path(program).read_bytes())
    wrapper = Path("/run/wrapped") / name
    wrapper.parent.mkdir(exist_ok=True)
    wrapper.write_text(_WRAPPER.format(children=CHILDREN, name=name, real=real))
    for file in (real, wrapper):
        file.chmod(stat.S_IMODE(0o755))
    ns.mount(str(wrapper), program, "none", _MS_BIND)


def children() -> list[Child]:
    """All that were written down since the last time."""
    found = []
    for path in sorted(CHILDREN.iterdir()):
        found.append(_read_child(path.name.partition(".")[2], path.read_text()))
        path.unlink()
    return found


def _read_child(name: str, text: str) -> Child:
    def status(key: str) -> str:
        match = re.search(rf"^{key}:\s*(\S+)$", text, re.MULTILINE)
        assert match is not None, text
        return match[1]

    numbers = re.search(r"^\d+ \(.*\) ([A-Z] .*)$", text, re.MULTILINE)
    assert numbers is not None, text
    fields = numbers[1].split()
    # dash keeps its script open as 10.
    descriptors = {int(each) for each in re.findall(r" (\d+) -> ", text)} - {10}
    limits = dict(re.findall(r"^Max (.+?)  +(\S+) ", text, re.MULTILINE))
    return Child(name, set(re.findall(r"^env (.*)$", text, re.MULTILINE)),
                 re.findall(r"^cwd (.*)$", text, re.MULTILINE)[0], status("Umask"),
                 int(status("SigBlk"), 16), int(status("SigIgn"), 16), descriptors, limits,
                 int(fields[16]), int(fields[38]))
