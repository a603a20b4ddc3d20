"""Each attempt is made as root in namespaces of its own, or skipped; in CI it fails instead."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import astuple

import pytest

from tests.attacks.attempt import Seen
from tests.attacks.conftest import Runner
from tests.attacks.kernel.stage import IPTABLES, Stage, articles_rules
from tests.kernel.namespace import in_child

_SECONDS = 30


def _why_not() -> str | None:
    if os.geteuid() != 0:
        return "needs root: namespaces, nft, other uids"
    for program in ("nft", "ip", "ss", "visudo", IPTABLES, f"{IPTABLES}-restore"):
        if shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
            return f"{program} is not installed"
    return None


@pytest.fixture(scope="session")
def rules_of_the_article() -> str:
    return "" if _why_not() else _said_in_child(articles_rules)


@pytest.fixture
def stage(setup: str, rules_of_the_article: str) -> Stage:
    return Stage(setup, rules_of_the_article)


@pytest.fixture
def runner(stage: Stage) -> Runner:
    """Makes the attempt in a child, after the stage is built there."""
    reason = _why_not()
    if reason is not None:
        if os.environ.get("CI"):
            pytest.fail(f"can't run here, which CI must not pass over: {reason}", pytrace=False)
        pytest.skip(reason)

    def run(attempt: Callable[[], Seen]) -> Seen:
        def body() -> str:
            stage.build()
            return json.dumps(astuple(attempt()))

        return Seen(*json.loads(_said_in_child(body)))

    return run


def _said_in_child(body: Callable[[], str]) -> str:
    """What a function returns in a child with namespaces of its own; its failure is the test's."""
    with tempfile.TemporaryFile() as answer:
        def write() -> None:
            answer.write(body().encode())
            answer.flush()

        failure = in_child(write, _SECONDS)
        if failure is not None:
            pytest.fail(failure, pytrace=False)
        answer.seek(0)
        return answer.read().decode()
