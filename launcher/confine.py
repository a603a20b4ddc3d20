"""Between sudo and the viewer: nothing that its user can write becomes code in the viewer.

GTK, GIO, GStreamer and others load modules from where a user's settings say; in the viewer such
code would hold the viewer's group. So before the viewer begins, Landlock (landlock(7), Linux 5.13)
takes from this process, as the user, the right to read or execute any file but the system's own;
the kernel passes that on to the viewer and lets nobody take it back. Where there is no Landlock the
viewer runs all the same: such code reaches no console but its user's own, in its time.

A user namespace with noexec mounts would do as well, but it belongs to the user, and any other of
his processes could enter it and take the group that is mapped there.
"""

import ctypes
import errno
import fcntl
import os
import stat
import struct
import sys

from conf.viewer import VIEWER

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_EXECUTE, _READ_FILE = 1, 4  # linux/landlock.h, LANDLOCK_ACCESS_FS_*
_PATH_BENEATH = 1
_PR_SET_NO_NEW_PRIVS = 38

# Root's alone, whatever lies beneath. Not /run/user, /dev/shm, /tmp, /home.
_READABLE = ("/usr", "/lib", "/lib32", "/lib64", "/etc", "/proc", "/sys", "/var/cache/fontconfig",
             "/var/lib/dbus", "/run/systemd/resolve", "/run/NetworkManager", "/run/resolvconf",
             "/run/netconfig", "/run/udev")
_NOEXEC = ("/usr/libexec/sudo/sudo_noexec.so", "/usr/lib/sudo/sudo_noexec.so")
_MOST_COOKIES = 65536  # bytes of an Xauthority file
_MESSAGES = "virt-viewer"  # whose debugging messages are printed; launcher.diagnosis reads them


class NoLandlock(Exception):
    """An older kernel; or Landlock is switched off, or forbidden by a container's filter."""


_libc = ctypes.CDLL(None, use_errno=True)


def main(arguments: list[str]) -> int:
    """Become the viewer, with these arguments. Returns only where that failed: 1."""
    if os.geteuid() == 0 or os.getuid() != os.geteuid() or os.getgid() != os.getegid():
        from launcher.language import gettext as _  # a viewer that starts doesn't wait for it

        return _fail(_("The viewer must be run by a user through sudo -g, as spice-open does."))
    try:
        _clean_descriptors()
        environment = {**os.environ, **_cookies(os.environ)}
        os.chdir("/")
        try:
            _confine([VIEWER, _loader()], [argument.partition("=")[2] for argument in arguments
                                           if argument.startswith("--spice-ca-file=")])
        except NoLandlock:
            from launcher.language import gettext as _

            sys.stderr.write(_("This system has no Landlock: the viewer is not confined.") + "\n")
            environment.update(_without_children())
        if stat.S_ISFIFO(os.fstat(1).st_mode):  # else nobody reads them
            environment["G_MESSAGES_DEBUG"] = _MESSAGES
        os.execve(VIEWER, [VIEWER, *arguments], environment)  # noqa: S606
    except OSError as error:
        from launcher.language import gettext as _

        return _fail(_("The viewer can't be started: {reason}.").format(
            reason=f"{error.strerror} ({error.filename or VIEWER})"))


def _fail(why: str) -> int:
    sys.stderr.write(f"{why}\n")
    return 1


# Landlock

def _confine(executables: list[str], files: list[str]) -> None:
    """From now on read only the system's files and ``files``, and execute only ``executables``.

    Raises OSError, NoLandlock.
    """
    handled = struct.pack("=Q", _EXECUTE | _READ_FILE)  # struct landlock_ruleset_attr
    try:
        rules = _system_call(_CREATE_RULESET, ctypes.c_char_p(handled),
                             ctypes.c_size_t(len(handled)), 0)
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM):  # EPERM: a filter's
            raise NoLandlock from None
        raise
    for path in (*_READABLE, *_devices(), *files):
        _allow(rules, path, _READ_FILE)
    for path in executables:
        _allow(rules, path, _READ_FILE | _EXECUTE)
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    _system_call(_RESTRICT_SELF, rules, 0)
    os.close(rules)


def _allow(rules: int, path: str, access: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        rule = ctypes.create_string_buffer(struct.pack("=Qi", access, place))  # path_beneath_attr
        _system_call(_ADD_RULE, rules, _PATH_BENEATH, rule, 0)
    finally:
        os.close(place)


def _devices() -> list[str]:
    """What is in /dev, without the places where users make files (/dev/shm) and without links."""
    return [entry.path for entry in os.scandir("/dev") if not entry.is_symlink()
            and not (entry.is_dir() and entry.stat().st_mode & stat.S_IWOTH)]


def _loader() -> str:
    """The dynamic loader, which the kernel executes with each program: it is in this one too."""
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            path = line.rstrip("\n").partition("/")[2]
            if path.rpartition("/")[2].startswith(("ld-", "ld64", "ld.")):
                return f"/{path}"
    raise FileNotFoundError(errno.ENOENT, "no dynamic loader found", VIEWER)


def _system_call(number: int, *arguments: object) -> int:
    return _check(_libc.syscall(ctypes.c_long(number), *arguments))


def _check(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _without_children() -> dict[str, str]:
    """sudo's own means against programs that a program starts (sudoers(5), noexec): it can't be
    named in sudoers, for this one starts the viewer."""
    for path in _NOEXEC:
        if os.path.exists(path):
            return {"LD_PRELOAD": path}
    return {}


# What the user hands over

def _clean_descriptors() -> None:
    """Landlock judges a file by its path, and a memory file has none: as /proc/self/fd/0 it could
    be loaded as code. It has no link either."""
    for number in (0, 1, 2):
        try:
            found = os.fstat(number)
        except OSError:
            found = None
        if found is None or stat.S_ISREG(found.st_mode) and not found.st_nlink:
            nothing = os.open(os.devnull, os.O_RDWR)
            if nothing != number:
                os.dup2(nothing, number)
                os.close(nothing)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))


def _cookies(environment: "os._Environ[str]") -> dict[str, str]:
    """Where the viewer finds the X server's cookies (Xau(3)), which lie in the user's home: a copy
    that nobody can change any more, and that is no program."""
    path = environment.get("XAUTHORITY") or f"{environment.get('HOME', '')}/.Xauthority"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return {}
    try:
        text = os.read(descriptor, _MOST_COOKIES)
    except OSError:
        return {}
    finally:
        os.close(descriptor)
    if text.startswith(b"\x7fELF"):
        return {}
    copy = os.memfd_create("Xauthority", os.MFD_ALLOW_SEALING)
    os.write(copy, text)
    fcntl.fcntl(copy, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK
                | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE)
    return {"XAUTHORITY": f"/proc/self/fd/{copy}"}
