"""The checkout's own commands in README and docs/: make knows each of them.

What their recipes do is too much for a test of pages: `make test` is what runs this, `deb` and
`rpm` are tests/lint/test_packages.py's, `demo` is tests/lab/test_story.py's, `attacks`, `firewalls`
and `bench` are tests with an option by which they write their page.
"""

import re
import subprocess

import pytest

from tests.unit.pages import BLOCKS, ROOT, SHELL, TEXTS, commands_of

COMMANDS = [command for block in BLOCKS
            if block.tag == SHELL and block.note("in the checkout") is not None
            for command in commands_of(block)]
INLINE = sorted({found for text in TEXTS.values()
                 for found in re.findall(r"`(make [a-z-]+)[^`]*`", text)})


@pytest.mark.parametrize("command", [*COMMANDS, *INLINE])
def test_make_knows_how(command: str) -> None:
    program, target = command.split()[:2]
    assert program == "make"
    done = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
