"""The stories that `make demo` and `make demo-desktop` tell, each chapter a test."""

import pytest

from lab.story import CHAPTERS, DESKTOP, Chapter, Line, Stage


def play(chapter: Chapter, stage: Stage, lines: list[Line]) -> None:
    chapter(stage)
    assert lines
    assert [line for line in lines if not line.holds] == []


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.__name__)
def test_every_line_of_the_chapter_holds(chapter: Chapter, stage: Stage,
                                         lines: list[Line]) -> None:
    play(chapter, stage, lines)


@pytest.mark.parametrize("chapter", DESKTOP, ids=lambda chapter: chapter.__name__)
def test_every_line_at_the_desktop_holds(chapter: Chapter, stage: Stage,
                                         lines: list[Line]) -> None:
    play(chapter, stage, lines)
