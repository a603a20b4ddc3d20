"""What stands in several packaging files stands in all of them."""

import re
import tomllib
from pathlib import Path

from pam_spice import installing

ROOT = Path(__file__).parents[2]
SPEC = (ROOT / "packaging/pam-spice.spec").read_text()
UNITS = {path.name: path.read_text() for path in (ROOT / "conf/system").glob("pam-spice-*.*")
         if path.suffix in (".service", ".timer", ".path")}


def test_the_version_is_the_same_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    newest = re.match(r"pam-spice \((\S+)\) ", (ROOT / "debian/changelog").read_text())
    assert newest is not None
    assert newest[1] == version
    assert re.findall(r"^Version: +(\S+)$", SPEC, re.MULTILINE) == [version]
    entry = re.search(r"^%changelog\n\*.* - (\S+)-\d+$", SPEC, re.MULTILINE)
    assert entry is not None
    assert entry[1] == version


def test_setup_knows_the_units_that_there_are() -> None:
    assert {*installing.UNITS, *installing.SERVICES} == set(UNITS)


def test_both_packages_enable_the_units_that_start_by_themselves() -> None:
    enabled = {name for name, text in UNITS.items() if "[Install]" in text}
    spec = re.search(r"^%global units (.*)$", SPEC, re.MULTILINE)
    assert spec is not None
    assert set(spec[1].split()) == enabled == set(installing.UNITS)
    rules = (ROOT / "debian/rules").read_text()
    services = set(re.findall(r"pam-spice-\w+\.service", rules))
    assert services == {name for name in enabled if name.endswith(".service")}
    # The others it takes by their names' endings.
    assert "conf/system/pam-spice-*.timer conf/system/pam-spice-*.path)" in rules
