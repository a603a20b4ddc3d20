"""The commands' man pages and completions know every verb and option, and no others."""

import argparse
import re
import shlex
from pathlib import Path

import pytest

from launcher import spice_open
from pam_spice import cli

ROOT = Path(__file__).parents[2]
ADMIN_PAGE = (ROOT / "man/pam-spice.8").read_text()
USER_PAGE = (ROOT / "man/spice-open.1").read_text()
COMPLETIONS = ROOT / "conf/system/completion"
COMPLETION = (COMPLETIONS / "pam-spice").read_text()
# What each verb of the page takes: from its `.It Xo` to the `.Xc`.
HEADS = {found[1]: found[2] for found in
         re.finditer(r"^\.It Xo\n\.Ic (\S+)\n(.*?)^\.Xc$", ADMIN_PAGE, re.MULTILINE | re.DOTALL)}


def _verbs() -> dict[str, argparse.ArgumentParser]:
    [choices] = [action.choices for action in cli.command_line()._actions
                 if isinstance(action, argparse._SubParsersAction)]
    return dict(choices)


VERBS = _verbs()


def shown(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """What is for people; not what a command says to a child of its own."""
    return [action for action in parser._actions if action.help != argparse.SUPPRESS]


def options_of(parser: argparse.ArgumentParser) -> dict[str, str]:
    """Each long option, and what the value is called that it takes; --help aside."""
    return {option: "" if action.nargs == 0 else str(action.metavar or action.dest.upper())
            for action in shown(parser) for option in action.option_strings
            if option.startswith("--") and option != "--help"}


def positionals_of(parser: argparse.ArgumentParser) -> list[str]:
    return [str(action.metavar) for action in shown(parser) if not action.option_strings]


def test_the_page_has_the_verbs_that_there_are() -> None:
    assert len(VERBS) >= 15
    assert set(HEADS) == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_the_page_says_what_a_verb_takes(verb: str) -> None:
    head = HEADS[verb]
    options = re.findall(r"\bFl -([a-z-]+)(?: Ar (\S+))?", head)
    assert {f"--{name}": value for name, value in options} == options_of(VERBS[verb])
    # mdoc(7): a bare .Ar is "file ...".
    named = [name for words in re.findall(r"^\.(?:Op )?Ar(.*)$", head, re.MULTILINE)
             for name in words.split() or ["FILE"]]
    assert named == positionals_of(VERBS[verb])


@pytest.mark.parametrize("verb", VERBS)
def test_the_page_shows_in_brackets_what_can_be_left_out(verb: str) -> None:
    for action in shown(VERBS[verb]):
        if action.option_strings and "--help" not in action.option_strings:
            name = action.option_strings[-1].removeprefix("-")
            is_bare = re.search(rf"^\.Fl {name}\b", HEADS[verb], re.MULTILINE) is not None
            assert is_bare is action.required, name


def test_the_users_page_has_the_options_that_there_are() -> None:
    explained = set(re.findall(r"^\.It Fl (?:h , )?-([a-z]+)", USER_PAGE, re.MULTILINE))
    assert {f"--{name}" for name in explained} == {*options_of(spice_open.command_line()), "--help"}
    for option in options_of(spice_open.command_line()):
        assert f"Fl {option.removeprefix('-')}" in USER_PAGE.partition(".Sh DESCRIPTION")[0]


def test_completion_has_the_verbs_that_there_are() -> None:
    offered = re.search(r'"--help ([^"]*)"', COMPLETION.replace("\\\n", ""))
    assert offered is not None
    assert offered[1].split() == list(dict.fromkeys(offered[1].split()))
    assert set(offered[1].split()) == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_completion_has_a_verbs_options(verb: str) -> None:
    line = re.search(rf'^ +{verb}\) options="([^"]*)"', COMPLETION, re.MULTILINE)
    assert line is not None
    assert line[1].split() == list(options_of(VERBS[verb]))


def test_completion_offers_no_option_where_another_ones_value_belongs() -> None:
    named = {option for line in re.findall(r"^ +(--[a-z|-]+)\)", COMPLETION, re.MULTILINE)
             for option in line.split("|")}
    with_value = {option for parser in VERBS.values()
                  for option, value in options_of(parser).items() if value}
    assert named == with_value


def test_the_users_completion_has_the_options_that_there_are() -> None:
    offered = re.search(r'options="([^"]*)"', (COMPLETIONS / "spice-open").read_text())
    assert offered is not None
    assert offered[1].split() == ["--help", *options_of(spice_open.command_line())]


def test_the_desktop_entry_starts_the_launcher_as_it_can_be_started() -> None:
    entry = (ROOT / "conf/system/desktop/spice-open.desktop").read_text()
    [command] = re.findall(r"^Exec=(.*)$", entry, re.MULTILINE)
    program, *arguments = shlex.split(command)
    assert program == "/usr/bin/spice-open"
    spice_open.command_line().parse_args(arguments, spice_open.Options())
