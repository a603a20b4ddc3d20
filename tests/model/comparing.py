"""The kernel's table and the model, side by side. All raise AssertionError where they differ."""

from collections.abc import Iterable
from typing import Any

from tests.model.listing import Table
from tests.model.policies import ENDPOINTS
from tests.model.rule import Model
from tests.oracle.wallclock import DAY

PROMISED = 7 * DAY
"""So far ahead a chain needs no process of ours."""


def the_guard_is_whole(model: Model, table: Table, rest: dict[str, Any]) -> None:
    """It covers what the policy has guarded, and nobody has put anything into it or taken anything
    out; ``rest`` is what it consists of beside its elements."""
    assert table.rest == rest, "the guard's rules"
    assert table.guarded == model.guarded, "what is guarded"
    assert table.ports == {port for _, port in table.guarded}, "the guarded ports"


def the_same_is_open(model: Model, table: Table, uids: Iterable[int]) -> None:
    """At this instant and at each to come at which something opens or closes, as far as a chain
    reaches; and no user has a chain who was given nothing."""
    assert table.jumps == {uid: {"jump": {"target": f"user-{uid}"}} for uid in table.chains}, (
        "a jump for each chain")
    last = max(model.now + 1, model.seen_at + PROMISED)
    for uid in sorted({*uids, *table.chains}):
        assert uid not in table.chains or model.may_have_chain(uid), f"user-{uid} is left over"
        instants = {model.now, *(
            instant for edge in table.edges(uid) | model.edges(uid)
            for instant in (edge - 1, edge) if model.now < instant < last)}
        for endpoint in (*ENDPOINTS, *table.chains.get(uid, ())):
            for instant in sorted(instants):
                wanted = model.allows(uid, endpoint, instant)
                assert table.allows(uid, endpoint, instant) == wanted, (
                    f"uid {uid} at {endpoint}, at {instant}: by the model {wanted}")


def nothing_more_is_open(model: Model, table: Table | None) -> None:
    """What somebody took out of the table has opened nothing to anybody at this instant."""
    for uid in table.chains if table else ():
        for endpoint in ENDPOINTS:
            assert model.allows(uid, endpoint, model.now) or not (
                table and table.allows(uid, endpoint, model.now)), f"uid {uid} reaches {endpoint}"
