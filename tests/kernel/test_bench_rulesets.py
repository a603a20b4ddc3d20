"""The firewalls that the benchmark measures do what is said of them: else it measures nothing."""

import socket

import pytest

from tests.bench import rulesets
from tests.kernel import namespace as ns

USERS = 3
GUARDS = pytest.mark.parametrize("load", [rulesets.ours, rulesets.ours_in_windows,
                                          rulesets.articles_iptables,
                                          rulesets.articles_nft])
ARTICLES = pytest.mark.parametrize("load", [rulesets.articles_iptables, rulesets.articles_nft])


def loaded(load: rulesets.Load) -> None:
    ns.ip("addr", "add", f"{ns.V4}/24", "dev", "lo")
    ns.ip("addr", "add", f"{ns.V6}/64", "dev", "lo", "nodad")
    load(USERS)
    ns.listen([(ns.V4, port) for port in (rulesets.UNGUARDED_PORT, *map(
        rulesets.port_of, range(1, USERS + 1)))])


def reaches(number: int, port: int, gid: int = ns.VIEWER_GID) -> bool:
    return ns.try_as(rulesets.uid_of(number), gid, ns.V4, port) == "yes"


@GUARDS
def test_each_user_reaches_his_own_console_and_no_other(load: rulesets.Load) -> None:
    loaded(load)
    for number in (1, USERS):
        assert [reaches(number, rulesets.port_of(other)) for other in range(1, USERS + 1)] == [
            other == number for other in range(1, USERS + 1)]
    assert not reaches(USERS + 1, rulesets.port_of(USERS))


@pytest.mark.parametrize("load", [rulesets.ours, rulesets.ours_in_windows])
def test_ours_asks_for_the_viewer_s_group_too(load: rulesets.Load) -> None:
    loaded(load)
    assert not reaches(USERS, rulesets.port_of(USERS), rulesets.uid_of(USERS))


@GUARDS
def test_what_is_measured_beside_consoles_arrives(load: rulesets.Load) -> None:
    loaded(load)
    stranger = rulesets.uid_of(USERS + 1)
    assert reaches(USERS + 1, rulesets.UNGUARDED_PORT, stranger)

    def send() -> str:
        with socket.socket(type=socket.SOCK_DGRAM) as sink, socket.socket(
                type=socket.SOCK_DGRAM) as source:
            sink.bind((ns.V4, rulesets.UDP_PORT))
            sink.settimeout(1.5)
            ns.become(stranger, stranger)
            source.sendto(b"hello", (ns.V4, rulesets.UDP_PORT))
            return sink.recv(5).decode()

    assert ns.answer_of(send) == "hello"


@ARTICLES
def test_the_article_s_rules_let_nothing_else_out(load: rulesets.Load) -> None:
    loaded(load)
    ns.listen([(ns.V4, 8081)])
    assert not reaches(1, 8081)
