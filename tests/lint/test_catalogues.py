"""The catalogues in the judgement of gettext, whose format they are in."""

import gettext
import shutil
import subprocess
from pathlib import Path

import pytest

from launcher.catalogue import read_catalogue

ROOT = Path(__file__).parents[2]
CATALOGUES = sorted((ROOT / "launcher/po").glob("*.po"))


def run(name: str, *arguments: str) -> str:
    """What a program finds fault with."""
    program = shutil.which(name)
    if program is None:
        pytest.fail(f"{name} is not installed: apt install gettext")
    result = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60)
    return result.stdout + result.stderr if result.returncode else ""


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.name)
def test_gettext_reads_a_catalogue_as_the_launcher_does(path: Path, tmp_path: Path) -> None:
    compiled = tmp_path / "messages.mo"
    assert run("msgfmt", "--check-format", "--check-header", "-o", str(compiled), str(path)) == ""
    with open(compiled, "rb") as file:
        theirs = gettext.GNUTranslations(file)
    ours = read_catalogue(path.read_text())
    assert len(ours) > 70
    for message, forms in ours.items():
        if len(forms) == 1:
            assert theirs.gettext(message) == forms[0]
        else:
            assert [theirs.ngettext(message, "", count) for count in (0, 1, 2, 10)] == [
                forms[1], forms[0], forms[1], forms[1]]
    catalogue = theirs._catalog  # type: ignore[attr-defined]
    assert {key if isinstance(key, str) else key[0] for key in catalogue} - {""} == set(ours)


def test_msgfmt_finds_a_translation_that_fills_in_something_else(tmp_path: Path) -> None:
    bad = tmp_path / "bad.po"
    bad.write_text(CATALOGUES[0].read_text().replace('msgstr "offen bis {time}"',
                                                     'msgstr "offen bis {zeit}"'))
    assert "time" in run("msgfmt", "--check-format", "-o", str(tmp_path / "bad.mo"), str(bad))
