"""The rules of a KVM host, in the real kernel: this namespace is the host, and another one holds
all the machines that knock at it, told apart by their addresses."""

import os
import socket
import struct
import time
from pathlib import Path

import pytest

from pam_spice.serverrules import render
from tests.kernel import namespace as ns
from tests.unit.support import policy_of

CASES = Path(__file__).parents[1] / "unit" / "golden" / "server-rules"
OFFICE = CASES / "office.yaml"
HOST4, HOST6 = "192.168.2.2", "fd00::2"
FRONT, POOL, PC7, THIRD = (("192.168.2.22", "fd00::22"), ("192.168.3.8", ""),
                           ("192.168.3.7", "fd00:7::1"), ("192.168.2.99", "fd00::99"))
PORTS = (20001, 20002, 20003, 20005, 20020, ns.FREE_PORT)


def lan() -> int:
    """A machine with everybody's addresses on the wire, and consoles that listen here; the pid of
    a process over there."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        ns.die_with_parent()
        ns.new_network()
        os.write(writer, b".")
        time.sleep(60)
        os._exit(0)
    os.read(reader, 1)
    machines = [f"{address}/16" for machine in (FRONT, POOL, PC7, THIRD) for address in machine
                if address]
    ns.link(pid, "wire", machines, [f"{HOST4}/16", f"{HOST6}/16"])
    ns.until(lambda: "LOWER_UP" in ns.ip("link", "show", "wire0"))
    ns.listen([(host, port) for host in (HOST4, HOST6) for port in PORTS])
    return pid


def knock(where: int | None, source: str, port: int) -> str:
    """Connect to a port of the host, from an address of that machine's or of the host itself, and
    have a word echoed: "yes", or the error's name."""

    def attempt() -> str:
        if where is not None:
            ns.join_network(where)
        host = HOST6 if ":" in source else HOST4
        try:
            with socket.create_connection((host, port), 2, (source, 0)) as client:
                client.sendall(b"hello")
                return "yes" if client.recv(5) == b"hello" else "closed"
        except OSError as error:
            return type(error).__name__

    return ns.answer_of(attempt)


def load(text: str) -> None:
    """As the header of the file says."""
    path = Path("/run/server.nft")
    path.write_text(text)
    ns.command("nft", "-f", str(path))


def rules(old: str = "", new: str = "") -> str:
    policy = policy_of(OFFICE.read_text().replace(old, new))
    return render(policy, policy.servers["mysrv"])


@pytest.mark.parametrize("path", sorted(CASES.glob("*.nft")), ids=lambda path: path.stem)
def test_nft_takes_the_rules_of_a_golden_policy_and_loading_them_again_changes_nothing(
        path: Path) -> None:
    ns.nft("table ip other { chain c { type filter hook input priority 0; counter accept; }; }")
    ns.command("nft", "-c", "-f", str(path))
    load(path.read_text())
    once = ns.listing()
    load(path.read_text())
    assert ns.listing() == once
    assert "table ip other" in once


def test_each_console_is_reached_from_its_workstations_alone() -> None:
    there = lan()
    reached = {FRONT: {20001, 20002, 20003}, POOL: {20001, 20002}, PC7: {20001, 20002},
               THIRD: set[int]()}
    load(rules())
    for machine, ports in reached.items():
        for source in filter(None, machine):
            assert {port: knock(there, source, port) for port in PORTS} == {
                port: "yes" if port in {*ports, ns.FREE_PORT} else "ConnectionRefusedError"
                for port in PORTS}, source


@pytest.mark.parametrize("source", [HOST4, "127.0.0.1", HOST6, "::1"])
def test_the_host_itself_is_no_way_round_though_its_address_is_among_the_admitted(
        source: str) -> None:
    lan()
    ns.ip("addr", "add", FRONT[0], "dev", "lo")
    load(rules("front-1: [", f'front-1: [{HOST4}, "{HOST6}", '))
    for one in (source, FRONT[0]):
        assert knock(None, one, 20001) == "ConnectionRefusedError"
        assert knock(None, one, ns.FREE_PORT) == "yes"


@pytest.mark.parametrize("address", FRONT)
def test_a_live_connection_goes_on_over_a_reload_and_ends_with_the_one_that_shuts_it_out(
        address: str) -> None:
    there = lan()
    load(rules())
    reader, writer = os.pipe()
    answers, answer = os.pipe()
    if os.fork() == 0:
        ns.die_with_parent()
        ns.join_network(there)
        host = HOST6 if ":" in address else HOST4
        client = socket.create_connection((host, 20001), 2, (address, 0))
        while os.read(reader, 1):
            try:
                client.sendall(b"hello")
                word = "yes" if client.recv(5) == b"hello" else "closed"
            except OSError as error:
                word = type(error).__name__
            os.write(answer, word.ljust(40).encode())
        os._exit(0)

    def say() -> str:
        os.write(writer, b".")
        return os.read(answers, 40).decode().strip()

    assert say() == "yes"
    load(rules())
    assert say() == "yes"
    load(rules('front-1: [192.168.2.22, "fd00::22"]', "front-1: [192.168.2.23]"))
    assert say() == "ConnectionResetError"


def fragments(source: str, port: int, first_of: int) -> list[bytes]:
    """A connection request in two IPv6 fragments, RFC 8200; the first one holds so many bytes."""
    head = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, HOST6)
    # Padded by no-operation options to a header of 40 bytes.
    tcp = struct.pack(">HHIIBBHHH", 4444, port, 7, 0, 10 << 4, 2, 65535, 0, 0) + b"\x01" * 20
    total = sum(struct.unpack(f">{(len(head) + len(tcp)) // 2}H", head + tcp)) + len(tcp) + 6
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    tcp = tcp[:16] + struct.pack(">H", total ^ 0xFFFF) + tcp[18:]
    found = []
    for at, part in ((0, tcp[:first_of]), (first_of, tcp[first_of:])):
        more = at + len(part) < len(tcp)
        found.append(struct.pack(">IHBB", 6 << 28, 8 + len(part), 44, 64) + head
                     + struct.pack(">BBHI", 6, 0, at | more, 99) + part)
    return found


# A first fragment without the whole of TCP's own 20 bytes the kernel itself throws away (5.11).
@pytest.mark.parametrize(("first_of", "answer"), [(24, "SYN-ACK"), (8, "")])
def test_a_request_in_fragments_is_refused_as_a_whole_one_is(first_of: int, answer: str) -> None:
    there = lan()

    def request(source: str) -> str:
        """What comes back within 0.3 seconds: "SYN-ACK", "RST" or nothing."""

        def attempt() -> str:
            ns.join_network(there)
            with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_TCP) as answers, \
                    socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW) as sender:
                answers.settimeout(0.3)
                answers.bind((source, 0))
                for packet in fragments(source, 20001, first_of):
                    sender.sendto(packet, (HOST6, 0))
                try:
                    while True:
                        flags = answers.recv(100)[13]
                        if flags & 0x02:
                            return "SYN-ACK"
                        if flags & 0x04:
                            return "RST"
                except TimeoutError:
                    return ""

        return ns.answer_of(attempt)

    for source in (FRONT[1], THIRD[1]):  # each knows the other's Ethernet address then
        assert knock(there, source, ns.FREE_PORT) == "yes"
    before = request(THIRD[1])
    load(rules())
    # A fragment is not answered by a reset: its checksum is that of the whole.
    assert (before, request(FRONT[1]), request(THIRD[1])) == (answer, answer, "")
