"""What lint asks the system: accounts, CA files, addresses.

Certificates are read with ``ssl`` of Python itself: it calls the same OpenSSL as the viewer does,
starts no program, needs no library, and reads all certificates of a file.
"""

import grp
import os
import pwd
import socket
import ssl
import stat
import threading
import time
from collections.abc import Iterable
from functools import cache
from ipaddress import ip_address

from conf.files import read_all
from conf.lint.endpoints import CaFault, CaSpans
from conf.lint.findings import Code
from conf.viewer import VIEWER_GROUP
from session.eligibility import is_ordinary

RESOLVE_SECONDS = 10.0
"""How long all host names together are waited for."""

_THERE = "ca-cert.pem in /etc/pki/qemu, or where spice_tls_x509_cert_dir of its qemu.conf says"
"""Of the server. docs/server.md has the first of these; libvirt's own default is another."""

_ANEW = f"copy it anew from the server: {_THERE}"

_MOVE = ("others than root can put another file or a link in its place, which a command of root's "
         "would meet: put a copy into /etc/pam-spice, and name that as ca_file")
_MOST_PARTS = 256

_MAX_CA_BYTES = 4 * 1024 * 1024  # Debian's bundle of all public ones has 220 KB
_AT_ONCE = 16  # host names


class SystemAccounts:
    """Users and groups as NSS tells them; each is asked for once."""

    @cache  # noqa: B019 (it lives as long as the command)
    def _account(self, user: str) -> pwd.struct_passwd | None:
        try:
            return pwd.getpwnam(user)
        except KeyError:
            return None

    def has_user(self, user: str) -> bool:
        """Whether there is such a user."""
        return self._account(user) is not None

    def is_person(self, user: str) -> bool:
        """Whether that user's account is an ordinary one."""
        account = self._account(user)
        return account is not None and is_ordinary(account.pw_uid)

    @cache  # noqa: B019
    def _gid(self, group: str) -> int | None:
        try:
            return grp.getgrnam(group).gr_gid
        except KeyError:
            return None

    def has_group(self, group: str) -> bool:
        """Whether there is such a group."""
        return self._gid(group) is not None

    @cache  # noqa: B019
    def _gids(self, user: str) -> frozenset[int]:
        account = self._account(user)
        return frozenset(os.getgrouplist(user, account.pw_gid)) if account else frozenset()

    def is_member(self, user: str, group: str) -> bool:
        """Whether the user is known to be in the group."""
        return self._gid(group) in self._gids(user)


def read_ca(path: str) -> CaFault | CaSpans:
    """What the viewer would find in a CA file: from when to when each of its certificates is good,
    or what is wrong."""
    try:
        # O_NONBLOCK: a FIFO in this place must not hang the command.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return CaFault(Code.CA_MISSING, "does not exist here", f"copy it from the server: {_THERE}")
    except OSError as error:
        return CaFault(Code.CA_UNREADABLE, f"can't be read: {error.strerror}", command_on(
            path, f"chmod a+r {path}, and a+x each directory above it"))
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return CaFault(Code.CA_UNUSABLE, "is not a regular file", "put a file in its place")
        if not _is_readable_for_viewer(descriptor, found):
            return CaFault(Code.CA_UNREADABLE, f"can't be read by users "
                           f"(mode {stat.S_IMODE(found.st_mode):04o})",
                           command_on(path, f"chmod a+r {path}"))
        data = read_all(descriptor, _MAX_CA_BYTES)
    except (OSError, ValueError) as error:
        return CaFault(Code.CA_UNREADABLE, f"can't be read: {error}", _ANEW)
    finally:
        os.close(descriptor)
    return certificate_spans(data, path)


def command_on(path: str, command: str) -> str:
    """The command, as a remedy, where it meets what was looked at; else what to do instead."""
    return command if _stays_in_place(path) else _MOVE


def _stays_in_place(path: str) -> bool:
    """Whether nobody but root, and who asks, can put something else where the path leads."""
    trusted = {0, os.geteuid()}
    directory, left = "/", path.split("/")[::-1]
    try:
        for _ in range(_MOST_PARTS):
            if not left:
                return True
            part = left.pop()
            if part in ("", ".", ".."):
                directory = os.path.dirname(directory) if part == ".." else directory
                continue
            place = os.path.join(directory, part)
            around, found = os.stat(directory), os.lstat(place)
            # In a sticky directory (/tmp) others can't replace what is not theirs.
            is_sticky = around.st_mode & stat.S_ISVTX and found.st_uid in trusted
            if around.st_uid not in trusted or around.st_mode & 0o022 and not is_sticky:
                return False
            if stat.S_ISLNK(found.st_mode):
                target = os.readlink(place)
                left += target.split("/")[::-1]
                directory = "/" if target.startswith("/") else directory
            else:
                directory = place
    except FileNotFoundError:
        return True  # all that is there is root's
    except OSError:
        pass
    return False


def certificate_spans(data: bytes, path: str) -> CaFault | CaSpans:
    """The same of the content of that file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # which trusts no CA of its own
    try:
        # What stands around the certificates is of no matter, and Python lets no umlaut through.
        context.load_verify_locations(cadata=data.decode("ascii", "replace").replace(
            "\N{REPLACEMENT CHARACTER}", "?"))
    except (ssl.SSLError, ValueError):
        if _is_der(data):
            # openssl has read all of it before it opens what it writes.
            return CaFault(Code.CA_UNUSABLE, "is in DER form, and the viewer reads PEM alone",
                           command_on(path, f"openssl x509 -inform der -in {path} -out {path}"))
        return CaFault(Code.CA_UNUSABLE, "holds no certificate in PEM form, or a damaged one",
                       _ANEW)
    spans = [(ssl.cert_time_to_seconds(str(each["notBefore"])),
              ssl.cert_time_to_seconds(str(each["notAfter"])))
             for each in context.get_ca_certs()]
    if not spans:
        return CaFault(Code.CA_UNUSABLE, "holds certificates, but none of a CA", _ANEW)
    return tuple(spans)


def _is_der(data: bytes) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=data)
    except (ssl.SSLError, ValueError):
        return False
    return True


def _is_readable_for_viewer(descriptor: int, found: os.stat_result) -> bool:
    """Whether a user's viewer can read it, as far as the mode says so."""
    if found.st_mode & stat.S_IROTH or "system.posix_acl_access" in os.listxattr(descriptor):
        return True
    try:
        group = grp.getgrnam(VIEWER_GROUP).gr_gid
    except KeyError:  # nothing is in force here: the group that the file has is another one
        return False
    return found.st_gid == group and bool(found.st_mode & stat.S_IRGRP)


def resolve(hosts: Iterable[str], seconds: float = RESOLVE_SECONDS,
            ) -> dict[str, frozenset[str] | str]:
    """The addresses of each host name by DNS and /etc/hosts, as the viewer would ask, or why
    there are none. It takes no longer than ``seconds``."""
    waiting = list(dict.fromkeys(hosts))
    answers: dict[str, frozenset[str] | str] = dict.fromkeys(
        waiting, f"no answer within {seconds:g} s")
    found: dict[str, frozenset[str] | str] = {}
    queue = iter(waiting)
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                host = next(queue, None)
            if host is None:
                return
            found[host] = _addresses(host)

    # Threads that may be left behind: getaddrinfo can't be given a time limit.
    threads = [threading.Thread(target=work, daemon=True)
               for _ in range(min(_AT_ONCE, len(waiting)))]
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return answers | dict(found)


def _addresses(host: str) -> frozenset[str] | str:
    try:
        answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # UnicodeError: a label of more than 63 characters
        return getattr(error, "strerror", None) or str(error)
    return frozenset(str(ip_address(str(address[0]).partition("%")[0]))
                     for *_, address in answers)
