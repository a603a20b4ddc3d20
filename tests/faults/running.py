"""All faults of all scenarios, by two processes with a workstation each."""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from tests.faults.errors import KILL, fitting
from tests.faults.injecting import Ended, TooLong, Tracer
from tests.faults.machine import Machine
from tests.faults.parallel import answers
from tests.faults.recording import Call
from tests.faults.scenarios import SCENARIOS, Scenario

_TRIES = 3
"""How often a fault is tried whose call did not come."""

_NEWS = 250
"""So many cases between two lines that tell how far it is."""

_SECONDS = 1800


@dataclass(frozen=True, slots=True)
class Case:
    """One fault at one call."""

    call: Call
    fault: str


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a case, as measured."""

    scenario: str
    call: str
    number: int
    is_own: bool
    text: str
    fault: str
    was_hit: bool
    hook: str  # done, failed or killed
    seconds: float
    outcome: str
    after: str
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recorded:
    """What an undisturbed hook of a scenario did."""

    scenario: str
    calls: int
    own: int


def all_cases(calls: Iterable[Call], every_call: bool) -> list[Case]:
    """Each call's death and fitting errors; of the interpreter's start one error each."""
    cases = []
    for call in calls:
        if call.name == "execve" and call.number == 1:  # that is strace's, which starts the hook
            continue
        if every_call or call.changes and call.is_own:
            errors = fitting(call)
            cases += [Case(call, fault)
                      for fault in (KILL, *(errors if call.is_own else errors[:1]))]
    return cases


def sample(cases: list[Case], count: int, seed: int) -> list[Case]:
    """So many of them, evenly spread; which, by the seed. Our own part's deaths that others can see
    are all among them, as long as they are no more than half."""
    always = [case for case in cases
              if case.fault == KILL and case.call.is_own and case.call.changes]
    if len(always) > count / 2:
        always = []
    others = [case for case in cases if case not in always]
    left = count - len(always)
    if left >= len(others):
        return cases
    step = len(others) / left
    start = random.Random(seed).random() * step
    return always + [others[int(start + step * number)] for number in range(left)]


def run(tell: Callable[[str], None], pick: Callable[[list[Case]], list[Case]],
        workers: int = 2) -> tuple[list[Recorded], list[Result]]:
    """Try what ``pick`` picks of each scenario's cases. Raises RuntimeError."""
    shares = answers([partial(_share_of, share, workers, pick, tell) for share in range(workers)],
                     _SECONDS)
    return shares[0][0], [result for _, results in shares for result in results]


def _share_of(worker: int, workers: int, pick: Callable[[list[Case]], list[Case]],
              tell: Callable[[str], None]) -> tuple[list[Recorded], list[Result]]:
    """One process's share: every ``workers``-th case, in the order of the calls."""
    machine = Machine()
    tracer = Tracer("/run/trace")
    recorded, results = [], []
    for kind in SCENARIOS:
        scenario = kind(machine)
        ended, calls = tracer.record(scenario.prepare(), scenario.phase)
        seen = scenario.judge(ended)
        assert ended.status == 0 and not seen.problems, (scenario.name, ended, seen)
        recorded.append(Recorded(scenario.name, len(calls), sum(call.is_own for call in calls)))
        cases = pick(all_cases(calls, scenario.every_call))
        share = cases[worker::workers]
        for number, case in enumerate(share, 1):
            results.append(_try(scenario, tracer, case))
            if number % _NEWS == 0 and worker == 0:
                tell(f"{scenario.name}: {number * workers} of {len(cases)}")
        scenario.tear_down()
    return recorded, results


def _try(scenario: Scenario, tracer: Tracer, case: Case) -> Result:
    for _ in range(_TRIES):
        leader = scenario.prepare()
        try:
            ended = tracer.inject(leader, scenario.phase, case.call, case.fault)
            problems: tuple[str, ...] = ()
        except TooLong as error:
            ended = Ended(-9, 0.0, "")
            problems = (str(error),)
        seen = scenario.judge(ended)
        if ended.was_hit or problems or seen.problems:
            break
    return Result(scenario.name, case.call.name, case.call.number, case.call.is_own, case.call.text,
                  case.fault,
                  ended.was_hit, ended.how, round(ended.seconds, 3), seen.outcome, seen.after,
                  (*problems, *seen.problems))
