"""The oracle can fail: what is broken in the product, in memory, it notices."""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, find, settings
from hypothesis.errors import NoSuchExample

import conf.deciding
import conf.when
import conf.zones
from tests.oracle.asking import difference
from tests.oracle.policies import Policy, Question
from tests.oracle.strategies import cases

DAY = 86400


def first_noticed(zone: str, phases: tuple[Phase, ...] = (Phase.generate,),
                  ) -> tuple[Policy, Question] | None:
    """The first policy about which product and oracle differ, if any of some hundreds is one.

    In many short runs: Hypothesis varies what it has drawn before it draws anew.
    """
    for seed in range(80):
        try:
            return find(cases(zone), lambda case: difference(*case) is not None,
                        random=Random(seed),
                        settings=settings(max_examples=10, deadline=None, database=None,
                                          phases=phases, suppress_health_check=list(HealthCheck)))
        except NoSuchExample:
            continue
    return None


Patch = Callable[[Callable[..., Any]], Callable[..., Any]]


def whole_hours(offsets_between: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *span: tuple((since, offset // 3600 * 3600)
                               for since, offset in offsets_between(*span))


def changes_a_minute_late(offsets_between: Callable[..., Any]) -> Callable[..., Any]:
    def broken(*span: Any) -> Any:
        first, *rest = offsets_between(*span)
        return first, *((since + 60, offset) for since, offset in rest)

    return broken


def no_change(offsets_between: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *span: offsets_between(*span)[:1]


def a_second_longer(open_intervals: Callable[..., Any]) -> Callable[..., Any]:
    def broken(windows: Any, offsets: Any, start: int, end: int, *rest: Any) -> Any:
        return [(opens, min(closes + 1, end))
                for opens, closes in open_intervals(windows, offsets, start, end, *rest)]

    return broken


def nights_end_at_midnight(open_intervals: Callable[..., Any]) -> Callable[..., Any]:
    return lambda windows, *rest: open_intervals(
        tuple((days, opens, min(closes, DAY), *more) for days, opens, closes, *more in windows),
        *rest)


def dates_without_their_last_day(open_intervals: Callable[..., Any]) -> Callable[..., Any]:
    return lambda windows, *rest: open_intervals(
        tuple((*span, (first, last - 1)) for *span, (first, last) in windows), *rest)


def days_are_those_of_utc(open_intervals: Callable[..., Any]) -> Callable[..., Any]:
    def broken(windows: Any, offsets: Any, start: int, end: int, excepted: Any = ()) -> Any:
        kept = []
        for opens, closes in open_intervals(windows, offsets, start, end):
            if not any(first <= opens // DAY <= last for first, last in excepted):
                kept.append((opens, closes))
        return kept

    return broken


def nothing_is_joined(merged: Callable[..., Any]) -> Callable[..., Any]:
    return lambda intervals: sorted(span for span in intervals if span[0] < span[1])


def no_holidays(_: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *_: ()


def the_other_of_two_comings(instants_of: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *arguments: tuple(reversed(instants_of(*arguments)))


def every_workstation(_: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *_: True


def groups_are_users_too(names: Callable[..., Any]) -> Callable[..., Any]:
    return lambda subject, user, groups: (names(subject, user, groups)
                                          or (subject is not None and subject.name == user))


@pytest.mark.parametrize(("where", "name", "patch", "zone"), [
    (conf.deciding, "offsets_between", whole_hours, "Australia/Lord_Howe"),
    (conf.deciding, "offsets_between", whole_hours, "Asia/Kathmandu"),
    (conf.deciding, "offsets_between", changes_a_minute_late, "Europe/Berlin"),
    (conf.deciding, "offsets_between", no_change, "Antarctica/Troll"),
    (conf.deciding, "open_intervals", a_second_longer, "UTC"),
    (conf.deciding, "open_intervals", nights_end_at_midnight, "UTC"),
    (conf.deciding, "open_intervals", dates_without_their_last_day, "UTC"),
    (conf.deciding, "open_intervals", days_are_those_of_utc, "Pacific/Apia"),
    (conf.deciding, "merged", nothing_is_joined, "UTC"),
    (conf.deciding, "holiday_dates", no_holidays, "UTC"),
    (conf.when, "instants_of", the_other_of_two_comings, "Antarctica/Casey"),
    (conf.deciding, "is_for", every_workstation, "UTC"),
    (conf.deciding, "names", groups_are_users_too, "UTC"),
], ids=lambda value: value if isinstance(value, str) else getattr(value, "__name__", None))
def test_the_oracle_notices(monkeypatch: pytest.MonkeyPatch, where: Any, name: str, patch: Patch,
                            zone: str) -> None:
    monkeypatch.setattr(where, name, patch(getattr(where, name)))
    assert first_noticed(zone) is not None


def test_what_is_noticed_shrinks_to_one_grant_with_one_window(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conf.deciding, "offsets_between", whole_hours(conf.zones.offsets_between))
    noticed = first_noticed("Australia/Lord_Howe", (Phase.generate, Phase.shrink))
    assert noticed is not None
    policy, _ = noticed
    assert len(policy.grants) == 1
    assert len(policy.grants[0].when) <= 1
    assert not policy.windows and not policy.calendars
