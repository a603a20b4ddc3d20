"""The person's own connections, read from the kernel's tables."""

import socket
import sys

import pytest

from launcher.connections import packed, peers

HEADING = ("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  "
           "timeout inode\n")
LITTLE_ENDIAN = pytest.mark.skipif(sys.byteorder != "little", reason="as a PC prints it")


def line(peer: str, state: str = "01", uid: int = 1021) -> str:
    return (f"   0: 1602A8C0:BC4A {peer} {state} 00000000:00000000 00:00000000 00000000  {uid}"
            f"        0 23519 2 00000000 20 4 30 10 -1\n")


@LITTLE_ENDIAN
def test_a_living_connection_of_one_s_own_is_found() -> None:
    assert peers([HEADING, line("0202A8C0:4E22")], 1021) == {(packed("192.168.2.2"), 20002)}


@LITTLE_ENDIAN
def test_an_ipv6_connection_is_found_and_an_ipv4_one_in_an_ipv6_socket_is_ipv4() -> None:
    found = peers([line("000000FD000000000000000002000000:4E24"),
                   line("0000000000000000FFFF00000202A8C0:4E22")], 1021)
    assert found == {(packed("fd00::2"), 20004), (packed("192.168.2.2"), 20002)}


@pytest.mark.parametrize("other", [
    line("0202A8C0:4E22", state="06"), line("0202A8C0:4E22", state="0A"),
    line("0202A8C0:4E22", uid=1022), HEADING, "\n"])
def test_closed_ones_and_those_of_others_do_not_count(other: str) -> None:
    assert peers([other], 1021) == set()


def test_an_address_is_read_as_the_policy_has_it() -> None:
    assert packed("192.168.2.2") == socket.inet_aton("192.168.2.2")
    assert packed("fd00::2")[:2] == b"\xfd\0"
