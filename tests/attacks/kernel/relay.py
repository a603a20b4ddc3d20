"""What people build to get round: relays, passed sockets, user namespaces."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import socket
from collections.abc import Callable

from tests.kernel import namespace as ns

Make = Callable[[], socket.socket]
_CLONE_NEWUSER, _PR_SET_DUMPABLE = 0x10000000, 4
_libc = ctypes.CDLL(None)


def relay(make: Make, here: tuple[str, int] | str, there: tuple[str, int]) -> None:
    """A process that accepts connections at ``here`` (an address, or a Unix socket's path) and
    couples each with one to ``there``, whose socket ``make`` has made; as whoever ``make`` has
    become."""
    ready, writer = os.pipe()
    if os.fork() == 0:
        try:
            ns.die_with_parent()
            listener = None
            if isinstance(here, str):  # where only root can make one
                listener = socket.create_server(here, family=socket.AF_UNIX)
                os.chmod(here, 0o777)
            outgoing = make()
            ns.die_with_parent()  # which another uid has undone
            if listener is None:
                listener = socket.create_server(here)
            os.write(writer, b".")
            client = listener.accept()[0]
            try:
                outgoing.connect(there)
            except OSError:
                signal.pause()  # and tells its client nothing
            _couple(client, outgoing)
        finally:
            os._exit(0)
    os.close(writer)
    assert os.read(ready, 1) == b"."
    os.close(ready)


def _couple(one: socket.socket, other: socket.socket) -> None:
    ends = {one: other, other: one}
    while True:
        for end in select.select(list(ends), [], [])[0]:
            data = end.recv(65536)
            if not data:
                return
            ends[end].sendall(data)


def pass_on(make: Make) -> socket.socket:
    """A socket that another process has made, by SCM_RIGHTS."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        try:
            client = make()
            socket.send_fds(theirs, [b"."], [client.fileno()])
            ours.close()
            theirs.recv(1)  # until it has arrived
        finally:
            os._exit(0)
    theirs.close()
    descriptor = socket.recv_fds(ours, 1, 1)[1][0]
    ours.close()
    os.waitpid(pid, 0)
    return socket.socket(fileno=descriptor)


def userspace(uid: int, gid: int, inner_uid: int, inner_gid: int) -> Make:
    """Makes an IPv4 socket as that user, who has made himself a user namespace in which he has
    other ids."""
    def make() -> socket.socket:
        ns.become(uid, gid)
        # Who changed his ids does not own his files in /proc any more.
        assert _libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0) == 0
        assert _libc.unshare(_CLONE_NEWUSER) == 0
        for name, text in (("setgroups", "deny"), ("uid_map", f"{inner_uid} {uid} 1"),
                           ("gid_map", f"{inner_gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
        assert (os.getuid(), os.getgid()) == (inner_uid, inner_gid)
        return socket.socket()

    return make
