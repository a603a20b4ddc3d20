"""`explain` gives the instants of `windows`: open now, until when, from when again."""

import json
import tempfile
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.oracle.asking import iso, run, write
from tests.oracle.membership import Open, open_spans
from tests.oracle.oddities import ODD_YEARS
from tests.oracle.policies import Policy, Question
from tests.oracle.strategies import cases


def instant(text: str | None) -> float:
    """Never is after everything."""
    return datetime.fromisoformat(text).timestamp() if text else float("inf")


def check(path: Path, question: Question, console: str, spans: list[Open], at: int) -> None:
    """Compare the answer at an instant with what was seen open of the console from then on."""
    status, out, err = run(["explain", question.user, console, "--at", iso(at), "--groups",
                            ",".join(question.groups), "--workstation", question.workstation,
                            "--policy", str(path), "--json"])
    answer = json.loads(out)
    now = [end for _, start, end in spans if start <= at < end]
    later = [start for _, start, _ in spans if start > at]
    what = (iso(at), answer, spans)
    assert answer["allowed"] == bool(now) == (status == 0), (what, err)
    until, following = instant(answer["until"]), instant(answer["next"])
    if now:
        assert until == now[0] if now[0] < question.end else until >= question.end, what
    else:
        assert answer["until"] is None, what
    if not now or now[0] < question.end:
        assert following == later[0] if later else following >= question.end, what


@pytest.mark.parametrize("_round", range(10))
def test_an_explanation_knows_the_edges_that_the_wall_clock_shows(_round: int) -> None:
    # Where CI is set Hypothesis draws the same in each round.
    @settings(max_examples=10, deadline=None, derandomize=False,
              suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(sorted(ODD_YEARS)).flatmap(cases), st.data())
    def compare(case: tuple[Policy, Question], data: st.DataObject) -> None:
        policy, question = case
        spans = [span for span in open_spans(policy, question) if span[0] == policy.consoles[0]]
        edges = sorted({edge for _, *span in spans for edge in span} | {question.start})
        at = data.draw(st.sampled_from(edges)) + data.draw(st.sampled_from((0, -1, 1)))
        if question.start <= at < question.end:
            with tempfile.TemporaryDirectory() as name:
                check(write(policy, Path(name)), question, policy.consoles[0], spans, at)

    compare()
