"""A machine of its own for each test: a child process in fresh network and mount namespaces.

Nothing here touches the machine's own firewall or files: the child sees an empty network with only
``lo``, and empty directories in place of those that pam-spice owns.
"""

import ctypes
import faulthandler
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

_CLONE_NEWNS, _CLONE_NEWNET = 0x20000, 0x40000000
_MS_BIND, _MS_REC, _MS_PRIVATE = 4096, 16384, 1 << 18
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)

VIEWER_GID = 997
USERS = {"anne": 1021, "ralph": 1022, "zoe": 1023}
OTHER_GID = 1100

V4, V6 = "10.77.0.1", "fd77::1"
GUARDED_PORT, OTHER_GUARDED_PORT, FREE_PORT = 20001, 20002, 8080
ENDPOINTS = [(V4, 20001, 20010), (V6, 20001, 20010)]


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    _check(_libc.mount(source.encode(), target.encode(), kind.encode(), flags, options.encode()),
           f"mount {target}")


def unmount(target: str) -> None:
    _check(_libc.umount2(target.encode(), 2), f"umount {target}")


def in_child(body: Callable[[], None], seconds: float) -> str | None:
    """Run ``body`` in a child with namespaces of its own; its failure as text, None if it ended
    well. The child's own children die with it."""
    import traceback

    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        die_with_parent()
        text = ""
        try:
            os.close(reader)
            _enter()
            # Where a test hangs is told with its failure.
            faulthandler.dump_traceback_later(max(seconds - 2, 1), file=writer)
            body()
            faulthandler.cancel_dump_traceback_later()
        except BaseException:
            text = traceback.format_exc() or "failed"
        finally:
            try:
                sys.stdout.flush()
                sys.stderr.flush()
                with os.fdopen(writer, "wb") as pipe:
                    pipe.write(text.encode("utf-8", "replace"))
            finally:  # a child that went on would do its parent's work once more
                os._exit(0 if not text else 1)
    os.close(writer)
    os.set_blocking(reader, False)
    watched = os.pidfd_open(pid)
    deadline = time.monotonic() + seconds
    chunks = []
    import select
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    try:
        while (left := deadline - time.monotonic()) > 0:
            if poll.poll(left * 1000):
                chunk = os.read(reader, 65536)
                if not chunk:
                    break
                chunks.append(chunk)
        else:
            os.kill(pid, 9)
            chunks.append(f"the test did not end within {seconds:g} s".encode())
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except BaseException:  # we are to end: nobody would read what the child still does
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        raise
    finally:
        os.close(watched)
        os.close(reader)
    text = b"".join(chunks).decode("utf-8", "replace")
    return text or (f"the child ended with {status}" if status else None)


def _enter() -> None:
    _check(_libc.unshare(_CLONE_NEWNS | _CLONE_NEWNET), "unshare")
    mount("none", "/", "none", _MS_REC | _MS_PRIVATE)
    for directory in ("/run", "/etc/sudoers.d"):
        mount("tmpfs", directory, "tmpfs", 0, "mode=0755,size=4m")
    for directory in ("/etc/pam-spice", "/var/lib/pam-spice"):
        cover_missing(directory)
    _accounts()
    ip("link", "set", "lo", "up")


def cover_missing(directory: str) -> None:
    """An empty directory there, though the machine itself has none and shall get none."""
    parent = os.path.dirname(directory)
    lower = os.listdir(parent)
    layers = "/run/.layers" + parent
    os.makedirs(f"{layers}/upper", exist_ok=True)
    os.makedirs(f"{layers}/work", exist_ok=True)
    assert lower is not None
    if not os.path.ismount(parent):
        mount("overlay", parent, "overlay", 0,
              f"lowerdir={parent},upperdir={layers}/upper,workdir={layers}/work")
        if parent == "/etc":  # what was mounted below is covered now
            mount("tmpfs", "/etc/sudoers.d", "tmpfs", 0, "mode=0755,size=4m")
    os.makedirs(directory, 0o755, exist_ok=True)
    mount("tmpfs", directory, "tmpfs", 0, "mode=0755,size=16m")


def _accounts() -> None:
    """The users and groups of the tests, on top of the machine's own root."""
    passwd = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n" + "".join(
        f"{name}:x:{uid}:{uid}::/:/bin/sh\n" for name, uid in USERS.items())
    group = (f"root:x:0:\nspicegrp:x:{VIEWER_GID}:\nstaff:x:{OTHER_GID}:anne\n"
             + "".join(f"{name}:x:{uid}:\n" for name, uid in USERS.items()))
    Path("/etc/passwd").write_text(passwd)
    Path("/etc/group").write_text(group)
    Path("/etc/nsswitch.conf").write_text("passwd: files\ngroup: files\n")


def command(*argv: str, data: str = "") -> str:
    """Run a program; its output. Fails the test where the program fails."""
    result = subprocess.run(argv, input=data, capture_output=True, text=True, timeout=20,
                            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TZ": "UTC"})
    assert result.returncode == 0, f"{argv}: {result.stdout}{result.stderr}"
    return result.stdout


def ip(*argv: str) -> str:
    return command("ip", *argv)


def nft(text: str) -> None:
    """Load a text with the real nft."""
    command("nft", "-f", "-", data=text)


def listing() -> str:
    return command("nft", "-nn", "list", "ruleset")


# A server and clients

def serve_here() -> None:
    """The addresses of the server on the loopback, and listeners that echo on them."""
    ip("addr", "add", f"{V4}/24", "dev", "lo")
    ip("addr", "add", f"{V6}/64", "dev", "lo", "nodad")
    # The kernel routes to it a moment later.
    until(lambda: f"local {V6} " in ip("-6", "route", "show", "table", "local"))
    listen([(address, port) for address in (V4, V6)
            for port in (GUARDED_PORT, OTHER_GUARDED_PORT, FREE_PORT)])


def _endpoint(address: str, port: int) -> tuple[str, int] | tuple[str, int, int, int]:
    """As sockets take it; of a link-local address its interface too, behind a "%"."""
    host, _, interface = address.partition("%")
    return (host, port, 0, socket.if_nametoindex(interface)) if interface else (host, port)


def listen(endpoints: list[tuple[str, int]]) -> int:
    """Echo on all of these from a child process, as root; returns its pid."""
    sockets = []
    for address, port in endpoints:
        server = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if ":" in address:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        server.bind(_endpoint(address, port))
        server.listen(64)
        sockets.append(server)
    pid = os.fork()
    if pid == 0:
        die_with_parent()
        _echo(sockets)
    for server in sockets:
        server.close()
    return pid


def _echo(servers: list[socket.socket]) -> None:
    import selectors
    selector = selectors.DefaultSelector()
    for server in servers:
        selector.register(server, selectors.EVENT_READ, "server")
    while True:
        for key, _ in selector.select():
            assert isinstance(key.fileobj, socket.socket)
            if key.data == "server":
                selector.register(key.fileobj.accept()[0], selectors.EVENT_READ, "peer")
                continue
            try:
                data = key.fileobj.recv(4096)
                if data:
                    key.fileobj.sendall(data)
                    continue
            except OSError:
                pass
            selector.unregister(key.fileobj)
            key.fileobj.close()


def die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, 9, 0, 0, 0)


def become(uid: int, gid: int, groups: tuple[int, ...] = ()) -> None:
    os.setgroups(list(groups))
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def try_as(uid: int, gid: int, address: str, port: int, groups: tuple[int, ...] = (),
           family: int | None = None) -> str:
    """Connect and have a word echoed, as that uid and gid: "yes", or the error's name."""

    def attempt() -> str:
        become(uid, gid, groups)
        kind = family or (socket.AF_INET6 if ":" in address else socket.AF_INET)
        with socket.socket(kind) as client:
            client.settimeout(1.5)
            try:
                client.connect(_endpoint(address, port))
                client.sendall(b"hello")
                return "yes" if client.recv(5) == b"hello" else "closed"
            except OSError as error:
                return type(error).__name__

    return answer_of(attempt)


def answer_of(function: Callable[[], str]) -> str:
    """What a function answers in a child process."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        die_with_parent()
        try:
            os.write(writer, function().encode())
        except BaseException as error:
            os.write(writer, f"{error!r}".encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read().decode()
    os.waitpid(pid, 0)
    return answer


class Client:
    """A live connection held by a child process with a uid and gid."""

    def __init__(self, uid: int, gid: int, address: str, port: int,
                 family: int | None = None) -> None:
        self._link, other = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            die_with_parent()
            self._link.close()
            become(uid, gid)
            kind = family or (socket.AF_INET6 if ":" in address else socket.AF_INET)
            connection = socket.socket(kind)
            connection.settimeout(2)
            try:
                connection.connect((address, port))
                other.sendall(b"connected".ljust(40))
            except OSError as error:
                other.sendall(type(error).__name__.encode().ljust(40))
            while word := other.recv(1):
                try:
                    if word == b"s":
                        connection.sendall(b"hello")
                        answer = "yes" if connection.recv(5) == b"hello" else "closed"
                    elif word == b"w":  # wait for the end, saying nothing
                        answer = "closed" if connection.recv(5) == b"" else "data"
                    else:
                        connection.close()
                        answer = "done"
                except OSError as error:
                    answer = type(error).__name__
                other.sendall(answer.encode().ljust(40))
            os._exit(0)
        other.close()
        self._link.settimeout(10)
        self.state = self._answer()

    def _answer(self) -> str:
        return self._link.recv(40, socket.MSG_WAITALL).decode().strip()

    def say(self) -> str:
        """Have a word echoed: "yes", "closed", or the error's name."""
        self._link.sendall(b"s")
        return self._answer()

    def wait_for_end(self) -> str:
        """Send nothing; what ends the connection within two seconds."""
        self._link.sendall(b"w")
        return self._answer()

    def close(self) -> None:
        """Close the connection cleanly."""
        self._link.sendall(b"c")
        self._answer()


def until(condition: Callable[[], bool], seconds: float = 3.0) -> bool:
    """Whether the condition comes true within this time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def established(port: int) -> list[str]:
    """Every TCP socket of the namespace with that port on either side, as ss shows it."""
    return [line for line in command("ss", "-Htan").splitlines()
            if f":{port} " in line + " " and "LISTEN" not in line and "TIME-WAIT" not in line]


def denied() -> int:
    """Packets that the guard has rejected or dropped."""
    import json
    found = json.loads(command("nft", "-j", "list", "table", "inet", "pam_spice"))
    return sum(int(expression["counter"]["packets"]) for entry in found["nftables"]
               if entry.get("rule", {}).get("chain") in ("deny", "refuse")
               for expression in entry["rule"]["expr"] if "counter" in expression)


# Further network namespaces

def new_network() -> None:
    """Give this process another, empty network namespace."""
    _check(_libc.unshare(_CLONE_NEWNET), "unshare")


def join_network(pid: int) -> None:
    """Put this process into the network namespace of another."""
    descriptor = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    _check(_libc.setns(descriptor, _CLONE_NEWNET), "setns")
    os.close(descriptor)


def enter(pid: int, *commands: str) -> None:
    """Run commands in the network namespace of a process."""
    for one in commands:
        command("nsenter", f"--net=/proc/{pid}/ns/net", *one.split())


def link(pid: int, name: str, theirs: list[str], ours: list[str]) -> None:
    """A veth pair between this namespace and that of a process, with addresses."""
    ip("link", "add", f"{name}0", "type", "veth", "peer", "name", f"{name}1", "netns", str(pid))
    for address in ours:
        ip("addr", "add", address, "dev", f"{name}0", *(["nodad"] if ":" in address else []))
    ip("link", "set", f"{name}0", "up")
    enter(pid, "ip link set lo up",
          *(f"ip addr add {address} dev {name}1" + (" nodad" if ":" in address else "")
            for address in theirs), f"ip link set {name}1 up")
