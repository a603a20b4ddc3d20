"""An edit of the policy: nothing is lost, nothing is overwritten, nothing is saved unasked."""

import argparse
import io
import os
import shutil
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conf.files import FileRefused
from conf.lint.names import Accounts
from pam_spice import cli, paths
from pam_spice.editing import Editing, EditorFailed, Outcome, target_of
from pam_spice.linting import SystemAccounts
from pam_spice.run import CommandFailed, run_interactive
from pam_spice.verbs import UsageError, edit
from tests.unit.support import NOON, SERVER

ME = os.geteuid()
POLICY = f"""\
timezone: Europe/Berlin
{SERVER}consoles:
  webdev: {{server: mysrv, tls_port: 20002}}
grants:
  - {{user: maggie, console: webdev, when: [Mon, Tue]}}
"""
LESS = POLICY.replace("[Mon, Tue]", "Mon")
BAD = POLICY.replace("when:", "whem:")


class Person:
    """What somebody does: an edit for each time that the editor starts, then the answers."""

    def __init__(self, edits: list[str | Callable[[Path], int]], answers: list[str]) -> None:
        self.edits = edits
        self.answers = answers
        self.said: list[str] = []
        self.drafts: list[Path] = []
        self.while_asked: Callable[[], object] = lambda: None

    def editor(self, draft: str) -> int:
        self.drafts.append(Path(draft))
        step = self.edits.pop(0)
        if callable(step):
            return step(Path(draft))
        Path(draft).write_text(step)
        return 0

    def ask(self, question: str) -> str:
        self.said.append(question)
        if not self.answers:
            raise EOFError
        self.while_asked()
        return self.answers.pop(0)

    @property
    def text(self) -> str:
        return "\n".join(self.said)


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A directory of ours with a policy in it, and one for drafts."""
    tmp_path.chmod(0o755)
    directory = tmp_path / "etc"
    directory.mkdir(mode=0o755)
    (directory / "policy.yaml").write_text(POLICY)
    (directory / "policy.yaml").chmod(0o640)
    (tmp_path / "drafts").mkdir()
    return directory


def edited(room: Path, person: Person, name: str = "policy.yaml",
           accounts: Accounts | None = None) -> Outcome:
    return Editing(target_of(str(room / name)), person.editor, person.ask, person.said.append,
                   NOON, "pc7", ME, str(room.parent / "drafts"), accounts).run()


def drafts(room: Path) -> list[str]:
    return sorted(path.name for path in (room.parent / "drafts").rglob("*") if path.is_file())


def policy(room: Path) -> str:
    return (room / "policy.yaml").read_text()


# Saving

def test_a_change_is_shown_and_saved_when_one_says_so(room: Path) -> None:
    person = Person([LESS], ["s"])
    assert edited(room, person) == Outcome.SAVED
    assert policy(room) == LESS
    assert person.said[:2] == ["from the next login on:", "  maggie loses webdev on Tuesdays"]
    assert drafts(room) == []


def test_a_time_of_day_is_told_with_whose_clock_it_is_by(room: Path) -> None:
    person = Person([POLICY.replace("[Mon, Tue]", "Mon 08:00-12:00")], ["d"])
    edited(room, person)
    assert person.said[:3] == [
        "from the next login on:",
        "  maggie loses webdev Mon 00:00-08:00,12:00-24:00 and on Tuesdays",
        "times without a zone are by the clock of Europe/Berlin"]


def test_a_name_that_nobody_has_here_is_told_before_it_is_saved(room: Path) -> None:
    """No error: a directory may be away. maggie isn't here either, and was there before."""
    more = POLICY + "  - {user: megsie, console: webdev, when: Wed}\n"
    person = Person([more], ["s"])
    assert edited(room, person, accounts=SystemAccounts()) == Outcome.SAVED
    assert person.said[:3] == [
        "from the next login on:", "  megsie gains webdev on Wednesdays",
        "there is no user 'megsie' here\n"
        "  mend the name; if it is right, a directory may be away: `getent passwd megsie` prints "
        "it once it is back"]
    assert "maggie" not in person.text


def test_mode_group_and_access_list_stay(room: Path) -> None:
    path = room / "policy.yaml"
    groups = [gid for gid in os.getgroups() if gid != os.getegid()] or ([4] if ME == 0 else [])
    if groups:
        os.chown(path, -1, groups[0])
    before = path.stat()
    acl = None
    try:
        # user::rw- user:1:r-- group::r-- mask::r-- other::---
        acl = bytes.fromhex("02000000 01000600ffffffff 0200040001000000 04000400ffffffff"
                            "10000400ffffffff 20000000ffffffff")
        os.setxattr(path, "system.posix_acl_access", acl)
    except OSError:
        acl = None  # not on this file system
    edited(room, Person([LESS], ["s"]))
    after = path.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode, before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino, "replaced as a whole, not written into"
    if acl is not None:
        assert os.getxattr(path, "system.posix_acl_access") == acl
    assert stat.S_IMODE(after.st_mode) == 0o640


def test_no_change_asks_nothing_and_writes_nothing(room: Path) -> None:
    def written() -> tuple[int, ...]:  # to read it may change when it was read last
        found = (room / "policy.yaml").stat()
        return found.st_ino, found.st_mode, found.st_uid, found.st_gid, found.st_ctime_ns

    before = written()
    person = Person([POLICY], [])
    assert edited(room, person) == Outcome.UNCHANGED
    assert person.said == [f"{room / 'policy.yaml'}: no change"]
    assert written() == before
    assert drafts(room) == []


def test_one_can_edit_again_and_drop(room: Path) -> None:
    person = Person([LESS, lambda draft: draft.write_text(draft.read_text() + "#\n") and 0],
                    ["e", "", "?", "drop"])
    assert edited(room, person) == Outcome.DROPPED
    assert person.drafts[0] == person.drafts[1]
    assert policy(room) == POLICY
    assert drafts(room) == []


@pytest.mark.parametrize("answer", ["?", "help", "Q", "X", "y", "", "save it"])
def test_what_is_no_answer_lists_the_answers_and_what_each_does(room: Path, answer: str) -> None:
    """Q too: with visudo it saves."""
    person = Person([LESS], [answer, "d"])
    assert edited(room, person) == Outcome.DROPPED
    question, *told, again = person.said[2:-1]
    assert question == again
    assert told == ["  e  edit the text again",
                    f"  d  drop the edit: {room / 'policy.yaml'} stays as it is; q and x do so too",
                    "  s  save it"]


def test_of_a_risk_the_list_has_the_capital_s_alone(room: Path) -> None:
    person = Person([BAD], ["s", "d"])
    edited(room, person)
    assert [line for line in person.said if line.startswith(("  s", "  S"))] == [
        "  S  save it anyway, with what is said above; s does not"]


@pytest.mark.parametrize("answer", ["q", "x", "quit", "exit", "d", "D", "drop"])
@pytest.mark.parametrize("text", [LESS, BAD])
def test_a_way_out_keeps_the_policy_as_it_was(room: Path, answer: str, text: str) -> None:
    person = Person([text], [answer])
    assert edited(room, person) == Outcome.DROPPED
    assert policy(room) == POLICY
    assert drafts(room) == []
    assert person.said[-1] == f"dropped; {room / 'policy.yaml'} is as it was"


@pytest.mark.parametrize("count", [1, 2])
def test_errors_are_counted_in_the_words_of_check(
        room: Path, count: int, capsys: pytest.CaptureFixture[str]) -> None:
    bad = POLICY + "  - {user: x, console: nosuch}\n" * count
    person = Person([bad], ["S"])
    edited(room, person)
    assert cli.main(["check", "--policy", str(room / "policy.yaml")]) == 1
    words = capsys.readouterr().err.splitlines()[-1]
    assert words.startswith("2 errors; " if count > 1 else "1 error; ")
    assert words in person.said


def test_the_draft_has_the_file_s_name_and_is_nobody_else_s(room: Path) -> None:
    def look(draft: Path) -> int:
        assert draft.name == "policy.yaml"
        assert stat.S_IMODE(draft.stat().st_mode) == 0o600
        assert stat.S_IMODE(draft.parent.stat().st_mode) == 0o700
        return 0

    edited(room, Person([look], []))


def test_an_editor_that_writes_a_new_file_in_place_of_the_draft_is_read(room: Path) -> None:
    def by_rename(draft: Path) -> int:
        (draft.parent / "new").write_text(LESS)
        os.replace(draft.parent / "new", draft)
        return 0

    assert edited(room, Person([by_rename], ["s"])) == Outcome.SAVED
    assert policy(room) == LESS


def test_what_only_other_sessions_notice_is_told_after_saving(
        room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "POLICY", str(room / "policy.yaml"))
    person = Person([LESS], ["s"])
    edited(room, person)
    assert "users at their next login" in person.said[-1]
    assert "apply --now" in person.said[-1]


# Errors in the text

def test_an_error_is_shown_at_its_real_place_with_a_caret_and_saved_by_a_capital_s_alone(
        room: Path) -> None:
    person = Person([BAD], ["s", "s", "S"])
    assert edited(room, person) == Outcome.SAVED
    assert policy(room) == BAD
    line = POLICY.count("\n")
    assert f"{room / 'policy.yaml'}:{line}:37: a grant has no key 'whem'\n" in person.text
    assert "^\n" in person.text
    assert "an entry with an error is skipped" in person.text
    assert (f"maggie loses webdev on Mondays and Tuesdays: the entry at "
            f"{room / 'policy.yaml'}:{line} has an error") in person.text
    assert person.text.count("with a capital S") == 3


def test_that_a_text_closes_everything_is_said_in_words(room: Path) -> None:
    person = Person(["grants: ["], ["s", "d"])
    assert edited(room, person) == Outcome.DROPPED
    assert "NOTHING OF THE POLICY CAN BE USED" in person.text
    assert "what is guarded stays guarded" in person.text
    assert "maggie" not in person.text
    assert policy(room) == POLICY


def test_a_policy_that_could_not_be_used_is_mended(room: Path) -> None:
    (room / "policy.yaml").write_text("grants: [")
    person = Person([POLICY], ["s"])
    assert edited(room, person) == Outcome.SAVED
    assert "so far nothing of the policy could be used" in person.text
    assert "maggie gains webdev on Mondays and Tuesdays" in person.text


def test_errors_that_other_files_had_before_are_counted_and_don_t_ask_for_more(
        room: Path) -> None:
    (room / "policy.d").mkdir(mode=0o755)
    (room / "policy.d/a.yaml").write_text("grants: [{user: x, console: nosuch}]\n")
    person = Person([LESS], ["s"])
    assert edited(room, person) == Outcome.SAVED
    assert "1 error in other files, as before: see pam-spice check" in person.said
    assert "nosuch" not in person.text


def test_an_error_that_the_edit_makes_in_another_file_is_a_risk(room: Path) -> None:
    (room / "policy.d").mkdir(mode=0o755)
    (room / "policy.d/a.yaml").write_text("grants: [{user: x, console: webdev}]\n")
    person = Person([POLICY.replace("webdev", "webdevel")], ["s", "d"])
    edited(room, person)
    assert f"{room / 'policy.d/a.yaml'}:1:29: there is no console 'webdev'" in person.text
    assert "with a capital S" in person.text


# Files of policy.d

def test_a_new_file_of_the_directory_is_made_as_readable_as_the_main_one(room: Path) -> None:
    person = Person(["grants:\n- {user: anne, console: webdev}\n"], ["s"])
    assert edited(room, person, "policy.d/sales.yaml") == Outcome.SAVED
    assert "anne gains webdev always" in person.text
    made = room / "policy.d/sales.yaml"
    assert stat.S_IMODE(made.stat().st_mode) == 0o640
    assert stat.S_IMODE(made.parent.stat().st_mode) == 0o755


@pytest.mark.parametrize("there", ["ab", "b"])
def test_a_file_of_the_directory_is_checked_in_its_place_among_the_others(
        room: Path, there: str) -> None:
    (room / "policy.d").mkdir(mode=0o755)
    for name in there:
        (room / f"policy.d/{name}.yaml").write_text(f"windows: {{{name}: Mon}}\n")
    person = Person(["windows: {b: Mon}\n"], ["S"])
    assert edited(room, person, "policy.d/a.yaml") == Outcome.SAVED
    assert f"{room / 'policy.d/b.yaml'}:1:11: 'b' is in windows of another file" in person.text
    assert (room / "policy.d/b.yaml").read_text() == "windows: {b: Mon}\n"


def test_a_new_file_that_nothing_was_written_to_is_not_made(room: Path) -> None:
    assert edited(room, Person([lambda _: 0], []), "policy.d/a.yaml") == Outcome.UNCHANGED
    assert not (room / "policy.d").exists()


@pytest.mark.parametrize("name", ["a.yml", ".a.yaml", "a.yaml~", "a\n.yaml"])
def test_a_file_that_the_policy_would_not_read_is_refused(room: Path, name: str) -> None:
    with pytest.raises(FileRefused, match="would not be read"):
        target_of(str(room / "policy.d" / name))


def test_the_main_file_can_be_new_and_a_directory_without_one_has_files_of_its_own(
        room: Path) -> None:
    (room / "policy.yaml").unlink()
    assert edited(room, Person([POLICY], ["s"])) == Outcome.SAVED
    assert policy(room) == POLICY
    other = str(room / "other.d/x.yaml")
    assert target_of(other).policy == other


# Others

def test_a_second_edit_at_the_same_time_is_refused_and_told_whose_the_first_is(
        room: Path) -> None:
    def second(draft: Path) -> int:
        for name in ("policy.yaml", "policy.d/a.yaml"):
            with pytest.raises(FileRefused, match="is being edited already") as caught:
                edited(room, Person([], []), name)
            assert f"by process {os.getpid()}" in str(caught.value)
        return 0

    edited(room, Person([second], []))
    edited(room, Person([POLICY], []))  # free again


def test_another_s_change_meanwhile_is_shown_and_overwritten_by_a_capital_s_alone(
        room: Path) -> None:
    theirs = POLICY + "  - {user: anne, console: webdev}\n"

    def slow(draft: Path) -> int:
        (room / "policy.yaml").write_text(theirs)
        draft.write_text(LESS)
        return 0

    def merge(draft: Path) -> int:
        assert Path(f"{draft}.now").read_text() == theirs
        draft.write_text(theirs.replace("[Mon, Tue]", "Mon"))
        return 0

    person = Person([slow, merge], ["s", "e", "s", "S"])
    assert edited(room, person) == Outcome.SAVED
    assert "was changed by somebody else" in person.text
    assert "anne loses webdev altogether" in person.text
    assert policy(room) == theirs.replace("[Mon, Tue]", "Mon")
    assert drafts(room) == []


def test_another_s_change_while_one_is_asked_is_shown_before_anything_is_saved(
        room: Path) -> None:
    theirs = POLICY + "  - {user: anne, console: webdev}\n"
    person = Person([LESS], ["s", "d"])
    person.while_asked = lambda: (room / "policy.yaml").write_text(theirs)
    edited(room, person)
    assert "has changed while you were asked" in person.text
    assert "anne loses webdev altogether" in person.text
    assert policy(room) == theirs


@pytest.mark.parametrize("spoil", [
    lambda path: (path.rename(path.with_name("real")), path.symlink_to("real")),
    lambda path: path.chmod(0o666),
    lambda path: (path.unlink(), path.mkdir()),
    lambda path: path.parent.chmod(0o777)])
def test_a_file_that_others_may_have_written_is_refused(
        room: Path, spoil: Callable[[Path], object]) -> None:
    spoil(room / "policy.yaml")
    with pytest.raises(FileRefused):
        edited(room, Person([], []))
    assert drafts(room) == []


def test_a_directory_in_which_others_can_make_files_is_refused(room: Path) -> None:
    room.chmod(0o1777)
    with pytest.raises(FileRefused, match="where others can write"):
        edited(room, Person([], []))


# Breaking off

@pytest.mark.parametrize("error", [EOFError, KeyboardInterrupt, SystemExit, OSError])
def test_whatever_breaks_it_off_the_file_stays_and_the_draft_is_kept(
        room: Path, error: type[BaseException]) -> None:
    def broken(draft: Path) -> int:
        draft.write_text(LESS)
        raise error

    person = Person([broken], [])
    with pytest.raises(error):
        edited(room, person)
    assert policy(room) == POLICY
    assert person.said == [f"nothing is saved; your text is kept in {person.drafts[0]}"]
    assert person.drafts[0].read_text() == LESS


def test_the_end_of_input_at_the_question_keeps_the_draft(room: Path) -> None:
    person = Person([LESS], [])
    with pytest.raises(EOFError):
        edited(room, person)
    assert person.drafts[0].read_text() == LESS
    assert str(person.drafts[0]) in person.said[-1]
    assert policy(room) == POLICY


@pytest.mark.parametrize(("status", "words"), [(1, "status 1"), (-9, "signal 9")])
def test_an_editor_that_fails_saves_nothing_and_leaves_no_draft_that_is_as_before(
        room: Path, status: int, words: str) -> None:
    with pytest.raises(EditorFailed, match=words):
        edited(room, Person([lambda _: status], []))
    assert drafts(room) == []


def test_what_a_killed_editor_left_beside_the_draft_is_kept(room: Path) -> None:
    def killed(draft: Path) -> int:
        (draft.parent / ".policy.yaml.swp").write_text("typed")
        return -9

    with pytest.raises(EditorFailed):
        edited(room, Person([killed], []))
    assert drafts(room) == [".policy.yaml.swp", "policy.yaml"]


@pytest.mark.parametrize("spoil", [
    lambda draft: draft.unlink(),
    lambda draft: (draft.unlink(), draft.symlink_to("/etc/passwd")),
    lambda draft: (draft.unlink(), draft.mkdir())])
def test_a_draft_that_is_no_file_any_more_is_not_saved(
        room: Path, spoil: Callable[[Path], object]) -> None:
    with pytest.raises(EditorFailed, match="left no file"):
        edited(room, Person([lambda draft: int(spoil(draft) is draft)], []))
    assert policy(room) == POLICY


def test_a_disk_that_is_full_leaves_the_file_as_it_was(
        room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    person = Person([LESS], ["s"])
    person.while_asked = lambda: monkeypatch.setattr(os, "rename", full)
    with pytest.raises(OSError, match="No space"):
        edited(room, person)
    assert policy(room) == POLICY
    assert sorted(path.name for path in room.iterdir()) == ["policy.yaml"]
    assert person.drafts[0].read_text() == LESS


# The verb

def arguments(file: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    edit.add_parser(parser.add_subparsers())
    return parser.parse_args(["edit", *([file] if file else [])])


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setenv("EDITOR", "/bin/true")


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize(("text", "answer", "status"), [
    (LESS, "s", 0), (POLICY, "s", 0), (LESS, "d", 1), (LESS, None, 2)])
def test_the_verb_s_status_tells_how_it_ended(
        room: Path, monkeypatch: pytest.MonkeyPatch, text: str, answer: str | None,
        status: int) -> None:
    person = Person([text], [])
    monkeypatch.setattr(edit, "run_interactive", lambda argv: person.editor(argv[-1]))
    typed = io.StringIO(f"{answer}\n" if answer else "")
    monkeypatch.setattr(sys.stdin, "readline", typed.readline)
    try:
        assert edit.run(arguments(str(room / "policy.yaml"))) == status
    finally:
        shutil.rmtree(person.drafts[0].parent, ignore_errors=True)  # what was broken off is kept


@pytest.mark.usefixtures("terminal")
def test_the_verb_says_what_is_wrong_and_what_to_do(
        room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (room / "policy.yaml").chmod(0o666)
    with pytest.raises(UsageError, match=r"can be written by others.*\n  chmod go-w"):
        edit.run(arguments(str(room / "policy.yaml")))
    (room / "policy.yaml").chmod(0o644)
    monkeypatch.setattr(edit, "run_interactive", lambda argv: 1)
    with pytest.raises(UsageError, match=r"status 1: .*policy.yaml is as it was"):
        edit.run(arguments(str(room / "policy.yaml")))


def test_without_a_terminal_the_verb_refuses_with_a_remedy(room: Path) -> None:
    with pytest.raises(UsageError, match="no terminal to edit at\n  edit a copy"):
        edit.run(arguments(str(room / "policy.yaml")))


@pytest.mark.parametrize("file", [None, "/etc/pam-spice/policy.d/a.yaml"])
def test_the_workstation_s_policy_needs_root(file: str | None,
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1021)
    with pytest.raises(UsageError, match="needs root"):
        edit.run(arguments(file))


@pytest.mark.parametrize(("environment", "command"), [
    ({"SUDO_EDITOR": "/bin/sh -c 'a b'", "VISUAL": "cat"}, ["/bin/sh", "-c", "a b"]),
    ({"VISUAL": "sh", "EDITOR": "cat"}, ["sh"]),
    ({"VISUAL": " ", "EDITOR": "cat -n"}, ["cat", "-n"])])
def test_the_editor_is_that_of_the_environment_in_visudo_s_order(
        environment: dict[str, str], command: list[str]) -> None:
    found = edit.editor_command(environment)
    assert found[0].startswith("/")
    assert [found[0].rpartition("/")[2], *found[1:]] == [
        command[0].rpartition("/")[2], *command[1:]]


@pytest.mark.parametrize(("value", "words"), [
    ("'vim", "can't be read"), ("no-such-editor -x", "not there"), ("./vim", "not there")])
def test_an_editor_that_can_t_be_started_is_named_with_its_variable(value: str,
                                                                    words: str) -> None:
    with pytest.raises(UsageError, match=f"EDITOR .*{words}"):
        edit.editor_command({"EDITOR": value})


def test_without_a_variable_the_system_s_editor_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    there = ["/usr/bin/vi", "/usr/bin/nano"]
    monkeypatch.setattr(os, "access", lambda path, mode: path in there)
    assert edit.editor_command({}) == ["/usr/bin/nano"]
    there.clear()
    with pytest.raises(UsageError, match="apt install"):
        edit.editor_command({})


# The door

def test_an_editor_gets_the_terminal_s_variables_and_not_the_others(
        monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[dict[str, str]] = []

    def spawn(path: str, argv: list[str], environment: dict[str, str], **_: object) -> int:
        given.append(environment)
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(os, "posix_spawn", spawn)
    for name, value in {"TERM": "xterm", "LC_CTYPE": "C.UTF-8", "LD_PRELOAD": "/tmp/x.so",
                        "PATH": "/tmp", "SECRET": "x"}.items():
        monkeypatch.setenv(name, value)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(CommandFailed, match="can't be started"):
        run_interactive(["/no/such"])
    assert given[0]["TERM"] == "xterm"
    assert given[0]["LC_CTYPE"] == "C.UTF-8"
    assert given[0]["PATH"] == "/usr/sbin:/usr/bin:/sbin:/bin"
    assert not given[0].keys() & {"LD_PRELOAD", "SECRET"}
    assert signal.getsignal(signal.SIGINT) == before
