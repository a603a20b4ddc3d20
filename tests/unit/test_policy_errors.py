"""What is wrong in a policy: exact text of every message, with line and caret."""

import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conf.parser import parse_policy
from conf.problems import Mark, Problem, printable
from tests.unit.conftest import GOLDEN, Golden
from tests.unit.support import SERVER, within

_CASES = sorted((GOLDEN / "errors").glob("*.yaml"))
_EXAMPLE = Path(__file__).parents[2] / "conf" / "policy.yaml"


def shown(data: bytes) -> str:
    """What `pam-spice check` says of a policy; long lines are cut, for the golden file's sake."""
    parsed = parse_policy(data, "policy.yaml")
    lines = [re.sub(r"(.)\1{99,}", r"\1...\1", line)
             for problem in parsed.problems for line in str(problem).split("\n")]
    lines.append("nothing is usable" if parsed.policy is None else
                 f"usable: {len(parsed.policy.servers)} servers, "
                 f"{len(parsed.policy.consoles)} consoles, {len(parsed.policy.grants)} grants")
    return "\n".join([*lines, ""])


@pytest.mark.parametrize("case", _CASES, ids=lambda case: case.stem)
def test_the_text_of_a_problem_is_its_golden_file(case: Path, golden: Golden) -> None:
    with within(5):
        text = shown(case.read_bytes())
    golden(case.with_suffix(".txt"), text)


@pytest.mark.parametrize("case", _CASES, ids=lambda case: case.stem)
def test_a_problem_points_into_its_file_and_is_safe_to_print(case: Path) -> None:
    data = case.read_bytes()
    problems = parse_policy(data, "policy.yaml").problems
    assert problems
    lines = data.decode("utf-8", "replace").split("\n")
    for problem in problems:
        assert 1 <= problem.mark.line <= len(lines)
        assert 1 <= problem.mark.column <= len(lines[problem.mark.line - 1]) + 1
        for character in str(problem).replace("\n", "").replace("\t", ""):
            assert unicodedata.category(character) not in ("Cc", "Cs"), repr(str(problem))


_ODD = "a\nb\x1b[2J\r\x85\u2028\u202e\x7f\ud800\0\xa0é"
_SHOWN = r"a\nb\x1b[2J\r\x85\u2028\u202e\x7f\ud800\x00\xa0é"


@pytest.mark.parametrize("problem", [
    Problem(Mark(_ODD, 1, 2), "fact", "remedy"), Problem(Mark("file", 1, 2), _ODD, "remedy"),
    Problem(Mark("file", 1, 2), "fact", _ODD)], ids=["file", "fact", "remedy"])
def test_no_part_of_a_problem_does_anything_to_a_terminal(problem: Problem) -> None:
    assert printable(_ODD) == _SHOWN
    lines = str(problem).split("\n")
    assert len(lines) == 2
    assert _SHOWN in "".join(lines)
    for text in (*lines, problem.in_a_line()):
        assert text.isprintable()


def test_for_the_journal_a_problem_is_one_line() -> None:
    assert Problem(Mark("file", 1, 2), "fact", "remedy", "source").in_a_line() == (
        "file:1:2: fact; remedy")


@pytest.mark.parametrize("text", [
    'grants: [{user: anne, console: !!binary "a\\nfine: 1 servers"}]\n',
    'consoles: {"a\\nfine: 1 servers": {server: x, tls_port: 1}}\n'
    "grants: [{user: anne, console: zzz}]\n"], ids=["value", "known names"])
def test_a_remedy_that_quotes_the_policy_stays_in_its_line(text: str) -> None:
    problems = parse_policy(text.encode(), "policy.yaml").problems
    assert any("\n" in problem.remedy for problem in problems)
    for problem in problems:
        assert not [line for line in str(problem).split("\n") if line.startswith("fine")]


@pytest.mark.parametrize("case", [case for case in _CASES if case.stem.startswith(
    ("user-", "window-", "grant-", "unknown-console", "unknown-window"))
    and case.stem != "window-named-like-a-day"], ids=lambda case: case.stem)
def test_a_grant_with_a_bad_part_is_skipped_whole(case: Path) -> None:
    policy = parse_policy(case.read_bytes(), "policy.yaml").policy
    assert policy is not None
    assert policy.grants == ()
    assert list(policy.consoles) == ["webdev"]


def test_a_bad_grant_takes_no_other_with_it() -> None:
    parsed = parse_policy(f"""{SERVER}consoles: {{webdev: {{server: mysrv, tls_port: 20002}}}}
grants:
  - {{user: anne, console: webdev, when: Mo}}
  - {{user: ralph, console: webdev}}
""".encode(), "policy.yaml")
    assert parsed.policy is not None
    assert [grant.subject.name for grant in parsed.policy.grants] == ["ralph"]
    assert len(parsed.problems) == 1


def test_the_example_policy_has_no_problems() -> None:
    assert parse_policy(_EXAMPLE.read_bytes(), "policy.yaml").problems == ()


def test_a_byte_order_mark_at_the_front_is_read_over() -> None:
    parsed = parse_policy(b"\xef\xbb\xbf" + _EXAMPLE.read_bytes(), "policy.yaml")
    assert parsed.problems == ()


def test_a_million_brackets_are_refused_in_bounded_time() -> None:
    with within(10):
        parsed = parse_policy(b"servers: " + b"[" * 1_000_000, "policy.yaml")
    assert parsed.policy is None


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_at_all_make_the_parser_raise(data: bytes) -> None:
    parsed = parse_policy(data, "policy.yaml")
    assert parsed.policy is not None or parsed.problems
    for problem in parsed.problems:
        str(problem).encode()


_TOKENS = st.sampled_from([
    "servers", "consoles", "grants", "windows", "workstation", "timezone", "user", "group",
    "console", "when", "mysrv", "webdev", ": ", ":\n  ", "\n", "\n  - ", "{", "}", "[", "]", ", ",
    '"', "'", "anne", "Mon 08:00-09:00", "20001-20010", "1", "0x1F", "1e999", "~", "yes", "9:30",
    "2026-11-23", "!!binary aGk=", "!!set", "!x", "&a ", "*a", "<<: ", "? ", "|\n", ">-\n", "#",
    "%", "\\uD800", "\\0", "\t", "\r", "\u2028", "\x85", "é", "😀", "---\n", "...\n",
    "%YAML 9.9\n"])


@settings(max_examples=300, deadline=None)
@given(st.lists(_TOKENS, max_size=30).map("".join), st.booleans())
def test_no_text_of_the_language_s_own_pieces_makes_the_parser_raise(text: str,
                                                                     is_tail: bool) -> None:
    parsed = parse_policy(((SERVER if is_tail else "") + text).encode(), "policy.yaml")
    assert parsed.policy is not None or parsed.problems
    for problem in parsed.problems:
        assert problem.mark.line >= 1 and problem.mark.column >= 1
        str(problem).encode()


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_example_policy_never_grants_a_port_that_is_not_guarded(
        data: st.DataObject) -> None:
    text = bytearray(_EXAMPLE.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at:at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    parsed = parse_policy(bytes(text), "policy.yaml")
    for grant in parsed.policy.grants if parsed.policy else ():
        for console in grant.consoles:
            low_high = console.server.guarded_ports
            assert any(low <= console.tls_port <= high for low, high in low_high)
        assert grant.schedules is None or all(
            schedule.windows for schedule in grant.schedules)


def test_many_unknown_names_beside_many_known_ones_are_refused_in_bounded_time() -> None:
    """What was meant is guessed for some of them only."""
    consoles = "".join(f"  console{number}: {{server: mysrv, tls_port: 20001}}\n"
                       for number in range(2000))
    grants = "".join(f"  - {{user: anne, console: cansole{number}}}\n" for number in range(2000))
    with within(10):
        parsed = parse_policy(f"{SERVER}consoles:\n{consoles}grants:\n{grants}".encode(), "p")
    assert len(parsed.problems) == 2000
    assert parsed.problems[0].remedy.startswith("did you mean 'console")
