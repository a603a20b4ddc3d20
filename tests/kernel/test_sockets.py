"""Finding and destroying live connections: those of one uid to one endpoint, both halves."""

import time

import pytest

from pam_spice import sockets
from pam_spice.firewall import nft
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
                  for one in sockets.guarded_connections(ENDPOINTS))


def of(uid: int) -> list[sockets.Connection]:
    return [one for one in sockets.guarded_connections(ENDPOINTS) if one.uid == uid]


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
    nft.apply(nft.render_guard(ENDPOINTS) + nft.render_open(
        ANNE, tuple((one, GUARDED_PORT, VIEWER_GID, 0, 0) for one in (V4, V6))))
    client = Client(ANNE, VIEWER_GID, address, GUARDED_PORT)
    assert client.say() == "yes"
    nft.apply(nft.render_close(ANNE))
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


def test_a_hundred_connections_are_found_and_destroyed_within_a_second() -> None:
    ns.serve_here()
    clients = [Client(ANNE, VIEWER_GID, V4, GUARDED_PORT) for _ in range(100)]
    assert len(clients) == 100
    sockets.destroy([])  # pyroute2 is imported by now
    before = time.monotonic()
    assert sockets.destroy(of(ANNE)) == 100
    assert time.monotonic() - before < 1
    assert ns.until(lambda: ns.established(GUARDED_PORT) == [], 1)


def test_a_busy_connection_is_destroyed_too() -> None:
    ns.serve_here()
    client = Client(ANNE, VIEWER_GID, V4, GUARDED_PORT)
    for _ in range(50):
        assert client.say() == "yes"
    assert sockets.destroy(of(ANNE)) == 1
    assert client.say() in (*ENDED, "BrokenPipeError")
    assert found() == []
