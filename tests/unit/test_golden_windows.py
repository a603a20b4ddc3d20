"""Policies and what is open by them, to the second: each golden file is what the oracle saw on the
wall clock, or was worked out by hand where its policy says so."""

import re
import shlex
from datetime import datetime
from pathlib import Path

import pytest

from tests.oracle.asking import json_text, run
from tests.oracle.membership import has_holidays, open_spans
from tests.oracle.policies import Policy, Question
from tests.oracle.reading import read_policy
from tests.oracle.wallclock import instant_of
from tests.unit.conftest import GOLDEN, Golden

CASES = sorted((GOLDEN / "windows").glob("*.yaml"))

cases = pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)


def ask(path: Path) -> list[str]:
    """The arguments in a policy's first line; without groups or a workstation of this machine's."""
    first = path.read_text().splitlines()[0]
    assert first.startswith("# ask: windows ")
    arguments = shlex.split(first.removeprefix("# ask: "))
    for option in ("--groups", "--workstation"):
        if option not in arguments:
            arguments += [option, ""]
    return arguments


def is_by_hand(path: Path) -> bool:
    return "\n# by hand: " in path.read_text()


def policy_of(path: Path) -> Policy:
    more = sorted(each for each in path.with_suffix(".d").glob("*.yaml")
                  if not each.name.startswith("."))
    return read_policy([each.read_text() for each in (path, *more)])


def question_of(arguments: list[str], zone: str) -> Question:
    """A time without an offset is one of the policy's zone."""
    options = dict(zip(arguments[2::2], arguments[3::2], strict=True))

    def moment(text: str) -> int:
        found = datetime.fromisoformat(text)
        return (int(found.timestamp()) if found.tzinfo
                else instant_of(zone, found, is_second=False))

    return Question(arguments[1], tuple(options["--groups"].split(",")), options["--workstation"],
                    moment(options["--from"]), moment(options["--to"]))


def needs_holidays(path: Path) -> bool:
    return bool(re.search(r"^[^#]*\b(DE|NO)\b", path.read_text(), re.MULTILINE))


@cases
def test_what_a_policy_opens_is_its_golden_file_and_what_the_oracle_sees(
        path: Path, golden: Golden) -> None:
    if needs_holidays(path) and not has_holidays():
        pytest.skip("the library `holidays` is not installed, or too old: pip install '.[dev]'")
    arguments = ask(path)
    expected = path.with_suffix(".txt")
    if not is_by_hand(path):
        policy = policy_of(path)
        golden(expected, json_text(open_spans(policy, question_of(arguments, policy.timezone))))
    status, said, complaints = run([*arguments, "--policy", str(path), "--json"])
    assert status == 0, complaints
    assert bool(complaints) == is_by_hand(path), complaints
    assert said == expected.read_text()


def test_there_are_at_least_40_cases_and_no_golden_file_without_one() -> None:
    assert len(CASES) >= 40
    assert {path.stem for path in (GOLDEN / "windows").glob("*.txt")} == {
        path.stem for path in CASES}
