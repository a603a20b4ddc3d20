"""README and docs/ as their tests read them: the fenced blocks, and the commands in them.

Every block has a tag. ``sh`` holds commands, as root on the workstation where nothing else is said;
all other tags hold none. What a test has to know of a block stands in a comment right before it,
which the page doesn't show:

    <!-- test: in the checkout -->    where pam-spice's source is, not on a workstation
    <!-- test: on mysrv -->           as root on the KVM server
    <!-- test: as charlie -->         in that user's login at the workstation's screen
    <!-- test: in DIRECTORY -->       in that directory of the workstation
    <!-- test: status 1 -->           the last command ends with it; without it with 0
    <!-- test: soon -->               of what takes effect within seconds
    <!-- test: edits SED -->          what he does in the editor that the command opens
    <!-- test: edits below -->        the same: he adds what the next block holds
    <!-- test: prints -->             text: what the last command prints, see ``is_like``
    <!-- test: file PATH -->          yaml, xml: the reader has written it there
    <!-- test: file PATH on mysrv -->
    <!-- test: needs NAME -->         what the lab sees to before: NEEDS of tests/lab/test_docs.py
    <!-- test: added to PATH -->      yaml: the reader has added it there
    <!-- test: graphics of VM -->     xml: what libvirt has of it
    <!-- test: qemu.conf -->          ini: what libvirt's file holds
    <!-- test: then the password is WORD -->  of the VM bookkeeping, and no other

Dates in blocks are moved by whole years of 52 weeks, as long as they would be past: ``today``.
"""

import re
import shlex
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
SHELL = "sh"
TAGS = frozenset({SHELL, "yaml", "xml", "text", "nft", "ini"})

_FENCE = re.compile(r"^( *)```(.*)$")
_NOTE = re.compile(r"^<!-- test: (.*) -->$")


class BadPage(ValueError):
    """The page isn't as the module says."""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; `line` is that of its first line, `section` its heading."""

    page: str
    line: int
    section: str
    tag: str
    text: str
    notes: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    def note(self, word: str) -> str | None:
        """What follows the word in the comments; None where none begins so."""
        for each in self.notes:
            if each == word or each.startswith(f"{word} "):
                return each[len(word):].strip()
        return None


def blocks_of(page: str, text: str) -> list[Block]:
    """All blocks of a page. Raises BadPage: a fence that is not closed, a comment for nothing."""
    found: list[Block] = []
    notes: list[str] = []
    section, body, fence, begin, tag = "", [""], None, 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        match = _FENCE.match(line)
        if fence is not None:
            if match and match[1] == fence and not match[2]:
                found.append(Block(page, begin, section, tag, "".join(body), tuple(notes)))
                fence, notes = None, []
            else:
                body.append(f"{line.removeprefix(fence)}\n")
        elif match:
            fence, tag, begin, body = match[1], match[2], number + 1, []
        elif note := _NOTE.match(line):
            notes.append(note[1])
        elif notes:
            raise BadPage(f"{page}:{number}: no block follows the comment")
        elif line.startswith("#"):
            section = line.lstrip("#").strip()
    if fence is not None or notes:
        raise BadPage(f"{page}: a block that does not end, or a comment without one")
    return found


def outside_blocks(text: str) -> str:
    """The page's running text; a block is an empty line in it."""
    return re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.MULTILINE | re.DOTALL)


def commands_of(block: Block) -> list[str]:
    """The command lines of an ``sh`` block; one can go over several lines. Raises BadPage."""
    found: list[str] = []
    held = ""
    for line in block.text.splitlines():
        held = f"{held}\n{line}" if held else line
        if _is_whole(held):
            if shlex.split(held, comments=True):
                found.append(held)
            held = ""
    if held:
        raise BadPage(f"{block.place}: a command that does not end: {held}")
    return found


def _is_whole(text: str) -> bool:
    if text.endswith("\\"):
        return False
    try:
        shlex.split(text, comments=True)
    except ValueError:  # a quotation that is open
        return False
    return True


# What differs from one run to the next.
_VARIES = [
    (r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (?=\d{4}-)", ""),
    (r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d)?)?(?:Z|[+-]\d\d:\d\d| [A-Z]{3,4}\b)?", "TIME"),
    (r"\b[0-9a-f]{12}\b", "REVISION"),
    (r"\bsession c?\d+", "session N"),
    (r"\buid \d+|\(\d{4}\)", "UID"),
    (r"\btty\d\b", "ttyN"),
    (r"[ \t]+", " "),
]


def _plain(line: str) -> str:
    for pattern, name in _VARIES:
        line = re.sub(pattern, name, line)
    return line.strip()


def is_like(shown: str, printed: str) -> bool:
    """Whether a program printed what a page shows. Times, session numbers and revisions may differ;
    a line of three dots stands for any lines, three dots in a line for any characters."""
    pattern = ""
    for line in shown.splitlines():
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*?".join(map(re.escape, _plain(line).split("..."))) + r"\n"
    text = "".join(f"{_plain(line)}\n" for line in printed.splitlines())
    return re.fullmatch(pattern, text) is not None


NOT_TRIED = {
    "authselect create-profile pam-spice --base-on=sssd --symlink-meta": "Fedora's",
    "editor /etc/authselect/custom/pam-spice/postlogin": "Fedora's",
    "authselect select custom/pam-spice": "Fedora's",
}
"""The commands that no test runs, as the lab is a Debian machine; the page says so too."""

WRITTEN = date(2026, 12, 1)
"""The pages' dates are from about then on."""


def today(text: str, now: date) -> str:
    """The text with its dates moved by so many times 52 weeks that WRITTEN is not long past: the
    same days of the week."""
    moved = timedelta(weeks=52) * max(0, -((WRITTEN - now) // timedelta(weeks=52)))

    def later(found: re.Match[str]) -> str:
        return (date.fromisoformat(found[0]) + moved).isoformat()

    return re.sub(r"\b20\d\d-\d\d-\d\d", later, text)


BLOCKS = [block for page in PAGES
          for block in blocks_of(str(page.relative_to(ROOT)), page.read_text())]

TEXTS = {str(page.relative_to(ROOT)): page.read_text() for page in PAGES}
