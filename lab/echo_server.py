"""A TCP server that sends back what it gets: python3 -I echo_server.py PORT. IPv4 and IPv6."""

from __future__ import annotations

import socket
import socketserver
import sys


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(65536):
            self.request.sendall(data)


class _Server(socketserver.ThreadingTCPServer):
    address_family = socket.AF_INET6
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


if __name__ == "__main__":
    with _Server(("::", int(sys.argv[1])), _Echo) as server:
        server.serve_forever()
