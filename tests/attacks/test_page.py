"""docs/attacks.md has exactly the rows of the tests, and judges what was seen."""

from pathlib import Path

import pytest

from tests.attacks import page
from tests.attacks.attempt import (
    ARTICLE,
    NOTHING,
    PAM_SPICE,
    Attack,
    Seen,
    attack,
    what_is_wrong,
)

HELD = Attack("Somebody knocks | loudly", 7)
NOT_DEFENDED = Attack("Somebody *gives* it away", None, promised=False)
OURS_ALONE = Attack("Somebody calls the hook", 27, control=False, article=False)
OUTCOMES: page.Outcomes = {
    (HELD.sentence, ARTICLE): Seen(True, "the server said a|b"),
    (HELD.sentence, PAM_SPICE): Seen(False, "reset"),
    (NOT_DEFENDED.sentence, ARTICLE): Seen(False, "no answer"),
    (NOT_DEFENDED.sentence, PAM_SPICE): Seen(True, "the server *answered*"),
    (OURS_ALONE.sentence, PAM_SPICE): Seen(False, "no effect"),
}


# The page as it is

def test_the_page_has_exactly_the_attacks_that_the_tests_make_in_their_order() -> None:
    assert page.sentences_of(page.PAGE.read_text()) == [
        (told.sentence, str(told.threat or "new")) for told in page.declared()]


def test_the_page_is_what_its_outcomes_render() -> None:
    assert page.render(page.declared(), page.outcomes_of(page.PAGE.read_text())) == (
        page.PAGE.read_text())


def test_no_attack_that_is_promised_to_be_stopped_got_through() -> None:
    promised = {told.sentence for told in page.declared() if told.promised}
    assert [sentence for (sentence, setup), seen
            in page.outcomes_of(page.PAGE.read_text()).items()
            if setup == PAM_SPICE and seen.through and sentence in promised] == []


def test_there_are_eighty_attacks_and_twenty_of_them_found_since() -> None:
    attacks = page.declared()
    assert len(attacks) >= 80
    assert sum(told.threat is None for told in attacks) >= 20


def test_each_sentence_is_one_attack_s_alone() -> None:
    sentences = [told.sentence for told in page.declared()]
    assert sorted(sentences) == sorted(set(sentences))


def test_what_has_no_control_is_proved_by_the_article_s_outcome_or_says_what_proves_it() -> None:
    outcomes = page.outcomes_of(page.PAGE.read_text())
    for path in page.files():
        for told, docstring in page.declared_with_docstrings(path.read_text()):
            passed = outcomes.get((told.sentence, ARTICLE))
            assert told.control or docstring or (passed and passed.through), told.sentence


# Reading and writing

def test_a_page_says_what_it_was_written_from() -> None:
    text = page.render([HELD, OURS_ALONE, NOT_DEFENDED], OUTCOMES)
    assert page.outcomes_of(text) == OUTCOMES
    assert page.sentences_of(text) == [(HELD.sentence, "7"), (OURS_ALONE.sentence, "27"),
                                       (NOT_DEFENDED.sentence, "new")]


def test_a_page_counts_what_got_through() -> None:
    text = page.render([HELD, OURS_ALONE, NOT_DEFENDED], OUTCOMES)
    assert "let 1 of 2 through" in text
    assert "promises to stop 2 of 3; 1 got through" in text


def test_what_is_not_defended_is_marked() -> None:
    text = page.render([NOT_DEFENDED], OUTCOMES)
    assert "*not defended*: **through**" in text


def test_an_attack_that_was_not_made_on_each_of_its_setups_has_no_row() -> None:
    half = {key: seen for key, seen in OUTCOMES.items() if key != (HELD.sentence, ARTICLE)}
    assert page.sentences_of(page.render([HELD, OURS_ALONE], half)) == [(OURS_ALONE.sentence, "27")]


def test_writing_keeps_what_was_not_tried_and_drops_what_is_declared_no_more(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "attacks.md"
    file.write_text(page.render([HELD, NOT_DEFENDED], OUTCOMES))
    monkeypatch.setattr(page, "PAGE", file)
    monkeypatch.setattr(page, "declared", lambda: [HELD, OURS_ALONE])
    page.write_file({(OURS_ALONE.sentence, PAM_SPICE): Seen(True, "as root")})
    assert page.outcomes_of(file.read_text()) == {
        (HELD.sentence, ARTICLE): OUTCOMES[HELD.sentence, ARTICLE],
        (HELD.sentence, PAM_SPICE): OUTCOMES[HELD.sentence, PAM_SPICE],
        (OURS_ALONE.sentence, PAM_SPICE): Seen(True, "as root")}


# Declaring

def test_what_a_file_declares_is_what_its_decorators_mark() -> None:
    source = '''
@attack("Somebody "
        "knocks", threat=7)
def test_a(stage): ...

@attack("Somebody waits", promised=False, article=False, control=False)
def test_b(stage):
    """Why."""

def test_c(): ...
'''
    assert page.declared_in(source) == [
        Attack("Somebody knocks", 7),
        Attack("Somebody waits", None, promised=False, control=False, article=False)]

    @attack("Somebody knocks", threat=7)
    def knock() -> Seen:
        return THROUGH

    assert [mark.args for mark in knock.pytestmark  # type: ignore[attr-defined]
            if mark.name == "attack"] == [(Attack("Somebody knocks", 7),)]


@pytest.mark.parametrize(("told", "setups"), [
    (HELD, (NOTHING, ARTICLE, PAM_SPICE)), (OURS_ALONE, (PAM_SPICE,)),
    (Attack("x", control=False), (ARTICLE, PAM_SPICE)),
    (Attack("x", article=False), (NOTHING, PAM_SPICE))])
def test_an_attempt_is_made_on_each_setup_that_has_what_it_needs(
        told: Attack, setups: tuple[str, ...]) -> None:
    assert told.setups == setups


# Judging

THROUGH, STOPPED = Seen(True, "answered"), Seen(False, "reset")


@pytest.mark.parametrize("on_page", [None, THROUGH, STOPPED])
@pytest.mark.parametrize("writes_page", [False, True])
def test_an_attempt_that_fails_though_nothing_protects_is_none(
        on_page: Seen | None, writes_page: bool) -> None:
    assert what_is_wrong(HELD, NOTHING, STOPPED, on_page, writes_page) is not None
    assert what_is_wrong(HELD, NOTHING, THROUGH, on_page, writes_page) is None


@pytest.mark.parametrize("writes_page", [False, True])
def test_what_is_promised_must_be_stopped_whatever_the_page_says(writes_page: bool) -> None:
    assert what_is_wrong(HELD, PAM_SPICE, THROUGH, THROUGH, writes_page) is not None
    assert what_is_wrong(HELD, PAM_SPICE, STOPPED, STOPPED, writes_page) is None


@pytest.mark.parametrize("setup", [ARTICLE, PAM_SPICE])
@pytest.mark.parametrize("on_page", [None, STOPPED, Seen(True, "otherwise")])
def test_an_outcome_that_is_not_the_page_s_fails_but_where_the_page_is_written(
        setup: str, on_page: Seen | None) -> None:
    assert what_is_wrong(NOT_DEFENDED, setup, THROUGH, on_page, False) is not None
    assert what_is_wrong(NOT_DEFENDED, setup, THROUGH, on_page, True) is None
    assert what_is_wrong(NOT_DEFENDED, setup, THROUGH, THROUGH, False) is None
