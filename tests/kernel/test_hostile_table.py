"""What others do to our table, our sockets and our files, and who must be closed all the same."""

import os
import socket
import time
from pathlib import Path

import pytest

from conf.lookup import CompiledPolicy
from pam_spice import hook, paths, reconcile, sockets
from pam_spice.firewall import Chain, KernelRefused, netlink, nft
from pam_spice.sessions_now import revoke
from tests.kernel import namespace as ns
from tests.kernel.namespace import GUARDED_PORT, USERS, V4, VIEWER_GID, Client
from tests.kernel.workstation import OFFICE, REFUSED, Workstation, office

ANNE, RALPH, ZOE = USERS["anne"], USERS["ralph"], USERS["zoe"]
TABLE = "inet pam_spice"


def anne_and_ralph() -> Workstation:
    workstation = office()
    workstation.policy(OFFICE + "workstation: {one_user: false}\n")
    workstation.reconcile()
    workstation.log_in("1", "anne", hint=True)
    workstation.log_in("2", "ralph", hint=True)
    return workstation


# Closing is not to depend on anybody else's chain.

def test_a_logout_closes_though_another_user_s_chain_jumps_to_the_leaver_s() -> None:
    workstation = anne_and_ralph()
    client = Client(ANNE, VIEWER_GID, V4, GUARDED_PORT)
    assert client.say() == "yes"
    ns.nft(f"add rule {TABLE} user-{RALPH} jump user-{ANNE}\n")
    workstation.hook("1", "close")
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED
    assert client.say() != "yes"


def test_a_revoke_closes_though_another_user_s_chain_jumps_to_it() -> None:
    workstation = anne_and_ralph()
    ns.nft(f"add rule {TABLE} user-{RALPH} jump user-{ANNE}\n")
    revoke(ANNE, None, "anne")
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED


def test_who_leaves_does_not_wait_for_a_chain_that_the_kernel_refuses() -> None:
    workstation = anne_and_ralph()
    # Ralph's chain as a base chain: to it no element can jump.
    ns.nft(f"delete element {TABLE} sessions {{ {RALPH} }}\nflush chain {TABLE} user-{RALPH}\n"
           f"delete chain {TABLE} user-{RALPH}\nadd chain {TABLE} user-{RALPH} "
           "{ type filter hook input priority 0; policy accept; }\n")
    workstation.kill("1")  # no hook: found by the timer
    with pytest.raises(KernelRefused):
        workstation.reconcile()
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED


@pytest.mark.parametrize("name", ["user-99999999999", "user-01021"])
def test_a_chain_that_is_no_user_s_stops_no_run(name: str) -> None:
    workstation = office()
    workstation.log_in("1", "anne", hint=True)
    ns.nft(f"add chain {TABLE} {name}\n")
    workstation.kill("1")
    workstation.reconcile()
    assert workstation.reaches("anne", GUARDED_PORT) == REFUSED
    assert name not in ns.listing()


# An nft must not outlive its hook (hook._CHILDREN_LIMIT says why).

def test_an_nft_that_is_slow_at_a_login_puts_no_old_guard_in_place_of_a_newer_one() -> None:
    workstation = office()
    ns.listen([(V4, 20008)])
    slow = Path("/run/slow-nft")
    slow.write_text('#!/bin/sh\ncase "$*" in *list*) ;; *) sleep 10;; esac\n'
                    'exec /usr/sbin/nft "$@"\n')
    slow.chmod(0o755)
    workstation.policy(OFFICE.replace("20001-20010", "20001-20005"))
    login = os.fork()
    if login == 0:
        paths.NFT = str(slow)
        os._exit(hook.main("open"))
    os.waitpid(login, 0)
    workstation.policy(OFFICE)  # the admin has noticed what he did
    workstation.reconcile()
    assert workstation.reaches("zoe", 20008) == REFUSED
    time.sleep(5)
    assert workstation.reaches("zoe", 20008) == REFUSED


# The guard matters more than anybody's chain.

def chains(users: int) -> dict[int, Chain]:
    return {uid: tuple((V4, port, VIEWER_GID, 0, 0) for port in range(20001, 20006))
            for uid in range(2000, 2000 + users)}


def test_a_refusal_is_told_as_one_however_many_errors_there_are() -> None:
    with pytest.raises(KernelRefused):
        netlink.change([], chains(100))
    with pytest.raises(KernelRefused):
        netlink.change(list(range(2000, 2200)), {})


def test_the_guard_is_loaded_though_the_table_is_flushed_twice() -> None:
    """``systemctl restart nftables`` flushes at its stop and again at its start."""
    workstation = office()
    workstation.log_in("1", "anne", hint=True)
    apply = nft.apply
    flushed: list[str] = []

    def and_flush(text: str, timeout: float = 10.0) -> None:
        apply(text, timeout)
        if text == nft.BASE and not flushed:
            flushed.append(text)
            ns.nft("flush ruleset\n")

    nft.apply = and_flush
    reconcile.desired_chains = lambda *_: chains(100)  # type: ignore[attr-defined]
    ns.nft("flush ruleset\n")
    try:
        workstation.reconcile()
    except OSError:
        pass
    assert flushed
    assert ns.try_as(ZOE, ZOE, V4, GUARDED_PORT) == REFUSED


# Live consoles of those who may have them.

def test_a_live_console_survives_that_a_foreign_element_is_taken_out() -> None:
    workstation = office()
    workstation.log_in("1", "anne", hint=True)
    client = Client(ANNE, VIEWER_GID, V4, GUARDED_PORT)
    assert client.say() == "yes"
    ns.nft(f"add element {TABLE} sessions {{ {ZOE} : accept }}\n")
    timer = os.fork()
    if timer == 0:
        ns.die_with_parent()
        workstation.reconcile()
        os._exit(0)
    answers = set()
    while os.waitpid(timer, os.WNOHANG) == (0, 0):
        answers.add(client.say())
    assert answers == {"yes"}


# Under the lock nobody's sockets may cost much: who waits for it is a logout with eight seconds.

def test_strangers_sockets_on_a_guarded_port_cost_the_same_however_much_is_guarded() -> None:
    """Anybody, logged in from elsewhere too, may hold 100,000 of them to 127.x.y.z."""
    ns.nft("table inet deaf { chain input { type filter hook input priority 0;"
           f" tcp dport {GUARDED_PORT} drop; }}; }}")  # they stay in SYN_SENT
    ready, write = os.pipe()
    for number in range(8):
        if os.fork() == 0:
            ns.die_with_parent()
            try:
                ns.become(ZOE, ZOE)
                ns.die_with_parent()  # which another uid has undone
                kept = []
                for host in range(600):
                    client = socket.socket()
                    client.setblocking(False)
                    client.connect_ex((f"127.{number + 1}.{host >> 8}.{host & 255}", GUARDED_PORT))
                    kept.append(client)
                os.write(write, b".")
                time.sleep(60)
            finally:
                os._exit(0)
    os.close(write)
    for _ in range(8):
        assert os.read(ready, 1) == b"."
    took = []
    for count in (1, 3000):
        endpoints = [(f"10.{at >> 8}.{at & 255}.1", 20001, 20010) for at in range(count)]
        attempts = []
        for _ in range(3):  # a processor that others use, too, is a slower one for a while
            began = time.process_time()
            assert sockets.guarded_connections(endpoints) == []
            attempts.append(time.process_time() - began)
        took.append(min(attempts))
    assert took[1] < 3 * took[0] + 0.02, took


def test_a_compiled_policy_that_is_cut_short_while_it_is_read_is_given_up_soon() -> None:
    workstation = Workstation()
    others = "".join(f"  - {{user: u{number}, console: first, when: Mon}}\n"
                     for number in range(3000))
    workstation.policy(OFFICE + others)
    workstation.reconcile()
    compiled = CompiledPolicy(paths.COMPILED)
    os.truncate(paths.COMPILED, os.path.getsize(paths.COMPILED) // 3)
    began = time.process_time()
    try:
        compiled.grants_of(["user:zoe"])
    except OSError:
        pass
    assert time.process_time() - began < 1
