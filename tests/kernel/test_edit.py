"""``pam-spice edit`` at a real terminal, with real editors."""

import os
import pty
import re
import select
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "pam_spice", "edit"]
POLICY = (ROOT / "conf" / "policy.yaml").read_text()


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    path.chmod(0o644)
    return path


def at_terminal(policy: Path, editor: str, *steps: tuple[str, str]) -> tuple[int, str]:
    """Edit at a terminal of its own: each step waits for words and types something. The exit
    status, and all that stood on the screen."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        # A test run in the background has it ignored, which is inherited; at a terminal it isn't.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.environ["EDITOR"] = editor
        os.execv(COMMAND[0], [*COMMAND, str(policy)])  # noqa: S606
    screen, seen = "", 0
    waiting = list(steps)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                screen += os.read(terminal, 65536).decode()
            except OSError:  # the last one has closed it
                break
        if waiting and (at := screen.find(waiting[0][0], seen)) >= 0:
            seen = at + len(waiting[0][0])
            os.write(terminal, waiting.pop(0)[1].encode())
    else:
        os.kill(pid, 9)
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), screen.replace("\r\n", "\n")


def kept(screen: str) -> str:
    """The text of the draft that was kept, which is removed."""
    found = re.search(r"your text is kept in (/var/tmp/pam-spice-edit-[^/\n]+/policy.yaml)\n",
                      screen)
    assert found, screen
    text = Path(found[1]).read_text()
    shutil.rmtree(Path(found[1]).parent)
    return text


def test_an_editor_has_the_terminal_and_what_it_wrote_is_shown_and_saved(policy: Path) -> None:
    status, screen = at_terminal(
        policy, "sh -c 'test -t 0 && test -t 1 && sed -i s/Mon,\\ Tue/Mon/ $1' x",
        ("What now?", "e\r"), ("What now?", "s\r"))
    assert status == 0, screen
    assert screen.count("  maggie loses webdev on Tuesdays\n") == 2
    assert policy.read_text() == POLICY.replace("Mon, Tue", "Mon")


def test_an_interrupt_from_the_keyboard_is_the_editor_s_alone(policy: Path) -> None:
    status, screen = at_terminal(
        policy, "sh -c 'trap \"echo caught\" INT; echo ready; sleep 3; echo \"#\" >>$1' x",
        ("ready", "\x03"), ("What now?", "d\r"))
    assert status == 1, screen
    assert "caught" in screen
    assert policy.read_text() == POLICY


def test_an_interrupt_at_the_question_keeps_the_draft(policy: Path) -> None:
    status, screen = at_terminal(policy, "sed -i s/Mon,/Sun,/", ("What now?", "\x03"))
    assert status == 2
    assert kept(screen) == POLICY.replace("Mon,", "Sun,")
    assert policy.read_text() == POLICY


@pytest.mark.parametrize("kill", ["kill -KILL $$", "kill -TERM $PPID; sleep 1",
                                  "kill -HUP $PPID; sleep 1"])
def test_a_kill_of_the_editor_or_of_the_edit_keeps_the_draft(policy: Path, kill: str) -> None:
    status, screen = at_terminal(policy, f"sh -c 'echo \"#\" >>$1; {kill}' x")
    assert status == 2, screen
    assert kept(screen) == POLICY + "#\n"
    assert policy.read_text() == POLICY


def test_an_edit_that_was_killed_leaves_no_lock(policy: Path) -> None:
    _, screen = at_terminal(policy, "sh -c 'echo ${1%/*}; kill -KILL $PPID' x")
    shutil.rmtree(screen.strip())
    status, screen = at_terminal(policy, "true")
    assert (status, screen) == (0, f"{policy}: no change\n")
