"""What others say to a person, as docs/messages.md has it, is in the packages that they come from.

Of the packages with which the lab's root file system was made, which itself has no translations.
"""

import gettext
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.door import call
from lab.rootfs import cache_dir, rootfs
from launcher.catalogue import read_catalogue

_RECORDED = (Path(__file__).parents[1] / "unit/recorded/others.po").read_text()

CATALOGUES = {"sudoers": "sudo", "sudo": "sudo", "virt-viewer": "virt-viewer",
              "garcon": "libgarcon-common"}
"""The package of each German catalogue. libc's and GLib's, with one sentence each, are in packages
that the lab has not (libc-l10n, libglib2.0-data)."""


@dataclass(frozen=True)
class Part:
    """The sentences of one program, or of one of its catalogues."""

    package: str
    catalogue: str | None
    sentences: dict[str, tuple[str, ...]]


def recorded() -> list[Part]:
    found = []
    for part in re.split(r"^# (?=\S+: (?:\S+\.mo|no translation)$)", _RECORDED,
                         flags=re.MULTILINE)[1:]:
        head, _, rest = part.partition("\n")
        package, _, catalogue = head.partition(": ")
        found.append(Part(package, catalogue.removesuffix(".mo") if ".mo" in catalogue else None,
                          read_catalogue(rest)))
    return found


PARTS = recorded()
each_part = pytest.mark.parametrize("part", PARTS,
                                    ids=lambda part: f"{part.package} {part.catalogue}")


def unpacked(package: str, directory: Path) -> list[Path]:
    """The package's files."""
    rootfs()
    debs = sorted((cache_dir() / "debs").glob(f"{package}_*.deb"))
    assert debs, f"no {package} in {cache_dir()}/debs: build the lab's root file system anew"
    call(["dpkg-deb", "--extract", debs[-1], directory])
    return [path for path in directory.rglob("*") if path.is_file() and not path.is_symlink()]


def test_all_recorded_sentences_belong_to_a_package() -> None:
    assert {text for part in PARTS for text in part.sentences} == set(read_catalogue(_RECORDED))
    assert len(PARTS) == 7


@each_part
def test_the_program_has_the_sentences(part: Part, tmp_path: Path) -> None:
    programs = b"\0".join(path.read_bytes() for path in unpacked(part.package, tmp_path)
                          if path.suffix != ".mo")
    # As a string of C, or in a description of a window (XML).
    assert [text for text in part.sentences if not re.search(
        re.escape(text.encode()) + b"[\0<]", programs)] == []


@each_part
def test_their_german_is_the_catalogue_s(part: Part, tmp_path: Path) -> None:
    if part.catalogue is None:
        assert all(forms == (text,) for text, forms in part.sentences.items())
        return
    if part.catalogue not in CATALOGUES:
        return
    path, = [path for path in unpacked(CATALOGUES[part.catalogue], tmp_path)
             if path.match(f"de/LC_MESSAGES/{part.catalogue}.mo")]
    with path.open("rb") as file:
        catalogue = gettext.GNUTranslations(file)
    for text, forms in part.sentences.items():
        if len(forms) == 1:
            assert forms[0] == catalogue.gettext(text)
        else:
            assert forms == (catalogue.ngettext(text, f"{text}s", 1),
                             catalogue.ngettext(text, f"{text}s", 2))
