"""``spice-open`` as a whole, without a program being started."""

import os
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

import launcher.desktop
import launcher.login
import launcher.spice_open
import launcher.windows
from conf.grantline import GrantLine
from launcher.consoles import Console
from launcher.language import speak
from launcher.refusal import Refused
from launcher.spice_open import main
from launcher.whoami import Caller
from session.logind import LogindSession, LogindSilent
from session.records import CLOSED, OPEN, Record, format_record, read_record

SUDO_LINE = ("/usr/bin/sudo -g spicegrp -- /usr/lib/pam-spice/viewer "
             "--spice-ca-file=/etc/pam-spice/mysrv-ca.pem --title={} -- "
             "'spice://mysrv?tls-port=20002'\n")


def grant(console: str) -> GrantLine:
    return GrantLine("user:myself", console, "mysrv", "mysrv", 20002, ("192.168.2.2",),
                     "/etc/pam-spice/mysrv-ca.pem", None, "policy.yaml:1")


def session() -> LogindSession:
    return LogindSession("5", {"UID": "1021", "USER": "myself", "STATE": "active", "REMOTE": "0",
                               "CLASS": "user", "SERVICE": "login", "SEAT": "seat0",
                               "LEADER": "100", "MONOTONIC": "1000"})


def record(*consoles: str, leader: int = 100, state: str = OPEN) -> Record:
    return Record("5", 1021, "myself", leader, 1, 1000, "abc", state, {},
                  [grant(console) for console in consoles])


@pytest.fixture(autouse=True)
def _no_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)


def granted(monkeypatch: pytest.MonkeyPatch, *consoles: str) -> None:
    monkeypatch.setattr(launcher.spice_open, "own_record", lambda: (session(), record(*consoles)))


def test_list_shows_ones_own_consoles(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    granted(monkeypatch, "debianx", "a")
    assert main(["--list"]) == 0
    assert capsys.readouterr() == ("a        mysrv  open\ndebianx  mysrv  open\n", "")


def test_print_shows_the_exact_command_and_nothing_else(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    granted(monkeypatch, "debianx")
    for arguments in (["--print"], ["--print", "debianx"]):
        assert main(arguments) == 0
        assert capsys.readouterr() == (SUDO_LINE.format("debianx"), "")


def test_no_grant_is_told_whatever_is_asked_for(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    granted(monkeypatch)
    for arguments in ([], ["--list"], ["leaptest"]):
        assert main(arguments) == 1
        assert capsys.readouterr().err == (
            "No console was granted to you when you logged in. Log out and in again, or ask your "
            "administrator.\n")


def test_a_console_of_others_is_refused_in_one_line(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    granted(monkeypatch, "debianx")
    assert main(["leaptest"]) == 1
    assert capsys.readouterr() == (
        "", "leaptest is not one of your consoles (yours: debianx).\n")


def test_several_open_ones_without_a_terminal_are_to_be_named(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    granted(monkeypatch, "a", "b")
    assert main([]) == 2
    assert "Name one of them: spice-open a|b\n" in capsys.readouterr().err


def test_without_a_screen_nothing_is_started(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    granted(monkeypatch, "debianx")
    assert main([]) == 1
    assert capsys.readouterr().err == (
        "There is no screen for the viewer here. Run spice-open on your desktop.\n")


# Without a terminal

class Started:
    """What the launcher starts instead of windows, and what comes of it."""

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.offered: list[str] = []
        self.answer: str | None | Exception = None
        self.viewers: list[tuple[list[str], bool]] = []
        self.present: list[tuple[bool, Console | None]] = []

    def show(self, text: str) -> None:
        self.shown.append(text)

    def choose(self, consoles: list[Console], now: int, in_use: list[str]) -> str | None:
        self.offered = [console.name for console in consoles]
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def viewing(self, command: list[str],
                console: Callable[[float], tuple[bool, Console | None]], notes: object) -> None:
        self.viewers.append((command, notes is not None))
        self.present.append(console(0))
        raise OSError(2, "No such file or directory")


@pytest.fixture
def on_the_desktop(monkeypatch: pytest.MonkeyPatch) -> Started:
    started = Started()
    monkeypatch.setenv("DISPLAY", ":0")
    for name in ("SUDO_ASKPASS", launcher.desktop.CONSOLE_VARIABLE,
                 launcher.desktop.NOTES_VARIABLE):
        monkeypatch.setenv(name, "")
    monkeypatch.setattr(launcher.desktop, "show", started.show)
    monkeypatch.setattr(launcher.desktop, "choose", started.choose)
    monkeypatch.setattr(launcher.spice_open, "Viewing", started.viewing)
    return started


def test_a_refusal_is_shown_in_a_window(
        monkeypatch: pytest.MonkeyPatch, on_the_desktop: Started) -> None:
    granted(monkeypatch)
    assert main([]) == 1
    assert on_the_desktop.shown == [
        "No console was granted to you when you logged in. Log out and in again, or ask your "
        "administrator."]


@pytest.mark.parametrize("is_set_up", [True, False])
def test_a_console_stays_where_pam_spice_itself_was_removed(
        monkeypatch: pytest.MonkeyPatch, on_the_desktop: Started, tmp_path: Path,
        is_set_up: bool) -> None:
    """The removal takes the records of all logins, and ends nobody's."""
    granted(monkeypatch, "debianx")
    monkeypatch.setattr(launcher.login, "DIRECTORY",
                        str(tmp_path if is_set_up else tmp_path / "gone"))
    main([])
    [(logged_in, console)] = on_the_desktop.present
    assert logged_in is not is_set_up
    if not is_set_up:
        assert console is not None
        assert (console.name, console.is_open, console.until) == ("debianx", True, None)


def test_of_several_the_person_chooses_in_a_window_and_sudo_asks_in_one(
        monkeypatch: pytest.MonkeyPatch, on_the_desktop: Started) -> None:
    granted(monkeypatch, "a", "b")
    on_the_desktop.answer = "b"
    main([])
    assert on_the_desktop.offered == ["a", "b"]
    ((command, with_notes),) = on_the_desktop.viewers
    assert with_notes
    assert command[:5] == ["/usr/bin/sudo", "-A", "-g", "spicegrp", "--"]
    line = shlex.join([command[0], *command[2:]]) + "\n"
    assert line == SUDO_LINE.format("b"), "sudoers' line as it is"
    assert os.environ["SUDO_ASKPASS"] == "/usr/lib/pam-spice/askpass"
    assert os.environ[launcher.desktop.CONSOLE_VARIABLE] == "b"


def test_who_leaves_the_list_opens_nothing(
        monkeypatch: pytest.MonkeyPatch, on_the_desktop: Started) -> None:
    granted(monkeypatch, "a", "b")
    assert main([]) == 0
    assert (on_the_desktop.viewers, on_the_desktop.shown) == ([], [])


def test_a_list_that_answers_with_another_console_than_ones_own_opens_nothing(
        monkeypatch: pytest.MonkeyPatch, on_the_desktop: Started) -> None:
    granted(monkeypatch, "a", "b")
    on_the_desktop.answer = "leaptest"
    assert main([]) == 1
    assert on_the_desktop.viewers == []


def test_without_a_toolkit_the_consoles_are_named(
        monkeypatch: pytest.MonkeyPatch, on_the_desktop: Started) -> None:
    granted(monkeypatch, "a", "b")
    on_the_desktop.answer = launcher.desktop.NoToolkit()
    assert main([]) == 2
    assert on_the_desktop.shown == [
        "Several consoles are open. Name one of them: spice-open a|b"]


def test_what_the_askpass_program_notes_is_read_by_the_launcher(
        on_the_desktop: Started) -> None:
    notes = launcher.desktop.PasswordNotes("debianx")
    assert notes.read() == ""
    for letter in (launcher.desktop.ANSWERED, launcher.desktop.CANCELLED):
        launcher.windows._note(letter)
    assert launcher.windows._notes() == notes.read() == "ac"


def test_the_question_says_what_for_and_whose_password() -> None:
    assert launcher.windows.password_question("debianx", again=False) == (
        "To open debianx, type your own password, the one with which you logged in here.")
    assert launcher.windows.password_question("debianx", again=True).splitlines()[0] == (
        "That was not your password. Try again.")


# In German

def test_the_summary_of_options_is_german_throughout(capsys: pytest.CaptureFixture[str]) -> None:
    speak("de")
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == """\
Aufruf: spice-open [-h] [--list | --print] [KONSOLE]

Öffnet eine Ihrer Konsolen.

Argumente:
  KONSOLE

Optionen:
  -h, --help  diese Hilfe zeigen
  --list      Ihre Konsolen und deren Zeiten zeigen
  --print     den Befehl zeigen, statt ihn auszuführen

Ohne KONSOLE öffnet es die, die jetzt offen ist, oder lässt Sie wählen.
"""


@pytest.mark.parametrize(("arguments", "words"), [
    (["--list", "debianx"], "--list zeigt alle Ihre Konsolen: lassen Sie KONSOLE weg"),
    (["--nosuch"], "unbekannte Argumente: --nosuch"),
    (["--list", "--print"], "Argument --print: nicht zusammen mit --list erlaubt"),
    (["--list=x"], "Argument --list: überflüssiger Wert 'x'")])
def test_a_wrong_call_is_told_in_german(
        arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    speak("de")
    with pytest.raises(SystemExit):
        main(arguments)
    assert capsys.readouterr().err.splitlines() == [
        "Aufruf: spice-open [-h] [--list | --print] [KONSOLE]", f"spice-open: Fehler: {words}"]


@pytest.mark.parametrize("arguments", [
    ["--list", "--print"], ["--list", "debianx"], ["a", "b"], ["--nosuch"], ["--lis"]])
def test_a_wrong_call_is_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_a_failure_of_its_own_is_a_line_and_no_traceback(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fails() -> None:
        raise KeyError("zone")

    monkeypatch.setattr(launcher.spice_open, "own_record", fails)
    assert main([]) == 1
    said = capsys.readouterr().err
    assert said == ("Something went wrong in spice-open (KeyError: 'zone'). Tell your "
                    "administrator.\n")
    assert said.count("\n") == 1


def at_the_seat(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, written: Record | None) -> None:
    if written is not None:
        (tmp_path / "5").write_text(format_record(written))
    monkeypatch.setattr(launcher.login, "current_caller", lambda: Caller(
        1021, 1021, "0::/user.slice/user-1021.slice/session-5.scope\n"))
    monkeypatch.setattr(launcher.login, "read_sessions", lambda: [session()])
    monkeypatch.setattr(launcher.login, "read_record",
                        lambda id_: read_record(id_, str(tmp_path)))


def test_the_record_of_ones_own_login_is_read(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    at_the_seat(monkeypatch, tmp_path, record("debianx"))
    _, found = launcher.login.own_record()
    assert [each.console for each in found.grants] == ["debianx"]
    assert launcher.login.still_open(session()) is not None


@pytest.mark.parametrize("written", [None, record("debianx", leader=99),
                                     record("debianx", state=CLOSED)])
def test_a_record_that_is_missing_closed_or_of_an_earlier_login_opens_nothing(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path, written: Record | None) -> None:
    at_the_seat(monkeypatch, tmp_path, written)
    with pytest.raises(Refused, match="were not opened"):
        launcher.login.own_record()
    assert launcher.login.still_open(session()) is None


def test_without_logind_the_administrator_is_the_remedy(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    at_the_seat(monkeypatch, tmp_path, record("debianx"))

    def silent() -> list[LogindSession]:
        raise LogindSilent("gone")

    monkeypatch.setattr(launcher.login, "read_sessions", silent)
    with pytest.raises(Refused, match="systemd-logind is not running"):
        launcher.login.own_record()
