"""The kernel alone ends both halves of a connection that may not be any more."""

import os
import socket
import time

import pytest

from pam_spice.firewall import netlink, nft
from tests.kernel import namespace as ns
from tests.kernel.namespace import ENDPOINTS, GUARDED_PORT, USERS, V4, V6, VIEWER_GID, Client

ANNE = USERS["anne"]
BOTH = pytest.mark.parametrize("address", [V4, V6])


def server_and_client(address: str) -> tuple[socket.socket, Client]:
    """An accepted connection of anne's viewer; what the server does with it is the test's."""
    ns.ip("addr", "add", f"{V4}/24", "dev", "lo")
    ns.ip("addr", "add", f"{V6}/64", "dev", "lo", "nodad")
    nft.apply(nft.render_guard(ENDPOINTS))
    netlink.change([], {ANNE: tuple((each, GUARDED_PORT, VIEWER_GID, 0, 0) for each in (V4, V6))})
    listener = socket.create_server(
        (address, GUARDED_PORT), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
    client = Client(ANNE, VIEWER_GID, address, GUARDED_PORT)
    assert client.state == "connected"
    connection = listener.accept()[0]
    connection.settimeout(3)
    return connection, client


def ended(connection: socket.socket) -> str:
    """What the server's half gets within three seconds."""
    try:
        return repr(connection.recv(5))
    except OSError as error:
        return type(error).__name__


@BOTH
def test_a_client_that_sends_loses_both_halves_and_its_data_is_not_delivered(address: str) -> None:
    connection, client = server_and_client(address)
    netlink.change([ANNE], {})
    assert client.say() == "ConnectionResetError"
    assert ended(connection) == "ConnectionResetError"


@BOTH
def test_a_client_that_closes_loses_both_halves(address: str) -> None:
    connection, client = server_and_client(address)
    netlink.change([ANNE], {})
    client.close()
    assert ended(connection) in ("ConnectionResetError", "b''")
    connection.close()
    assert ns.until(lambda: ns.established(GUARDED_PORT) == []), ns.established(GUARDED_PORT)


@BOTH
def test_a_client_that_only_listens_loses_both_halves_when_the_server_sends(address: str) -> None:
    connection, client = server_and_client(address)
    netlink.change([ANNE], {})
    connection.sendall(b"frame")
    connection.setblocking(True)
    assert ns.until(lambda: ns.established(GUARDED_PORT) == []), ns.established(GUARDED_PORT)
    assert client.pid


@BOTH
def test_a_client_that_is_killed_loses_both_halves(address: str) -> None:
    connection, client = server_and_client(address)
    netlink.change([ANNE], {})
    os.kill(client.pid, 9)
    assert ended(connection) in ("ConnectionResetError", "b''")
    connection.close()
    assert ns.until(lambda: ns.established(GUARDED_PORT) == []), ns.established(GUARDED_PORT)


def test_the_reset_towards_the_server_opens_nothing_for_the_next_connection() -> None:
    connection, client = server_and_client(V4)
    netlink.change([ANNE], {})
    client.say()
    ended(connection)
    again = Client(ANNE, VIEWER_GID, V4, GUARDED_PORT)
    assert again.state == "ConnectionRefusedError"
    netlink.change([], {ANNE: ((V4, GUARDED_PORT, VIEWER_GID, 0, 0),)})
    time.sleep(0.1)
    once_more = Client(ANNE, VIEWER_GID, V4, GUARDED_PORT)
    assert once_more.state == "connected"
