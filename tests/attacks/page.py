"""docs/attacks.md: written from outcomes, and read again.

A run that makes only some of the attempts keeps what the page said of the others, as long as they
are declared still.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from tests.attacks.attempt import ARTICLE, NOTHING, PAM_SPICE, Attack, Seen

HERE = Path(__file__).parent
PAGE = HERE.parent.parent / "docs" / "attacks.md"

Outcomes = dict[tuple[str, str], Seen]
"""What came of an attack (its sentence) on a setup."""

_STOPPED, _THROUGH, _NOT_DEFENDED = "stopped: ", "**through**: ", "*not defended*: "
_NOT_MADE = "–"


def files() -> list[Path]:
    """The files whose tests make the attempts."""
    return [path for folder in ("kernel", "lab")
            for path in sorted((HERE / folder).glob("test_*.py"))]


def declared() -> list[Attack]:
    """Every attack that the tests make, in the order of the page: those with a number by it, then
    those found since, by file and place in it."""
    found = [told for path in files() for told in declared_in(path.read_text())]
    return sorted(found, key=lambda told: 1_000 if told.threat is None else told.threat)


def declared_in(source: str) -> list[Attack]:
    """The attacks that a test file declares. Nothing of it is run."""
    return [told for told, _ in declared_with_docstrings(source)]


def declared_with_docstrings(source: str) -> list[tuple[Attack, str | None]]:
    """The same, each with its test's docstring."""
    return [(_declaration(decorator), ast.get_docstring(function))
            for function in ast.parse(source).body if isinstance(function, ast.FunctionDef)
            for decorator in function.decorator_list
            if isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Name)
            and decorator.func.id == "attack"]


def _declaration(call: ast.Call) -> Attack:
    values = [ast.literal_eval(argument) for argument in call.args]
    return Attack(*values, **{str(each.arg): ast.literal_eval(each.value)
                              for each in call.keywords})


def render(attacks: Iterable[Attack], outcomes: Outcomes) -> str:
    """The page, of those attacks whose outcomes are known for each setup that they are made on."""
    rows = [told for told in attacks if all((told.sentence, setup) in outcomes
                                            for setup in told.setups if setup != NOTHING)]
    lines = [f"| {number} | {_escape(told.sentence)} | {told.threat or 'new'} | "
             f"{_cell(outcomes.get((told.sentence, ARTICLE)), True)} | "
             f"{_cell(outcomes.get((told.sentence, PAM_SPICE)), told.promised)} |"
             for number, told in enumerate(rows, 1)]
    counts = {setup: sum(outcomes[told.sentence, setup].through for told in rows
                         if setup in told.setups) for setup in (ARTICLE, PAM_SPICE)}
    tried = sum(ARTICLE in told.setups for told in rows)
    promised = sum(told.promised for told in rows)
    return f"""# Attacks

Each row is a test below `tests/attacks`: an attempt made the way a person would make it, on a \
workstation with the article's own setup and on one with pam-spice, in namespaces with real \
firewalls and sockets or in the lab with real logins, sudo and the real viewer. An outcome is what \
server and kernel saw. `make attacks` makes the attempts and writes this page; `make test` makes \
them again and compares. Where nothing protects, each attempt of which that can be said was seen \
to succeed.

The article's setup let {counts[ARTICLE]} of {tried} through. pam-spice promises to stop \
{promised} of {len(rows)}; {counts[PAM_SPICE]} got through.

| | attack | threat | the article's setup | pam-spice |
| ---: | --- | --- | --- | --- |
""" + "".join(f"{line}\n" for line in lines)


def _cell(seen: Seen | None, promised: bool) -> str:
    if seen is None:
        return _NOT_MADE
    return (("" if promised else _NOT_DEFENDED) + (_THROUGH if seen.through else _STOPPED)
            + _escape(seen.what))


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("*", "\\*").replace("<", "\\<")


def outcomes_of(text: str) -> Outcomes:
    """What a page says."""
    found: Outcomes = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)]
        if len(cells) != 7 or not cells[1].isdecimal():
            continue
        sentence = _plain(cells[2])
        for setup, cell in ((ARTICLE, cells[4]), (PAM_SPICE, cells[5])):
            cell = cell.removeprefix(_NOT_DEFENDED)
            for prefix, through in ((_THROUGH, True), (_STOPPED, False)):
                if cell.startswith(prefix):
                    found[sentence, setup] = Seen(through, _plain(cell.removeprefix(prefix)))
    return found


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def sentences_of(text: str) -> list[tuple[str, str]]:
    """Each row's attack and threat, in the page's order."""
    rows = [re.split(r"(?<!\\)\|", line) for line in text.splitlines()]
    return [(_plain(cells[2].strip()), cells[3].strip()) for cells in rows
            if len(cells) == 7 and cells[1].strip().isdecimal()]


@cache
def outcomes_of_file() -> Outcomes:
    """What docs/attacks.md said when it was first asked for; nothing where there is none."""
    return outcomes_of(PAGE.read_text()) if PAGE.exists() else {}


def write_file(outcomes: Outcomes) -> None:
    """Write docs/attacks.md from these outcomes, and from its own for what was not tried now."""
    before = outcomes_of(PAGE.read_text()) if PAGE.exists() else {}
    PAGE.write_text(render(declared(), before | outcomes))
