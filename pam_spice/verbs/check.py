"""``pam-spice check``: is the policy right? With ``--lint`` also: is it what was meant?"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from conf.lint import lint
from conf.lint.findings import Finding
from conf.lint.written import look_through
from conf.model import Policy
from conf.parser import parse_files
from conf.problems import Problem, counted_errors, how_many, printable
from conf.sources import Content
from pam_spice.verbs import NO, USAGE, YES, add_common, print_json, read_contents

_LINT_PAGE = Path(__file__).resolve().parents[2] / "docs/lint.md"  # installed beside us

_MOST, _MOST_PLACES = 100, 10
"""How much is printed of what is wrong alike."""


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the verb."""
    parser = verbs.add_parser("check", help="check the policy")
    parser.add_argument("--lint", action="store_true",
                        help="also look for what is allowed but probably not meant")
    parser.add_argument("--online", action="store_true",
                        help="lint, and ask whether each host name leads to its addresses")
    add_common(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0: no error and no finding; 1: entries with errors, which are skipped, or findings;
    2: nothing of it is usable."""
    contents = read_contents(arguments.policy)
    parsed = parse_files(contents)
    is_linted = arguments.lint or arguments.online
    findings = (_lint(parsed.policy, contents, arguments.online)
                if is_linted and parsed.policy else [])
    status = USAGE if parsed.policy is None else NO if parsed.problems or findings else YES
    if arguments.json:
        document: dict[str, object] = {
            "ok": status == YES, "usable": parsed.policy is not None,
            "problems": [_problem(problem) for problem in parsed.problems]}
        if is_linted:
            document["findings"] = [_finding(finding) for finding in findings]
        print_json(document)
        return status
    lines = _Lines(contents)
    _print_problems(parsed.problems)
    for finding in findings:
        print(finding.as_problem(lines.of(finding)), file=sys.stderr)
    if parsed.policy is None:
        print("this policy grants nothing", file=sys.stderr)
    elif status == YES:
        policy = parsed.policy
        print(f"fine: {how_many(len(policy.servers), 'server')}, "
              f"{how_many(len(policy.consoles), 'console')}, "
              f"{how_many(len(policy.grants), 'grant')}")
    else:
        print(_count(len(parsed.problems), len(findings)), file=sys.stderr)
    return status


def _print_problems(problems: Sequence[Problem]) -> None:
    """In full what is wrong itself, in a line for each cause what only follows from it."""
    own = [problem for problem in problems if not problem.cause]
    for problem in own[:_MOST]:
        print(problem, file=sys.stderr)
    if len(own) > _MOST:
        print(f"and {how_many(len(own) - _MOST, 'error')} more; --json prints all",
              file=sys.stderr)
    places: dict[str, list[str]] = {}
    for problem in problems:
        if problem.cause:
            places.setdefault(problem.cause, []).append(
                f"{problem.mark.file}:{problem.mark.line}")
    for cause, found in places.items():
        more = f" and {len(found) - _MOST_PLACES} more" if len(found) > _MOST_PLACES else ""
        print(printable(f"{cause} has an error itself, so what refers to it is skipped too: "
                        f"{', '.join(found[:_MOST_PLACES])}{more}"), file=sys.stderr)


def _lint(policy: Policy, contents: Sequence[Content], is_online: bool) -> list[Finding]:
    # Only here: ssl and socket take 30 ms to import.
    from pam_spice.linting import SystemAccounts, read_ca, resolve

    resolved = resolve(server.host for server in policy.servers.values()) if is_online else {}
    return lint(policy, look_through(contents), int(time.time()), SystemAccounts(), read_ca,
                resolved)


class _Lines:
    """The text of the policy's files, line by line."""

    def __init__(self, contents: Sequence[Content]) -> None:
        self._contents = dict(contents)
        self._lines: dict[str, list[str]] = {}

    def of(self, finding: Finding) -> str:
        """The line that a finding is about."""
        file = finding.mark.file
        if file not in self._lines:
            content = self._contents[file]
            assert isinstance(content, bytes)  # nothing was found in what can't be read
            self._lines[file] = content.decode("utf-8-sig").split("\n")
        return self._lines[file][finding.mark.line - 1].rstrip("\r")


def _count(problems: int, findings: int) -> str:
    parts = []
    if problems:
        parts.append(counted_errors(problems))
    if findings:
        parts.append(f"{how_many(findings, 'finding')}; {_LINT_PAGE} explains each code")
    return "; ".join(parts)


def _problem(problem: Problem) -> dict[str, object]:
    return {"file": problem.mark.file, "line": problem.mark.line, "column": problem.mark.column,
            "fact": problem.fact, "remedy": problem.remedy, "source": problem.source_line}


def _finding(finding: Finding) -> dict[str, object]:
    return {"code": finding.code.value, "name": finding.code.short_name,
            "file": finding.mark.file, "line": finding.mark.line, "column": finding.mark.column,
            "fact": finding.fact, "remedy": finding.remedy}
