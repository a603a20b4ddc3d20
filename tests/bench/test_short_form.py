"""The benchmark's short form: every figure is measured and printed, and no time is judged."""

import math
import os

import pytest

from tests.bench.__main__ import MODULES, run
from tests.bench.measuring import Effort

FIGURES: list[tuple[tuple[str, ...], set[float | None]]] = [
    (("hook", "growth"), {2.0, 1.1, 1.5}),
    (("packets",), {1.03, 1.1, 1.04, None}),  # None: the article's rules
    (("cutting",), {1.2}),
    (("reconciling",), {2.0}),
    (("launching",), {1.5}),
    (("memory",), {1.3}),
]
"""Each figure that is to be reached, by its bound, and the modules of which one measures it."""


def test_every_figure_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    if os.geteuid() != 0 and "CI" not in os.environ:
        pytest.skip("the benchmark needs root")

    def tell(text: str) -> None:
        with capsys.disabled():
            print(text, flush=True)

    tell("")
    measured = run(MODULES, Effort(is_short=True), tell)
    assert set(measured) == set(MODULES), "a module failed"
    for modules, bounds in FIGURES:
        rows = [row for module in modules for row in measured[module].rows]
        assert bounds <= {row.at_most for row in rows}, modules
    for row in (row for results in measured.values() for row in results.rows):
        assert math.isfinite(row.ratio.median) and row.ratio.median > 0, row
    assert measured["listings"].texts
