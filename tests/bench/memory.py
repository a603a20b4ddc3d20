"""How much memory the hook needs at its peak, beside a Python that does nothing.

Each is run by pam_exec at login and at logout, in the lab's workstation; what counts is the most
that any process of the whole had in memory (wait4(2), ru_maxrss), which is the hook: pamtester and
the rest of the stack stay below the bare interpreter.
"""

from __future__ import annotations

import statistics

from tests.bench.logins import OURS, exec_lines, logins
from tests.bench.measuring import Effort, Results, Row, ratio

_SIZES = (2, 100_000)
_FULL_ROUNDS = 10
_BARE = "/usr/bin/python3 -I -S -c pass"


def measure(effort: Effort) -> Results:
    """Measure. Raises LabError, RuntimeError."""
    results = Results()
    with logins() as box:
        box.add_stack("bench-none", "")
        box.add_stack("bench-bare", exec_lines(_BARE, _BARE))
        for grants in _SIZES:
            box.set_policy(grants)
            peaks = box.measure({"none": box.login("bench-none"), "bare": box.login("bench-bare"),
                                 "ours": box.login(OURS)}, effort.rounds(_FULL_ROUNDS),
                                "peak_memory")
            if max(peaks["none"]) >= min(peaks["bare"]):
                raise RuntimeError("pamtester needs more memory than Python does")
            what = f"memory of the hook, {grants:,} grants"
            results.rows.append(Row(what, "`python3 -I -S -c pass`", 1.3,
                                    ratio(peaks["ours"], peaks["bare"])))
            results.medians.append((what, _megabytes(peaks["ours"])))
        results.medians.append(("memory of `python3 -I -S -c pass`", _megabytes(peaks["bare"])))
    return results


def _megabytes(peaks: list[float]) -> str:
    low, median, high = (each / 1e6 for each in
                         statistics.quantiles(peaks, n=4, method="inclusive"))
    return f"{median:.2f} MB ({low:.2f} to {high:.2f})"
