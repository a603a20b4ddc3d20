"""The page and the lines in which the figures are told. Pure: what it tells is passed in.

Names and notes of rows and medians are Markdown.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.measuring import Ratio, Results, Row

_INTRODUCTION = """\
# What pam-spice costs

`make bench` measures all this in one run and writes this page; nothing here is written by hand.

Each figure is a ratio: what pam-spice needs over what a yardstick beside it needs. Contenders are
measured in turn, each of them once a round, and a ratio is taken within its round; shown are the
median of the rounds' ratios and their quartiles, between which half of the rounds lie. The machine
is a shared one, so absolute times change from minute to minute and from machine to machine; they
are given for orientation only. To repeat it: `make bench`, as root on Debian 12.
"""


@dataclass(frozen=True)
class Machine:
    """On what it was measured: versions, and no name or place."""

    kernel: str
    nft: str
    python: str
    sudo: str
    cpus: int


def verdict(row: Row) -> str:
    """``met``, ``missed``, or ``shown`` where nothing was to be reached."""
    if row.at_most is None:
        return "shown"
    return "met" if row.ratio.median <= row.at_most else "missed"


def line(row: Row) -> str:
    """A row for a terminal."""
    bound = "" if row.at_most is None else f", at most {row.at_most:.2f}x"
    return (f"{verdict(row):6}  {times(row.ratio.median):>6}  ({_quartiles(row.ratio)}; "
            f"{row.ratio.rounds} rounds)  {row.what}, against {row.against}{bound}"
            + (f": {row.note}" if row.note else ""))


def times(number: float) -> str:
    """A ratio with as many digits as tell something: 1.027x, 2.41x, 29.1x, 207x."""
    return f"{_digits(number)}x"


def _digits(number: float) -> str:
    digits = 3 if number < 2 else 2 if number < 10 else 1 if number < 100 else 0
    return f"{number:,.{digits}f}"


def _quartiles(ratio: Ratio) -> str:
    return f"{_digits(ratio.low)} to {_digits(ratio.high)}"


def page(results: Results, machine: Machine, day: str, failed: Sequence[str] = ()) -> str:
    """The text of docs/benchmarks.md; ``failed`` are the modules that could not measure."""
    parts = [
        _INTRODUCTION,
        f"This run: {day}, Linux {machine.kernel}, nft {machine.nft}, Python {machine.python}, "
        f"sudo {machine.sudo}, {machine.cpus} CPUs.\n",
        *([f"**Not measured in this run**, because it failed: {', '.join(failed)}.\n"]
          if failed else []),
        "## The figures\n", _table(results.rows), _missed(results.rows), _notes(results.rows),
        *(["## Cost against size\n"] if results.charts else []),
        *(f"![{chart.title}: {chart.y} against {chart.x}](benchmarks/{chart.name}.svg)\n"
          for chart in results.charts),
        _medians(results.medians),
        *(["## The login path\n"] if results.texts else []),
        *(f"<details>\n<summary>{html.escape(heading)}</summary>\n\n```text\n{text}\n```\n\n"
          f"</details>\n" for heading, text in results.texts),
    ]
    return "\n".join(part for part in parts if part)


def _table(rows: Sequence[Row]) -> str:
    lines = ["| what | measured against | at most | median | quartiles | rounds |",
             "| --- | --- | ---: | ---: | ---: | ---: |"]
    for row in rows:
        median = times(row.ratio.median)
        lines.append(f"| {_cell(row.what)} | {_cell(row.against)} | "
                     f"{'' if row.at_most is None else f'{row.at_most:.2f}x'} | "
                     f"{f'**{median}**' if verdict(row) == 'missed' else median} | "
                     f"{_quartiles(row.ratio)} | {row.ratio.rounds} |")
    return "\n".join([*lines, ""])


def _missed(rows: Sequence[Row]) -> str:
    missed = [row for row in rows if verdict(row) == "missed"]
    if not missed:
        return "All figures are met; where there is no \"at most\", a row stands for comparison.\n"
    return "\n".join(["Missed, and bold in the table:\n", *(
        f"* {row.what}, against {row.against}: {times(row.ratio.median)} instead of "
        f"{row.at_most:.2f}x at most" + (f"; {row.note}" if row.note else "")
        for row in missed), ""])


def _notes(rows: Sequence[Row]) -> str:
    noted = [row for row in rows if row.note and verdict(row) != "missed"]
    if not noted:
        return ""
    return "\n".join(["Notes:\n", *(f"* {row.what}: {row.note}" for row in noted), ""])


def _medians(medians: Sequence[tuple[str, str]]) -> str:
    if not medians:
        return ""
    return "\n".join(["## Medians of this run, for orientation\n",
                      "| what | median, with quartiles |", "| --- | ---: |",
                      *(f"| {_cell(name)} | {_cell(text)} |" for name, text in medians), ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def joined(all_results: Sequence[Results]) -> Results:
    """What several modules have measured, in one."""
    whole = Results()
    for results in all_results:
        whole.rows += results.rows
        whole.charts += results.charts
        whole.texts += results.texts
        whole.medians += results.medians
    return whole
