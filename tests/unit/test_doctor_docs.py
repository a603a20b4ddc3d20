"""docs/doctor.md explains every code that there is, by its name, and no other."""

import re
from pathlib import Path

import pytest

from conf.lint.findings import Code as LintCode
from pam_spice.doctor.findings import NOTES, Code, Finding, Piece

_TEXT = (Path(__file__).parents[2] / "docs/doctor.md").read_text()
_PARTS = re.split(r"^### ", _TEXT.partition("\n# ")[0], flags=re.MULTILINE)[1:]
SECTIONS = {part.split()[0]: part.split("\n## ")[0] for part in _PARTS}


def test_the_page_explains_exactly_the_codes_there_are_by_their_names() -> None:
    titles = [part.split("\n")[0] for part in _PARTS]
    assert titles == [f"{code} {code.short_name}" for code in Code]


@pytest.mark.parametrize("code", Code)
def test_the_page_says_of_a_code_what_it_means(code: Code) -> None:
    assert len(SECTIONS[code].partition("\n")[2].strip()) >= 50


@pytest.mark.parametrize("code", Code)
def test_the_page_calls_notes_what_are_notes(code: Code) -> None:
    assert SECTIONS[code].partition("\n")[2].startswith("A note.") == (code in NOTES)
    assert Finding(code, "fact", "remedy").is_note == (code in NOTES)


def test_a_code_of_the_doctor_s_is_none_of_lint_s() -> None:
    assert not {code.value for code in Code} & {code.value for code in LintCode}


def test_the_journal_s_page_names_what_the_doctor_mends() -> None:
    page = (Path(__file__).parents[2] / "docs/journal.md").read_text()
    row = next(line for line in page.splitlines() if line.startswith("| `what` |"))
    # A policy that is compiled anew has a record of its own, ``policy``.
    assert {piece for piece in Piece if piece is not Piece.POLICY} <= set(
        re.findall(r"`(\w+)`", row))
