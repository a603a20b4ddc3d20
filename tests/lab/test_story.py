"""The story that `make demo` tells, each chapter a test."""

import pytest

from lab.story import CHAPTERS, Chapter, Line, Stage


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.__name__)
def test_every_line_of_the_chapter_holds(chapter: Chapter, stage: Stage,
                                         lines: list[Line]) -> None:
    chapter(stage)
    assert lines
    assert [line for line in lines if not line.holds] == []
