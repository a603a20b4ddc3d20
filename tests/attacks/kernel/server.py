"""A KVM server in a network namespace of its own: what it saw is what counts."""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
from pathlib import Path

from tests.kernel import namespace as ns

ENDED = (ConnectionError, TimeoutError)


class Machine:
    """A machine on the network: a process in a network namespace of its own."""

    def __init__(self) -> None:
        ready, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            ns.die_with_parent()
            ns.new_network()
            for name in ("ipv4/conf/all/rp_filter", "ipv4/conf/default/rp_filter"):
                Path(f"/proc/sys/net/{name}").write_text("0")
            os.write(writer, b".")
            signal.pause()
            os._exit(0)
        os.close(writer)
        os.read(ready, 1)
        os.close(ready)

    def run(self, *commands: str) -> None:
        """Run commands there."""
        ns.enter(self.pid, *commands)

    def batch(self, *lines: str) -> None:
        """Run these lines of ip's there."""
        ns.command("nsenter", f"--net=/proc/{self.pid}/ns/net", "ip", "-batch", "-",
                   data="".join(f"{line}\n" for line in lines))

    def allow(self, *settings: str) -> None:
        """Set these of /proc/sys/net to 1 there."""
        def write() -> str:
            ns.join_network(self.pid)
            for setting in settings:
                Path(f"/proc/sys/net/{setting}").write_text("1")
            return "done"

        assert ns.answer_of(write) == "done", settings

    def serve(self, ports: tuple[int, ...], reads: bool = True) -> Listener:
        """Listen there, on all addresses of both families."""
        return Listener(self.pid, ports, reads)


class Listener:
    """A process on a machine that accepts what comes to these ports, and echoes it. With ``reads``
    off it accepts only, reads when it is told to, and says nothing."""

    def __init__(self, machine: int, ports: tuple[int, ...], reads: bool) -> None:
        self._link, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pid = os.fork()
        if self.pid == 0:
            ns.die_with_parent()
            self._link.close()
            ns.join_network(machine)
            _Serving(other, ports, reads).run()
        other.close()
        self._link.settimeout(10)
        assert self._ask("ready") == "ready"

    def _ask(self, what: str) -> object:
        self._link.sendall(what.encode())
        return json.loads(self._link.recv(1 << 20))

    def received(self, port: int) -> str:
        """All that came to a port."""
        return str(self._ask(f"received {port}"))

    def accepted(self, port: int) -> int:
        """How many connections were accepted there."""
        return int(str(self._ask(f"accepted {port}")))

    def live(self, port: int) -> int:
        """How many connections the server holds there."""
        return int(str(self._ask(f"live {port}")))

    def say(self, port: int) -> None:
        """Send a word to everybody who is connected there."""
        self._ask(f"say {port}")

    def read(self) -> None:
        """Begin to read."""
        self._ask("read")


class _Serving:
    def __init__(self, link: socket.socket, ports: tuple[int, ...], reads: bool) -> None:
        self._link = link
        self._reads = self._echoes = reads
        self._received: dict[int, bytes] = {}
        self._accepted: dict[int, int] = {}
        self._peers: dict[socket.socket, int] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(link, selectors.EVENT_READ)
        for port in ports:
            listener = socket.socket(socket.AF_INET6)
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 16)
            listener.bind(("::", port))
            listener.listen(2048)
            self._selector.register(listener, selectors.EVENT_READ, port)

    def run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                assert isinstance(key.fileobj, socket.socket)
                if key.fileobj is self._link:
                    self._answer()
                elif key.data is not None:
                    self._accept(key.fileobj, key.data)
                else:
                    self._receive(key.fileobj)

    def _answer(self) -> None:
        word = self._link.recv(1000).decode()
        if not word:
            os._exit(0)
        what, _, number = word.partition(" ")
        port = int(number or 0)
        peers = [peer for peer, at in self._peers.items() if at == port]
        answer: object = what
        if what == "received":
            answer = self._received.get(port, b"").decode("ascii", "replace")[-200:]
        elif what == "accepted":
            answer = self._accepted.get(port, 0)
        elif what == "live":
            answer = len(peers)
        elif what == "say":
            for peer in peers:
                try:
                    peer.send(b"frame")
                except OSError:
                    self._drop(peer)
        elif what == "read":
            self._reads = True
            for peer in self._peers:
                self._selector.register(peer, selectors.EVENT_READ)
        self._link.sendall(json.dumps(answer).encode())

    def _accept(self, listener: socket.socket, port: int) -> None:
        peer = listener.accept()[0]
        peer.setblocking(False)
        self._accepted[port] = self._accepted.get(port, 0) + 1
        self._peers[peer] = port
        if self._reads:
            self._selector.register(peer, selectors.EVENT_READ)

    def _receive(self, peer: socket.socket) -> None:
        try:
            data = peer.recv(65536)
            if data:
                port = self._peers[peer]
                self._received[port] = (self._received.get(port, b"") + data)[-1000:]
                if self._echoes:
                    peer.send(data)
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._drop(peer)

    def _drop(self, peer: socket.socket) -> None:
        if self._reads:
            self._selector.unregister(peer)
        del self._peers[peer]
        peer.close()
