"""How far the units are confined, by systemd-analyze(1), and what docs/sandboxing.md says of it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.namespace import command

ROOT = Path(__file__).parents[2]
SYSTEM = ROOT / "conf/system"
PAGE = ROOT / "docs/sandboxing.md"
CEILINGS = {"pam-spice-doctor.service": 2.7, "pam-spice-guard.service": 1.7,
            "pam-spice-reconcile.service": 2.1, "pam-spice-watch.service": 2.1}
"""Of 10; a unit that confines nothing has 9.6."""


def analyze(*arguments: str) -> str:
    return command("systemd-analyze", "security", "--offline=true", "--no-pager", *arguments)


def exposure(unit: Path) -> float:
    match = re.search(r"Overall exposure level for \S+: (\d+\.\d) ", analyze(str(unit)))
    assert match is not None
    return float(match[1])


def left_open(unit: Path) -> set[str]:
    """What systemd-analyze counts against the unit."""
    return {each["name"] for each in json.loads(analyze("--json=short", str(unit)))
            if each["set"] is False and each["exposure"]}


def services() -> list[str]:
    return sorted(path.name for path in SYSTEM.glob("*.service"))


def rows(heading: str) -> Iterator[list[str]]:
    """The cells of the rows of the page's table below that heading."""
    section = PAGE.read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]
    for line in section.splitlines():
        if line.startswith("|") and not line.startswith(("| ---", "| unit", "| setting")):
            yield [cell.strip().strip("`").replace("\\|", "|")
                   for cell in line.strip("|").split(" | ")]


def need_the_page_s_systemd() -> None:
    """Others know other settings, and count otherwise."""
    written = re.search(r"systemd (\d+)", PAGE.read_text())
    assert written is not None
    found = command("systemd-analyze", "--version").split()[1]
    if found != written[1]:
        pytest.skip(f"the page is about systemd {written[1]}, this is {found}")


def test_each_service_has_a_ceiling() -> None:
    assert services() == sorted(CEILINGS)


@pytest.mark.parametrize("name", CEILINGS)
def test_a_unit_is_exposed_no_further_than_its_ceiling(name: str) -> None:
    assert exposure(SYSTEM / name) <= CEILINGS[name]


def test_a_unit_that_confines_nothing_would_be_above_any_ceiling(tmp_path: Path) -> None:
    bare = tmp_path / "bare.service"
    bare.write_text("[Service]\nExecStart=/bin/true\n")
    assert exposure(bare) > 9


@pytest.mark.parametrize("name", CEILINGS)
def test_the_page_s_figures_are_the_measured_ones(name: str, tmp_path: Path) -> None:
    need_the_page_s_systemd()
    figures = {unit: cells for unit, *cells in rows("Figures")}
    head, found, rest = (SYSTEM / name).read_text().partition("# See docs/sandboxing.md.\n")
    assert found
    (tmp_path / name).write_text(head + "".join(rest.partition("\n[Install]")[1:]))
    assert figures[name] == [f"{exposure(unit):.1f}" for unit in (SYSTEM / name, tmp_path / name)]


def test_the_page_names_what_is_left_open_and_nothing_else() -> None:
    need_the_page_s_systemd()
    written = {setting: set(units.split(", ")) for setting, units, *_ in rows("Left open")}
    found: dict[str, set[str]] = {}
    for name in CEILINGS:
        short = name.removeprefix("pam-spice-").removesuffix(".service")
        for setting in left_open(SYSTEM / name):
            found.setdefault(setting, set()).add(short)
    assert written == found


@pytest.mark.parametrize("name", CEILINGS)
def test_systemd_understands_every_line_of_a_unit(name: str, tmp_path: Path) -> None:
    """It passes over what it does not know, with a word in the journal at most."""
    text = (SYSTEM / name).read_text()
    copy = tmp_path / name
    # What it starts is not installed here.
    copy.write_text(re.sub(r"^ExecStart=.*$", "ExecStart=/bin/true", text, flags=re.MULTILINE))
    assert command("systemd-analyze", "verify", str(copy)) == ""
