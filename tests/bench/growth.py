"""What a policy's size costs: every login, and the first one after an edit.

The users who log in have the same grants at every size; the other grants are other people's. Each
size has its own /etc/pam-spice and /var/lib/pam-spice, compiled before, and they are bound in their
places in turn, outside of what is timed. What a login is and how it is timed: ``logins``,
``stopwatch``. Beside it is a hook that reads the same policy with PyYAML at each login, and keeps
nothing of it.
"""

from __future__ import annotations

from tests.bench import policies
from tests.bench.logins import BATCHES, HOME, OURS, Logins, exec_lines, logins, shell_hook
from tests.bench.measuring import (
    Chart,
    Effort,
    Results,
    Row,
    Series,
    Times,
    milliseconds,
    minus,
    ratio,
)
from tests.bench.stopwatch import Program

_SIZES = (2, 100, 10_000, 100_000)
_LARGEST_READ = 10_000
"""PyYAML needs seconds for more, and grows in proportion from here on."""

_LOGINS, _READINGS, _EDITS, _CHECKS, _TAKEN_IN = 45, 10, 3, 5, 10
"""Rounds in the long form."""

_POLICY = "/etc/pam-spice/policy.yaml"
_UNIT = "pam-spice-reconcile"
_PLACES = {"/etc/pam-spice": "etc", "/var/lib/pam-spice": "state"}

# Put the tree of a size in the place of another one's, if there is any.
_PUT = "".join(f"umount --quiet {place} || true\n" for place in _PLACES) + "".join(
    f"mount --bind {HOME}/$1/{name} {place}\n" for place, name in _PLACES.items())

# As an editor does: a new file in place of the old one.
_EDIT = (f"cp {_POLICY} {_POLICY}.new; date '+# %N' >>{_POLICY}.new; mv {_POLICY}.new {_POLICY}")

_TAKE_IN = f"""\
{_EDIT}
until [ /var/lib/pam-spice/policy.compiled -nt {_POLICY} ]; do sleep 0.05; done
until [ "$(systemctl show --property=ActiveState --value {_UNIT}.service)" = inactive ]; do
    sleep 0.05
done
"""

_READING_HOOK = """\
import os
import sys

import yaml

with open(sys.argv[2]) as file:
    policy = yaml.load(file, yaml.CSafeLoader)
consoles = [grant["console"] for grant in policy["grants"] if grant["user"] == "myself"]
if consoles != ["c0"]:
    sys.exit(f"unexpected: {consoles}")
os.execv("/usr/sbin/nft", ["nft", "-f", sys.argv[1]])
"""
_LOADER = ["/usr/bin/python3", "-c",
           "import sys, yaml; yaml.load(open(sys.argv[1]), yaml.CSafeLoader)"]


def measure(effort: Effort) -> Results:
    """Measure. Raises LabError, RuntimeError."""
    sizes = effort.sizes(_SIZES)
    read = [size for size in sizes if size <= _LARGEST_READ]
    with logins() as box:
        _make_trees(box, sizes)
        box.add_stack("bench-none", "")
        box.add_stack("bench-shell", shell_hook())
        ours = _compiled(box, sizes, effort.rounds(_LOGINS))
        theirs = _read_at_each_login(box, read, effort.rounds(_READINGS))
        _put(box, sizes[-1])
        first = _first_after_edit(box, sizes[-1], effort.rounds(_EDITS))
        _put(box, read[-1])
        taken_in = _after_path_unit(box, read[-1], effort.rounds(_TAKEN_IN))
        checked = _check(box, read[-1], effort.rounds(_CHECKS))
    flat = Row(f"hook, open + close of a session, {sizes[-1]:,} grants and "
               f"{min(sizes[-1], policies.USERS):,} users in the policy",
               f"with {sizes[0]} grants", 1.1, ratio(ours[str(sizes[-1])], ours[str(sizes[0])]))
    chart = Chart("growth", "A login and a logout", "grants in the policy",
                  "times a shell hook that only runs nft",
                  [_series("pam-spice", ours),
                   _series("a hook that reads the policy with PyYAML", theirs)])
    return Results([flat, first, taken_in, checked], [chart], medians=[
        (f"hook, open + close: {name} {int(size):,} grants", milliseconds(cost[size]))
        for name, cost in (("ours,", ours), ("PyYAML reads", theirs))
        for size in cost if size != "shell"])


def _make_trees(box: Logins, sizes: list[int]) -> None:
    box.workstation.write_file(f"{HOME}/put", _PUT)
    for size in sizes:
        etc, state = (f"{HOME}/{size}/{name}" for name in _PLACES.values())
        box.workstation.shell(f"set -e; mkdir -p {etc} {state}; cp -a /etc/pam-spice/. {etc}; "
                              f"chmod 700 {state}")
    for size in sizes:
        _put(box, size)
        box.set_policy(size)


def _put(box: Logins, size: int) -> None:
    box.workstation.run(["/bin/sh", "-eu", f"{HOME}/put", str(size)])


def _compiled(box: Logins, sizes: list[int], rounds: int) -> Times:
    """What our hook costs at each size, and the shell hook."""
    return _costs(box, {str(size): box.login(OURS, f"/bin/sh -eu {HOME}/put {size}")
                        for size in sizes}, rounds)


def _read_at_each_login(box: Logins, sizes: list[int], rounds: int) -> Times:
    """The same of a hook that reads the policy with PyYAML."""
    box.workstation.write_file(f"{HOME}/reading.py", _READING_HOOK)
    reads = f"/usr/bin/python3 -I {HOME}/reading.py {BATCHES['open']}"
    for size in sizes:
        box.add_stack(f"bench-reading-{size}", exec_lines(
            f"{reads} {HOME}/{size}/etc/policy.yaml", f"/bin/sh {HOME}/close.sh"))
    return _costs(box, {str(size): box.login(f"bench-reading-{size}") for size in sizes}, rounds)


def _costs(box: Logins, hooks: dict[str, Program], rounds: int) -> Times:
    times = box.measure({"none": box.login("bench-none"), "shell": box.login("bench-shell"),
                         **hooks}, rounds)
    base = times.pop("none")
    return {name: minus(measured, base) for name, measured in times.items()}


def _series(name: str, costs: Times) -> Series:
    return Series(name, [(int(size), ratio(cost, costs["shell"]))
                         for size, cost in costs.items() if size != "shell"])


def _first_after_edit(box: Logins, grants: int, rounds: int) -> Row:
    """Nobody has noticed the edit before this login: it compiles the policy itself."""
    loader = Program([*_LOADER, _POLICY])
    login = box.login(OURS, _EDIT)
    what, against = (f"the first login after an edit of the {grants:,}-grant policy",
                     "PyYAML's C loader on the file")
    times, failed = box.measure_all({"loader": loader, "login": login}, rounds)
    if not failed:
        return Row(what, against, 1.5, ratio(times["login"], times["loader"]))
    # The time to the hook's end is no figure then; that of the same work without a limit is one.
    times = box.measure({"loader": loader, "reconcile": Program(
        ["/usr/sbin/pam-spice", "reconcile"], login.before)}, rounds)
    return Row(what, against, None, ratio(times["reconcile"], times["loader"]),
               f"In {failed} of {rounds + 1} logins the hook was ended by its limit of 8 s, and "
               f"nothing opened; the figure is that of `pam-spice reconcile`, which has no limit.")


def _after_path_unit(box: Logins, grants: int, rounds: int) -> Row:
    box.workstation.run(["systemctl", "start", f"{_UNIT}.path"])
    times = box.measure({"edited": box.login(OURS, _TAKE_IN), "as it was": box.login(OURS)}, rounds)
    box.workstation.run(["systemctl", "stop", f"{_UNIT}.path"])
    return Row(f"a login after the path unit has taken in an edit of the {grants:,}-grant policy",
               "a login without an edit", None, ratio(times["edited"], times["as it was"]),
               "No login waits for an edit where the path unit was there first.")


def _check(box: Logins, grants: int, rounds: int) -> Row:
    times = box.measure({
        "loader": Program([*_LOADER, _POLICY]),
        "check": Program(["/usr/sbin/pam-spice", "check", "--policy", _POLICY])}, rounds)
    return Row(f"`pam-spice check` of the {grants:,}-grant policy",
               "PyYAML's C loader on the file", None, ratio(times["check"], times["loader"]))
