"""Which console is meant."""

import pytest

from launcher.choose import ask, name_one, named, open_now
from launcher.consoles import Console
from launcher.refusal import Refused

NOW = 1795424400  # Mon 2026-11-23 10:00 in Berlin
ZONE = ((0, 3600),)
TUESDAY_8 = 1795503600


def console(name: str, is_open: bool = True) -> Console:
    return Console(name, "mysrv.example", 20002, "/ca", is_open, NOW + 7200 if is_open else None,
                   None if is_open else TUESDAY_8, ZONE)


def refusal(consoles: list[Console], name: str) -> str:
    with pytest.raises(Refused) as caught:
        named(consoles, name, NOW)
    assert caught.value.status == 1
    return caught.value.message


def test_a_console_is_found_by_its_name() -> None:
    assert named([console("analysis"), console("webdev")], "webdev", NOW).name == "webdev"


def test_consoles_of_others_and_consoles_that_do_not_exist_are_answered_alike() -> None:
    own = [console("debianx")]
    assert refusal(own, "leaptest") == "leaptest is not one of your consoles (yours: debianx)."
    assert refusal(own, "nosuch") == "nosuch is not one of your consoles (yours: debianx)."


def test_a_name_is_taken_whole_and_exactly() -> None:
    for name in ("Webdev", "web", "webdev ", "", "webdev\n"):
        assert "is not one of your consoles" in refusal([console("webdev")], name)


def test_a_granted_console_that_is_closed_says_when_next() -> None:
    assert refusal([console("webdev", is_open=False), console("analysis")], "webdev") == (
        "Not now: your next time for webdev is Tue 08:00.")


def test_only_open_consoles_are_offered() -> None:
    consoles = [console("analysis", is_open=False), console("webdev")]
    assert [each.name for each in open_now(consoles, NOW)] == ["webdev"]


def test_with_none_open_every_console_tells_its_next_time() -> None:
    with pytest.raises(Refused) as caught:
        open_now([console("analysis", False), console("webdev", False)], NOW)
    assert len(caught.value.message.splitlines()) == 2


def test_without_a_terminal_the_person_is_told_to_name_one() -> None:
    refused = name_one([console("analysis"), console("webdev")])
    assert refused.message == (
        "Several consoles are open. Name one of them: spice-open analysis|webdev")
    assert refused.status == 2


def chosen(*lines: str) -> tuple[Console | None, str]:
    written: list[str] = []
    answers = iter([*lines, ""])
    found = ask([console("analysis"), console("webdev")], NOW, lambda: next(answers),
                written.append)
    return found, "".join(written)


def test_the_list_is_numbered_and_tells_name_server_and_end() -> None:
    _, written = chosen("q\n")
    assert written == ("  1  analysis  mysrv.example  open until Mon 12:00\n"
                       "  2  webdev    mysrv.example  open until Mon 12:00\n"
                       "Which one (1-2, q to quit)? ")


@pytest.mark.parametrize(("answer", "name"), [
    ("1\n", "analysis"), ("2\n", "webdev"), (" 2 \n", "webdev"), ("webdev\n", "webdev")])
def test_a_console_is_chosen_by_number_or_name(answer: str, name: str) -> None:
    found, _ = chosen(answer)
    assert found is not None and found.name == name


@pytest.mark.parametrize("answer", ["q\n", "Q\n", ""])
def test_q_and_the_end_of_input_choose_nothing(answer: str) -> None:
    assert chosen(answer)[0] is None


def test_any_other_answer_is_asked_again() -> None:
    found, written = chosen("3\n", "0\n", "-1\n", "\n", "²\n", "2\n")
    assert found is not None and found.name == "webdev"
    assert written.count("Which one (") == 6
