"""The short form: the hook's deaths that others can see, and a sample of all other faults."""

import os
import random

import pytest

from tests.faults.errors import KILL, fitting
from tests.faults.recording import Call, calls_of
from tests.faults.report import spans
from tests.faults.running import Case, all_cases, run, sample

MANY, FEW = 80, 20  # cases of a scenario of every call, and of another
SEED = int(os.environ.get("FAULTS_SEED") or random.randrange(10**6))

TRACE = """\
execve("/usr/lib/pam-spice/hook", [...], 0x7ffd /* 0 vars */) = 0
openat(AT_FDCWD</>, "/usr/lib/python3.11/os.py", O_RDONLY|O_CLOEXEC) = 3</usr/lib/python3.11/os.py>
openat(AT_FDCWD</>, "/usr/lib/pam-spice/hook", O_RDONLY|O_CLOEXEC) = 3</usr/lib/pam-spice/hook>
--- SIGCHLD {si_signo=SIGCHLD} ---
openat(AT_FDCWD</>, "/run/pam-spice/sessions/7.1.new", O_WRONLY|O_CREAT|O_TRUNC, 0600) = 4
write(4</run/pam-spice/sessions/7.1.new>, ""..., 400) = 400
exit_group(0)                           = ?
+++ exited with 0 +++
"""


def test_no_fault_of_the_hook_opens_what_is_to_be_closed_or_outlives_the_next_full_run(
        capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f" FAULTS_SEED={SEED}", end=" ", flush=True)

    def pick(cases: list[Case]) -> list[Case]:
        return sample(cases, MANY if len(cases) > 1000 else FEW, SEED)

    _, results = run(lambda _text: None, pick)
    assert len(results) == 2 * MANY + 3 * FEW
    assert {result.hook for result in results} == {"done", "failed", "killed"}
    assert any(result.outcome == "opened whole" for result in results)
    hit = sum(result.was_hit for result in results)
    assert hit > 0.9 * len(results), "the calls are not those that were recorded"
    bad = [f"{result.scenario}: {result.fault} at {result.text}: {result.problems}"
           for result in results if result.problems]
    assert not bad, f"FAULTS_SEED={SEED}\n" + "\n".join(bad)


def test_calls_are_counted_by_name_and_our_own_begin_where_the_hook_is_read() -> None:
    calls = calls_of(TRACE, "/usr/lib/pam-spice/hook")
    assert [(call.name, call.number, call.is_own, call.changes) for call in calls] == [
        ("execve", 1, False, True), ("openat", 1, False, False), ("openat", 2, True, False),
        ("openat", 3, True, True), ("write", 1, True, True), ("exit_group", 1, True, True)]


def test_each_call_of_ours_meets_all_errors_that_fit_and_each_of_the_interpreter_one() -> None:
    calls = calls_of(TRACE, "/usr/lib/pam-spice/hook")
    faults: dict[tuple[str, int], list[str]] = {}
    for case in all_cases(calls, every_call=True):
        faults.setdefault((case.call.name, case.call.number), []).append(case.fault)
    assert faults["openat", 1] == [KILL, "EACCES"]
    assert faults["openat", 2] == [KILL, "EACCES", "EINTR", "EIO", "EMFILE", "ENOMEM"]
    assert faults["openat", 3] == [*faults["openat", 2], "ENOSPC"]
    assert faults["exit_group", 1] == [KILL]
    of_few = all_cases(calls, every_call=False)
    assert {(case.call.name, case.call.number) for case in of_few} == {
        ("openat", 3), ("write", 1), ("exit_group", 1)}


def test_a_call_that_nobody_has_thought_of_meets_every_error() -> None:
    assert len(fitting(Call("quotactl_fd", 1, True, False, False, ""))) == 6


def test_a_sample_has_all_deaths_that_show_and_with_its_seed_comes_round_to_all_others() -> None:
    calls = [Call("read", number, True, False, False, "") for number in range(200)]
    calls += [Call("rename", 1, True, True, False, "")]
    cases = all_cases(calls, every_call=True)
    samples = [sample(cases, 40, seed) for seed in range(1000)]
    assert {len(each) for each in samples} == {40}
    assert all(Case(calls[-1], KILL) in each for each in samples)
    assert {case for each in samples for case in each} == set(cases)
    assert sample(cases, 10_000, 1) == cases


def test_spans_say_which_numbers() -> None:
    assert spans([3, 1, 2, 7, 9, 10]) == "1-3, 7, 9-10"
