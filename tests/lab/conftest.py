"""One lab for all the tests here; it needs root and a Debian machine with virtual terminals."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.door import call
from lab.lab import Lab
from lab.product import CHECKOUT
from lab.rootfs import cache_dir
from lab.story import Line, Stage
from lab.story.stage import policy
from tests.lab.walls_page import PAGE, Rows

_BARE = "test_package.py", "test_docs.py"
"""What puts a workstation without pam-spice into the lab, and leaves it to nobody."""

_UP: list[Lab] = []
LATER = "0.1.0+later"
"""The version of the later one of the `packages`."""


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    if os.geteuid() != 0 and "CI" not in os.environ:
        pytest.skip("the lab needs root")
    with Lab.start(policy()) as started:
        _UP.append(started)
        yield started


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those come last: nobody has to put pam-spice there again."""
    here = [item for item in items if Path(__file__).parent in item.path.parents]
    ordered = iter(sorted(here, key=lambda item: item.path.name in _BARE))
    items[:] = [next(ordered) if item in here else item for item in items]


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """After the last test here the lab goes, not at the end of the whole run: there can be but one,
    and tests/bench has its own."""
    if nextitem is None or Path(__file__).parent not in nextitem.path.parents:
        while _UP:
            _UP.pop().stop()


@pytest.fixture(scope="session")
def stage(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return Stage(lab, _record, Path(tmp_path_factory.mktemp("pictures")))


LINES: list[Line] = []


def _record(line: Line) -> None:
    LINES.append(line)


@pytest.fixture
def lines(stage: Stage) -> list[Line]:
    """The lines that this test's chapter tells; nobody is logged in when it begins."""
    stage.reset()
    LINES.clear()
    return LINES


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-firewalls", action="store_true",
                     help="write docs/firewalls.md from what these tests measure")


@pytest.fixture(scope="session")
def rows(request: pytest.FixtureRequest, lab: Lab) -> Iterator[Rows]:
    """What is measured for docs/firewalls.md."""
    measured = Rows()
    yield measured
    if request.config.getoption("--write-firewalls", default=False):
        assert measured.is_whole() and not request.session.testsfailed, "nothing is written"
        PAGE.write_text(measured.render())


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source of packages for apt: pam-spice, a later version of it, and the viewer's."""
    directory = tmp_path_factory.mktemp("packages")
    built = Path(call([CHECKOUT / "packaging/build-deb", directory / "build"],
                      timeout=120).stdout.strip())
    shutil.copy(built, directory / "pam-spice.deb")
    unpacked = directory / "build/later"
    call(["dpkg-deb", "--raw-extract", built, unpacked])
    control = unpacked / "DEBIAN/control"
    control.write_text(re.sub(r"(?m)^Version: .*$", f"Version: {LATER}", control.read_text()))
    call(["dpkg-deb", "--root-owner-group", "--build", unpacked, directory / "pam-spice-later.deb"])
    shutil.rmtree(directory / "build")
    viewers = sorted((cache_dir() / "debs").glob("virt-viewer_*.deb"))
    assert viewers, f"no virt-viewer in {cache_dir()}/debs: build the lab's root file system anew"
    (directory / "mirror").mkdir()
    shutil.copy(viewers[-1], directory / "mirror")
    index = call(["dpkg-scanpackages", "mirror"], cwd=directory).stdout
    (directory / "Packages").write_text(index)
    return directory
