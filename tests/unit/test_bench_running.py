"""The benchmark's run: all modules in a fixed order, whatever one of them does."""

import importlib
from types import SimpleNamespace

import pytest

from tests.bench.__main__ import MODULES, run
from tests.bench.measuring import Effort, Ratio, Results, Row


def row(what: str) -> Row:
    return Row(what, "nothing", None, Ratio(1, 1, 1, 3))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Effort]]:
    """What was measured, with which effort; the module ``hook`` fails."""
    calls: list[tuple[str, Effort]] = []

    def load(path: str) -> SimpleNamespace:
        name = path.removeprefix("tests.bench.")

        def measure(effort: Effort) -> Results:
            calls.append((name, effort))
            if name == "hook":
                raise RuntimeError("no nft")
            return Results(rows=[row(name)])

        return SimpleNamespace(measure=measure)

    monkeypatch.setattr(importlib, "import_module", load)
    return calls


def test_a_module_that_fails_says_so_and_the_others_go_on(
        measured: list[tuple[str, Effort]]) -> None:
    told: list[str] = []
    results = run(MODULES, Effort(), told.append)
    assert list(results) == [name for name in MODULES if name != "hook"]
    assert any("RuntimeError: no nft" in text and text.endswith("hook failed") for text in told)
    assert [name for name, _ in measured] == list(MODULES)


def test_only_some_modules_run_in_the_fixed_order(measured: list[tuple[str, Effort]]) -> None:
    short = Effort(is_short=True)
    results = run(["launching", "packets"], short, lambda _: None)
    assert measured == [("packets", short), ("launching", short)]
    assert results == {"packets": Results(rows=[row("packets")]),
                       "launching": Results(rows=[row("launching")])}


def test_each_row_is_told_when_it_is_there(measured: list[tuple[str, Effort]]) -> None:
    told: list[tuple[int, str]] = []
    run(["packets", "memory"], Effort(), lambda text: told.append((len(measured), text)))
    assert [(number, text.split()[0]) for number, text in told] == [
        (0, "#"), (1, "shown"), (1, "#"), (2, "shown")]
