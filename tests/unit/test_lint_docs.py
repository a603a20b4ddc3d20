"""docs/lint.md explains every code, and each of its examples makes exactly the finding shown."""

import re
from pathlib import Path

import pytest

from conf.lint import lint
from conf.lint.endpoints import CaFault, CaSpans, ReadCa, Resolved
from conf.lint.findings import Code, Finding
from conf.lint.written import look_through
from conf.parser import parse_files
from pam_spice.linting import certificate_spans, read_ca
from tests.unit.support import NOON

_TEXT = (Path(__file__).parents[2] / "docs/lint.md").read_text()
_HEAD, *_PARTS = re.split(r"^### ", _TEXT, flags=re.MULTILINE)
SECTIONS = {part.split()[0]: part for part in _PARTS}
_DAY = 86400
_GOOD: CaSpans = ((NOON - 100 * _DAY, NOON + 1000 * _DAY),)

CA_FILES: dict[Code, CaFault | CaSpans] = {
    Code.CA_MISSING: read_ca("/nowhere/mysrv-ca.pem"),
    Code.CA_UNREADABLE: CaFault(Code.CA_UNREADABLE, "can't be read by users (mode 0600)",
                                "chmod a+r /etc/pam-spice/mysrv-ca.pem"),
    Code.CA_UNUSABLE: certificate_spans(b"nothing", ""),
    Code.CA_EXPIRED: ((NOON - 100 * _DAY, NOON),),
    Code.CA_EXPIRES_SOON: ((NOON - 100 * _DAY, NOON + 30 * _DAY),),
    Code.CA_NOT_YET_VALID: ((NOON + 1, NOON + 1000 * _DAY),),
}
RESOLVED: dict[Code, Resolved] = {
    Code.UNRESOLVED: {"mysrv.example": "Name or service not known"},
    Code.ADDRESS_UNGUARDED: {"mysrv.example": frozenset({"192.168.2.2", "192.168.2.9"})},
    Code.ADDRESS_NOT_RESOLVED: {"mysrv.example": frozenset({"192.168.2.2"})},
}


class Office:
    """The accounts that the page says there are."""

    def has_user(self, user: str) -> bool:
        return user in ("anne", "charlie", "maggie", "ralph", "root")

    def is_person(self, user: str) -> bool:
        return user != "root"

    def has_group(self, group: str) -> bool:
        return group == "auditors"

    def is_member(self, user: str, group: str) -> bool:
        return (user, group) == ("ralph", "auditors")


def block(text: str, language: str) -> str:
    """The one fenced block of that language; empty if there is none."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(found) <= 1
    return found[0] if found else ""


def findings(code: Code, example: str) -> tuple[list[Finding], dict[str, str]]:
    """What is found with the example beside the page's policy, and the files."""
    files = {"policy.yaml": block(_HEAD, "yaml"), "policy.d/example.yaml": example or "grants: []"}
    if code == Code.ADDRESS_NOT_RESOLVED:
        files["policy.yaml"] = files["policy.yaml"].replace("[192.168.2.2]",
                                                            "[192.168.2.2, 192.168.2.3]")
    if code == Code.IDLE_WORKSTATION:
        files["policy.yaml"] = re.sub(r"^(  - \{.*)\}$", r'\1, workstations: "front-*"}',
                                      files["policy.yaml"], flags=re.MULTILINE)
    contents: list[tuple[str, bytes]] = [(name, text.encode()) for name, text in files.items()]
    parsed = parse_files(contents)
    assert parsed.problems == ()
    assert parsed.policy is not None
    ask_ca: ReadCa = lambda _: CA_FILES.get(code, _GOOD)  # noqa: E731
    return lint(parsed.policy, look_through(contents), NOON, Office(), ask_ca,
                RESOLVED.get(code, {})), files


def test_the_page_explains_exactly_the_codes_there_are_by_their_names() -> None:
    titles = {part.split("\n")[0] for part in _PARTS}
    assert titles == {f"{code} {code.short_name}" for code in Code}


@pytest.mark.parametrize("code", Code)
def test_an_example_makes_exactly_the_finding_that_the_page_shows(code: Code) -> None:
    found, files = findings(code, block(SECTIONS[code], "yaml"))
    assert [finding.code for finding in found] == [code]
    mark = found[0].mark
    problem = found[0].as_problem(files[mark.file].split("\n")[mark.line - 1])
    assert block(SECTIONS[code], "text") == f"{problem}\n"


@pytest.mark.parametrize("code", Code)
def test_a_code_s_part_has_its_meaning_before_and_its_remedy_behind_the_finding(
        code: Code) -> None:
    pieces = re.split(r"^```.*?^```$", SECTIONS[code], flags=re.MULTILINE | re.DOTALL)
    assert len(pieces[0].split("\n\n", 1)[1].strip()) >= 20
    assert len(re.split(r"^## ", pieces[-1], flags=re.MULTILINE)[0].strip()) >= 20


def test_the_page_s_policy_itself_makes_no_finding() -> None:
    assert findings(Code.OVERLAP, "")[0] == []
