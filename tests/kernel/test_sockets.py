"""Finding and destroying live connections: those of one uid to one endpoint, both halves."""

import socket
import struct

import pytest

from pam_spice import sockets
from pam_spice.firewall import netlink, nft
from tests.kernel import namespace as ns
from tests.kernel.namespace import (
    ENDPOINTS,
    FREE_PORT,
    GUARDED_PORT,
    OTHER_GUARDED_PORT,
    V4,
    V6,
    VIEWER_GID,
    Client,
)

ANNE, RALPH = 1021, 1022
ENDED = ("ConnectionAbortedError", "ConnectionResetError", "closed")
EVERY_FAMILY = pytest.mark.parametrize("address", [V4, V6, f"::ffff:{V4}"])


def plain(address: str) -> str:
    return address.removeprefix("::ffff:")


def found() -> list[tuple[int, str, int]]:
    return sorted((one.uid, one.address, one.port)
                  for one in sockets.guarded_connections(ENDPOINTS) for _ in one.sockets)


def of(uid: int) -> list[sockets.Connections]:
    return [one for one in sockets.guarded_connections(ENDPOINTS) if one.uid == uid]


def connected(address: str = V4, port: int = GUARDED_PORT) -> socket.socket:
    """A connection of this process, whose uid is 0."""
    return socket.create_connection((address, port), timeout=2)


@EVERY_FAMILY
def test_a_connection_is_found_with_its_uid_and_peer(address: str) -> None:
    ns.serve_here()
    client = Client(ANNE, VIEWER_GID, address, GUARDED_PORT)
    assert client.say() == "yes"
    assert found() == [(ANNE, plain(address), GUARDED_PORT)]


def test_nothing_else_is_found() -> None:
    """Not listeners, the server's own half, unguarded ports, other addresses, or TIME_WAIT."""
    ns.serve_here()
    ns.listen([("127.0.0.1", GUARDED_PORT)])
    others = [Client(ANNE, ANNE, V4, FREE_PORT), Client(ANNE, ANNE, "127.0.0.1", GUARDED_PORT)]
    assert [client.say() for client in others] == ["yes", "yes"]
    client = Client(ANNE, VIEWER_GID, V4, GUARDED_PORT)
    client.close()
    assert ns.until(lambda: found() == [])


def test_connections_of_several_users_are_told_apart() -> None:
    ns.serve_here()
    clients = [Client(uid, VIEWER_GID, address, port) for uid in (ANNE, RALPH)
               for address in (V4, V6) for port in (GUARDED_PORT, OTHER_GUARDED_PORT)]
    assert len(clients) == 8
    assert found() == sorted((uid, address, port) for uid in (ANNE, RALPH)
                             for address in (V4, V6)
                             for port in (GUARDED_PORT, OTHER_GUARDED_PORT))


@pytest.mark.parametrize("ranges", [2, 3, 100, 101, 5000])
def test_however_many_ranges_are_guarded_what_lies_between_is_not_found(ranges: int) -> None:
    ns.serve_here()
    clients = [connected(port=port) for port in (FREE_PORT, GUARDED_PORT, OTHER_GUARDED_PORT)]
    endpoints = [(V4, 8000, FREE_PORT), (V4, OTHER_GUARDED_PORT, 20010),
                 *((V4, port, port) for port in range(9001, 9001 + 2 * (ranges - 2), 2))]
    assert sorted((one.uid, one.port) for one in sockets.guarded_connections(endpoints)) == [
        (0, FREE_PORT), (0, OTHER_GUARDED_PORT)]
    assert len(clients) == 3


def test_a_connection_that_is_being_made_is_found_and_destroyed() -> None:
    ns.serve_here()
    ns.nft("table inet deaf { chain input { type filter hook input priority 0;"
           f" tcp dport {GUARDED_PORT} drop; }}; }}")
    client = socket.socket()
    client.setblocking(False)
    client.connect_ex((V4, GUARDED_PORT))
    assert found() == [(0, V4, GUARDED_PORT)]
    assert sockets.destroy(of(0)) == 1
    assert found() == []


def test_a_half_closed_connection_is_found_as_long_as_it_has_an_owner() -> None:
    ns.ip("addr", "add", f"{V4}/24", "dev", "lo")
    server = socket.create_server((V4, GUARDED_PORT))
    client = connected()
    half = server.accept()[0]
    client.shutdown(socket.SHUT_WR)
    assert [one.is_orphan for one in of(0)] == [False]
    client.close()
    assert ns.until(lambda: found() == [])
    assert half.recv(1) == b""


def test_what_was_closed_with_data_in_its_queue_is_an_orphan_and_is_destroyed() -> None:
    ns.ip("addr", "add", f"{V4}/24", "dev", "lo")
    server = socket.create_server((V4, GUARDED_PORT))
    client = connected()
    half = server.accept()[0]
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        while True:
            client.send(bytes(65536))
    client.close()
    orphans = sockets.guarded_connections(ENDPOINTS)
    assert [one.is_orphan for one in orphans] == [True]
    assert sockets.destroy(orphans) == 1
    with pytest.raises(ConnectionResetError):
        while half.recv(1 << 20):
            pass


@pytest.mark.parametrize(("endpoint", "address", "port", "expected"), [
    ((V4, 20001, 20010), V4, 20001, True), ((V4, 20001, 20010), V4, 20010, True),
    ((V4, 20001, 20010), V4, 20000, False), ((V4, 20001, 20010), V4, 20011, False),
    ((V4, 20001, 20010), V6, 20001, False)])
def test_an_endpoint_is_guarded_from_its_first_to_its_last_port(
        endpoint: tuple[str, int, int], address: str, port: int, expected: bool) -> None:
    assert sockets.is_guarded([endpoint], address, port) is expected


@EVERY_FAMILY
def test_destroying_ends_both_sides_of_an_idle_connection(address: str) -> None:
    ns.serve_here()
    client = Client(ANNE, VIEWER_GID, address, GUARDED_PORT)
    assert client.say() == "yes"
    assert len(ns.established(GUARDED_PORT)) == 2
    assert sockets.destroy(of(ANNE)) == 1
    assert client.wait_for_end() in ENDED
    assert ns.until(lambda: ns.established(GUARDED_PORT) == [], 1), ns.established(GUARDED_PORT)


@EVERY_FAMILY
def test_destroying_behind_the_guard_lets_the_server_hear_of_the_end(address: str) -> None:
    ns.serve_here()
    nft.apply(nft.render_guard(ENDPOINTS))
    netlink.change([], {ANNE: tuple((one, GUARDED_PORT, VIEWER_GID, 0, 0) for one in (V4, V6))})
    client = Client(ANNE, VIEWER_GID, address, GUARDED_PORT)
    assert client.say() == "yes"
    netlink.change([ANNE], {})
    assert sockets.destroy(of(ANNE)) == 1
    assert client.wait_for_end() in ENDED
    assert ns.until(lambda: ns.established(GUARDED_PORT) == [], 1), ns.established(GUARDED_PORT)


def test_destroying_harms_no_other_user_endpoint_or_port() -> None:
    ns.serve_here()
    doomed = [Client(ANNE, VIEWER_GID, V4, GUARDED_PORT) for _ in range(4)]
    kept = [Client(RALPH, VIEWER_GID, V4, GUARDED_PORT),
            Client(ANNE, VIEWER_GID, V6, GUARDED_PORT),
            Client(ANNE, VIEWER_GID, V4, OTHER_GUARDED_PORT),
            Client(ANNE, ANNE, V4, FREE_PORT)]
    chosen = [one for one in of(ANNE) if (one.address, one.port) == (V4, GUARDED_PORT)]
    assert sockets.destroy(chosen) == 4
    assert {client.say() for client in doomed} <= {*ENDED, "BrokenPipeError"}
    assert [client.say() for client in kept] == ["yes"] * 4


def test_destroying_what_has_ended_by_itself_is_no_error() -> None:
    ns.serve_here()
    client = Client(ANNE, VIEWER_GID, V4, GUARDED_PORT)
    connections = of(ANNE)
    client.close()
    assert ns.until(lambda: of(ANNE) == [])
    # What is left of it, if anything, is its TIME_WAIT.
    assert sockets.destroy(connections) <= 1
    assert sockets.destroy(connections) == 0
    assert sockets.destroy([]) == 0


def test_destroying_leaves_alone_what_has_the_same_ports_by_now() -> None:
    ns.serve_here()

    def from_one_port() -> socket.socket:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.bind((V4, 40000))
        client.connect((V4, GUARDED_PORT))
        return client

    first = from_one_port()
    connections = of(0)
    first.close()  # with a reset, so that no TIME_WAIT is left
    second = from_one_port()
    assert sockets.destroy(connections) == 0
    second.sendall(b"hello")
    assert second.recv(5) == b"hello"


@pytest.mark.parametrize("address", [V4, V6])
def test_a_connection_that_is_bound_to_a_device_is_destroyed_too(address: str) -> None:
    """Since Linux 5.7 anybody may bind a socket to a device."""
    ns.serve_here()
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
        client.connect((address, GUARDED_PORT))
        assert sockets.destroy(of(0)) == 1
        assert found() == []


def test_destroying_without_the_right_to_raises() -> None:
    ns.serve_here()
    client = Client(ANNE, VIEWER_GID, V4, GUARDED_PORT)

    def attempt() -> str:
        connections = of(ANNE)
        ns.become(RALPH, RALPH)
        try:
            return f"{sockets.destroy(connections)} destroyed"
        except OSError as error:
            return type(error).__name__

    assert ns.answer_of(attempt) == "PermissionError"
    assert client.say() == "yes"


def test_more_connections_than_fit_into_an_answer_are_found_and_destroyed() -> None:
    ns.serve_here()
    kept = Client(RALPH, VIEWER_GID, V4, GUARDED_PORT)
    clients = [connected(address) for address in (V4, V6) * 300]
    doomed = of(0)
    assert sockets.destroy(doomed) == 600
    for client in clients:
        with pytest.raises((ConnectionAbortedError, ConnectionResetError)):
            client.recv(1)
    assert sockets.destroy(doomed) == 0
    assert found() == [(RALPH, V4, GUARDED_PORT)]
    assert kept.say() == "yes"


def test_a_busy_connection_is_destroyed_too() -> None:
    ns.serve_here()
    client = Client(ANNE, VIEWER_GID, V4, GUARDED_PORT)
    for _ in range(50):
        assert client.say() == "yes"
    assert sockets.destroy(of(ANNE)) == 1
    assert client.say() in (*ENDED, "BrokenPipeError")
    assert found() == []
