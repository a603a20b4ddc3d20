"""As in tests/kernel: each test runs as root in namespaces of its own, or is skipped; in CI it
fails instead. These take longer."""

import inspect
import os

import pytest

from tests.kernel import conftest as kernel
from tests.kernel.namespace import in_child

_SECONDS = 600  # what is found must also be made small


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool:
    reason = kernel._why_not()
    if reason is not None:
        if os.environ.get("CI"):
            pytest.fail(f"can't run here, which CI must not pass over: {reason}", pytrace=False)
        pytest.skip(reason)
    names = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    failure = in_child(lambda: pyfuncitem.obj(**arguments), _SECONDS)
    if failure is not None:
        pytest.fail(failure, pytrace=False)
    return True
