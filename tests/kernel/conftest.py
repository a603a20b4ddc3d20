"""Each test here runs as root in namespaces of its own, or is skipped; in CI it fails instead."""

import inspect
import os
import shutil

import pytest

from tests.kernel.namespace import in_child

_SECONDS = 60


def _why_not() -> str | None:
    if os.geteuid() != 0:
        return "needs root: namespaces, nft, other uids"
    for program in ("nft", "ip", "ss", "visudo"):
        if shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
            return f"{program} is not installed"
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool:
    return run_apart(pyfuncitem, _SECONDS)


def run_apart(pyfuncitem: pytest.Function, seconds: float) -> bool:
    """Run the test in a child with namespaces of its own, for so long at most."""
    reason = _why_not()
    if reason is not None:
        if os.environ.get("CI"):
            pytest.fail(f"can't run here, which CI must not pass over: {reason}", pytrace=False)
        pytest.skip(reason)
    names = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    failure = in_child(lambda: pyfuncitem.obj(**arguments), seconds)
    if failure is not None:
        pytest.fail(failure, pytrace=False)
    return True
