"""How much one grant may come to; and that a bad part of it, of any kind, denies all of it."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from conf.parser import parse_policy
from conf.problems import Problem
from conf.times import MAX_WINDOWS
from conf.when import MAX_EXCEPTED
from tests.unit.conftest import GOLDEN
from tests.unit.support import SERVER, within

Writer = Callable[[int], str]
"""A policy that comes to so many."""

HEAD = f"{SERVER}consoles: {{webdev: {{server: mysrv, tls_port: 20002}}}}\n"
GRANT = "grants:\n  - user: anne\n    console: webdev\n"

_KINDS = ("date-", "except-", "grant-", "reason-", "torn-", "valid-", "workstations-")
"""How the golden files begin whose fault is in a grant."""
_ELSEWHERE = {
    # YAML itself, or the files' other grants are good ones.
    "reason-with-a-colon", "workstations-unquoted-star", "workstations-unquoted-star-alone",
    "torn-literal"}


def spans(count: int) -> list[str]:
    """That many minutes of a day, none touching another."""
    return [f"{number // 60:02}:{number % 60:02}:00-{number // 60:02}:{number % 60:02}:30"
            for number in range(count)]


def dates(count: int) -> list[str]:
    return [str(date(2026, 1, 1) + timedelta(days=number)) for number in range(count)]


def listed(items: list[str]) -> str:
    return f"[{', '.join(items)}]"


def problems(text: str) -> tuple[Problem, ...]:
    with within(10):
        parsed = parse_policy(f"{HEAD}{text}".encode(), "policy.yaml")
    assert parsed.policy is not None
    assert len(parsed.policy.grants) == (0 if parsed.problems else text.count("- user:"))
    return parsed.problems


# Windows

def in_a_grant(count: int) -> str:
    return f"{GRANT}    when: {listed(spans(count))}\n"


def in_one_literal(count: int) -> str:
    return f"{GRANT}    when: {','.join(spans(count))}\n"


def of_dates_and_times(count: int) -> str:
    more = spans(count // 20 + 1)
    rest = f"2027-12-31 {','.join(more[:count % 20])}" if count % 20 else ""
    both = f"{','.join(dates(20))} {','.join(more[:count // 20])}"
    return f"{GRANT}    when: {listed([repr(each) for each in (both, rest) if each])}\n"


def in_a_named_window(count: int) -> str:
    return f"windows:\n  minutes: {listed(spans(count))}\n{GRANT}    when: minutes\n"


def in_several_named_windows(count: int) -> str:
    half = count // 2
    return (f"windows:\n  early: {{when: {listed(spans(half))}, timezone: UTC}}\n"
            f"  late: {{when: {listed(spans(count)[half:])}, except: 2026-12-24}}\n"
            f"{GRANT}    when: [early, late]\n")


windows = pytest.mark.parametrize("written", [
    in_a_grant, in_one_literal, of_dates_and_times, in_a_named_window, in_several_named_windows])


@windows
def test_a_grant_may_come_to_500_windows(written: Writer) -> None:
    assert problems(written(MAX_WINDOWS)) == ()


@windows
def test_one_window_more_is_refused_with_their_number(written: Writer) -> None:
    found = problems(written(MAX_WINDOWS + 1))
    assert found[0].fact == f"these come to {MAX_WINDOWS + 1} windows"
    assert found[0].remedy == f"write at most {MAX_WINDOWS}"


# Excepted days

def except_in_a_grant(count: int) -> str:
    return f"{GRANT}    except: {listed(dates(count))}\n"


def except_in_one_item(count: int) -> str:
    return f"{GRANT}    except: {','.join(dates(count))}\n"


def except_in_a_calendar(count: int) -> str:
    return f"calendars:\n  many: {listed(dates(count))}\n{GRANT}    except: many\n"


def except_in_a_named_window(count: int) -> str:
    return (f"windows:\n  some: {{when: Mon, except: {listed(dates(count))}}}\n"
            f"{GRANT}    when: some\n")


def except_in_a_window_and_its_grant(count: int) -> str:
    half = count // 2
    return (f"windows:\n  some: {{when: Mon, except: {listed(dates(half))}}}\n"
            f"{GRANT}    when: some\n    except: {listed(dates(count)[half:])}\n")


excepted = pytest.mark.parametrize("written", [
    except_in_a_grant, except_in_one_item, except_in_a_calendar, except_in_a_named_window,
    except_in_a_window_and_its_grant])


@excepted
def test_a_grant_may_come_to_1000_excepted_days(written: Writer) -> None:
    assert problems(written(MAX_EXCEPTED)) == ()


@excepted
def test_one_excepted_day_more_is_refused_with_their_number(written: Writer) -> None:
    found = problems(written(MAX_EXCEPTED + 1))
    assert str(MAX_EXCEPTED + 1) in found[0].fact
    assert found[0].remedy == f"write at most {MAX_EXCEPTED}"


def test_a_span_of_days_is_one_however_long_and_public_holidays_are_none() -> None:
    text = listed([*dates(MAX_EXCEPTED - 1), "2030-01-01..2399-12-31", "DE", "US"])
    assert problems(f"{GRANT}    except: {text}\n") == ()


def test_grants_don_t_share_a_limit() -> None:
    many = in_a_grant(MAX_WINDOWS)
    assert problems(many + many.removeprefix("grants:\n").replace("anne", "ralph")) == ()


# What a bad part of a grant does

@pytest.mark.parametrize("case", [case for case in sorted((GOLDEN / "errors").glob("*.yaml"))
                                  if case.stem.startswith(_KINDS)
                                  and case.stem not in _ELSEWHERE], ids=lambda case: case.stem)
def test_a_grant_with_a_bad_part_of_any_kind_is_skipped_and_known_as_skipped(case: Path) -> None:
    policy = parse_policy(case.read_bytes(), "policy.yaml").policy
    assert policy is not None
    assert policy.grants == ()
    assert policy.skipped or case.stem == "grant-is-text"
    assert list(policy.consoles) == ["webdev"]
    assert not {user.subject.name for user in policy.skipped if user.subject} - {"anne", "ralph"}


def test_twenty_thousand_brackets_are_one_problem_whatever_the_parser_makes_of_them() -> None:
    parsed = parse_policy(b"servers: " + b"[" * 20_000 + b"]" * 20_000 + b"\n", "policy.yaml")
    assert parsed.policy is None
    assert [problem.remedy for problem in parsed.problems] == ["write it flat"]
