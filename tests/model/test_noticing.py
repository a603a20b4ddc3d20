"""The model test can fail: what is broken in the product, in memory, it notices."""

import os
from collections.abc import Callable
from typing import Any

import pytest

import conf.compiling
import conf.lookup
from pam_spice import desired, reconcile, sessions_now
from pam_spice.firewall import Chain, nft
from session import records
from session.records import Record
from tests.model.rounds import GENERATE, play, workstation

_ROUNDS = 40
_DAYS = 5

Patch = Callable[[Callable[..., Any]], Callable[..., Any]]


def is_noticed() -> bool:
    """Whether one of some rounds fails; at once, without a search for fewer steps."""
    with workstation():
        for seed in range(_ROUNDS):
            try:
                play(seed, _DAYS, GENERATE)
            except AssertionError:
                return True
    return False


def never(_: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *_, **__: False


def always(_: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *_, **__: True


def nothing(_: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *_, **__: []


def no_reason(_: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *_: None


def unchanged(_: Callable[..., Any]) -> Callable[..., Any]:
    return lambda record, *_: record


def a_second_longer(chain_of: Callable[..., Chain]) -> Callable[..., Chain]:
    return lambda *arguments: tuple(
        (*rule[:4], rule[4] and rule[4] + 1) for rule in chain_of(*arguments))


def without_an_end(chain_of: Callable[..., Chain]) -> Callable[..., Chain]:
    return lambda *arguments: tuple((*rule[:4], 0) for rule in chain_of(*arguments))


def only_today(_: Callable[..., Any]) -> Callable[..., Any]:
    return lambda now: (now - 86400, now + 86400)


def ipv4_alone(chain_of: Callable[..., Chain]) -> Callable[..., Chain]:
    return lambda *arguments: tuple(
        rule for rule in chain_of(*arguments) if ":" not in rule[0])


def several_users(desired_records: Callable[..., Any]) -> Callable[..., Any]:
    return lambda sessions, known, _one_user, admitted: desired_records(
        sessions, known, False, admitted)


def who_comes_last(desired_records: Callable[..., Any]) -> Callable[..., Any]:
    """Turns out who has the workstation."""
    def broken(sessions: Any, known: Any, one_user: Any, admitted: Any) -> Any:
        for session in sessions:
            session.since = -session.since
        waiting = {name: record.in_state(records.WAITING) if record.state == records.OPEN
                   else record for name, record in known.items()}
        return desired_records(sessions, waiting, one_user, admitted)

    return broken


def nobody(_: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *_: {}


def one_guard(_: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *_: "the same"


def any_process(start_ticks: Callable[[int], int | None]) -> Callable[[int], int | None]:
    """One that is dead, too."""
    return lambda pid: pid if pid > 0 else start_ticks(pid)


def any_year(_: object) -> Any:
    return 0


def valid(_: object) -> Any:
    return property(lambda _: conf.compiling.VALID)


def damaged_is_missing(recorded_names: Callable[..., list[str]]) -> Callable[..., list[str]]:
    return lambda *arguments: [name for name in recorded_names(*arguments)
                               if records.read_record(name) is not None]


SOON: list[tuple[Any, str, Patch]] = [
    (reconcile.Reconciliation, "_is_leaving", never),
    (reconcile, "why_not_eligible", no_reason),
    (reconcile, "desired_records", several_users),
    (reconcile, "desired_records", who_comes_last),
    (desired, "chain_of", a_second_longer),
    (desired, "chain_of", ipv4_alone),
    (desired, "horizon", only_today),
    (nft, "digest", one_guard),
]
LATE: list[tuple[Any, str, Patch]] = [
    (reconcile, "is_alive", always),
    (reconcile, "start_ticks", any_process),
    (reconcile, "read_revocations", nobody),
    (reconcile, "recorded_names", damaged_is_missing),
    (reconcile, "FIRST_SANE_SECOND", any_year),
    (desired, "chain_of", without_an_end),
    (conf.lookup.CompiledPolicy, "is_current", always),
    (conf.compiling.Source, "outcome", valid),
    (os, "getgrouplist", nothing),
    (sessions_now, "renewed", unchanged),
    (Record, "revoked_until", unchanged),
]
"""What takes some thousand steps to notice, and is tried in the long run alone."""


@pytest.mark.parametrize(
    ("where", "name", "patch"), SOON + (LATE if "SOAK" in os.environ else []),
    ids=lambda value: value if isinstance(value, str) else getattr(value, "__name__", None))
def test_the_model_test_notices(monkeypatch: pytest.MonkeyPatch, where: Any, name: str,
                                patch: Patch) -> None:
    monkeypatch.setattr(where, name, patch(getattr(where, name)))
    assert is_noticed()
