"""Whoever opens the socket, of whatever kind, and at whichever address of the server."""

import os
import socket
import struct

from tests.attacks.attempt import Seen, attack
from tests.attacks.kernel.server import Listener
from tests.attacks.kernel.stage import (
    ANNE,
    FIRST,
    INTERFACE,
    LINK_LOCAL,
    OWN_CONSOLE,
    RALPH,
    SECOND,
    SECOND_V4,
    SPARE,
    UNDECLARED_V4,
    UNDECLARED_V6,
    WORKSTATION_V4,
    Stage,
    outcome,
)
from tests.kernel import namespace as ns
from tests.kernel.namespace import V4, V6, VIEWER_GID

MPTCP = 262  # IPPROTO_MPTCP
FASTOPEN, FASTOPEN_NO_COOKIE = 0x20000000, 34  # MSG_FASTOPEN, linux/tcp.h
IPV6_RTHDR = 57
LOOSE_SOURCE_ROUTE, NO_OPERATION = 131, 1


@attack("Another user connects to a granted user's console", threat=1)
def test_another_uid_is_reset(stage: Stage) -> Seen:
    stage.log_in("anne")
    return stage.connect(RALPH, FIRST)


@attack("Another user, having got the viewer's group, connects to a granted user's console",
        threat=1)
def test_the_viewer_s_group_alone_opens_nothing(stage: Stage) -> Seen:
    stage.log_in("anne")
    return stage.viewer(RALPH, FIRST)


@attack("The granted user connects to her own console with a client of her own", threat=2)
def test_without_the_viewer_s_group_the_granted_user_is_reset(stage: Stage) -> Seen:
    stage.log_in("anne")
    return stage.connect(ANNE, FIRST)


@attack("The server tells the granted user's viewer to go on at another console", threat=19)
def test_a_viewer_that_migrates_reaches_only_its_own_console(stage: Stage) -> Seen:
    stage.log_in("anne")
    assert stage.viewer(ANNE, FIRST).through
    return stage.viewer(ANNE, SECOND)


@attack("The viewer's own socket is disconnected and connected to another console", threat=19)
def test_a_viewer_s_socket_that_is_connected_anew_is_judged_anew(stage: Stage) -> Seen:
    stage.log_in("anne")

    def used() -> socket.socket:
        ns.become(ANNE, VIEWER_GID)
        client = socket.create_connection((V4, FIRST), timeout=1)
        libc_connect_unspecified(client)
        return client

    return stage.send(used, SECOND)


def libc_connect_unspecified(client: socket.socket) -> None:
    """connect(2) with AF_UNSPEC, which dissolves the association; Python has no form for it."""
    import ctypes

    address = struct.pack("=H14x", socket.AF_UNSPEC)
    assert ctypes.CDLL(None).connect(client.fileno(), address, len(address)) == 0


@attack("Another user connects to the server's second IPv4 address", threat=4)
def test_the_server_s_second_address_is_guarded_too(stage: Stage) -> Seen:
    stage.log_in("anne")
    return stage.connect(RALPH, FIRST, SECOND_V4)


@attack("Another user connects to the server's IPv6 address", threat=4)
def test_the_server_s_ipv6_address_is_guarded_too(stage: Stage) -> Seen:
    stage.log_in("anne")
    return stage.connect(RALPH, FIRST, V6)


@attack("The granted user's viewer goes to another console by IPv6", threat=4)
def test_over_ipv6_too_a_viewer_reaches_only_its_own_console(stage: Stage) -> Seen:
    stage.log_in("anne")
    assert stage.viewer(ANNE, FIRST, V6).through or not stage.is_ours
    return stage.viewer(ANNE, SECOND, V6)


@attack("Another user connects to the server's link-local address, %eth0", threat=4)
def test_link_local_addresses_are_guarded_too(stage: Stage) -> Seen:
    stage.log_in("anne")
    return stage.connect(RALPH, FIRST, f"{LINK_LOCAL}%{INTERFACE}")


@attack("Another user connects to an address of the server that the policy doesn't name", threat=4,
        promised=False)
def test_an_address_that_the_policy_does_not_name_is_not_guarded(stage: Stage) -> Seen:
    stage.log_in("anne")
    return stage.connect(RALPH, FIRST, UNDECLARED_V4)


@attack("Another user connects by an IPv6 socket to the IPv4 address, ::ffff:a.b.c.d")
def test_an_ipv4_mapped_address_is_guarded_too(stage: Stage) -> Seen:
    stage.log_in("anne")
    return stage.connect(RALPH, FIRST, f"::ffff:{V4}")


@attack("Another user connects to a guarded port that is nobody's console")
def test_a_guarded_port_without_a_console_is_closed_to_all(stage: Stage) -> Seen:
    stage.log_in("anne")
    return stage.viewer(ANNE, SPARE)


@attack("Another user connects to a console of a VM that runs on the workstation itself")
def test_the_workstation_s_own_consoles_are_guarded_too(stage: Stage) -> Seen:
    stage.log_in("anne")
    # A machine's own addresses lead over its loopback.
    here = Listener(os.getpid(), (OWN_CONSOLE,), True)
    word = stage.word()

    def attempt() -> str:
        ns.become(RALPH, RALPH)
        with socket.create_connection((WORKSTATION_V4, OWN_CONSOLE), timeout=0.5) as client:
            client.sendall(word.encode())
            client.recv(100)
            return "sent"

    return stage.says(word, OWN_CONSOLE, outcome(attempt), here)


@attack("Another user opens a multipath TCP socket")
def test_multipath_tcp_is_guarded_too(stage: Stage) -> Seen:
    stage.log_in("anne")
    return stage.connect(RALPH, FIRST, prepare=lambda: socket.socket(
        socket.AF_INET, socket.SOCK_STREAM, MPTCP))


@attack("Another user sends data in the very first packet, by TCP fast open")
def test_data_in_the_first_packet_is_guarded_too(stage: Stage) -> Seen:
    stage.log_in("anne")
    stage.server.run("sysctl -qw net.ipv4.tcp_fastopen=0x202")
    word = stage.word()

    def attempt() -> str:
        ns.become(RALPH, RALPH)
        with socket.socket() as client:
            client.settimeout(0.5)
            client.setsockopt(socket.IPPROTO_TCP, FASTOPEN_NO_COOKIE, 1)
            client.sendto(word.encode(), FASTOPEN, (V4, FIRST))
            client.recv(100)
            return "sent"

    return stage.says(word, FIRST, outcome(attempt))


@attack("Another user binds a socket to the network interface")
def test_a_socket_that_is_bound_to_an_interface_is_guarded_too(stage: Stage) -> Seen:
    stage.log_in("anne")

    def bound() -> socket.socket:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, INTERFACE.encode())
        return client

    return stage.connect(RALPH, FIRST, prepare=bound)


@attack("Another user goes by a second network interface to the server")
def test_every_interface_is_guarded(stage: Stage) -> Seen:
    stage.log_in("anne")
    ns.link(stage.server.pid, "wlan", ["10.79.0.1/24"], ["10.79.0.22/24"])
    ns.ip("route", "replace", f"{V4}/32", "via", "10.79.0.1")
    return stage.connect(RALPH, FIRST)


@attack("Another user hides the IPv6 address behind a routing header")
def test_an_ipv6_routing_header_hides_nothing(stage: Stage) -> Seen:
    stage.log_in("anne")
    stage.server.allow("ipv6/conf/all/seg6_enabled", "ipv6/conf/lan/seg6_enabled")

    def routed() -> socket.socket:
        # RFC 8754: two segments, the last one first; the kernel fills in the destination.
        header = struct.pack("!BBBBBBH16s16s", 0, 4, 4, 1, 1, 0, 0, b"\0" * 16,
                             socket.inet_pton(socket.AF_INET6, UNDECLARED_V6))
        client = socket.socket(socket.AF_INET6)
        client.setsockopt(socket.IPPROTO_IPV6, IPV6_RTHDR, header)
        return client

    return stage.connect(RALPH, FIRST, V6, prepare=routed)


@attack("A setuid-root program hides the IPv4 address behind a source route, as nc -g does")
def test_an_ipv4_source_route_hides_nothing(stage: Stage) -> Seen:
    stage.log_in("anne")
    stage.server.allow("ipv4/conf/all/accept_source_route", "ipv4/conf/lan/accept_source_route")

    def routed() -> socket.socket:
        client = socket.socket()
        option = struct.pack("BBBB", NO_OPERATION, LOOSE_SOURCE_ROUTE, 7, 4)  # RFC 791
        client.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS,
                          option + socket.inet_aton(UNDECLARED_V4))
        return client

    return stage.connect(0, FIRST, prepare=routed)


@attack("A service of another uid connects for whoever asks", threat=17)
def test_a_daemon_s_uid_is_reset(stage: Stage) -> Seen:
    stage.log_in("anne")
    return stage.connect(65534, FIRST)


@attack("A setuid-root program connects for whoever calls it", threat=17)
def test_root_s_uid_is_reset(stage: Stage) -> Seen:
    stage.log_in("anne")
    return stage.connect(0, FIRST)


@attack("A uid with the granted user's lower 16 bits connects with the viewer's group")
def test_uids_are_compared_in_full(stage: Stage) -> Seen:
    stage.log_in("anne")
    return stage.viewer(ANNE + 65536, FIRST)


@attack("The granted user's own client has the viewer's group among its supplementary groups",
        threat=11)
def test_a_supplementary_group_does_not_count(stage: Stage) -> Seen:
    stage.log_in("anne")
    return stage.connect(ANNE, FIRST, groups=(VIEWER_GID,))
