"""What should be: who holds the workstation, and which rules his chain has at an instant."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conf.intervals import DAY, UNKNOWN
from conf.zones import offsets_between
from pam_spice.desired import (
    allows,
    chain_of,
    desired_chains,
    desired_records,
    horizon,
    next_edge,
)
from session.logind import LogindSession
from session.records import CLOSED, OPEN, WAITING, Record
from tests.unit.support import NOON, grant, logind_session, record, zoned

GID = 997
ANNE, RALPH, ZOE = 1021, 1022, 1023
V4, V6 = "192.168.2.2", "fd00::2"


def decide(sessions: list[LogindSession], records: list[Record], one_user: bool = True,
           refused: tuple[str, ...] = ()) -> dict[str, str]:
    """Each session's state, with every new one admitted but ``refused``."""

    def admitted(session: LogindSession) -> Record | None:
        if session.id in refused:
            return None
        return record(session.id, session.uid, session.leader, "new", since=session.since)

    result = desired_records(sessions, {one.session: one for one in records}, one_user, admitted)
    assert all(one.session == name for name, one in result.items())
    return {name: one.state for name, one in result.items()}


def test_the_first_user_opens() -> None:
    assert decide([logind_session("1", ANNE)], []) == {"1": OPEN}


def test_of_two_new_users_the_one_who_came_first_opens() -> None:
    first, second = logind_session("1", ANNE, since=20), logind_session("2", RALPH, since=10)
    assert decide([first, second], []) == {"1": WAITING, "2": OPEN}
    assert decide([second, first], []) == {"1": WAITING, "2": OPEN}


def test_the_first_keeps_and_the_second_waits() -> None:
    assert decide([logind_session("1", ANNE, since=20), logind_session("2", RALPH, since=30)],
                  [record("1", ANNE, since=20)]) == {"1": OPEN, "2": WAITING}


def test_the_holder_keeps_even_against_an_elder_who_comes_late() -> None:
    # A clock of the past, or a session that logind shows late.
    assert decide([logind_session("1", ANNE, since=20), logind_session("2", RALPH, since=10)],
                  [record("1", ANNE, since=20)]) == {"1": OPEN, "2": WAITING}


def test_when_the_holder_leaves_the_one_who_waited_longest_gets_in() -> None:
    assert decide([logind_session("2", RALPH, since=30), logind_session("3", ZOE, since=25)],
                  [record("1", ANNE, since=20), record("2", RALPH, state=WAITING, since=30),
                   record("3", ZOE, state=WAITING, since=25)]) == {"2": WAITING, "3": OPEN}


def test_who_waited_comes_before_who_is_new_and_younger() -> None:
    assert decide([logind_session("2", RALPH, since=30), logind_session("3", ZOE, since=40)],
                  [record("2", RALPH, state=WAITING, since=30)]) == {"2": OPEN, "3": WAITING}


def test_all_sessions_of_the_holder_are_open() -> None:
    assert decide([logind_session("1", ANNE, since=20), logind_session("2", RALPH, since=30),
                   logind_session("3", ANNE, since=40)],
                  [record("1", ANNE, since=20)]) == {"1": OPEN, "2": WAITING, "3": OPEN}


def test_the_holder_keeps_until_his_last_session_ends() -> None:
    sessions = [logind_session("2", RALPH, since=30), logind_session("3", ANNE, since=40)]
    records = [record("1", ANNE, since=20), record("2", RALPH, state=WAITING, since=30),
               record("3", ANNE, since=40)]
    assert decide(sessions, records) == {"2": WAITING, "3": OPEN}
    assert decide(sessions[:1], records) == {"2": OPEN}


def test_a_session_that_was_logged_out_stays_out_though_logind_still_shows_it() -> None:
    assert decide([logind_session("1", ANNE)], [record("1", ANNE, state=CLOSED)]) == {}


def test_a_tombstone_lets_the_next_user_in() -> None:
    assert decide([logind_session("1", ANNE, since=20), logind_session("2", RALPH, since=30)],
                  [record("1", ANNE, state=CLOSED, since=20),
                   record("2", RALPH, state=WAITING, since=30)]) == {"2": OPEN}


def test_a_session_id_that_came_again_with_another_leader_is_a_new_session() -> None:
    assert decide([logind_session("1", ANNE, leader=200)],
                  [record("1", ANNE, leader=100, state=CLOSED)]) == {"1": OPEN}


def test_a_session_id_that_came_again_for_another_user_does_not_inherit() -> None:
    old = record("1", ANNE, leader=100, grants=(grant(),))
    result = desired_records([logind_session("1", RALPH, leader=100)], {"1": old}, True,
                             lambda session: None)
    assert result == {}


def test_a_reused_id_gives_its_new_user_no_precedence() -> None:
    assert decide([logind_session("1", RALPH, leader=200, since=50),
                   logind_session("2", ZOE, since=40)],
                  [record("1", ANNE, leader=100, since=20),
                   record("2", ZOE, state=WAITING, since=40)]) == {"1": WAITING, "2": OPEN}


def test_a_session_that_is_not_admitted_blocks_nobody() -> None:
    assert decide([logind_session("1", ANNE, since=10), logind_session("2", RALPH, since=20)], [],
                  refused=("1",)) == {"2": OPEN}


def test_a_known_session_is_kept_with_the_grants_it_was_opened_with() -> None:
    known = record("1", ANNE, grants=(grant(),))
    result = desired_records([logind_session("1", ANNE)], {"1": known}, True, lambda _: None)
    assert result["1"] is known


def test_with_one_user_false_everybody_opens() -> None:
    assert decide([logind_session("1", ANNE), logind_session("2", RALPH)],
                  [record("2", RALPH, state=WAITING)], one_user=False) == {"1": OPEN, "2": OPEN}


def test_turning_one_user_on_leaves_the_eldest() -> None:
    assert decide([logind_session("1", ANNE, since=20), logind_session("2", RALPH, since=10)],
                  [record("1", ANNE, since=20), record("2", RALPH, since=10)]) == {
                      "1": WAITING, "2": OPEN}


def test_nobody_here_means_no_records() -> None:
    assert decide([], [record("1", ANNE)]) == {}


_UIDS = st.sampled_from([ANNE, RALPH, ZOE])


@settings(max_examples=300)
@given(st.lists(st.tuples(_UIDS, st.integers(1, 50), st.sampled_from(
    [None, OPEN, WAITING, CLOSED])), max_size=7), st.booleans())
def test_never_two_users_at_once_and_never_nobody_where_somebody_could(
        entries: list[tuple[int, int, str | None]], one_user: bool) -> None:
    sessions = [logind_session(str(at), uid, since=since)
                for at, (uid, since, _) in enumerate(entries)]
    records = [record(str(at), uid, since=since, state=state)
               for at, (uid, since, state) in enumerate(entries) if state]
    states = decide(sessions, records, one_user)
    assert set(states) == {str(at) for at, entry in enumerate(entries) if entry[2] != CLOSED}
    holders = {entries[int(name)][0] for name, state in states.items() if state == OPEN}
    if one_user:
        assert len(holders) == (1 if states else 0)
        before = {entry[0] for entry in entries if entry[2] == OPEN}
        assert not before or holders <= before, "a holder was turned out"
        assert all(state == OPEN for name, state in states.items()
                   if entries[int(name)][0] in holders)
    else:
        assert all(state == OPEN for state in states.values())
    again = [record(str(at), uid, since=since, state=states.get(str(at), CLOSED))
             for at, (uid, since, _) in enumerate(entries)]
    assert decide(sessions, again, one_user) == states, "not stable"


# Chains

def windowed(*spans: tuple[int, int, int]) -> Record:
    return record(grants=(grant(windows=zoned("UTC", *spans)),))


def test_an_unbounded_grant_is_one_rule_per_address_without_times() -> None:
    one = record(grants=(grant(addresses=(V4, V6)),))
    assert chain_of([one], GID, NOON) == ((V4, 20002, GID, 0, 0), (V6, 20002, GID, 0, 0))


def test_nobody_s_grants_are_an_empty_chain() -> None:
    assert chain_of([record()], GID, NOON) == ()
    assert chain_of([], GID, NOON) == ()


def test_a_clock_before_2026_opens_nothing_at_all() -> None:
    first = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
    for now in (0, first - 1):
        assert chain_of([record(grants=(grant(),))], GID, now) == ()
    assert chain_of([record(grants=(grant(),))], GID, first) != ()


def test_a_window_s_interval_of_today_and_the_coming_days_are_rules_in_order() -> None:
    # NOON is a Monday noon; Mon-Fri 08:00-18:00.
    chain = chain_of([windowed((0b0011111, 8 * 3600, 18 * 3600))], GID, NOON)
    midnight = NOON - 12 * 3600
    assert chain == tuple((V4, 20002, GID, midnight + day * DAY + 8 * 3600,
                           midnight + day * DAY + 18 * 3600) for day in (0, 1, 2, 3, 4, 7))


def test_a_window_that_is_over_has_no_rule_and_one_that_runs_keeps_its_start() -> None:
    assert chain_of([windowed((1, 0, 12 * 3600))], GID, NOON)[0][3] > NOON
    assert chain_of([windowed((1, 0, 12 * 3600 + 1))], GID, NOON)[0][3:] == (NOON - 12 * 3600,
                                                                            NOON + 1)


def test_an_overnight_window_that_began_yesterday_keeps_its_start() -> None:
    chain = chain_of([windowed((1 << 6, 22 * 3600, 30 * 3600))], GID, NOON - 11 * 3600)
    assert chain[0][3:] == (NOON - 14 * 3600, NOON - 6 * 3600)


def test_a_chain_ends_where_the_zone_s_offset_is_not_known_any_more() -> None:
    ends = NOON + 2 * DAY + 1800
    one = record(grants=(grant(windows=zoned("UTC", (127, 0, DAY))), grant("always", 20003)),
                 offsets={"UTC": ((0, 0), (ends, UNKNOWN))})
    assert chain_of([one], GID, NOON) == ((V4, 20002, GID, horizon(NOON)[0], ends),
                                          (V4, 20003, GID, 0, 0))
    assert chain_of([one], GID, ends) == ((V4, 20003, GID, 0, 0),)


def test_always_in_one_grant_makes_the_windows_of_another_for_that_console_needless() -> None:
    both = record(grants=(grant(windows=zoned("UTC", (1, 0, 3600))), grant()))
    assert chain_of([both], GID, NOON) == ((V4, 20002, GID, 0, 0),)


def test_grants_for_one_console_are_merged_and_those_for_others_are_not() -> None:
    one = record(grants=(
        grant(windows=zoned("UTC", (127, 0, 43200))),
        grant(windows=zoned("UTC", (127, 43200, DAY))),
        grant("analysis", 20003, zoned("UTC", (1, 0, DAY)))))
    chain = chain_of([one], GID, NOON)
    assert [rule for rule in chain if rule[1] == 20002] == [(V4, 20002, GID, *horizon(NOON))]
    assert len([rule for rule in chain if rule[1] == 20003]) == 2


def test_two_sessions_of_a_user_have_the_grants_of_both() -> None:
    chain = chain_of([record("1", grants=(grant(),)),
                      record("2", grants=(grant("analysis", 20003),))], GID, NOON)
    assert [rule[1] for rule in chain] == [20002, 20003]


def test_two_consoles_at_one_endpoint_are_one_rule() -> None:
    chain = chain_of([record(grants=(grant("a"), grant("b")))], GID, NOON)
    assert chain == ((V4, 20002, GID, 0, 0),)


def test_a_chain_does_not_depend_on_the_order_of_records_and_grants() -> None:
    grants = (grant(), grant("analysis", 20003, zoned("UTC", (127, 0, 3600))),
              grant(addresses=(V6, V4)))
    forward = chain_of([record("1", grants=grants), record("2")], GID, NOON)
    backward = chain_of([record("2"), record("1", grants=grants[::-1])], GID, NOON)
    assert forward == backward


def test_a_chain_reaches_at_least_a_week_ahead_all_day_long() -> None:
    for hour in range(24):
        now = NOON + hour * 3600 + 17
        start, end = horizon(now)
        assert start <= now - DAY
        assert end >= now + 7 * DAY


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 127), st.integers(0, 86399), st.integers(1, 86400)),
                min_size=1, max_size=3),
       st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe"]), st.integers(0, 400 * DAY),
       st.integers(0, DAY))
def test_a_chain_changes_only_when_a_rule_has_ended_or_a_new_day_begins(
        spans: list[tuple[int, int, int]], zone: str, day: int, later: int) -> None:
    now = NOON + day
    windows = tuple((days, start, start + length) for days, start, length in spans)
    offsets = offsets_between(ZoneInfo(zone), now - 3 * DAY, now + 11 * DAY)
    one = record(grants=(grant(windows=zoned(zone, *windows)),), offsets={zone: offsets})
    before = chain_of([one], GID, now)
    then = now + later
    after = chain_of([one], GID, then)
    if then // DAY == now // DAY:
        assert after == tuple(rule for rule in before if rule[4] > then)
    for instant in (now, then):
        # What the kernel makes of the chain is what the grant says, at both instants.
        in_window = bool(grant(windows=zoned(zone, *windows)).open_in(
            {zone: offsets}, instant, instant + 1))
        assert allows(before, V4, 20002, instant) == in_window


@pytest.mark.parametrize(("now", "expected"), [
    (99, False), (99.999, False), (100, True), (199.999, True), (200, False)])
def test_a_rule_counts_from_its_start_up_to_but_not_at_its_end(now: float, expected: bool) -> None:
    assert allows(((V4, 20002, GID, 100, 200),), V4, 20002, now) is expected


def test_a_rule_without_bounds_counts_always_and_only_for_its_endpoint() -> None:
    chain = ((V4, 20002, GID, 0, 0),)
    assert allows(chain, V4, 20002, 5)
    assert not allows(chain, V4, 20003, 5)
    assert not allows(chain, V6, 20002, 5)
    assert not allows((), V4, 20002, 5)


def test_the_next_edge_is_the_nearest_start_or_end_that_is_to_come() -> None:
    chains = [((V4, 1, GID, 100, 200), (V4, 1, GID, 300, 400)), ((V6, 2, GID, 0, 0),)]
    assert [next_edge(chains, now) for now in (0, 100, 150, 200, 250, 399.5, 400)] == [
        100, 200, 200, 300, 300, 400, None]
    assert next_edge([], 0) is None


def test_only_open_sessions_have_chains_and_users_without_rules_have_none() -> None:
    records = {"1": record("1", ANNE, grants=(grant(),)),
               "2": record("2", RALPH, state=WAITING, grants=(grant(),)),
               "3": record("3", ZOE, state=CLOSED, grants=(grant(),)),
               "4": record("4", 1024)}
    assert desired_chains(records, GID, NOON) == {ANNE: ((V4, 20002, GID, 0, 0),)}
