"""``python -m tests.bench``, as root: measure all, print it, and write docs/benchmarks.md.

    --short         a tenth of the rounds and the smaller sizes; writes nothing
    --only NAME...  these modules alone; writes nothing

The exit status is 1 if a module failed and 2 if the run was ended. Figures never decide it.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import re
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from lab.door import call
from tests.bench import report
from tests.bench.measuring import Effort, Results
from tests.kernel.namespace import die_with_parent

MODULES = ("packets", "cutting", "reconciling", "hook", "growth", "memory",
           "launching", "listings")
"""In the order in which they are run."""

_DOCS = Path(__file__).parents[2] / "docs"


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.bench", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=MODULES, default=MODULES)
    options = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("needs root: namespaces, nft, other uids, a lab")
    # A terminal that is closed and a polite kill take down what is up, the lab too.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(2))
    # A child that outlived us would sit in a namespace with nobody to read what it measured.
    os.register_at_fork(after_in_child=die_with_parent)
    measured = run(options.only, Effort(options.short), _tell)
    failed = [name for name in options.only if name not in measured]
    if not options.short and options.only is MODULES:
        _write(report.joined(list(measured.values())), failed)
    return 1 if failed else 0


def run(names: Sequence[str], effort: Effort, tell: Callable[[str], None]) -> dict[str, Results]:
    """Run these modules in the fixed order, and ``tell`` what each has measured when it is
    there; all of it, by module. One that fails is told of and is missing."""
    measured: dict[str, Results] = {}
    for name in (module for module in MODULES if module in names):
        tell(f"# {name}")
        try:
            results: Results = importlib.import_module(f"tests.bench.{name}").measure(effort)
        except Exception:  # whatever it is, the others' figures are wanted
            tell(f"{traceback.format_exc()}{name} failed")
            continue
        measured[name] = results
        for row in results.rows:
            tell(report.line(row))
        for what, median in results.medians:
            tell(f"        {what}: {median}")
        for heading, text in results.texts:
            tell(f"{heading}\n{text}")
    return measured


def _tell(text: str) -> None:
    print(text, flush=True)


def _write(measured: Results, failed: list[str]) -> None:
    from tests.bench.charts import draw

    pictures = _DOCS / "benchmarks"
    pictures.mkdir(exist_ok=True)
    for old in pictures.glob("*.svg"):
        old.unlink()
    for chart in measured.charts:
        (pictures / f"{chart.name}.svg").write_text(draw(chart), encoding="utf-8")
    day = datetime.now(UTC).date().isoformat()
    (_DOCS / "benchmarks.md").write_text(report.page(measured, _machine(), day, failed),
                                         encoding="utf-8")


def _machine() -> report.Machine:
    return report.Machine(_version(platform.release()), _version(call(["nft", "--version"]).stdout),
                          _version(call(["/usr/bin/python3", "--version"]).stdout),
                          _version(call(["sudo", "--version"]).stdout), os.cpu_count() or 1)


def _version(text: str) -> str:
    """The first number with dots in it: what else is told names a build, or a machine."""
    found = re.search(r"\d+(\.\w+)+", text)
    assert found is not None, text
    return found[0]


if __name__ == "__main__":
    sys.exit(main())
