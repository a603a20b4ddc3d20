"""``spice-open``: opens one of the caller's own consoles, or says why not and when next."""

from __future__ import annotations

import os
import sys
import time

from conf.viewer import VIEWER_GROUP, viewer_command
from launcher import choose
from launcher.consoles import Console, consoles_of
from launcher.language import gettext as _
from launcher.login import is_set_up, own_record, still_open
from launcher.refusal import NO, YES, Refused
from launcher.tell import has_screen, is_desktop, say
from launcher.viewing import SUDO, Viewing
from launcher.words import greeting, table

TYPE_CHECKING = False  # see launcher
if TYPE_CHECKING:
    import argparse

    from session.logind import LogindSession
    from session.records import Record


class Options:
    """What the person asked for."""

    def __init__(self, console: str | None = None) -> None:
        self.console = console
        self.list = False
        self.print = False


def main(arguments: list[str] | None = None) -> int:
    """0: opened or shown; 1: refused or failed; 2: wrongly called.

    Raises SystemExit for a wrong call and for --help, nothing else.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        status = _run(_parse(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
        return status
    except Refused as refusal:
        _say_to_the_person(refusal.message)
        return refusal.status
    except KeyboardInterrupt:
        say("")
        return NO
    except BrokenPipeError:
        # The interpreter flushes once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return NO
    except Exception as error:
        _say_to_the_person(_("Something went wrong in spice-open ({error}). Tell your "
                             "administrator.").format(error=f"{type(error).__name__}: {error}"))
        return NO


def _say_to_the_person(text: str) -> None:
    say(text)
    if is_desktop():  # nobody reads stderr
        from launcher import desktop

        desktop.show(text)


def sudo_command(console: Console, options: tuple[str, ...] = ()) -> list[str]:
    """The one command line that the console's line in sudoers allows, with options of sudo's own
    that say how it asks."""
    return [SUDO, *options, "-g", VIEWER_GROUP, "--",
            *viewer_command(console.name, console.host, console.port, console.ca_file)]


def _parse(words: list[str]) -> Options:
    if not words or (len(words) == 1 and not words[0].startswith("-")):
        return Options(*words)
    parser = command_line()
    options = parser.parse_args(words, Options())
    if options.list and options.console is not None:
        parser.error(_("--list shows all your consoles: leave out CONSOLE"))
    return options


def command_line() -> argparse.ArgumentParser:
    """What the command takes."""
    import argparse

    # It looks its own words up in a catalogue of its caller's, and under this name.
    argparse._ = _  # type: ignore[attr-defined]
    parser = argparse.ArgumentParser(
        prog="spice-open", description=_("Open one of your consoles."), allow_abbrev=False,
        epilog=_("Without CONSOLE it opens the one that is open now, or lets you choose."))
    parser.add_argument("console", metavar=_("CONSOLE"), nargs="?")
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument("--list", action="store_true", help=_("show your consoles and their times"))
    modes.add_argument("--print", action="store_true",
                       help=_("show the command that would be run, and don't run it"))
    return parser


def _run(options: Options) -> int:
    session, record = own_record()
    consoles = consoles_of(record, time.time())
    if not consoles:
        raise Refused(_("No console was granted to you when you logged in. Log out and in again, "
                        "or ask your administrator."))
    if options.list:
        from launcher.connections import in_use

        print("\n".join(table(consoles, int(time.time()), in_use(consoles))))
        return YES
    console = _choose(record, consoles, options.console)
    if console is None:
        return YES
    if options.print:
        import shlex

        print(shlex.join(sudo_command(console)))
        return YES
    return _open(session, record, console)


def _choose(record: Record, consoles: list[Console], name: str | None) -> Console | None:
    now = int(time.time())
    if name is not None:
        return choose.named(consoles, name, now)
    open_now = choose.open_now(consoles, now)
    if len(open_now) == 1:
        return open_now[0]
    chosen = _ask(consoles, open_now, now)
    if chosen is None:
        return None
    # He may have taken his time.
    now = int(time.time())
    return choose.named(consoles_of(record, now), chosen, now)


def _ask(consoles: list[Console], open_now: list[Console], now: int) -> str | None:
    from launcher.connections import in_use

    if is_desktop():
        from launcher import desktop

        try:
            return desktop.choose(consoles, now, in_use(consoles))
        except desktop.NoToolkit:
            raise choose.name_one(open_now) from None
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise choose.name_one(open_now)
    chosen = choose.ask(open_now, now, sys.stdin.readline, _prompt, in_use(open_now))
    return chosen.name if chosen else None


def _prompt(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def _open(session: LogindSession, record: Record, console: Console) -> int:
    if not has_screen():
        raise Refused(_("There is no screen for the viewer here. Run spice-open on your desktop."))
    print(greeting(record.user, console, int(time.time())), flush=True)

    def as_it_is(now: float) -> tuple[bool, Console | None]:
        current = still_open(session)
        if current is None:
            return (False, None) if is_set_up() else (True, console.endless())
        return True, next((each for each in consoles_of(current, now)
                           if each.name == console.name), None)

    notes = None
    if is_desktop():
        from launcher.desktop import PasswordNotes

        notes = PasswordNotes(console.name)
    try:
        viewing = Viewing(sudo_command(console, ("-A",) if notes else ()), as_it_is, notes)
    except OSError as error:
        raise Refused(_("{program} can't be run ({error}). Ask your administrator.").format(
            program=SUDO, error=error.strerror)) from None
    from launcher.parent import accompany  # while sudo starts

    return accompany(viewing, console)
