"""What a login imports and asks the kernel, listed: nothing here is a figure to reach.

The real hook script is started by the process that is its session's leader, on a workstation in a
namespace (``tests.kernel.workstation``), for a user with two grants. Times are those that
``python3 -X importtime`` tells, so with its own cost; calls are those that ``strace -f -c`` counts,
of the hook and of what it starts. What a bare interpreter does as well is left out.
"""

from __future__ import annotations

import os
import re
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from lab.door import call
from tests.bench.isolation import in_namespaces
from tests.bench.measuring import Effort, Results
from tests.kernel import namespace as ns
from tests.kernel.workstation import SESSIONS, Workstation, office

_ROOT = Path(__file__).parents[2]
_PYTHON = ["/usr/bin/python3", "-IS"]  # as in the hook's first line
_BARE = [*_PYTHON, "-c", "pass"]
_FULL_ROUNDS = 20
_PHASES = ("open", "close")
_SECONDS = 120

Counted = dict[str, int]
"""A module's or a system call's name to microseconds, or to how many times it was called."""


def measure(effort: Effort) -> Results:
    """List both. Raises RuntimeError if the hook does not open and close."""
    with tempfile.TemporaryDirectory() as directory:
        hook = _hook(Path(directory))
        imports = in_namespaces(lambda: _imports(hook, effort.rounds(_FULL_ROUNDS)), _SECONDS)
        calls = in_namespaces(lambda: _calls(hook, Path(directory)), _SECONDS)
    return Results(texts=[
        ("What the hook imports beyond a bare interpreter's modules (python3 -X importtime), "
         "in microseconds", table(imports)),
        ("What the hook asks of the kernel (strace -f -c): numbers of calls, "
         "where a bare interpreter makes fewer", table(calls)),
    ])


def table(columns: dict[str, Counted]) -> str:
    """The columns beside each other, the largest of the first one first, and what they sum up to.

    A column ``python3`` is the bare interpreter's: where no other has more there is no row, but the
    sums have it all.
    """
    bare = columns.get("python3", {})
    names = {name for counted in columns.values() for name in counted
             if any(each.get(name, 0) > bare.get(name, 0) for each in columns.values())}
    first = next(iter(columns.values()))
    rows = [[name, *(_cell(counted.get(name, 0)) for counted in columns.values())]
            for name in sorted(names, key=lambda name: (-first.get(name, 0), name))]
    rows = [["", *columns], *rows,
            ["in all", *(_cell(sum(counted.values())) for counted in columns.values())]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join([row[0].ljust(widths[0]), *(
        cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))])
        for row in rows)


def _cell(number: int) -> str:
    return f"{number:,}" if number else "-"


def _hook(directory: Path) -> Path:
    """The hook script, with the checkout as its prefix."""
    script = (_ROOT / "conf/system/bin/hook").read_text()
    assert "/usr/lib/pam-spice" in script
    hook = directory / "hook"
    hook.write_text(script.replace("/usr/lib/pam-spice", str(_ROOT)))
    hook.chmod(0o755)
    return hook


def _imports(hook: Path, rounds: int) -> dict[str, Counted]:
    """The median of each module's own time, for each phase."""
    workstation = office()
    _login_and_logout(workstation, "0", lambda phase: call([hook, phase]))  # compiles the modules
    bare = _module_times(call([*_PYTHON, "-X", "importtime", "-c", "pass"]).stderr)
    seen: dict[str, list[Counted]] = {phase: [] for phase in _PHASES}
    for number in range(1, rounds + 1):
        _login_and_logout(workstation, str(number), lambda phase: seen[phase].append(
            _module_times(call([*_PYTHON, "-X", "importtime", hook, phase]).stderr)))
    return {phase: {name: round(statistics.median(each[name] for each in times))
                    for name in times[0] if name not in bare} for phase, times in seen.items()}


def _module_times(listing: str) -> Counted:
    """Each module's own microseconds."""
    return {name: int(own) for own, name in
            re.findall(r"^import time: +(\d+) \| +\d+ \| *(\S+)$", listing, re.MULTILINE)}


def _calls(hook: Path, directory: Path) -> dict[str, Counted]:
    workstation = office()
    _login_and_logout(workstation, "0", lambda phase: call([hook, phase]))
    counted: dict[str, Counted] = {}

    def count(phase: str) -> None:
        counted[phase] = _counted_calls(directory / phase, str(hook), phase)

    _login_and_logout(workstation, "1", count)
    return {**counted, "python3": _counted_calls(directory / "python3", *_BARE)}


def _counted_calls(output: Path, *argv: str) -> Counted:
    """How often a program and its children make each system call."""
    # -D: the hook must be the leader's own child, not strace's.
    call(["strace", "-D", "-f", "-c", "-U", "calls,name", "-o", output, "--", *argv])
    assert ns.until(lambda: output.exists() and "total" in output.read_text())
    lines = [line.split() for line in output.read_text().splitlines()]
    return {words[1]: int(words[0]) for words in lines
            if len(words) == 2 and words[0].isdecimal() and words[1] != "total"}


def _login_and_logout(workstation: Workstation, session: str,
                      run_hook: Callable[[str], object]) -> None:
    """A session of anne's, whose leader this process is."""
    workstation.state(session, "anne", os.getpid())
    run_hook("open")
    assert workstation.chains() == {ns.USERS["anne"]: 4}, "two grants, IPv4 and IPv6"
    run_hook("close")
    assert workstation.chains() == {}
    (SESSIONS / session).unlink()
