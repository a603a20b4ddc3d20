"""The man pages are checked as code is: mandoc has nothing to say against them."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "man").glob("*.[1-8]"))
# Which manuals are there is a matter of the machine: remote-viewer's is on no server.
_OF_THE_MACHINE = "STYLE: referenced manual not found: "


def messages(page: Path) -> list[str]:
    """What mandoc finds in a page."""
    program = shutil.which("mandoc")
    if program is None:
        pytest.fail("mandoc is not installed: apt install mandoc")
    result = subprocess.run([program, "-T", "lint", str(page)], capture_output=True, text=True,
                            timeout=60)
    return [line for line in result.stdout.splitlines() if _OF_THE_MACHINE not in line]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_mandoc_finds_nothing(page: Path) -> None:
    assert messages(page) == []


def test_mandoc_finds_a_bad_macro(tmp_path: Path) -> None:
    page = tmp_path / "bad.5"
    page.write_text(PAGES[0].read_text().replace("\n.Sh DESCRIPTION", "\n.Zz\n.Sh DESCRIPTION"))
    assert any(".Zz" in line or "Zz" in line for line in messages(page))


def test_there_is_the_page_that_defines_the_language() -> None:
    assert "pam-spice-policy.5" in [page.name for page in PAGES]
