"""The examples of pam-spice-policy(5), as its source gives them.

Every ``.Bd -literal`` has comments right before it, which the page doesn't show:

    .\\" test: whole                  a policy as it stands
    .\\" test: fragment               one that lacks what BASE has: those sections are added
    .\\" test: fragment, with problems: FACT       the same; FACT is what is wrong in it
    .\\" test: file policy.d/x.yaml   a further file of the policy before it
    .\\" test: no policy
    .\\" ask: explain anne webdev --at 2026-11-23T18:00 => yes
    .\\" ask: windows anne --from 2026-11-23 --to 2026-11-24 => LINE; LINE

An ``ask`` is a command line of ``pam-spice`` and its answer: of ``explain`` yes or no, of
``windows`` all that it prints.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

PAGE = Path(__file__).parents[2] / "man" / "pam-spice-policy.5"

BASE = {
    "timezone": "timezone: Europe/Berlin\n",
    "servers": """\
servers:
  mysrv:
    host: mysrv.example
    addresses: [192.168.2.2, "fd00::2"]
    guarded_ports: [20001-20010]
    ca_file: /etc/pam-spice/mysrv-ca.pem
""",
    "consoles": """\
consoles:
  bookkeeping: {server: mysrv, tls_port: 20001}
  webdev:      {server: mysrv, tls_port: 20002}
  analysis:    {server: mysrv, tls_port: 20003}
""",
}

MAIN = "policy.yaml"


class BadPage(ValueError):
    """The page's source isn't as the module says."""


@dataclass
class Example:
    """A policy of the page: its files by name, the main one first; what is asked of it."""

    line: int
    files: dict[str, str]
    asks: list[tuple[str, str]] = field(default_factory=list)
    fact: str = ""

    def __str__(self) -> str:
        return f"line {self.line}"


def examples_of(page: str) -> list[Example]:
    """All policies of a page; raises BadPage for an example without a comment."""
    found: list[Example] = []
    comments: list[str] = []
    body: list[str] | None = None
    for number, line in enumerate(page.splitlines(), 1):
        if body is not None and line != ".Ed":
            body.append(line)
        elif body is not None:
            _take(found, comments, "".join(f"{_plain(each)}\n" for each in body), number)
            body, comments = None, []
        elif line.startswith('.\\" test: ') or line.startswith('.\\" ask: '):
            comments.append(line.removeprefix('.\\" '))
        elif line.startswith(".Bd") and "-literal" in line:
            body = []
        elif comments:
            raise BadPage(f"line {number}: no example follows the comments")
    return found


def _plain(line: str) -> str:
    """A line of an example as it is shown."""
    if line.startswith((".", "'")):
        raise BadPage(f"a macro within an example: {line}")
    return line.replace(r"\&", "").replace(r"\e", "\\")


def _take(found: list[Example], comments: list[str], text: str, number: int) -> None:
    tests = [each.removeprefix("test: ") for each in comments if each.startswith("test: ")]
    asks = [each.removeprefix("ask: ") for each in comments if each.startswith("ask: ")]
    if len(tests) != 1:
        raise BadPage(f"line {number}: an example needs one comment that says how it is tested")
    what, _, fact = tests[0].partition(", with problems: ")
    if what == "no policy":
        return
    if what.startswith("file "):
        found[-1].files[what.removeprefix("file ")] = text
    elif what in ("whole", "fragment"):
        found.append(Example(number, {MAIN: _completed(text) if what == "fragment" else text},
                             fact=fact))
    else:
        raise BadPage(f"line {number}: unknown: test: {what}")
    for ask in asks:
        question, _, answer = ask.partition(" => ")
        found[-1].asks.append((question, answer))


def _completed(text: str) -> str:
    own = set(re.findall(r"^([a-z]+):", text, re.MULTILINE))
    return "".join(section for key, section in BASE.items() if key not in own) + text


EXAMPLES = examples_of(PAGE.read_text())
