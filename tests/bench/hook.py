"""What the hook costs at login and logout, beside a shell hook that only runs nft.

Timed is pamtester from its start to its end, in the lab's workstation: it opens and closes a
session through a whole PAM stack, pam_systemd's part with it. From each figure the same without a
hook is taken. The shell hook's batches make and unmake the same chain as ours.
"""

from __future__ import annotations

from tests.bench.logins import BATCHES, HOME, OURS, exec_lines, logins, shell_hook
from tests.bench.measuring import Effort, Results, Row, milliseconds, minus, ratio

_FULL_ROUNDS = 80
# To become nft is the least that Python can do: a hook that goes on afterwards costs more.
_PYTHON = "import os, sys\nos.execv('/usr/sbin/nft', ['nft', '-f', sys.argv[1]])\n"


def measure(effort: Effort) -> Results:
    """Measure. Raises LabError, RuntimeError."""
    with logins() as box:
        box.workstation.write_file(f"{HOME}/bare.py", _PYTHON)
        python = (f"/usr/bin/python3 -I -S {HOME}/bare.py {batch}" for batch in BATCHES.values())
        nothing = (f"/usr/bin/python3 -I -S -c {word}" for word in ("pass", "pass"))
        for service, hook in (("bench-none", ""), ("bench-shell", shell_hook()),
                              ("bench-python", exec_lines(*python)),
                              ("bench-nothing", exec_lines(*nothing))):
            box.add_stack(service, hook)
        times = box.measure({name: box.login(f"bench-{name}") for name in (
            "none", "shell", "python", "nothing", OURS.removeprefix("bench-"))},
            effort.rounds(_FULL_ROUNDS))
    cost = {name: minus(measured, times["none"]) for name, measured in times.items()}
    what = "hook, open + close of a session, 2 grants"
    shell = "a shell hook that only runs `nft -f` of the same batches"
    return Results(
        rows=[
            Row(what, shell, 2.0, ratio(cost["ours"], cost["shell"])),
            Row("the same, bare `python3 -I -S`, which becomes `nft -f`", shell, None,
                ratio(cost["python"], cost["shell"])),
            Row("the same, `python3 -I -S -c pass`", shell, None,
                ratio(cost["nothing"], cost["shell"])),
        ],
        medians=[("a session without a hook", milliseconds(times["none"])),
                 *((f"hook, open + close: {name}", milliseconds(cost[key])) for name, key in (
                     ("ours, 2 grants", "ours"), ("shell and `nft`", "shell"),
                     ("`python3 -I -S` and `nft`", "python"),
                     ("`python3 -I -S -c pass`", "nothing")))])
