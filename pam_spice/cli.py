"""``pam-spice``: the admin's command. Each verb has a module in ``pam_spice.verbs``."""

# The built-in module beneath ``signal``, as in the hook.
import _signal  # type: ignore[import-not-found]
import argparse
import os
import sys
from collections.abc import Iterable
from importlib import import_module

from conf.lookup import Unusable
from pam_spice.errors import NotDone
from pam_spice.run import CommandFailed
from pam_spice.verbs import NO, USAGE, UsageError

_VERBS = ("check", "edit", "diff", "explain", "windows", "calendar", "status", "log", "report",
          "grant", "revoke", "apply", "import-libvirt", "server-rules", "reconcile", "doctor",
          "selftest", "setup", "uninstall")
_TIMES = ("--at", "--from", "--since", "--to", "--until")


def main(argv: list[str] | None = None) -> int:
    """Run the command line; the exit status is 0 for yes, 1 for no, 2 for unusable input."""
    _leave_the_caller_s_surroundings()
    argv = _with_spans(sys.argv[1:] if argv is None else argv)
    if not argv:
        command_line().print_help(sys.stderr)
        return USAGE
    # All verbs take 70 ms to import, and a timer runs one of them every minute.
    arguments = command_line([verb for verb in _VERBS if argv[:1] == [verb]] or _VERBS).parse_args(
        argv)
    try:
        status_code: int = arguments.run(arguments)
        sys.stdout.flush()
        return status_code
    except BrokenPipeError:
        return USAGE
    except NotDone as error:
        print(f"pam-spice: {error}", file=sys.stderr)
        return NO
    except (UsageError, CommandFailed, Unusable, OSError) as error:
        print(f"pam-spice: {error}", file=sys.stderr)
        return USAGE


def command_line(names: Iterable[str] = _VERBS) -> argparse.ArgumentParser:
    """What the command takes, with the verbs of these names."""
    parser = argparse.ArgumentParser(
        prog="pam-spice", description="SPICE consoles for chosen users at chosen times")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name in names:
        import_module(f"pam_spice.verbs.{name.replace('-', '_')}").add_parser(verbs)
    return parser


def _with_spans(argv: list[str]) -> list[str]:
    """``--since -2h`` as ``--since=-2h``: argparse takes what begins with - for an option."""
    joined: list[str] = []
    for word in argv:
        if joined and joined[-1] in _TIMES and word[:1] == "-" and word[1:2].isdecimal():
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _leave_the_caller_s_surroundings() -> None:
    """sudo passes these on: with SIGCHLD ignored no program's end can be waited for, and under a
    strict umask what setup and pam-auth-update make could be read by root alone."""
    _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
    if os.geteuid() == 0:
        os.umask(0o022)
