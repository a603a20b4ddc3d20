"""Every example of pam-spice-policy(5) is a policy, and answers as the page says."""

import re
import shlex
from pathlib import Path

import pytest

from conf.calendars import FIRST_YEAR, LAST_YEAR
from conf.files import MAX_POLICY_BYTES
from conf.model import Workstation
from conf.parser import MAX_REASON, parse_files
from conf.sources import MAX_FILES
from conf.times import MAX_WINDOWS
from conf.when import MAX_EXCEPTED
from pam_spice import paths
from pam_spice.cli import main
from tests.unit.editor_view import SCHEMA
from tests.unit.man_examples import EXAMPLES, MAIN, PAGE, BadPage, Example, examples_of

_TEXT = " ".join(PAGE.read_text().split())

examples = pytest.mark.parametrize("example", EXAMPLES, ids=str)
asks = pytest.mark.parametrize(
    ("example", "question", "answer"),
    [(example, *ask) for example in EXAMPLES for ask in example.asks],
    ids=[f"{example}: {question}" for example in EXAMPLES for question, _ in example.asks])


@examples
def test_an_example_has_no_problem_but_the_one_it_is_there_for(example: Example) -> None:
    parsed = parse_files([(name, text.encode()) for name, text in example.files.items()])
    assert parsed.policy is not None
    assert [problem.fact for problem in parsed.problems] == ([example.fact] if example.fact else [])


@asks
def test_a_question_to_an_example_is_answered_as_the_page_says(
        example: Example, question: str, answer: str, tmp_path: Path,
        capsys: pytest.CaptureFixture[str]) -> None:
    for name, text in example.files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    arguments = shlex.split(question)
    # Nothing of this machine's: its accounts, its name.
    for option, default in (("--groups", ""), ("--workstation", "pc")):
        arguments += [] if option in arguments else [option, default]
    status = main([*arguments, "--policy", str(tmp_path / MAIN)])
    printed = capsys.readouterr().out
    if arguments[0] == "explain":
        assert {0: "yes", 1: "no"}[status] == answer, printed
    else:
        assert status == 0
        assert printed.splitlines() == answer.split("; ")


@examples
def test_every_example_is_asked_something(example: Example) -> None:
    assert example.asks


def test_there_are_an_office_a_deputy_a_night_shift_an_exam_week_holidays_zones_and_files() -> None:
    assert len(EXAMPLES) >= 12
    assert any(len(example.files) > 1 for example in EXAMPLES)
    text = "".join(text for example in EXAMPLES for text in example.files.values())
    for word in ("DE-BY", "America/New_York", "reason: deputy", "nightshift", "2026-07-06.."):
        assert word in text


@pytest.mark.parametrize("page", [
    ".Bd -literal\ngrants: []\n.Ed\n",
    ".Bd -literal -offset indent\ngrants: []\n.Ed\n",
    '.\\" ask: explain anne webdev => yes\n.Bd -literal\ngrants: []\n.Ed\n',
    '.\\" test: hole\n.Bd -literal\ngrants: []\n.Ed\n',
    '.\\" test: whole\n.Pp\n.Bd -literal\ngrants: []\n.Ed\n',
    '.\\" test: whole\n.Bd -literal\n.Ic grants\n.Ed\n'])
def test_an_example_without_a_word_on_how_it_is_tested_is_not_taken(page: str) -> None:
    with pytest.raises(BadPage):
        examples_of(page)


def test_an_example_is_extracted_as_it_is_shown() -> None:
    [example] = examples_of('.\\" test: whole\n.Bd -literal\ngrants:\n\\&.a\\eb\n.Ed\n')
    assert example.files == {MAIN: "grants:\n.a\\b\n"}


def test_every_key_of_the_language_is_defined_on_the_page() -> None:
    keys = {key for part in ({"": SCHEMA} | SCHEMA["$defs"]).values()
            for schema in (part, *part.get("anyOf", ()), *part.get("properties", {}).values())
            if isinstance(schema, dict) for key in schema.get("properties", {})}
    assert len(keys) > 20
    for key in keys:
        assert re.search(rf"^\.It Ic {key}( :.*)?$|Ic {key} :", PAGE.read_text(),
                         re.MULTILINE), key


def test_the_limits_and_defaults_on_the_page_are_those_of_the_code() -> None:
    assert f"comes to {MAX_WINDOWS} windows and {MAX_EXCEPTED} excepted" in _TEXT
    assert f"{MAX_POLICY_BYTES >> 20} MiB" in _TEXT
    assert f"there are {MAX_FILES} at most" in _TEXT
    assert f"{MAX_REASON} characters at most" in _TEXT
    assert f"from {FIRST_YEAR} to {LAST_YEAR}" in _TEXT
    assert f"Default: {', '.join(Workstation().services)}." in _TEXT
    assert _TEXT.count("Default: true.") == 3
    assert f"$schema={paths.PREFIX}/conf/policy.schema.json" in _TEXT
