"""The linters are tests: what they find fails the build."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def lint(*command: str) -> None:
    beside = Path(sys.executable).parent / command[0]
    program = str(beside) if beside.exists() else shutil.which(command[0])
    if program is None:
        pytest.fail(f"{command[0]} is not installed: pip install '.[dev]'")
    result = subprocess.run([program, *command[1:]], cwd=ROOT, capture_output=True, text=True,
                            timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr


def test_ruff_finds_nothing() -> None:
    lint("ruff", "check", ".")


def test_mypy_strict_finds_nothing() -> None:
    lint("mypy")
