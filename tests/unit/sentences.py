"""The messages of the launcher's sources: what stands in calls of gettext and ngettext."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
LAUNCHER = sorted((ROOT / "launcher").glob("*.py"))


def calls_in(source: str) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(source)):
        if (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
                and node.func.id in ("_", "ngettext")):
            yield node


def messages_in(source: str) -> dict[str, str | None]:
    """The messages of a source in their order, each with its plural if it has one."""
    found: dict[str, str | None] = {}
    for call in sorted(calls_in(source), key=lambda call: (call.lineno, call.col_offset)):
        texts = [ast.literal_eval(argument) for argument in call.args[:2]]
        found[texts[0]] = texts[1] if call.func.id == "ngettext" else None  # type: ignore[attr-defined]
    return found


def all_messages() -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for path in LAUNCHER:
        found.update(messages_in(path.read_text()))
    return found


ARGPARSE = ("unrecognized arguments: %s", "argument %(argument_name)s: %(message)s",
            "not allowed with argument %s", "ignored explicit argument %r",
            "%(prog)s: error: %(message)s\n", "usage: ", "positional arguments", "options",
            "show this help message and exit")
"""What argparse can say of spice-open's options."""
