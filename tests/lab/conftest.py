"""One lab for all the tests here; it needs root and a Debian machine with virtual terminals."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.lab import Lab
from lab.story import Line, Stage
from lab.story.stage import policy


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    if os.geteuid() != 0 and "CI" not in os.environ:
        pytest.skip("the lab needs root")
    with Lab.start(policy()) as started:
        yield started


@pytest.fixture(scope="session")
def stage(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return Stage(lab, _record, Path(tmp_path_factory.mktemp("pictures")))


LINES: list[Line] = []


def _record(line: Line) -> None:
    LINES.append(line)


@pytest.fixture
def lines(stage: Stage) -> list[Line]:
    """The lines that this test's chapter tells; nobody is logged in when it begins."""
    stage.reset()
    LINES.clear()
    return LINES
