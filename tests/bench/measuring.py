"""How everything here is measured: contenders in turn, medians, ratios pair by pair.

A machine's speed drifts from second to second, so contenders are never measured one after the
other: each round measures each of them once, and what is told is the ratio within a round.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

Times = dict[str, list[float]]
"""A contender's name to what each round measured, in seconds (or bytes, where it is memory)."""


@dataclass(frozen=True)
class Effort:
    """How much is measured: ``make bench`` the whole, CI a short form of the same."""

    is_short: bool = False

    def rounds(self, full: int) -> int:
        """How many rounds to do of what takes ``full`` rounds in the long form: at least three."""
        return max(3, full // 10) if self.is_short else full

    def sizes(self, full: Sequence[int]) -> list[int]:
        """Which of the sizes to do: the short form takes the first two."""
        return list(full[:2]) if self.is_short else list(full)


@dataclass(frozen=True)
class Ratio:
    """One contender against another: the median of the rounds' ratios, and their quartiles."""

    median: float
    low: float
    high: float
    rounds: int


@dataclass(frozen=True)
class Row:
    """A line of the table. ``at_most`` None: shown beside the others, without a bound."""

    what: str
    against: str
    at_most: float | None
    ratio: Ratio
    note: str = ""


@dataclass(frozen=True)
class Series:
    """A line of a chart: (size, ratio), sizes ascending."""

    name: str
    points: list[tuple[int, Ratio]]


@dataclass(frozen=True)
class Chart:
    """Cost against size, both on logarithmic scales. ``name`` is the file's, without .svg."""

    name: str
    title: str
    x: str
    y: str
    series: list[Series]


@dataclass
class Results:
    """What one module of this package has measured. ``texts`` are listings for the page, each with
    its heading; ``medians`` absolute values for readers' orientation: name, text."""

    rows: list[Row] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    medians: list[tuple[str, str]] = field(default_factory=list)


def in_turn(contenders: Mapping[str, Callable[[], float]], rounds: int) -> Times:
    """Measure each contender once a round, and once more at first, which does not count.

    Each round begins with another contender: what runs after what matters to caches.
    """
    times: Times = {name: [] for name in contenders}
    names = list(contenders)
    for measure in contenders.values():
        measure()
    for number in range(rounds):
        first = number % len(names)
        for name in (*names[first:], *names[:first]):
            times[name].append(contenders[name]())
    return times


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """Round by round. Raises ValueError where the numbers of rounds differ."""
    ratios = [our / their for our, their in zip(ours, theirs, strict=True)]
    low, median, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return Ratio(median, low, high, len(ratios))


def minus(times: Sequence[float], base: Sequence[float]) -> list[float]:
    """What is left of each round's figure without the base's median: the base's own noise would
    otherwise come in twice."""
    taken = statistics.median(base)
    return [time - taken for time in times]


def milliseconds(times: Sequence[float]) -> str:
    """A median with its quartiles, for readers' orientation."""
    low, median, high = (1000 * each for each in
                         statistics.quantiles(times, n=4, method="inclusive"))
    return f"{median:.2f} ms ({low:.2f} to {high:.2f})"
