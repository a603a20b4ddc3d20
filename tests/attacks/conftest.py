"""Each attack is made on each setup, and judged."""

import inspect
from collections.abc import Callable
from typing import cast

import pytest

from tests.attacks import page
from tests.attacks.attempt import Attack, Seen, what_is_wrong

Runner = Callable[[Callable[[], Seen]], Seen]
"""Makes an attempt where it has to be made: a namespace of its own, or right here."""

_OUTCOMES = pytest.StashKey[page.Outcomes]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-attacks", action="store_true",
                     help="write docs/attacks.md from what these tests see")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "attack(told): an attempt of that attack")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    told = _attack(metafunc.definition)
    if told is not None:
        metafunc.parametrize("setup", told.setups, indirect=True, scope="session")


@pytest.fixture(scope="session")
def setup(request: pytest.FixtureRequest) -> str:
    """Which of SETUPS the attempt is made on. Tests are ordered by it."""
    return str(request.param)


@pytest.fixture
def runner() -> Runner:
    return lambda attempt: attempt()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    told = _attack(pyfuncitem)
    if told is None:
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    setup = str(pyfuncitem.funcargs["setup"])
    runner = cast(Runner, pyfuncitem.funcargs["runner"])
    seen = runner(lambda: pyfuncitem.obj(**arguments))
    outcomes = pyfuncitem.config.stash.setdefault(_OUTCOMES, {})
    outcomes[told.sentence, setup] = seen
    wrong = what_is_wrong(told, setup, seen, page.outcomes_of_file().get((told.sentence, setup)),
                          _writes_page(pyfuncitem.config))
    if wrong is not None:
        pytest.fail(wrong, pytrace=False)
    return True


def pytest_sessionfinish(session: pytest.Session) -> None:
    outcomes = session.config.stash.get(_OUTCOMES, {})
    if outcomes and _writes_page(session.config):
        page.write_file(outcomes)


def _attack(item: pytest.Item) -> Attack | None:
    mark = item.get_closest_marker("attack")
    return None if mark is None else mark.args[0]


def _writes_page(config: pytest.Config) -> bool:
    return bool(config.getoption("--write-attacks", default=False))

