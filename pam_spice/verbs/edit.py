"""``pam-spice edit [FILE]``: edit the policy as visudo edits sudoers."""

import argparse
import os
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Mapping
from types import FrameType

from conf.compiling import Source
from conf.files import FileRefused
from pam_spice import journal, paths
from pam_spice.editing import Editing, EditorFailed, Outcome, target_of
from pam_spice.linting import SystemAccounts
from pam_spice.run import run_interactive
from pam_spice.sessions_now import actor
from pam_spice.verbs import NO, USAGE, YES, UsageError, need_root

_VARIABLES = ("SUDO_EDITOR", "VISUAL", "EDITOR")
_EDITORS = ("/usr/bin/editor", "/usr/bin/nano", "/usr/bin/vi")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class _Ended(BaseException):
    """Somebody ends us, or the terminal went away."""


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the verb."""
    parser = verbs.add_parser(
        "edit", help="edit the policy: checked, and shown what would change for whom",
        description="One edit at a time, of a copy that takes the file's place only when you say "
                    "so. The editor is that of $SUDO_EDITOR, $VISUAL or $EDITOR (sudo lets them "
                    "through only where sudoers says so), else /usr/bin/editor, nano or vi; one "
                    "that opens a window needs its option to wait: gvim -f, code --wait.")
    parser.add_argument("file", metavar="FILE", nargs="?",
                        help=f"a file of the policy, also a new one of policy.d; default: "
                             f"{paths.POLICY}")
    parser.set_defaults(run=run)


def editor_command(environment: Mapping[str, str]) -> list[str]:
    """The editor and its arguments. As with visudo the environment decides: under sudo that is
    what sudoers lets through, EDITOR not being among it by default. Raises UsageError."""
    for variable in _VARIABLES:
        value = environment.get(variable, "")
        try:
            words = shlex.split(value)
        except ValueError as error:
            raise UsageError(f"{variable} can't be read: {error}\n"
                             f"  set it like {variable}='vim -n'") from None
        if words:
            program = shutil.which(words[0], path=_PATH)
            if program is None or not program.startswith("/"):
                raise UsageError(f"{variable} names an editor that is not there: {words[0]}\n"
                                 f"  set it to the absolute path of one")
            return [program, *words[1:]]
    for program in _EDITORS:
        if os.access(program, os.X_OK):
            return [program]
    raise UsageError("there is no editor\n  apt install nano")


def run(arguments: argparse.Namespace) -> int:
    """0: saved, or nothing to save; 1: dropped; 2: it could not be edited, or was broken off."""
    try:
        target = target_of(arguments.file)
        if target.policy == paths.POLICY:
            need_root()
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise UsageError(
                "there is no terminal to edit at\n"
                "  edit a copy, see pam-spice diff, then mv it into its place")
        editor = editor_command(os.environ)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _end)
        outcome = Editing(target, lambda draft: run_interactive([*editor, draft]), _ask, _say,
                          int(time.time()), os.uname().nodename, os.geteuid(),
                          accounts=SystemAccounts() if target.policy == paths.POLICY else None
                          ).run()
    except FileRefused as error:
        raise UsageError(f"{error}\n  {error.remedy}") from None
    except EditorFailed as error:
        raise UsageError(f"{error}: {target.path} is as it was") from None
    except (EOFError, KeyboardInterrupt, _Ended):
        return USAGE
    if outcome == Outcome.SAVED and target.policy == paths.POLICY:
        by, revision = actor(), Source(paths.POLICY).revision
        journal.log(journal.NOTICE, f"edit: {target.path} was edited, the policy is {revision} "
                    f"(by {by})", event="edit", by=by, place=target.path, revision=revision)
    return NO if outcome == Outcome.DROPPED else YES


def _ask(question: str) -> str:
    try:
        # input() would lose an interrupt that comes just after the question is shown.
        print(question, end="", flush=True)
        answer = sys.stdin.readline()
        if not answer:
            raise EOFError
        return answer.rstrip("\n")
    except (EOFError, KeyboardInterrupt):
        _say("")  # what is said next begins a line of its own
        raise


def _say(text: str) -> None:
    print(text, flush=True)


def _end(_number: int, _frame: FrameType | None) -> None:
    raise _Ended
