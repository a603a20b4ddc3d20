"""No unit test starts a program or becomes another: the door is shut for all of them."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest
from hypothesis.configuration import set_hypothesis_home_dir

import launcher.conventions
import launcher.language
import pam_spice.run

# No database of examples: a failure prints how to play it again.
set_hypothesis_home_dir(Path(__file__).parents[2] / "build" / "hypothesis")
hypothesis.settings.register_profile("checkout", database=None, print_blob=True)
hypothesis.settings.load_profile("checkout")

GOLDEN = Path(__file__).parent / "golden"

_DOORS = ["posix_spawn", "posix_spawnp", "system", "popen", "fork", "forkpty", "execl", "execle",
          "execlp", "execlpe", "execv", "execve", "execvp", "execvpe"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", default=False,
                     help="write the golden files anew from what the code says now")


@pytest.fixture(autouse=True)
def _english_whatever_the_environment_says() -> None:
    launcher.language.speak(None)
    launcher.conventions.adopt(launcher.conventions.Conventions())


@pytest.fixture(autouse=True)
def _no_program_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        pytest.fail("a unit test must not start a program")

    monkeypatch.setattr(subprocess, "Popen", forbidden)
    monkeypatch.setattr(pam_spice.run, "run", forbidden)
    for door in _DOORS:
        monkeypatch.setattr(os, door, forbidden)


Golden = Callable[[Path, str], None]


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compare a text with a golden file, or write it with --update-golden."""

    def compare(path: Path, text: str) -> None:
        if request.config.getoption("--update-golden", default=False):
            path.write_text(text, encoding="utf-8", newline="")
        with path.open(encoding="utf-8", newline="") as file:
            assert text == file.read(), f"{path.name} (pytest --update-golden writes it anew)"

    return compare
