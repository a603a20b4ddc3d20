"""The lab for the attempts here: one workstation after the other, as their order has it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.lab import Lab
from tests.attacks.lab.stage import Stage
from tests.attacks.lab.witness import Witness


class _House:
    """The lab while it is up, with the setup that its workstation has."""

    lab: Lab | None = None
    witness: Witness | None = None
    stage: Stage | None = None

    def furnished(self, setup: str) -> Stage:
        if self.lab is None or self.witness is None:
            self.lab = Lab.start(install=False)
            self.witness = Witness(self.lab.server)
        elif self.stage is not None and self.stage.setup != setup:
            self.stage = None
            self.lab.renew(install=False)
        if self.stage is None:
            self.stage = Stage(self.lab, setup, self.witness)
        return self.stage

    def down(self) -> None:
        lab, self.lab, self.witness, self.stage = self.lab, None, None, None
        if lab is not None:
            lab.stop()


_HOUSE = _House()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """There can be but one lab, and other tests have their own."""
    if nextitem is None or Path(__file__).parent not in nextitem.path.parents:
        _HOUSE.down()


@pytest.fixture
def stage(setup: str) -> Iterator[Stage]:
    """The workstation of the setup; what the attempt leaves behind is cleared away."""
    if os.geteuid() != 0 and "CI" not in os.environ:
        pytest.skip("the lab needs root")
    furnished = _HOUSE.furnished(setup)
    furnished.begin()
    try:
        yield furnished
    finally:
        furnished.end()
