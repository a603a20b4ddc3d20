"""The person's language: which it is, where it comes from, and that nothing lacks in it."""

import ast
import builtins
import io
import os
import re
import string
from pathlib import Path

import pytest

from launcher import language
from launcher.catalogue import read_catalogue
from launcher.language import CATALOGUES, chosen, gettext, ngettext, speak
from tests.unit.sentences import ARGPARSE, LAUNCHER, ROOT, all_messages, calls_in, messages_in

PO = ROOT / "launcher/po"


@pytest.mark.parametrize(("environment", "expected"), [
    ({}, None),
    ({"LANG": "de_DE.UTF-8"}, "de"),
    ({"LANG": "de"}, "de"),
    ({"LANG": "de_AT@euro"}, "de"),
    ({"LANG": "fr_FR.UTF-8"}, None),
    ({"LANG": "de_DE.UTF-8", "LC_MESSAGES": "en_GB.UTF-8"}, None),
    ({"LANG": "en_GB.UTF-8", "LC_MESSAGES": "de_CH.UTF-8"}, "de"),
    ({"LC_ALL": "C", "LC_MESSAGES": "de_DE.UTF-8"}, None),
    ({"LC_ALL": "", "LANG": "de_DE.UTF-8"}, "de"),
    ({"LANG": "en_US.UTF-8", "LANGUAGE": "de"}, "de"),
    ({"LANG": "en_US.UTF-8", "LANGUAGE": "fr:de:en"}, "de"),
    ({"LANG": "de_DE.UTF-8", "LANGUAGE": "en:de"}, None),
    ({"LANG": "C.UTF-8", "LANGUAGE": "de"}, "de"),  # so does gettext(1) of glibc 2.36
    ({"LANG": "C.UTF-8"}, None),
    ({"LANGUAGE": "de"}, None)])
def test_the_environment_chooses_as_gettext_has_it(
        environment: dict[str, str], expected: str | None) -> None:
    assert chosen(environment) == expected


@pytest.mark.parametrize("hostile", [
    "../../../home/maggie/po/de", "/home/maggie/po/de", "de/../../x", "..", "de\0", "{0}",
    "de:" * 9999, "%s", "\udcff", "xx_de", "DE"])
def test_the_environment_can_not_name_a_file(
        hostile: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def watched(path: str, **_: object) -> io.StringIO:
        opened.append(path)
        return io.StringIO("")

    monkeypatch.setattr(builtins, "open", watched)
    for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.setattr(language, "_messages", None)
        monkeypatch.setattr(os, "environ", {"LANG": "en_US.UTF-8", name: hostile})
        assert gettext("closed") == "closed"
    assert {Path(path).resolve() for path in opened} <= {PO / name for name in CATALOGUES.values()}


def test_for_english_no_file_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "_messages", None)
    monkeypatch.setattr(os, "environ", {"LANG": "en_GB.UTF-8"})
    monkeypatch.setattr(builtins, "open", lambda *_, **__: pytest.fail("opened"))
    assert gettext("closed") == "closed"
    assert ngettext("{count} console", "{count} consoles", 2) == "{count} consoles"


@pytest.mark.parametrize("damage", [
    "missing", "msgid broken",
    'msgid "closed"\nmsgstr "x\\"', 'msgid "closed"\nmsgstr "\\q"', "\xff"])
def test_a_catalogue_that_is_missing_or_damaged_leaves_english(
        damage: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if damage != "missing":
        (tmp_path / "de.po").write_bytes(damage.encode("latin-1"))
    monkeypatch.setattr(language, "_DIRECTORY", str(tmp_path))
    speak("de")
    assert gettext("closed") == "closed"


def test_a_catalogue_is_read_as_gettext_writes_it() -> None:
    assert read_catalogue('''\
# A translator's word.
msgid ""
msgstr ""
"Language: de\\n"

#: launcher/words.py:1
#, python-brace-format
msgid "a "
"\\"long\\" one\\n"
msgstr ""
"ein "
"\\\\langer"

msgid "{count} day"
msgid_plural "{count} days"
msgstr[0] "{count} Tag"
msgstr[1] "{count} Tage"

#, fuzzy
msgid "guessed"
msgstr "geraten"

msgid "not yet"
msgstr ""

#~ msgid "old"
#~ msgstr "alt"
''') == {'a "long" one\n': ("ein \\langer",), "{count} day": ("{count} Tag", "{count} Tage")}


# What lacks, and what is left over

CATALOGUE = {name: read_catalogue((PO / name).read_text()) for name in CATALOGUES.values()}


@pytest.mark.parametrize("name", CATALOGUES.values())
def test_every_message_is_translated_and_nothing_else(name: str) -> None:
    messages = all_messages() | dict.fromkeys(ARGPARSE)
    assert len(messages) > 70
    assert set(CATALOGUE[name]) == set(messages)
    for message, plural in messages.items():
        assert len(CATALOGUE[name][message]) == (2 if plural else 1), message


def fields(text: str) -> list[str]:
    return sorted([str(name) for _, name, _, _ in string.Formatter().parse(text) if name]
                  + re.findall(r"%\(\w+\)s|%[sr]", text))


@pytest.mark.parametrize("name", CATALOGUES.values())
def test_a_translation_fills_in_what_the_message_does(name: str) -> None:
    for message, forms in CATALOGUE[name].items():
        for form in forms:
            assert set(fields(form)) == set(fields(message)), message
            assert form.endswith(("\n", " ")) == message.endswith(("\n", " ")), message


def test_messages_are_written_out_where_they_are_used() -> None:
    for path in LAUNCHER:
        for call in calls_in(path.read_text()):
            texts = call.args[:2] if call.func.id == "ngettext" else call.args  # type: ignore[attr-defined]
            assert all(isinstance(each, ast.Constant) and isinstance(each.value, str)
                       for each in texts), f"{path.name}:{call.lineno}"


# Sentences that reach no person: of protocols, and for who reads the sources.
NO_SENTENCES = {
    "catalogue.py": {"not a string of a PO file: ", "not an escape of a PO file: "},
    "confine.py": {"no dynamic loader found"},
    "diagnosis.py": {"main channel: opened", "main channel: closed", "main channel: auth failure",
                     "main channel: failed to connect ", ": zap main channel",
                     "loading ca certs from "},
}


def prose_outside_gettext(source: str) -> set[str]:
    """The strings with two words or more that no person's language is asked for."""
    tree = ast.parse(source)
    marked = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            marked.add(id(node.value))  # a docstring
        elif (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
              and node.func.id in ("_", "ngettext")):
            marked |= {id(argument) for argument in node.args}
    return {node.value for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
            and id(node) not in marked and re.search(r"[A-Za-z]{2,} +[A-Za-z]{2,}", node.value)}


@pytest.mark.parametrize("path", LAUNCHER, ids=lambda path: str(path.name))
def test_no_sentence_is_outside_of_gettext(path: Path) -> None:
    found = prose_outside_gettext(path.read_text())
    assert found <= NO_SENTENCES.get(path.name, set())


def test_the_search_for_sentences_finds_them() -> None:
    assert prose_outside_gettext('say("no console here")') == {"no console here"}
    assert prose_outside_gettext('say(f"hello {user}, it is open")') == {", it is open"}
    assert prose_outside_gettext('say(_("no console here").format(x="a"))') == set()
    assert messages_in('ngettext("one day", "some days", 2)') == {"one day": "some days"}


# The page

PAGE = (ROOT / "docs/messages.md").read_text()


def rows(heading: str) -> list[list[str]]:
    return cells(PAGE.split(f"\n## {heading}")[1].split("\n## ")[0])


def cells(part: str) -> list[list[str]]:
    return [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            for line in part.splitlines() if line.startswith("| ")
            and line.split("|")[1].strip() not in ("sentence", "Satz", "---", "English")]


def as_shown(text: str) -> str:
    return text.strip().replace("\n", "")


def test_the_page_has_every_message_in_both_languages_and_none_that_is_not_in_the_code() -> None:
    english, german, both = rows("English"), rows("Deutsch"), rows("Words in lists")
    shown = [*((e[0], g[0]) for e, g in zip(english, german, strict=True)),
             *((e, g) for e, g in both)]
    pairs: set[tuple[str, str]] = set()
    plurals = {message: plural for message, plural in all_messages().items() if plural}
    for message, forms in CATALOGUE["de.po"].items():
        pairs.add((as_shown(message), as_shown(forms[0])))
        if message in plurals:
            pairs.add((as_shown(plurals[message] or ""), as_shown(forms[1])))
    assert set(shown) == pairs
    assert len(shown) == len(set(shown))


# argparse says "spice-open: error: " before those that follow.
WRONG_CALLS = {"English": "### Wrong calls", "Deutsch": "### Falsche Aufrufe"}
LAST = (": spice-open {consoles}", ": {words}")
"""What is to be typed, and another program's words: they stand after a colon, and no full stop
follows them, which would be typed too, or taken for that program's."""


def is_whole(text: str) -> bool:
    """Whether all of it is whole sentences: each begins with a capital letter, or with a name that
    is filled in and stays as it is, and ends with a full stop or a question mark."""
    return (all(re.match(r"\{|[A-ZÄÖÜ]", part) for part in re.split(r"(?<=[.?]) ", text))
            and text.endswith((".", "?", *LAST))
            and not text.endswith(("spice-open.", *(f"{each}." for each in LAST))))


@pytest.mark.parametrize("heading", WRONG_CALLS)
def test_what_is_said_is_whole_sentences(heading: str) -> None:
    part = PAGE.split(f"\n## {heading}")[1].split("\n## ")[0]
    said, separator, _ = part.partition(WRONG_CALLS[heading])
    sentences = [row[0] for row in cells(said)]
    assert separator and len(sentences) > 45
    assert [text for text in sentences if not is_whole(text)] == []


@pytest.mark.parametrize("text", [
    "Not now: your next time for {console} is {time}.", "Is the network connected?",
    "{console} was closed. Ask your administrator.", "Öffnen Sie sie noch einmal.",
    "Name one of them: spice-open {consoles}", "This is what sudo says: {words}"])
def test_whole_sentences_are_taken_for_such(text: str) -> None:
    assert is_whole(text)


@pytest.mark.parametrize("text", [
    "closed", "Closed", "closed.", "This login has ended. log in again.", "Try again. Or ask",
    "The viewer can't be started: {reason}", "Name one of them: spice-open {consoles}.",
    "This is what sudo says: {words}.", "In a terminal, run spice-open."])
def test_what_is_not_a_whole_sentence_is_noticed(text: str) -> None:
    assert not is_whole(text)


OTHERS, ANDERE = "What others say on the way", "Was andere unterwegs sagen"


def test_on_the_page_every_sentence_has_a_cause_and_a_remedy() -> None:
    for heading in ("English", "Deutsch", OTHERS, ANDERE):
        assert all(len(row) == 3 and all(row) for row in rows(heading))


def as_others_show_it(text: str) -> str:
    """A sentence of C, without its markup and with a name of any kind for what is filled in."""
    text = " ".join(re.sub("</?b>", "", text).split())
    return re.sub("(?:%[a-z])+", "{}", text)


def test_the_page_has_the_recorded_sentences_of_others_in_both_languages() -> None:
    """tests/lab/test_others_sentences.py finds them in the packages that they come from."""
    recorded = read_catalogue((ROOT / "tests/unit/recorded/others.po").read_text())
    pairs = {(as_others_show_it(message), as_others_show_it(form))
             for message, forms in recorded.items() for form in forms[:1]}
    pairs.add(("{} incorrect password attempts", "{} Fehlversuche bei der Passwort-Eingabe"))
    shown = [tuple(re.sub(r"\{\w+\}|SPICE", "{}", row[0]) for row in both)
             for both in zip(rows(OTHERS), rows(ANDERE), strict=True)]
    assert set(shown) == pairs
    assert len(shown) == len(set(shown))


def test_others_names_of_what_is_filled_in_are_the_same_in_both_languages() -> None:
    for english, german in zip(rows(OTHERS), rows(ANDERE), strict=True):
        assert sorted(fields(english[0])) == sorted(fields(german[0])), english[0]


