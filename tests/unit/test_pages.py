"""README and docs/ are as their tests read them, and name only what there is.

The commands in their blocks are run by tests/lab/test_docs.py.
"""

import argparse
import io
import itertools
import re
import shlex
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from datetime import date
from pathlib import Path

import pytest

from conf.parser import parse_files
from launcher import spice_open
from launcher.catalogue import read_catalogue
from pam_spice import cli
from tests.unit.pages import (
    BLOCKS,
    NOT_TRIED,
    ROOT,
    SHELL,
    TAGS,
    TEXTS,
    BadPage,
    Block,
    blocks_of,
    commands_of,
    is_like,
    outside_blocks,
    today,
)
from tests.unit.test_command_pages import VERBS, options_of

MAN_PAGES = sorted((ROOT / "man").iterdir())
pages = pytest.mark.parametrize("page", TEXTS)
SHELL_BLOCKS = [block for block in BLOCKS if block.tag == SHELL]

# docs/lint.md's blocks are tests/unit/test_lint_docs.py's.
YAML_BLOCKS = [block for block in BLOCKS if block.tag == "yaml" and block.page != "docs/lint.md"]


def at(block: Block) -> str:
    return block.place


# The blocks

@pytest.mark.parametrize("block", BLOCKS, ids=at)
def test_a_block_says_what_it_is(block: Block) -> None:
    assert block.tag in TAGS


@pages
def test_a_page_has_no_block_but_fenced_ones(page: str) -> None:
    # Four blanks are a block where they don't go on with an item of a list.
    indented = []
    is_in_list = False
    for line in outside_blocks(TEXTS[page]).splitlines():
        if re.match(r" {0,3}(?:[*-]|\d+\.) ", line):
            is_in_list = True
        elif re.match(r"\S", line):
            is_in_list = False
        elif line.startswith("    ") and not is_in_list:
            indented.append(line)
    assert indented == []


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.tag != SHELL], ids=at)
def test_commands_stand_in_shell_blocks_alone(block: Block) -> None:
    programs = {shlex.split(command, comments=True)[0]
                for other in SHELL_BLOCKS for command in commands_of(other)}
    found = [line for line in block.text.splitlines()
             if line.split(" ")[0] in programs | {"pam-spice", "spice-open", "systemctl"}]
    assert found == []


@pytest.mark.parametrize("block", SHELL_BLOCKS, ids=at)
def test_a_shell_block_has_commands(block: Block) -> None:
    assert commands_of(block)


@pytest.mark.parametrize("block", SHELL_BLOCKS, ids=at)
def test_ssh_leaves_the_lines_after_it_alone(block: Block) -> None:
    """A terminal without bracketed paste hands it the rest of a block as its standard input."""
    for command in commands_of(block)[:-1]:
        assert reads_nothing(command), command


def reads_nothing(command: str) -> bool:
    """Whether each ssh of a command has -n, or standard input from elsewhere."""
    first = [re.split(r"\s+", part.strip()) for part in re.split(r"\|\|?|&&|;", command)]
    is_piped = [False, *(sign == "|" for sign in re.findall(r"\|\|?|&&|;", command))]
    return all(words[0] != "ssh" or words[1:2] == ["-n"] or piped or "</dev/null" in words
               for words, piped in zip(first, is_piped, strict=True))


@pytest.mark.parametrize(("command", "alone"), [
    ("ssh root@mysrv virsh list", False), ("ssh -n root@mysrv virsh list", True),
    ("ssh root@mysrv nft list </dev/null", True), ("true && ssh root@mysrv nft list", False),
    ("nft list | ssh root@mysrv cat", True), ("ssh root@mysrv cat a | cmp - b", False),
    ("scp root@mysrv:a .", True)])
def test_an_ssh_that_reads_what_is_pasted_after_it_is_noticed(command: str, alone: bool) -> None:
    assert reads_nothing(command) is alone


def test_what_is_not_tried_is_on_a_page_that_says_so() -> None:
    for command in NOT_TRIED:
        [block] = [block for block in SHELL_BLOCKS if command in commands_of(block)]
        assert re.search(r"was not tried|Not tried", TEXTS[block.page]), block.page


def is_whole(block: Block) -> bool:
    return bool(re.search(r"^servers:", block.text, re.MULTILINE)
                and re.search(r"^grants:", block.text, re.MULTILINE))


WHOLE = next(block.text for block in YAML_BLOCKS if block.page == "README.md")


@pytest.mark.parametrize("block", YAML_BLOCKS, ids=at)
def test_a_policy_has_no_problem(block: Block) -> None:
    files = [("policy.yaml", block.text if is_whole(block) else WHOLE)]
    if not is_whole(block):
        # A part is shown for the README's policy; its consoles may be the other pages'.
        lacking = "" if "analysis: {" in block.text else (
            "consoles:\n  analysis: {server: mysrv, tls_port: 20003}\n")
        files += [("policy.d/a.yaml", lacking or "grants: []\n"), ("policy.d/b.yaml", block.text)]
    parsed = parse_files([(name, text.encode()) for name, text in files])
    assert parsed.policy is not None
    assert parsed.problems == ()


def test_the_readme_has_a_whole_policy() -> None:
    assert [block.page for block in YAML_BLOCKS if is_whole(block)][:1] == ["README.md"]


# What spice-open says

CATALOGUE = read_catalogue((ROOT / "launcher/po/de.po").read_text())
SAID = [re.sub(r"\{\w+\}", "...", text) for message, forms in CATALOGUE.items()
        for text in (message, *forms)]


def quoted() -> list[str]:
    """The sentences that people are told of, names of the pages' office left out."""
    rows = re.findall(r"^\| (.+?) \|", TEXTS["docs/using.md"], re.MULTILINE)
    headings = re.findall(r'^### "(.*)"$', TEXTS["docs/troubleshooting.md"], re.MULTILINE)
    return [*(row for row in rows if row not in ("---", "it says", "da steht")),
            *(re.sub(r"\b(?:webdev|mysrv|maggie|60)\b", "...", heading) for heading in headings)]


@pytest.mark.parametrize("sentence", quoted())
def test_a_sentence_that_a_page_quotes_is_said(sentence: str) -> None:
    assert any(sentence in said for said in SAID)


def test_the_pages_quote_sentences_in_both_languages() -> None:
    assert len(quoted()) > 18


def in_quotation_marks() -> list[str]:
    running = " ".join(line for line in TEXTS["docs/using.md"].splitlines()
                       if not line.startswith("|"))
    running = " ".join(re.sub(r"\]\([^)]*\)", "]", running).split())
    return sorted({"".join(found) for found in re.findall(r'"([^"]*)"|»([^«]*)«', running)})


@pytest.mark.parametrize("quotation", in_quotation_marks())
def test_what_people_are_told_that_they_read_is_among_the_messages(quotation: str) -> None:
    rows = re.findall(r"^\| (.+?) \| (.+?) \|", TEXTS["docs/messages.md"], re.MULTILINE)
    known = [re.sub(r"\\\{\w+\\\}", ".+", re.escape(cell)) for row in rows for cell in row]
    assert any(re.fullmatch(each, quotation) for each in known), quotation


def test_the_viewers_question_is_told_in_both_languages() -> None:
    assert {"Authentication required", "Authentifikation erforderlich",
            "Do you want to close the session?", "Möchten Sie die Sitzung beenden?"} <= set(
                in_quotation_marks())


# Links

@pages
def test_a_link_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", outside_blocks(TEXTS[page])):
        path, _, anchor = target.partition("#")
        if re.match(r"\w+:", target):
            continue
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors_of(file.read_text()), target


def anchors_of(text: str) -> list[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", outside_blocks(text), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


@pages
def test_a_picture_has_a_text_in_its_place(page: str) -> None:
    for text in re.findall(r"!\[([^\]]*)\]", TEXTS[page]):
        assert len(text) > 20


def test_every_page_is_on_the_readmes_list() -> None:
    named = set(re.findall(r"\]\((docs/[a-z-]+\.md)\)",
                           TEXTS["README.md"].partition("## The pages")[2]))
    assert named == set(TEXTS) - {"README.md"}


# Commands in running text

def inline_commands() -> Iterator[tuple[str, str]]:
    """Each with its page: words between backticks, and the man pages' examples and quotations."""
    for page, text in TEXTS.items():
        for found in re.findall(r"`((?:pam-spice|spice-open)\s[^`]+)`", outside_blocks(text)):
            yield page, " ".join(found.replace("\\|", "|").split())
    for path in MAN_PAGES:
        for found in re.findall(r"^\.(?:Ql|Dl) ((?:pam-spice|spice-open) .+?)(?: [.,;])?$",
                                path.read_text(), re.MULTILINE):
            yield f"man/{path.name}", found


INLINE = sorted(set(inline_commands()))


def variants(usage: str) -> list[list[str]]:
    """The command lines of a usage like ``VERB USER [--a | --b TIME] FILE...``: without what is in
    brackets, and with each of it alone."""
    usage = usage.replace("...", "")
    parts = re.split(r"\[([^\]]*)\]", usage)
    base = parts[::2]
    found = [" ".join(base)]
    for number, optional in enumerate(parts[1::2]):
        for choice in optional.split("|"):
            found.append(" ".join(itertools.chain(base[:number + 1], [choice], base[number + 1:])))
    return [shlex.split(each) for each in found]


def complaint(words: list[str]) -> str:
    """What the program says against these words, "" where nothing. That something is missing
    counts for nothing: a sentence may name a verb alone, or an option."""
    program, *arguments = words
    known = options_of(VERBS[arguments[0]] if program == "pam-spice" and arguments[0] in VERBS
                       else spice_open.command_line())
    for option in arguments:
        if option.startswith("--") and option not in known:  # argparse takes abbreviations too
            return option
    said = io.StringIO()
    try:
        with redirect_stderr(said), redirect_stdout(said):
            if program == "pam-spice":
                cli.command_line().parse_args(arguments)
            else:
                spice_open.command_line().parse_args(arguments, spice_open.Options())
    except SystemExit as ended:
        last = [*said.getvalue().strip().splitlines(), ""][-2 if said.getvalue() else -1]
        if ended.code and not re.search("arguments are required|one of the arguments", last):
            return last or "?"
    except argparse.ArgumentError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("page", "usage"), INLINE)
def test_a_command_in_running_text_is_one_that_there_is(page: str, usage: str) -> None:
    for words in variants(usage):
        assert complaint(words) == "", words


def test_commands_in_running_text_are_found() -> None:
    assert len(INLINE) > 60
    assert ("README.md", "pam-spice check [--lint | --online]") in INLINE
    assert "pam-spice.8" in {Path(page).name for page, _ in INLINE}


@pytest.mark.parametrize("usage", ["pam-spice lok", "pam-spice check --linnt", "spice-open a b",
                                   "pam-spice check [--lint | --onlin]", "pam-spice status now"])
def test_a_command_that_there_is_not_is_noticed(usage: str) -> None:
    assert any(map(complaint, variants(usage)))


# The module that reads

def test_a_page_is_read_as_it_stands() -> None:
    text = ("# A\n<!-- test: as anne -->\n```sh\na \\\n  b   # c\n# d\n'e\nf'\n```\n\n"
            "* x\n  ```yaml\n  k: v\n  ```\n")
    first, second = blocks_of("p", text)
    assert (first.section, first.tag, first.line, first.note("as")) == ("A", "sh", 4, "anne")
    assert commands_of(first) == ["a \\\n  b   # c", "'e\nf'"]
    assert (second.tag, second.text) == ("yaml", "k: v\n")


@pytest.mark.parametrize("text", ["```sh\na\n", "<!-- test: as anne -->\nword\n",
                                  "<!-- test: as anne -->\n"])
def test_a_page_that_can_t_be_read_is_not_taken(text: str) -> None:
    with pytest.raises(BadPage):
        blocks_of("p", text)


def test_a_quotation_that_stays_open_is_no_command() -> None:
    with pytest.raises(BadPage):
        commands_of(Block("p", 1, "", SHELL, "echo 'a\n"))


@pytest.mark.parametrize(("shown", "printed", "alike"), [
    ("a\n", "a\n", True), ("a\n", "a\nb\n", False), ("a\n...\n", "a\nb\nc\n", True),
    ("...\nfine\n", "x\nfine\n", True), ("...\nfine\n", "x\nfine\ny\n", False),
    ("until Mon 2026-12-07 00:00:00 CET\n", "until Tue 2027-06-08 07:00:00 CEST\n", True),
    ("a ... c\n", "a b c\n", True), ("a.c\n", "abc\n", False), ("a   b\n", "a b\n", True)])
def test_what_is_printed_is_compared_but_for_what_varies(
        shown: str, printed: str, alike: bool) -> None:
    assert is_like(shown, printed) is alike


@pytest.mark.parametrize(("now", "moved"), [
    (date(2026, 11, 1), "2026-12-03"), (date(2026, 12, 1), "2026-12-03"),
    (date(2026, 12, 2), "2027-12-02"), (date(2028, 1, 1), "2028-11-30")])
def test_dates_move_by_whole_weeks_as_time_goes_on(now: date, moved: str) -> None:
    assert today("at 2026-12-03T12:00, 10.2026-12", now) == f"at {moved}T12:00, 10.2026-12"
    assert date.fromisoformat(moved).weekday() == date(2026, 12, 3).weekday()
