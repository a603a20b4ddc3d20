"""What a login reads of the compiled policy opens the same as what the command line tells."""

import os
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conf.compiling import Source, compile_policy
from conf.intervals import merged
from tests.oracle.asking import write
from tests.oracle.membership import Open, open_spans
from tests.oracle.oddities import ODD_YEARS
from tests.oracle.policies import Policy, Question
from tests.oracle.strategies import cases


def opened_by_a_login(policy: Policy, question: Question) -> list[Open]:
    """The policy, written, compiled, read back for the user and his groups."""
    with tempfile.TemporaryDirectory() as name:
        source = Source(str(write(policy, Path(name))), os.getuid())
        compiled = compile_policy(source, f"{name}/compiled", question.start, os.getuid())
        grants, damaged = compiled.grants_of(
            [f"user:{question.user}", *(f"group:{group}" for group in question.groups)])
    assert damaged == []
    found = []
    for console in policy.consoles:
        spans = merged([span for grant in grants if grant.console == console for span in
                        grant.open_in(compiled.offsets, question.start, question.end)])
        found += [(console, *span) for span in spans]
    return sorted(found, key=lambda item: (item[1], item[2], item[0]))


@pytest.mark.parametrize("_round", range(20))
def test_a_login_opens_what_the_wall_clock_says(monkeypatch: pytest.MonkeyPatch,
                                                _round: int) -> None:
    # Where CI is set Hypothesis draws the same in each round.
    @settings(max_examples=10, deadline=None, derandomize=False,
              suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(sorted(ODD_YEARS)).flatmap(cases))
    def compare(case: tuple[Policy, Question]) -> None:
        policy, question = case
        monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(nodename=question.workstation))
        assert opened_by_a_login(policy, question) == open_spans(policy, question)

    compare()
