"""A workstation, its server and the wire between them, in namespaces; with nothing, the article's
firewall, or pam-spice.

anne's console is on one port of the server, ralph's on another; zoe has none. In pam-spice's policy
both of the server's IPv4 addresses and its IPv6 address are declared, the article knows the one.
"""

from __future__ import annotations

import encodings.idna  # noqa: F401  # for getaddrinfo; users may not read these files
import os
import socket
from collections.abc import Callable
from pathlib import Path

from conf.compiling import VALID
from conf.lookup import CompiledPolicy
from pam_spice import paths, sessions_now
from pam_spice.firewall import Chain, nft
from pam_spice.watch import watch
from tests.attacks import article
from tests.attacks.attempt import ARTICLE, PAM_SPICE, Seen
from tests.attacks.kernel.server import Listener, Machine
from tests.kernel import namespace as ns
from tests.kernel.namespace import USERS, V4, V6, VIEWER_GID
from tests.kernel.workstation import Workstation

IPTABLES = "iptables-legacy"
ANNE, RALPH, ZOE = USERS["anne"], USERS["ralph"], USERS["zoe"]
FIRST, SECOND = ns.GUARDED_PORT, ns.OTHER_GUARDED_PORT
OWN_CONSOLE = 20003
"""Of a VM that runs on the workstation itself."""
SPARE = 20010
"""Guarded, and no console."""
OUTSIDE_PORT = 53
"""Of a machine elsewhere, and open to all in the article's firewall."""

SECOND_V4 = "10.77.0.2"
UNDECLARED_V4, UNDECLARED_V6 = "10.77.0.9", "fd77::9"
LINK_LOCAL = "fe80::77"
WORKSTATION_V4, WORKSTATION_V6 = "10.77.0.22", "fd77::22"
CONTAINER_V4, CONTAINER_V6 = "10.78.0.2", "fd78::2"
INTERFACE = "eth0"

SERVERS = f"""\
timezone: UTC
servers:
  kvm: {{host: kvm.example, addresses: [{V4}, {SECOND_V4}, "{V6}"], guarded_ports: [20001-20010],
        ca_file: /etc/pam-spice/kvm.pem}}
  here: {{host: here.example, addresses: [{WORKSTATION_V4}], guarded_ports: [{OWN_CONSOLE}],
         ca_file: /etc/pam-spice/kvm.pem}}
consoles:
  first: {{server: kvm, tls_port: {FIRST}}}
  second: {{server: kvm, tls_port: {SECOND}}}
  own: {{server: here, tls_port: {OWN_CONSOLE}}}
"""
GRANTS = "grants:\n  - {user: anne, console: first}\n  - {user: ralph, console: second}\n"
POLICY = SERVERS + GRANTS
TWO_USERS = "workstation: {one_user: false}\n"
PLACE = article.Place(
    consoles=(article.Console("anne", ANNE, "first", FIRST),
              article.Console("ralph", RALPH, "second", SECOND)),
    interface=INTERFACE, workstation=WORKSTATION_V4, server=V4, server_name="kvm.example")

ANSWERED = "the server answered"
_FARED = {"ConnectionRefusedError": "reset", "ConnectionResetError": "reset",
          "ConnectionAbortedError": "cut", "TimeoutError": "no answer", "sent": "no answer"}
_SECONDS = 0.3
"""How long a client waits for an answer; the article's firewall gives none."""


class Stage:
    """One attempt's workstation. It is built in the child that makes the attempt."""

    workstation: Workstation
    """Only with pam-spice."""

    def __init__(self, setup: str, articles_rules: str) -> None:
        """``articles_rules``: see ``articles_rules``."""
        self.setup = setup
        self._articles_rules = articles_rules
        self._words = 0
        self._sessions: dict[str, str] = {}

    @property
    def is_ours(self) -> bool:
        return self.setup == PAM_SPICE

    def build(self) -> None:
        """The network, then what protects it."""
        self.server = Machine()
        ns.ip("link", "add", INTERFACE, "up", "type", "veth", "peer", "name", "lan", "netns",
              str(self.server.pid))
        # Up on both sides before there are addresses: else IPv6 takes a second to begin.
        self.server.batch("link set lo up", "link set lan up")
        for address in (f"{WORKSTATION_V4}/24", f"{WORKSTATION_V6}/64", "fe80::22/64"):
            ns.ip("addr", "add", address, "dev", INTERFACE, *(["nodad"] if ":" in address else []))
        self.server.batch(
            *(f"addr add {each}/24 dev lan" for each in (V4, SECOND_V4, UNDECLARED_V4)),
            *(f"addr add {each}/64 dev lan nodad" for each in (V6, UNDECLARED_V6, LINK_LOCAL)),
            f"route add 10.78.0.0/24 via {WORKSTATION_V4}",
            f"route add fd78::/64 via {WORKSTATION_V6}")
        self.consoles = self.server.serve((FIRST, SECOND, SPARE, OUTSIDE_PORT))
        self.protect()

    def protect(self) -> None:
        """What the setup brings up at boot."""
        if self.setup == ARTICLE:
            ns.command(f"{IPTABLES}-restore", data=self._articles_rules)
        if self.is_ours:
            self.workstation = Workstation()
            self.policy(POLICY)

    # People and their admin; without pam-spice a login does nothing that matters here.

    def policy(self, text: str) -> None:
        """Have the admin write a policy, which has no error."""
        if self.is_ours:
            self.workstation.policy(text)
            self.workstation.reconcile()
            assert CompiledPolicy(paths.COMPILED).outcome == VALID

    def log_in(self, user: str, **fields: str) -> str:
        """A login at the seat; the session's id."""
        session = str(len(self._sessions) + 1)
        self._sessions[session] = user
        if self.is_ours:
            self.workstation.log_in(session, user, hint=True, **fields)
        return session

    def log_out(self, session: str) -> None:
        """A proper logout."""
        if self.is_ours:
            self.workstation.log_out(session)

    def lose(self, session: str) -> None:
        """The login program is killed; no hook runs."""
        if self.is_ours:
            self.workstation.kill(session)

    def minute(self) -> None:
        """What a minute's timer does."""
        if self.is_ours:
            self.workstation.reconcile()

    def revoke(self, user: str) -> None:
        """The admin takes a user's consoles back, by the means of the setup."""
        if self.is_ours:
            sessions_now.revoke(USERS[user], None, user)
        if self.setup == ARTICLE:
            number = [each.user for each in PLACE.consoles].index(user) + 1
            ns.command(IPTABLES, "-D", "OUTPUT", "-m", "owner", "--uid-owner", str(USERS[user]),
                       "-j", f"Spice_VM_{number}")

    def chain(self, user: str) -> Chain:
        """The rules of a user's chain, as the kernel has them."""
        observed = nft.observe()
        return () if observed is None else observed.chains.get(USERS[user]) or ()

    def stop_protection(self) -> None:
        """What an admin does who looks whether the firewall is in his way: each by its own tool."""
        for chain in ("INPUT", "OUTPUT", "FORWARD"):
            if self.setup == ARTICLE:
                ns.command(IPTABLES, "-P", chain, "ACCEPT")
        if self.setup == ARTICLE:
            ns.command(IPTABLES, "-F")
        ns.nft("flush ruleset\n")

    def watch(self) -> None:
        """The watcher runs from now on."""
        if self.is_ours:
            if os.fork() == 0:
                try:
                    ns.die_with_parent()
                    watch()
                finally:
                    os._exit(1)
            wake = Path("/run/pam-spice/wake")
            assert ns.until(wake.exists)

    # Attempts

    def word(self) -> str:
        """A word that nobody has sent yet."""
        self._words += 1
        return f"<{self._words}>"

    def says(self, word: str, port: int, client: str, listener: Listener | None = None) -> Seen:
        """The server's word on whether that word came through; ``client`` is how its sender
        fared, which only tells a reset from silence."""
        listener = listener or self.consoles
        if ns.until(lambda: word in listener.received(port), 0.05 if client != "sent" else 1.0):
            return Seen(True, ANSWERED)
        return Seen(False, _FARED[client])

    def connect(self, uid: int, port: int, address: str = V4, *, gid: int | None = None,
                groups: tuple[int, ...] = (),
                prepare: Callable[[], socket.socket] | None = None) -> Seen:
        """Connect as that uid (and gid: its own where none is given) and send a word.

        ``prepare`` makes the socket, with the ids of the sender.
        """
        def make() -> socket.socket:
            ns.become(uid, uid if gid is None else gid, groups)
            return prepare() if prepare else _socket_for(address)

        return self.send(make, port, address)

    def viewer(self, uid: int, port: int, address: str = V4) -> Seen:
        """The same, as the viewer that sudo has started for that user."""
        return self.connect(uid, port, address, gid=VIEWER_GID)

    def send(self, make: Callable[[], socket.socket], port: int, address: str = V4,
             there: int | None = None) -> Seen:
        """In a process of its own, make a socket and send a word by it; ``there``: the port at
        which the server is asked for it, if it is another."""
        word = self.word()

        def attempt() -> str:
            with make() as client:
                client.settimeout(_SECONDS)
                client.connect(_sockaddr(client.family, address, port))
                client.sendall(word.encode())
                client.recv(100)
                return "sent"

        return self.says(word, there or port, outcome(attempt))

    def console(self, user: str, port: int = FIRST, address: str = V4) -> ns.Client:
        """A live console of the user's viewer, which the server knows of."""
        client = ns.Client(USERS[user], VIEWER_GID, address, port)
        assert client.state == "connected", client.state
        assert client.say() == "yes"
        return client

    def still_there(self, client: ns.Client, port: int = FIRST) -> Seen:
        """Whether the server still hears a client that says something, and still holds its half
        when the client does not get through."""
        before = len(self.consoles.received(port))
        said = client.say()
        if len(self.consoles.received(port)) > before:
            return Seen(True, ANSWERED)
        gone = ns.until(lambda: self.consoles.live(port) == 0, 1.0)
        return Seen(False, "cut, both halves" if gone and said != "yes"
                    else "cut, the server keeps its half")

    # Other machines

    def container(self) -> Machine:
        """A container behind the workstation, with a network of its own that the workstation
        routes, and no protection of its own."""
        container = Machine()
        ns.link(container.pid, "c", [f"{CONTAINER_V4}/24", f"{CONTAINER_V6}/64"],
                ["10.78.0.254/24", "fd78::fe/64"])
        container.run("ip route add default via 10.78.0.254",
                      "ip -6 route add default via fd78::fe")
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        Path("/proc/sys/net/ipv6/conf/all/forwarding").write_text("1")
        return container

    def inside(self, machine: Machine, uid: int = 0,
               gid: int = 0) -> Callable[[], socket.socket]:
        """Makes an IPv4 socket on another machine."""
        def make() -> socket.socket:
            ns.join_network(machine.pid)
            ns.become(uid, gid)
            return socket.socket()

        return make


def articles_rules() -> str:
    """What the article's script makes the kernel hold, as iptables-save tells it: to load that
    takes a twentieth of the time. For a child with namespaces of its own."""
    script = Path("/run/firewall.fw")
    script.write_text(article.firewall(PLACE, f"/usr/sbin/{IPTABLES}"))
    ns.command("sh", str(script))
    return ns.command(f"{IPTABLES}-save")


def outcome(attempt: Callable[[], str]) -> str:
    """What a function answers in a process of its own, or the name of its OSError."""
    def guarded() -> str:
        try:
            return attempt()
        except OSError as error:
            return type(error).__name__

    said = ns.answer_of(guarded)
    assert said.isidentifier(), said  # what else it says is an error of the test's own
    return said


def _socket_for(address: str) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)


def _sockaddr(family: int, address: str, port: int) -> str | tuple[object, ...]:
    if family == socket.AF_UNIX:
        return address
    if family == socket.AF_INET:
        return address, port
    return socket.getaddrinfo(address, port, family, socket.SOCK_STREAM)[0][4]
