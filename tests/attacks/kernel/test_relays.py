"""Somebody else's socket: relays, sockets that are passed on, containers, other machines."""

import socket
from collections.abc import Callable

from tests.attacks.attempt import Seen, attack
from tests.attacks.kernel.relay import pass_on, relay, userspace
from tests.attacks.kernel.server import Machine
from tests.attacks.kernel.stage import (
    ANNE,
    FIRST,
    INTERFACE,
    OUTSIDE_PORT,
    RALPH,
    WORKSTATION_V4,
    Stage,
    outcome,
)
from tests.kernel import namespace as ns
from tests.kernel.namespace import V4, V6, VIEWER_GID

RELAY_PORT = 9000
LOOPBACK = "127.0.0.1"


def as_user(uid: int, gid: int | None = None) -> Callable[[], socket.socket]:
    """Makes an IPv4 socket as that user."""
    def make() -> socket.socket:
        ns.become(uid, uid if gid is None else gid)
        return socket.socket()

    return make


# Relays

@attack("The granted user relays her console to a colleague on this workstation (socat)",
        threat=13)
def test_a_relay_of_the_granted_user_lacks_the_viewer_s_group(stage: Stage) -> Seen:
    stage.log_in("anne")
    relay(as_user(ANNE), (LOOPBACK, RELAY_PORT), (V4, FIRST))
    return stage.send(as_user(RALPH), RELAY_PORT, LOOPBACK, FIRST)


@attack("The granted user relays her console to a colleague on another machine (ssh -L 0.0.0.0)",
        threat=13)
def test_a_relay_to_another_machine_lacks_the_viewer_s_group(stage: Stage) -> Seen:
    stage.log_in("anne")
    relay(as_user(ANNE), ("0.0.0.0", RELAY_PORT), (V4, FIRST))
    return stage.send(stage.inside(stage.server, RALPH), RELAY_PORT, WORKSTATION_V4, FIRST)


@attack("The granted user's program calls a machine elsewhere and couples it with her console "
        "(ssh -R by port 53)", threat=13)
def test_a_relay_that_calls_out_lacks_the_viewer_s_group(stage: Stage) -> Seen:
    stage.log_in("anne")
    word = stage.word()

    def meet() -> socket.socket:
        ns.become(ANNE, ANNE)
        return socket.create_connection((V4, OUTSIDE_PORT), timeout=0.5)

    def attempt() -> str:
        with meet() as outside:  # whoever is there says the word, which the relay hands on
            outside.sendall(word.encode())
            said = outside.recv(100)
            with socket.socket() as console:
                console.settimeout(0.5)
                console.connect((V4, FIRST))
                console.sendall(said)
                console.recv(100)
                return "sent"

    return stage.says(word, FIRST, outcome(attempt))


@attack("A daemon that runs as root relays whatever its configuration says (inetd, haproxy)",
        threat=17)
def test_root_s_relay_is_reset(stage: Stage) -> Seen:
    stage.log_in("anne")
    relay(as_user(0), (LOOPBACK, RELAY_PORT), (V4, FIRST))
    return stage.send(as_user(RALPH), RELAY_PORT, LOOPBACK, FIRST)


@attack("A user goes by a third host that forwards to the server (ssh -L by port 53)", threat=14,
        promised=False)
def test_a_third_host_that_forwards_is_the_server_s_to_refuse(stage: Stage) -> Seen:
    third = Machine()
    ns.link(third.pid, "third", ["10.80.0.1/24"], ["10.80.0.22/24"])
    third.run("ip route add default via 10.80.0.22")
    # It has a wire of its own to the server.
    third.run(f"ip link add up0 type veth peer name third netns {stage.server.pid}",
              "ip addr add 10.81.0.2/24 dev up0", "ip link set up0 up",
              f"ip route add {V4}/32 via 10.81.0.1 dev up0 onlink")
    stage.server.run("ip addr add 10.81.0.1/24 dev third", "ip link set third up")
    relay(stage.inside(third), ("10.80.0.1", OUTSIDE_PORT), (V4, FIRST))
    return stage.send(as_user(RALPH), OUTSIDE_PORT, "10.80.0.1", FIRST)


# Sockets that are passed on

@attack("A root daemon makes a socket and passes it to a user, who connects it (socket activation)")
def test_a_socket_counts_as_that_of_its_maker(stage: Stage) -> Seen:
    stage.log_in("anne")

    def made() -> socket.socket:
        client = socket.socket()
        ns.become(ANNE, VIEWER_GID)
        return client

    return stage.send(made, FIRST)


@attack("A colleague makes the socket, the granted user's program connects it and hands it back")
def test_it_does_not_matter_who_connects_a_socket(stage: Stage) -> Seen:
    stage.log_in("anne")

    def made() -> socket.socket:
        return pass_on(as_user(RALPH))

    def by_anne() -> socket.socket:
        client = made()
        ns.become(ANNE, VIEWER_GID)
        return client

    return stage.send(by_anne, FIRST)


@attack("The granted user hands the socket of her console, connected by the viewer, to a colleague",
        threat=12, promised=False)
def test_a_connected_console_can_be_given_away_while_it_may_be_open(stage: Stage) -> Seen:
    stage.log_in("anne")

    def connected() -> socket.socket:
        ns.become(ANNE, VIEWER_GID)
        return socket.create_connection((V4, FIRST), timeout=0.5)

    return _speak_as(stage, RALPH, pass_on(connected))


@attack("A colleague to whom the socket of a console was handed goes on after its owner's logout",
        threat=12)
def test_a_console_that_was_given_away_is_cut_at_its_owner_s_logout(stage: Stage) -> Seen:
    session = stage.log_in("anne")

    def connected() -> socket.socket:
        ns.become(ANNE, VIEWER_GID)
        return socket.create_connection((V4, FIRST), timeout=0.5)

    handed = pass_on(connected)
    assert _speak_as(stage, RALPH, handed).through
    stage.log_out(session)
    return _speak_as(stage, RALPH, handed)


@attack("A process that outlives the logout keeps the inherited socket of a console", threat=22)
def test_an_inherited_socket_is_cut_at_logout(stage: Stage) -> Seen:
    session = stage.log_in("anne")
    client = stage.console("anne")  # whose process is nobody's child that logs out
    stage.log_out(session)
    return stage.still_there(client)


def _speak_as(stage: Stage, uid: int, client: socket.socket) -> Seen:
    word = stage.word()

    def attempt() -> str:
        ns.become(uid, uid)
        client.settimeout(0.5)
        client.sendall(word.encode())
        client.recv(100)
        return "sent"

    return stage.says(word, FIRST, outcome(attempt))


# User namespaces and containers

@attack("A user maps his uid to the granted user's number in a user namespace", threat=16)
def test_a_mapped_uid_counts_as_it_is_outside(stage: Stage) -> Seen:
    stage.log_in("anne")
    return stage.send(userspace(RALPH, RALPH, ANNE, VIEWER_GID), FIRST)


@attack("The granted user maps her gid to the viewer group's number in a user namespace", threat=16)
def test_a_mapped_gid_counts_as_it_is_outside(stage: Stage) -> Seen:
    stage.log_in("anne")
    return stage.send(userspace(ANNE, ANNE, ANNE, VIEWER_GID), FIRST)


@attack("A user is root in a user namespace of his own", threat=16)
def test_root_of_a_user_namespace_counts_as_its_user(stage: Stage) -> Seen:
    stage.log_in("anne")
    return stage.send(userspace(RALPH, RALPH, 0, 0), FIRST)


@attack("A rootless container's process gets its sockets from a helper outside (bypass4netns)",
        threat=16)
def test_a_rootless_container_s_helper_counts_as_its_user(stage: Stage) -> Seen:
    stage.log_in("anne")
    helper = pass_on(as_user(ANNE))

    def inside() -> socket.socket:
        userspace(ANNE, ANNE, 0, 0)().close()
        ns.new_network()
        return helper

    return stage.send(inside, FIRST)


@attack("A rootless container's network is a program of its user (slirp4netns)", threat=16)
def test_a_rootless_container_s_network_lacks_the_viewer_s_group(stage: Stage) -> Seen:
    stage.log_in("anne")
    relay(as_user(ANNE), "/run/slirp", (V4, FIRST))

    def inside() -> socket.socket:
        userspace(ANNE, ANNE, 0, 0)().close()
        ns.new_network()
        return socket.socket(socket.AF_UNIX)

    return stage.send(inside, FIRST, "/run/slirp")


# The forward path

@attack("A container with a network of its own, routed by the workstation", threat=15)
def test_what_is_forwarded_is_refused(stage: Stage) -> Seen:
    stage.log_in("anne")
    return stage.send(stage.inside(stage.container(), ANNE, VIEWER_GID), FIRST)


@attack("A container behind rules as docker and libvirt put them: forwarding accepted, source "
        "rewritten", threat=15)
def test_docker_s_rules_do_not_open_the_forward_path(stage: Stage) -> Seen:
    stage.log_in("anne")
    container = stage.container()
    for rule in ("-I FORWARD -i c0 -j ACCEPT", "-I FORWARD -o c0 -j ACCEPT",
                 f"-t nat -A POSTROUTING -s 10.78.0.0/24 -o {INTERFACE} -j MASQUERADE"):
        ns.command("iptables-legacy", *rule.split())
    return stage.send(stage.inside(container), FIRST)


@attack("A container is forwarded over IPv6", threat=15)
def test_what_is_forwarded_over_ipv6_is_refused(stage: Stage) -> Seen:
    stage.log_in("anne")
    container = stage.container()

    def inside() -> socket.socket:
        ns.join_network(container.pid)
        return socket.socket(socket.AF_INET6)

    return stage.send(inside, FIRST, V6)


@attack("A container's traffic is sent on to a console by a port forwarding on the workstation "
        "(DNAT)", threat=15)
def test_a_forwarding_of_a_container_s_port_is_refused(stage: Stage) -> Seen:
    stage.log_in("anne")
    container = stage.container()
    for rule in ("-I FORWARD -i c0 -j ACCEPT", "-I FORWARD -o c0 -j ACCEPT",
                 f"-t nat -A PREROUTING -i c0 -p tcp --dport 8080 -j DNAT --to {V4}:{FIRST}"):
        ns.command("iptables-legacy", *rule.split())
    return stage.send(stage.inside(container), 8080, "10.78.0.254", FIRST)


@attack("A container has an address of the LAN, by a macvlan that root gave it", promised=False)
def test_a_macvlan_passes_by_the_workstation_s_firewall(stage: Stage) -> Seen:
    stage.log_in("anne")
    container = Machine()
    ns.ip("link", "add", "mac0", "link", INTERFACE, "netns", str(container.pid), "type", "macvlan",
          "mode", "bridge")
    container.batch("link set mac0 up", "addr add 10.77.0.99/24 dev mac0")
    return stage.send(stage.inside(container), FIRST)
