"""The guard in a real kernel: who gets through, and that everybody else hears of it at once."""

import os
import socket
import time

import pytest

from pam_spice.firewall import Chain, Observed, netlink, nft
from pam_spice.run import CommandFailed
from tests.kernel import namespace as ns
from tests.kernel.namespace import (
    ENDPOINTS,
    FREE_PORT,
    GUARDED_PORT,
    OTHER_GID,
    OTHER_GUARDED_PORT,
    V4,
    V6,
    VIEWER_GID,
    Client,
    try_as,
)

ANNE, RALPH = 1021, 1022
REFUSED = "ConnectionRefusedError"
BOTH = pytest.mark.parametrize("address", [V4, V6])


def guard() -> None:
    ns.serve_here()
    nft.apply(nft.render_guard(ENDPOINTS))


def rules(port: int = GUARDED_PORT, start: int = 0, end: int = 0) -> Chain:
    return tuple((address, port, VIEWER_GID, start, end) for address in (V4, V6))


def open_for(uid: int, chain: Chain) -> None:
    netlink.change([], {uid: chain})


@BOTH
def test_without_the_guard_the_server_answers(address: str) -> None:
    ns.serve_here()
    assert try_as(ANNE, ANNE, address, GUARDED_PORT) == "yes"


@BOTH
@pytest.mark.parametrize(("uid", "gid"), [(0, 0), (0, VIEWER_GID), (ANNE, ANNE),
                                          (ANNE, VIEWER_GID), (65534, 65534)])
def test_nobody_reaches_a_guarded_port_root_and_the_viewer_group_included(
        address: str, uid: int, gid: int) -> None:
    guard()
    assert try_as(uid, gid, address, GUARDED_PORT) == REFUSED
    assert try_as(uid, gid, address, OTHER_GUARDED_PORT) == REFUSED


def test_a_v4_mapped_address_is_refused_too() -> None:
    guard()
    assert try_as(0, 0, f"::ffff:{V4}", GUARDED_PORT) == REFUSED
    assert try_as(0, 0, f"::ffff:{V4}", FREE_PORT) == "yes"


def test_a_link_local_address_is_refused_though_no_policy_names_it_and_its_other_ports_are_not(
        ) -> None:
    guard()
    ns.ip("link", "add", "lan", "type", "veth", "peer", "name", "other")
    ns.ip("link", "set", "other", "up")
    ns.ip("link", "set", "lan", "up")
    ns.ip("addr", "add", "fe80::77/64", "dev", "lan", "nodad")
    ns.listen([("fe80::77%lan", port) for port in (GUARDED_PORT, FREE_PORT)])
    assert try_as(ANNE, ANNE, "fe80::77%lan", GUARDED_PORT) == REFUSED
    assert try_as(ANNE, ANNE, "fe80::77%lan", FREE_PORT) == "yes"


@BOTH
def test_unguarded_ports_are_untouched_up_to_the_edges_of_the_range(address: str) -> None:
    guard()
    ns.listen([(address, 20000), (address, 20011), (address, 20010)])
    for port in (FREE_PORT, 20000, 20011):
        assert try_as(ANNE, ANNE, address, port) == "yes"
    assert try_as(ANNE, ANNE, address, 20010) == REFUSED


def test_other_addresses_at_the_same_port_are_untouched() -> None:
    guard()
    ns.ip("addr", "add", "10.77.0.9/24", "dev", "lo")
    ns.listen([("10.77.0.9", GUARDED_PORT), ("127.0.0.1", GUARDED_PORT)])
    for address in ("10.77.0.9", "127.0.0.1"):
        assert try_as(ANNE, ANNE, address, GUARDED_PORT) == "yes"


@BOTH
def test_a_refusal_comes_at_once(address: str) -> None:
    guard()
    before = time.monotonic()
    assert try_as(ANNE, ANNE, address, GUARDED_PORT) == REFUSED
    assert time.monotonic() - before < 0.5


def test_udp_to_a_guarded_port_is_left_alone() -> None:
    guard()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"x", (V4, GUARDED_PORT))


def test_a_multipath_tcp_socket_is_refused_too() -> None:
    guard()

    def attempt() -> str:
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262) as client:
                client.settimeout(2)
                client.connect((V4, GUARDED_PORT))
                return "yes"
        except OSError as error:
            return type(error).__name__

    # A kernel without MPTCP says "protocol not supported", which lets nobody through either.
    assert ns.answer_of(attempt) in (REFUSED, "OSError")


# Chains

@BOTH
def test_uid_and_gid_together_get_in(address: str) -> None:
    guard()
    open_for(ANNE, rules())
    assert try_as(ANNE, VIEWER_GID, address, GUARDED_PORT) == "yes"


@BOTH
@pytest.mark.parametrize(("uid", "gid", "groups"), [
    (ANNE, ANNE, ()), (ANNE, ANNE, (VIEWER_GID,)), (ANNE, OTHER_GID, (VIEWER_GID, ANNE)),
    (RALPH, VIEWER_GID, ()), (0, VIEWER_GID, ()), (0, 0, ()), (ANNE + 65536, VIEWER_GID, ())])
def test_another_uid_or_gid_or_the_group_only_beside_does_not(
        address: str, uid: int, gid: int, groups: tuple[int, ...]) -> None:
    guard()
    open_for(ANNE, rules())
    assert try_as(uid, gid, address, GUARDED_PORT, groups) == REFUSED


@BOTH
def test_another_console_of_the_same_server_stays_closed(address: str) -> None:
    guard()
    open_for(ANNE, rules())
    assert try_as(ANNE, VIEWER_GID, address, OTHER_GUARDED_PORT) == REFUSED


def test_a_v4_mapped_connection_counts_as_the_ipv4_one() -> None:
    guard()
    open_for(ANNE, rules())
    assert try_as(ANNE, VIEWER_GID, f"::ffff:{V4}", GUARDED_PORT) == "yes"


def test_the_ids_are_those_of_the_process_that_made_the_socket() -> None:
    guard()
    open_for(ANNE, rules())

    def attempt() -> str:
        client = socket.socket(socket.AF_INET)  # by root, before it becomes the user
        ns.become(ANNE, VIEWER_GID)
        try:
            client.connect((V4, GUARDED_PORT))
            return "yes"
        except OSError as error:
            return type(error).__name__

    assert ns.answer_of(attempt) == REFUSED


@pytest.mark.parametrize("uid", [1000, 65535, 2**31, 2**32 - 2])
def test_large_uids_are_told_apart(uid: int) -> None:
    guard()
    open_for(uid, rules())
    assert try_as(uid, VIEWER_GID, V4, GUARDED_PORT) == "yes"
    assert try_as(uid - 1, VIEWER_GID, V4, GUARDED_PORT) == REFUSED


def test_two_users_chains_stand_side_by_side() -> None:
    guard()
    open_for(ANNE, rules())
    open_for(RALPH, rules(OTHER_GUARDED_PORT))
    answers = [try_as(uid, VIEWER_GID, V4, port) for uid in (ANNE, RALPH)
               for port in (GUARDED_PORT, OTHER_GUARDED_PORT)]
    assert answers == ["yes", REFUSED, REFUSED, "yes"]


# Time

@pytest.mark.parametrize(("start", "end", "expected"), [
    (-100, -1, REFUSED), (100, 200, REFUSED), (-100, 100, "yes"), (-100, None, "yes"),
    (None, 100, "yes"), (None, -1, REFUSED), (100, None, REFUSED)])
def test_a_rule_counts_only_within_its_interval(start: int | None, end: int | None,
                                                expected: str) -> None:
    guard()
    now = int(time.time())
    open_for(ANNE, rules(start=now + start if start else 0, end=now + end if end else 0))
    assert try_as(ANNE, VIEWER_GID, V4, GUARDED_PORT) == expected


def test_a_window_opens_and_ends_by_itself_on_the_second() -> None:
    guard()
    start = int(time.time()) + 2
    open_for(ANNE, rules(start=start, end=start + 2))
    seen = []
    while (now := time.time()) < start + 3:
        seen.append((now, try_as(ANNE, VIEWER_GID, V4, GUARDED_PORT), time.time()))
        time.sleep(0.05)
    assert {answer for _, answer, _ in seen} == {"yes", REFUSED}
    for before, answer, after in seen:
        # An attempt that runs over an edge may end either way.
        if after < start or before >= start + 2:
            assert answer == REFUSED, (before - start, after - start)
        elif before >= start and after < start + 2:
            assert answer == "yes", (before - start, after - start)


@BOTH
def test_a_live_connection_dies_at_its_first_packet_after_the_end(address: str) -> None:
    guard()
    end = int(time.time()) + 2
    open_for(ANNE, rules(end=end))
    client = Client(ANNE, VIEWER_GID, address, GUARDED_PORT)
    assert client.state == "connected"
    assert client.say() == "yes"
    time.sleep(max(0.0, end - time.time()) + 0.1)
    assert client.say() not in ("yes", "data")
    assert try_as(ANNE, VIEWER_GID, address, GUARDED_PORT) == REFUSED


@BOTH
def test_removing_the_chain_stops_the_next_packet_of_a_live_connection(address: str) -> None:
    guard()
    open_for(ANNE, rules())
    client = Client(ANNE, VIEWER_GID, address, GUARDED_PORT)
    assert client.say() == "yes"
    netlink.change([ANNE], {})
    assert client.say() not in ("yes", "data")


def test_a_connection_from_before_the_guard_dies_when_the_guard_is_loaded() -> None:
    ns.serve_here()
    client = Client(ANNE, ANNE, V4, GUARDED_PORT)
    assert client.say() == "yes"
    nft.apply(nft.render_guard(ENDPOINTS))
    assert client.say() not in ("yes", "data")


def test_a_change_of_the_chain_that_keeps_the_grant_does_not_hurt_a_live_connection() -> None:
    guard()
    open_for(ANNE, rules())
    client = Client(ANNE, VIEWER_GID, V4, GUARDED_PORT)
    for _ in range(20):
        open_for(ANNE, rules() + rules(OTHER_GUARDED_PORT))
        assert client.say() == "yes"
        nft.apply(nft.render_guard(ENDPOINTS))
        assert client.say() == "yes"


@BOTH
def test_a_clean_close_is_no_denial_and_leaves_no_half_open_socket(address: str) -> None:
    guard()
    open_for(ANNE, rules())
    for _ in range(5):
        client = Client(ANNE, VIEWER_GID, address, GUARDED_PORT)
        assert client.say() == "yes"
        client.close()
    assert ns.until(lambda: ns.established(GUARDED_PORT) == []), ns.established(GUARDED_PORT)
    time.sleep(0.3)
    assert ns.denied() == 0


def test_a_clean_close_after_the_chain_is_gone_is_no_denial_either() -> None:
    guard()
    open_for(ANNE, rules())
    clients = [Client(ANNE, VIEWER_GID, address, GUARDED_PORT) for address in (V4, V6)]
    for client in clients:
        client.close()
    netlink.change([ANNE], {})
    assert ns.until(lambda: ns.established(GUARDED_PORT) == [])
    assert ns.denied() == 0


def test_every_denial_is_counted() -> None:
    guard()
    for _ in range(40):
        assert try_as(ANNE, ANNE, V4, GUARDED_PORT) == REFUSED
    assert ns.denied() == 40


# Other ways round

def test_a_dnat_of_local_packets_to_a_guarded_port_does_not_slip_by() -> None:
    guard()
    ns.nft(f"""table ip nat {{ chain output {{ type nat hook output priority -100;
        ip daddr 10.77.0.1 tcp dport {FREE_PORT} dnat to {V4}:{GUARDED_PORT}; }}; }}""")
    assert try_as(ANNE, ANNE, V4, FREE_PORT) == REFUSED
    open_for(ANNE, rules())
    assert try_as(ANNE, VIEWER_GID, V4, FREE_PORT) == "yes", "but the viewer passes by it"


@pytest.mark.parametrize("priority", [-300, -6, -5, -4, 0, 300])
def test_an_accept_in_another_table_does_not_open(priority: int) -> None:
    guard()
    ns.nft(f"""table inet other {{ chain output {{ type filter hook output priority {priority};
        policy accept; tcp dport {GUARDED_PORT} accept; }}; }}""")
    assert try_as(ANNE, ANNE, V4, GUARDED_PORT) == REFUSED


@BOTH
def test_a_container_behind_the_forward_path_is_refused(address: str) -> None:
    """The workstation is a router here: container - workstation - server, three namespaces."""
    nft.apply(nft.render_guard(ENDPOINTS))
    open_for(ANNE, rules())
    with open("/proc/sys/net/ipv4/ip_forward", "w") as file:
        file.write("1")
    with open("/proc/sys/net/ipv6/conf/all/forwarding", "w") as file:
        file.write("1")
    ready_reader, ready_writer = os.pipe()
    pids = {}
    for name in ("container", "server"):
        pids[name] = os.fork()
        if pids[name] == 0:
            ns.die_with_parent()
            ns.new_network()
            os.write(ready_writer, b".")
            time.sleep(60)
            os._exit(0)
    os.read(ready_reader, 1)
    os.read(ready_reader, 1)
    ns.link(pids["server"], "s", ["10.77.0.1/24", "fd77::1/64"], ["10.77.0.254/24", "fd77::fe/64"])
    ns.link(pids["container"], "c", ["10.78.0.2/24", "fd78::2/64"],
            ["10.78.0.254/24", "fd78::fe/64"])
    ns.enter(pids["server"], "ip route add default via 10.77.0.254",
             "ip -6 route add default via fd77::fe")
    ns.enter(pids["container"], "ip route add default via 10.78.0.254",
             "ip -6 route add default via fd78::fe")

    def serve() -> str:
        ns.join_network(pids["server"])
        ns.listen([(address, GUARDED_PORT), (address, FREE_PORT)])
        time.sleep(20)
        return ""

    if os.fork() == 0:
        ns.die_with_parent()
        serve()
        os._exit(0)

    def attempt(port: int, uid: int, gid: int) -> str:
        def body() -> str:
            ns.join_network(pids["container"])
            return try_as(uid, gid, address, port)

        return ns.answer_of(body)

    assert ns.until(lambda: attempt(FREE_PORT, ANNE, ANNE) == "yes"), "the way itself works"
    assert attempt(GUARDED_PORT, ANNE, VIEWER_GID) == REFUSED
    assert attempt(GUARDED_PORT, 0, 0) == REFUSED
    assert attempt(FREE_PORT, 0, 0) == "yes"


# Loading, opening, closing, again

def test_loading_the_guard_twice_is_loading_it_once() -> None:
    nft.apply(nft.render_guard(ENDPOINTS))
    once = ns.listing()
    nft.apply(nft.render_guard(ENDPOINTS))
    assert ns.listing() == once


def test_opening_twice_is_opening_once_and_closing_twice_is_no_error() -> None:
    nft.apply(nft.render_guard(ENDPOINTS))
    empty = ns.listing()
    open_for(ANNE, rules())
    once = ns.listing()
    open_for(ANNE, rules())
    assert ns.listing() == once
    for _ in range(3):
        netlink.change([ANNE], {})
        assert ns.listing() == empty


def test_closing_what_was_never_open_is_no_error() -> None:
    nft.apply(nft.render_guard(ENDPOINTS))
    netlink.change([ANNE], {})
    netlink.change(list(range(1000, 1010)), {})


def test_a_transaction_with_one_bad_line_changes_nothing() -> None:
    nft.apply(nft.render_guard(ENDPOINTS))
    open_for(ANNE, rules())
    before = ns.listing()
    with pytest.raises(CommandFailed) as caught:
        nft.apply(nft.render_guard([]) + "delete chain inet pam_spice no-such-chain\n")
    assert "no-such-chain" in str(caught.value)
    assert ns.listing() == before


def test_loading_the_guard_again_keeps_open_chains() -> None:
    guard()
    open_for(ANNE, rules())
    before = ns.listing()
    nft.apply(nft.render_guard(ENDPOINTS))
    assert ns.listing() == before
    assert try_as(ANNE, VIEWER_GID, V4, GUARDED_PORT) == "yes"


def test_loading_another_guard_moves_what_is_guarded() -> None:
    guard()
    nft.apply(nft.render_guard([(V4, FREE_PORT, FREE_PORT)]))
    assert try_as(0, 0, V4, FREE_PORT) == REFUSED
    assert try_as(0, 0, V4, GUARDED_PORT) == "yes"
    assert try_as(0, 0, V6, FREE_PORT) == "yes"


def test_loading_the_guard_while_attempts_run_never_lets_one_through() -> None:
    guard()
    loader = os.fork()
    if loader == 0:
        ns.die_with_parent()
        for _ in range(40):
            nft.apply(nft.render_guard(ENDPOINTS))
        os._exit(0)
    answers = set()
    while os.waitpid(loader, os.WNOHANG) == (0, 0):
        answers.add(try_as(ANNE, VIEWER_GID, V4, GUARDED_PORT))
    assert answers == {REFUSED}


def test_a_dormant_table_is_woken_by_loading_the_guard() -> None:
    guard()
    ns.nft("add table inet pam_spice { flags dormant; }")
    assert try_as(ANNE, ANNE, V4, GUARDED_PORT) == "yes", "dormant is open"
    nft.apply(nft.render_guard(ENDPOINTS))
    assert try_as(ANNE, ANNE, V4, GUARDED_PORT) == REFUSED


def test_a_chain_s_policy_and_rules_are_put_right_by_loading_the_guard() -> None:
    guard()
    before = ns.listing()
    ns.nft("""flush chain inet pam_spice output
flush chain inet pam_spice deny
insert rule inet pam_spice guard accept
flush set inet pam_spice guarded4
delete element inet pam_spice guarded6 { fd77::1 . 20001-20010 }
""")
    assert try_as(ANNE, ANNE, V4, GUARDED_PORT) == "yes"
    nft.apply(nft.render_guard(ENDPOINTS))
    assert ns.listing() == before
    assert try_as(ANNE, ANNE, V4, GUARDED_PORT) == REFUSED


def test_others_tables_are_not_touched() -> None:
    ns.nft("table inet theirs { chain c { tcp dport 22 accept; }; }")
    theirs = ns.command("nft", "list", "table", "inet", "theirs")
    guard()
    open_for(ANNE, rules())
    netlink.change([ANNE], {})
    assert ns.command("nft", "list", "table", "inet", "theirs") == theirs


def test_thousands_of_endpoints_load_in_one_transaction() -> None:
    many = [(f"10.{a}.{b}.1", 20001, 20010) for a in range(20) for b in range(250)]
    nft.apply(nft.render_guard(many))
    assert len(ns.command("nft", "list", "set", "inet", "pam_spice", "guarded4").split(",")) == 5000


# Reading back

def observed() -> Observed:
    found = nft.observe()
    assert found is not None
    return found


def test_without_a_table_nothing_is_observed() -> None:
    assert nft.observe() is None


def test_what_was_rendered_is_what_is_observed() -> None:
    nft.apply(nft.render_guard(ENDPOINTS))
    now = int(time.time())
    chains: dict[int, Chain] = {
        ANNE: ((V4, 20001, VIEWER_GID, 0, 0), (V6, 20001, VIEWER_GID, now - 5, now + 5)),
        RALPH: ((V4, 20002, 0, now, 0), (V4, 20003, 65534, 0, now + 86400 * 8)),
        2**32 - 2: ((V4, 65535, 2**32 - 2, 1795435200, 1795435201),),
        1000: ((V4, 22, VIEWER_GID, 1774746000, 1774749600),),
    }
    for uid, chain in chains.items():
        open_for(uid, chain)
    assert observed().chains == chains
    assert observed().jumps == set(chains)


def test_the_observed_guard_is_the_same_whoever_is_here_and_whatever_was_counted() -> None:
    guard()
    alone = observed().guard
    open_for(ANNE, rules())
    assert try_as(ANNE, VIEWER_GID, V4, GUARDED_PORT) == "yes"
    assert try_as(RALPH, VIEWER_GID, V4, GUARDED_PORT) == REFUSED
    assert observed().guard == alone
    netlink.change([ANNE], {})
    nft.apply(nft.render_guard(ENDPOINTS))
    assert observed().guard == alone


@pytest.mark.parametrize("change", [
    "add element inet pam_spice sessions { 1022 : accept }",
    "insert rule inet pam_spice output accept",
    "insert rule inet pam_spice guard meta skuid 0 accept",
    "add rule inet pam_spice deny accept",
    "flush chain inet pam_spice deny",
    "flush set inet pam_spice guarded6",
    "add element inet pam_spice guarded4 { 10.77.0.99 . 1 }",
    "add chain inet pam_spice more",
    "add table inet pam_spice { flags dormant; }",
    "add chain inet pam_spice output { policy drop; }",
])
def test_a_change_of_the_guard_is_seen(change: str) -> None:
    nft.apply(nft.render_guard(ENDPOINTS))
    before = observed().guard
    ns.nft(change + "\n")
    assert observed().guard != before


@pytest.mark.parametrize("change", [
    "add rule inet pam_spice user-1021 accept",
    "insert rule inet pam_spice user-1021 tcp dport 20002 accept",
    "flush chain inet pam_spice user-1021",
    "add rule inet pam_spice user-1021 ip daddr 10.77.0.1 tcp dport 20009 meta skgid 997 "
    "counter accept",
    "add rule inet pam_spice user-1021 ip daddr 10.77.0.1 tcp dport 20009 counter accept",
])
def test_a_change_of_a_user_s_chain_is_seen(change: str) -> None:
    nft.apply(nft.render_guard(ENDPOINTS))
    open_for(ANNE, rules())
    ns.nft(change + "\n")
    assert observed().chains[ANNE] != rules()


def test_a_deleted_jump_is_seen() -> None:
    nft.apply(nft.render_guard(ENDPOINTS))
    open_for(ANNE, rules())
    ns.nft("delete element inet pam_spice sessions { 1021 }\n")
    assert observed().jumps == set()
    assert observed().chains == {ANNE: rules()}
