"""The product, asked through its command line, in this process."""

import io
import json
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path

import pam_spice.cli
from tests.oracle.membership import Open, is_open, open_spans
from tests.oracle.policies import Policy, Question
from tests.oracle.wallclock import wall_text
from tests.oracle.writing import policy_files


def iso(instant: int) -> str:
    """As the product writes instants for programs."""
    return datetime.fromtimestamp(instant, UTC).isoformat()


def json_text(found: list[Open]) -> str:
    """What ``pam-spice windows --json`` prints of these."""
    return json.dumps([{"console": console, "start": iso(start), "end": iso(end)}
                       for console, start, end in found], indent=2) + "\n"


def run(argv: list[str]) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of ``pam-spice``."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = pam_spice.cli.main(argv)
    return status, out.getvalue(), err.getvalue()


def ask(path: Path, question: Question) -> tuple[int, str, str]:
    """``windows --json`` of a policy file."""
    return run(["windows", question.user, "--from", iso(question.start), "--to", iso(question.end),
                "--groups", ",".join(question.groups), "--workstation", question.workstation,
                "--policy", str(path), "--json"])


def write(policy: Policy, directory: Path) -> Path:
    """Write a policy's files; the main one is the result."""
    first, *more = policy_files(policy)
    path = directory / "policy.yaml"
    path.write_text(first)
    if more:
        (directory / "policy.d").mkdir()
        for index, text in enumerate(more):
            (directory / "policy.d" / f"{index}0-part.yaml").write_text(text)
    return path


def answer(policy: Policy, question: Question) -> list[Open]:
    """What the product says is open; the policy is a good one but for its spoilt grants."""
    with tempfile.TemporaryDirectory() as directory:
        status, out, err = ask(write(policy, Path(directory)), question)
    assert status == 0, err
    # Whether an end before its beginning is an error nobody can tell by what is open.
    if not any(grant.is_spoilt or (grant.valid_from and grant.valid_until)
               for grant in policy.grants):
        assert err == "", err
    found = [(item["console"], int(datetime.fromisoformat(item["start"]).timestamp()),
              int(datetime.fromisoformat(item["end"]).timestamp())) for item in json.loads(out)]
    assert out == json_text(found)
    return found


def difference(policy: Policy, question: Question) -> str | None:
    """How product and oracle differ, in words for a person; None where they don't."""
    said, seen = answer(policy, question), open_spans(policy, question)
    if said == seen:
        return None
    lines = [*policy_files(policy), repr(policy), repr(question)]
    for title, found in (("the product says", said), ("the wall clock says", seen)):
        lines.append(title)
        lines += [f"  {console} {iso(start)} {iso(end)}" for console, start, end in found]
    edges = sorted({edge for _, *span in said + seen for edge in span})
    for edge in edges:
        for console in policy.consoles:
            is_said = any(name == console and start <= edge < end for name, start, end in said)
            if edge < question.end and is_said != is_open(policy, question, console, edge):
                zones = {policy.timezone} | {window.zone for window in policy.windows
                                             if window.zone is not None}
                lines.append(f"{console} at {iso(edge)} is {'open' if is_said else 'closed'} only "
                             f"to the product; on the walls it is "
                             + ", ".join(f"{wall_text(zone, edge)} in {zone}"
                                         for zone in sorted(zones)))
                return "\n".join(lines)
    return "\n".join([*lines, "the same instants, in another order or not merged"])
