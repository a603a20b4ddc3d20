"""The fuzzer's judge: lets pass what is right, and notices what it is there for."""

from pathlib import Path

import pytest

from conf import when
from conf.intervals import Window
from conf.times import parse_window
from tests.fuzz.judging import judge
from tests.unit.conftest import GOLDEN

EXAMPLE = Path(__file__).parents[2] / "conf" / "policy.yaml"
TEXTS = [EXAMPLE, *sorted(GOLDEN.rglob("*.yaml"))]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_the_judge_agrees_with_every_golden_policy(path: Path) -> None:
    judge(path.read_bytes())


def test_the_judge_notices_a_window_that_is_wider_than_written(
        monkeypatch: pytest.MonkeyPatch) -> None:
    def wider(text: str) -> tuple[Window, ...]:
        return tuple((days, start, end + 1, dates)
                     for days, start, end, dates in parse_window(text))

    monkeypatch.setattr("conf.when.parse_window", wider)
    with pytest.raises(AssertionError, match="no entry says"):
        judge(EXAMPLE.read_bytes().replace(b"when: [Mon, Tue]", b"when: [Mon 08:00-09:00]"))


def test_the_judge_notices_a_grant_for_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    from conf.yamlnodes import Document

    text = Document.text
    monkeypatch.setattr(Document, "text", lambda self, node, what: (
        "ralph" if text(self, node, what) == "maggie" else text(self, node, what)))
    with pytest.raises(AssertionError, match="no entry says"):
        judge(EXAMPLE.read_bytes())


def test_the_judge_notices_a_grant_whose_times_got_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(when.WhenReader, "schedules", lambda _self, _fields: (None, ()))
    with pytest.raises(AssertionError, match="no entry says"):
        judge(EXAMPLE.read_bytes())
