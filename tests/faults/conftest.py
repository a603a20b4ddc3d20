"""These tests run as root, or are skipped; in CI they fail instead."""

import os
import shutil

import pytest


def _why_not() -> str | None:
    if os.geteuid() != 0:
        return "needs root: namespaces, nft, other uids"
    for program in ("nft", "ip", "strace", "visudo"):
        if shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
            return f"{program} is not installed"
    return None


@pytest.fixture(autouse=True)
def able() -> None:
    """Where the tests can't run they are skipped, which CI must not pass over."""
    reason = _why_not()
    if reason is not None:
        if os.environ.get("CI"):
            pytest.fail(f"can't run here: {reason}", pytrace=False)
        pytest.skip(reason)
