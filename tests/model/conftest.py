"""As in tests/kernel, each test runs apart; these take longer."""

import pytest

from tests.kernel.conftest import run_apart

_SECONDS = 600  # what is found must also be made small


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool:
    return run_apart(pyfuncitem, _SECONDS)
