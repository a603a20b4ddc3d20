"""Users' chains told to the kernel by our own messages: it must hold what nft would have made."""

import os
import random
import time

import pytest

from pam_spice.firewall import Chain, KernelRefused, netlink, nft
from tests.kernel import namespace as ns
from tests.kernel.namespace import ENDPOINTS, V4, V6, VIEWER_GID
from tests.unit.nft_language import open_text

ANNE, RALPH = 1021, 1022
RULES: Chain = ((V4, 20001, VIEWER_GID, 0, 0), (V6, 20001, VIEWER_GID, 0, 0),
                (V4, 20002, VIEWER_GID, 1795435200, 0), (V6, 65535, VIEWER_GID, 0, 1795438800),
                (V4, 1, 4294967294, 1795435200, 13569465599))


def guard() -> None:
    nft.apply(nft.render_guard(ENDPOINTS))


def listed_by_nft(chains: dict[int, Chain]) -> str:
    """What the kernel lists after nft was given the chains; there is no table after it."""
    guard()
    ns.nft("".join(open_text(uid, chain) for uid, chain in sorted(chains.items())))
    listing = ns.listing()
    ns.nft("delete table inet pam_spice")
    return listing


@pytest.mark.parametrize("chain", [(), *((rule,) for rule in RULES), RULES], ids=str)
def test_the_kernel_lists_a_chain_as_if_nft_had_made_it(chain: Chain) -> None:
    expected = listed_by_nft({ANNE: chain})
    guard()
    netlink.change([], {ANNE: chain})
    assert ns.listing() == expected


def test_the_kernel_lists_random_chains_of_many_users_as_if_nft_had_made_them() -> None:
    dice = random.Random(20261124)

    def address() -> str:
        if dice.random() < 0.5:
            return ".".join(str(dice.randrange(1, 255)) for _ in range(4))
        return "2001:db8" + "".join(f":{dice.randrange(1, 65536):x}" for _ in range(6))

    def instant() -> int:
        return dice.choice((0, dice.randrange(1767225600, 13569465599)))

    chains = {uid: tuple((address(), dice.randrange(1, 65536), dice.randrange(1, 2**32 - 1),
                          instant(), instant()) for _ in range(dice.randrange(20)))
              for uid in [1000, 4294967294, *dice.sample(range(1001, 2**31), 200)]}
    expected = listed_by_nft(chains)
    guard()
    netlink.change([], chains)
    assert ns.listing() == expected


def test_a_chain_that_is_set_again_has_the_new_rules_alone() -> None:
    guard()
    netlink.change([], {ANNE: RULES})
    once = ns.listing()
    netlink.change([], {ANNE: RULES})
    assert ns.listing() == once
    netlink.change([], {ANNE: RULES[:1]})
    observed = nft.observe()
    assert observed is not None and observed.chains == {ANNE: RULES[:1]}


def test_closing_leaves_nothing_of_the_user_and_all_of_the_others() -> None:
    guard()
    netlink.change([], {RALPH: RULES})
    before = ns.listing()
    netlink.change([], {ANNE: RULES})
    netlink.change([ANNE], {})
    assert ns.listing() == before
    netlink.change([ANNE], {})  # nothing is there
    assert ns.listing() == before


def test_one_user_leaves_and_another_comes_in_one_transaction() -> None:
    guard()
    netlink.change([], {ANNE: RULES})
    netlink.change([ANNE], {RALPH: RULES})
    observed = nft.observe()
    assert observed is not None
    assert (observed.chains, observed.jumps) == ({RALPH: RULES}, {RALPH})


def test_nothing_to_do_asks_the_kernel_nothing() -> None:
    netlink.change([], {})
    assert nft.observe() is None


def test_without_a_table_it_is_refused_and_makes_none() -> None:
    with pytest.raises(KernelRefused, match="No such file or directory"):
        netlink.change([], {ANNE: RULES})
    with pytest.raises(KernelRefused, match="No such file or directory"):
        netlink.change([ANNE], {})
    assert nft.observe() is None


def test_where_one_part_is_refused_nothing_is_done() -> None:
    guard()
    ns.nft(f"add element inet pam_spice sessions {{ {RALPH} : accept }}")
    before = ns.listing()
    with pytest.raises(KernelRefused):
        netlink.change([], {ANNE: RULES, RALPH: RULES})
    assert ns.listing() == before
    with pytest.raises(KernelRefused):
        netlink.change([RALPH], {ANNE: RULES})
    assert ns.listing() == before


def test_a_thousand_users_with_ten_rules_each_are_one_transaction() -> None:
    guard()
    chains = {uid: tuple((V4, port, VIEWER_GID, 0, 0) for port in range(20001, 20011))
              for uid in range(2000, 3000)}
    netlink.change([], chains)
    observed = nft.observe()
    assert observed is not None and observed.chains == chains
    netlink.change(list(chains), {ANNE: RULES})
    observed = nft.observe()
    assert observed is not None and (observed.chains, observed.jumps) == ({ANNE: RULES}, {ANNE})


def test_it_asks_no_directory_of_users() -> None:
    guard()
    for path in ("/etc/passwd", "/etc/group"):
        os.unlink(path)
        os.mkfifo(path)  # who opens it waits for a writer that never comes
    began = time.monotonic()
    netlink.change([], {ANNE: RULES})
    netlink.change([ANNE], {})
    assert time.monotonic() - began < 3


def test_a_user_without_the_right_to_it_is_refused() -> None:
    guard()

    def attempt() -> str:
        ns.become(ANNE, ANNE)
        try:
            netlink.change([], {ANNE: RULES})
        except OSError as error:
            return type(error).__name__
        return "done"

    assert ns.answer_of(attempt) in ("KernelRefused", "PermissionError")
    observed = nft.observe()
    assert observed is not None and observed.chains == {}
