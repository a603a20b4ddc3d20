"""Charts as SVG: cost against size, medians as lines, the rounds' quartiles as bands.

Text stays text, and the same chart is the same bytes each time. Ground and text follow the
reader's light or dark page; the lines' colours are readable on both.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import cycle
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from tests.bench.measuring import Chart, Ratio

_LINES = (("#2f7fd6", "o"), ("#d9601a", "s"), ("#b0529c", "^"), ("#2a9d6f", "D"),
          ("#b58900", "v"), ("#7a6fd0", "P"), ("#c8474f", "X"), ("#5b8a9a", "*"))
"""A colour and a marker for each series: who can't tell colours apart sees the shapes."""

_GREY = "#808890"
_LOOK: dict[Any, Any] = {
    "svg.fonttype": "none",  # text, not outlines
    "svg.hashsalt": "pam-spice",  # else names within the file differ from run to run
    "text.parse_math": False,
    "font.sans-serif": ["DejaVu Sans", "sans-serif"],
    "font.size": 10,
    "axes.edgecolor": _GREY,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": _GREY,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.6,
    "xtick.color": _GREY,
    "ytick.color": _GREY,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "legend.frameon": False,
}
_NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))

_DARK = """<style>@media (prefers-color-scheme: dark) {
#ground path { fill: #0d1117 !important }
text { fill: #e6edf3 !important }
}</style>
"""
_NEAR, _FAR = 0.8, 2.5
"""What the scale of costs always shows, so that a few percent look like a few percent."""


def draw(chart: Chart) -> str:
    """The text of an SVG file."""
    with matplotlib.rc_context(_LOOK):
        figure = Figure(figsize=(7.6, 4.6), layout="constrained")
        figure.patch.set_gid("ground")
        axes = figure.add_subplot(facecolor="none", title=chart.title, xlabel=chart.x,
                                  ylabel=chart.y, xscale="log", yscale="log")
        for series, (colour, marker) in zip(chart.series, cycle(_LINES), strict=False):
            sizes = [size for size, _ in series.points]
            ratios = [ratio for _, ratio in series.points]
            axes.fill_between(sizes, [each.low for each in ratios], [each.high for each in ratios],
                              color=colour, alpha=0.25, linewidth=0)
            axes.plot(sizes, [each.median for each in ratios], color=colour, marker=marker,
                      label=series.name)
        _scale(axes, [point for series in chart.series for point in series.points])
        figure.legend(loc="outside lower left", ncols=2)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata=_NO_METADATA)
    before, defs, after = file.getvalue().partition("<defs>")
    return before + _DARK + defs + after


def _scale(axes: Axes, points: Sequence[tuple[int, Ratio]]) -> None:
    """Plain numbers at both axes; a line at 1, where the yardstick is."""
    axes.set_ylim(min([_NEAR, *(0.9 * ratio.low for _, ratio in points)]),
                  max([_FAR, *(1.2 * ratio.high for _, ratio in points)]))
    axes.yaxis.set(major_locator=LogLocator(subs=(1, 2, 5)), minor_locator=NullLocator(),
                   major_formatter=FuncFormatter(lambda cost, _: f"{cost:,g}x"))
    axes.xaxis.set(major_locator=FixedLocator(sorted({size for size, _ in points})),
                   minor_locator=NullLocator(),
                   major_formatter=FuncFormatter(lambda size, _: f"{size:,.0f}"))
    axes.grid(visible=True)
    axes.axhline(1, color=_GREY, linewidth=1.2, linestyle="--")
