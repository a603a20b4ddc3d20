"""The threat model names its tests: each is there, and what is not defended is all in it."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/threat-model.md").read_text()
NAMED = re.findall(r"`(tests/[a-z_/]+\.py)::(test_\w+)`", TEXT)


def functions(path: str) -> dict[str, ast.FunctionDef]:
    """A file's tests by name."""
    return {node.name: node for node in ast.parse((ROOT / path).read_text()).body
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def not_promised() -> set[tuple[str, str]]:
    """The attacks that are declared as not defended against."""
    found = set()
    for path in (ROOT / "tests/attacks").rglob("test_*.py"):
        name = str(path.relative_to(ROOT))
        for test, node in functions(name).items():
            if "promised=False" in "".join(map(ast.unparse, node.decorator_list)):
                found.add((name, test))
    return found


@pytest.mark.parametrize(("path", "test"), NAMED)
def test_a_test_that_it_names_is_there(path: str, test: str) -> None:
    assert test in functions(path)


def test_every_attack_that_is_not_defended_against_is_in_it() -> None:
    missing = not_promised()
    assert missing
    assert missing - set(NAMED) == set()
