"""docs/faults.md, made of what was measured."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import fields

from tests.faults.errors import KILL
from tests.faults.running import Recorded, Result
from tests.faults.scenarios import SCENARIOS
from tests.faults.tally import Raged, Tally


def page(recorded: Sequence[Recorded], results: Sequence[Result], storms: Sequence[Raged],
         machine: str) -> str:
    """The whole page."""
    lines = [_HEAD.format(machine=machine), _overall(recorded, results)]
    for scenario in SCENARIOS:
        own = [each for each in results if each.scenario == scenario.name]
        if own:
            lines += [f"## {scenario.title}", "", scenario.describe, "", *_table(own), ""]
    lines += ["## A storm", "", _STORM, "", *_storms(storms), ""]
    lines += _problems(results, storms)
    return "\n".join(lines)


_RULE = "|{}"

_HEAD = """\
# Faults: every system call of the hook fails, in turn

Written by `make faults`; every cell is as measured ({machine}).

The hook that PAM runs at login and logout is started by its session's leader, as pam_exec starts
it, under strace(1), which lets one system call fail or kills the hook at it. Then the kernel's
table, files, records and live connections are looked at; then comes the next full run, which a
timer makes every minute; and all is looked at again. Each call of the hook itself meets each error
of EACCES, EINTR, EIO, EMFILE, ENOMEM and ENOSPC that its manual page names, and SIGKILL; each call
of the interpreter's start, which comes before, SIGKILL and one error. (One call is left out: the
execve(2) that starts it.)

What must hold each time, and is not said again in the tables: the hook ends within its limit of
8 s; the guard is what it was (after an edit or a flush, whole as it was or whole as it is to be);
nobody has anything in the table but his own chain, with exactly his rules, or nothing; the
connection of another user, who is logged in too, goes on; no file is left over. Where that was not
so, it is said at the end of the page.

*Calls* are counted by name, each name from 1 at the start of the process: `read` 69-70 are its 69th
and 70th read(2). *Hook* is how it ended: done (exit status 0), failed (another one, which
`optional` in PAM's stack makes of no account) or killed.
"""

_STORM = """\
Twenty users log in and out, all at the same time, each by a process of his own that runs the hook.
At random moments hooks, reconcilers (`pam-spice reconcile`), the nft that they start, and login
processes are killed, and the policy is edited. A stranger who has the viewer's group tries to reach
a console all the time. Ten times a second the kernel's table is compared with who may be in it: a
user from his login until his logout's hook has ended well, or until any run has ended well that
began after his login process had died. At the end one `pam-spice reconcile` must put all right, to
the last file."""


def _overall(recorded: Sequence[Recorded], results: Sequence[Result]) -> str:
    rows = []
    for scenario in SCENARIOS:
        own = [each for each in results if each.scenario == scenario.name]
        calls = next((each for each in recorded if each.scenario == scenario.name), None)
        if calls is None or not own:
            continue
        hit = [each for each in own if each.was_hit]
        rows.append([
            scenario.title, f"{calls.calls} ({calls.own})",
            str(len({(each.call, each.number) for each in hit})),
            str(sum(each.fault == KILL for each in hit)),
            str(sum(each.fault != KILL for each in hit)),
            str(len(own) - len(hit)),
            f"{max(each.seconds for each in own):.2f}",
            str(sum(bool(each.problems) for each in own))])
    return "\n".join(["| | calls (of our own part) | calls covered | kills | errors | not reached "
                      "| slowest, s | got through |", _RULE.format(" --- |" + " ---: |" * 7),
                      *map(_row, rows), ""])


def _table(results: Iterable[Result]) -> list[str]:
    """For the errors a row for all of a call's that came to the same; for the kills, of which the
    process knows nothing, a row for all calls."""
    numbers: dict[tuple[str, ...], set[int]] = defaultdict(set)
    for each in results:
        if each.was_hit and not each.problems:
            numbers[each.hook, each.outcome, each.after, each.fault, each.call].add(each.number)
    faults: dict[tuple[str, ...], set[str]] = defaultdict(set)
    kills: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for (hook, outcome, after, fault, call), found in sorted(numbers.items()):
        if fault == KILL:
            kills[KILL, hook, outcome, after].append(f"`{call}` {spans(found)}")
        else:
            faults[f"`{call}` {spans(found)}", hook, outcome, after].add(fault)
    rows = [[calls, ", ".join(sorted(found)), *came_to]
            for (calls, *came_to), found in sorted(faults.items())]
    rows += [["; ".join(calls), *came_to] for came_to, calls in kills.items()]
    return ["| calls | faults | hook | when it has ended | after the next full run |",
            _RULE.format(" --- |" * 5), *map(_row, rows)]


def spans(numbers: Iterable[int]) -> str:
    """Numbers for a person: 1-4, 7, 9-10."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and parts[-1][1] == number - 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ", ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in parts)


def _storms(storms: Sequence[Raged]) -> list[str]:
    rows = [["one user at a time", *("yes" if each.one_user else "no" for each in storms)],
            ["seconds", *(f"{each.seconds:g}" for each in storms)],
            ["seed", *(str(each.seed) for each in storms)]]
    for field in fields(Tally):
        values = [getattr(each.tally, field.name) for each in storms]
        rows.append([field.metadata["title"],
                     *(f"{value:.2f}" if isinstance(value, float) else f"{value:,}"
                       for value in values)])
    rows.append(["got through", *(str(len(each.problems)) for each in storms)])
    return ["| |" + " |" * len(storms), _RULE.format(" --- |" + " ---: |" * len(storms)),
            *map(_row, rows)]


def _problems(results: Iterable[Result], storms: Iterable[Raged]) -> list[str]:
    found = Counter(f"{each.scenario}: `{each.call}` {each.number}, {each.fault}: "
                    f"{'; '.join(dict.fromkeys(each.problems))}"
                    for each in results if each.problems)
    found += Counter(f"storm, seed {each.seed}: {problem}"
                     for each in storms for problem in each.problems)
    return ["## What got through", "", *([f"* {each}" for each in found] or ["Nothing."]), ""]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
