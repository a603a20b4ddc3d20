"""A chain that is not what it should be: what is time's doing, and what is somebody's."""

import pytest

from conf.intervals import DAY
from pam_spice.desired import horizon
from pam_spice.firewall import Chain, Rule
from pam_spice.mending import found
from tests.unit.support import NOON

V4, V6 = "192.168.2.2", "fd00::2"
HOUR = 3600
END = horizon(NOON)[1]


def rule(start: int = 0, end: int = 0, address: str = V4, port: int = 20001,
         gid: int = 997) -> Rule:
    return (address, port, gid, start, end)


ALWAYS = (rule(),)
MORNINGS: Chain = tuple(rule(NOON - 4 * HOUR + day * DAY, NOON + day * DAY) for day in range(1, 8))


def event(before: Chain | None, after: Chain, is_in_use: bool = True) -> tuple[str, str] | None:
    return found({1021: before}, {1021} if is_in_use else set(), {1021: after}, NOON).get(1021)


@pytest.mark.parametrize("chain", [ALWAYS, MORNINGS, (*ALWAYS, *MORNINGS)])
def test_a_chain_that_is_as_it_should_be_is_no_event(chain: Chain) -> None:
    assert event(chain, chain) is None


@pytest.mark.parametrize("before", [
    (rule(NOON - HOUR, NOON), *MORNINGS), (rule(0, NOON - 1), *MORNINGS),
    (rule(NOON - HOUR, NOON, port=20009), *MORNINGS), tuple(reversed(MORNINGS))], ids=str)
def test_a_rule_that_is_over_and_another_order_are_no_event(before: Chain) -> None:
    assert event(before, MORNINGS) is None


def test_a_rule_that_began_earlier_than_it_is_told_now_is_no_event() -> None:
    assert event((rule(NOON - 2 * DAY, NOON + 1),), (rule(NOON - DAY, NOON + 1),)) is None


@pytest.mark.parametrize("days", range(1, 8))
def test_what_is_told_for_further_days_is_an_extension(days: int) -> None:
    assert (event(MORNINGS[:-days], MORNINGS) or ("", ""))[0] == "extend"


def test_a_window_that_went_on_beyond_what_was_told_is_an_extension() -> None:
    before, after = (rule(NOON - HOUR, END - DAY),), (rule(NOON - HOUR, END),)
    assert (event(before, after) or ("", ""))[0] == "extend"
    both = (event((*before, *ALWAYS[:0], rule(port=20002)), (*after, rule(port=20002))))
    assert (both or ("", ""))[0] == "extend", "beside what has no end"


def test_a_first_chain_for_what_is_yet_to_come_is_an_extension() -> None:
    events = found({}, set(), {1021: MORNINGS[-1:]}, NOON)
    assert events[1021][0] == "extend"


@pytest.mark.parametrize("before", [
    MORNINGS[1:],  # the next one is missing, not the last
    (*MORNINGS, rule(port=20009)), (*MORNINGS, rule(END, END + DAY)),
    (rule(NOON - HOUR, NOON + HOUR), *MORNINGS),
    tuple((*each[:4], each[4] + 1) for each in MORNINGS),
    tuple((V6, *each[1:]) for each in MORNINGS), tuple((*each[:2], 100, *each[3:])
                                                       for each in MORNINGS),
    ALWAYS], ids=str)
def test_any_other_difference_is_a_mend(before: Chain) -> None:
    assert event(before, MORNINGS) == ("mend", "it was changed")


def test_what_is_not_ours_in_a_chain_is_a_mend() -> None:
    assert event(None, MORNINGS) == ("mend", "it held what is not ours")
    assert found({1021: None}, {1021}, {}, NOON) == {
        1021: ("mend", "no session that counts had it")}


def test_a_chain_that_is_missing_or_that_nothing_leads_to_is_a_mend() -> None:
    assert found({}, set(), {1021: ALWAYS}, NOON) == {1021: ("mend", "it was missing")}
    assert event(MORNINGS, MORNINGS, is_in_use=False) == ("mend", "nothing led to it")


def test_a_chain_that_nobody_should_have_is_a_mend_as_long_as_it_lets_anything_through() -> None:
    assert found({1021: ALWAYS}, {1021}, {}, NOON) == {
        1021: ("mend", "no session that counts had it")}
    assert found({1021: (rule(NOON - HOUR, NOON),)}, {1021}, {}, NOON) == {}, "its time was over"
    assert found({1021: ()}, set(), {}, NOON) == {}


def test_each_user_has_an_event_of_his_own() -> None:
    assert found({1021: ALWAYS, 1022: ALWAYS, 1023: ()}, {1021, 1022},
                 {1021: ALWAYS, 1023: ALWAYS}, NOON) == {
        1022: ("mend", "no session that counts had it"), 1023: ("mend", "nothing led to it")}
