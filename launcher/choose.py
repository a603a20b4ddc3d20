"""Which console is meant: by its name, because it is the only one, or by asking."""

from __future__ import annotations

from launcher.consoles import Console
from launcher.language import gettext as _
from launcher.refusal import USAGE, Refused
from launcher.words import not_now, printable, table

TYPE_CHECKING = False  # see launcher
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def named(consoles: Sequence[Console], name: str, now: int) -> Console:
    """The console of that name, if it is open.

    Raises Refused: in the same words for a console of others and for one that doesn't exist.
    """
    for console in consoles:
        if console.name == name:
            if not console.is_open:
                raise Refused(not_now([console], now))
            return console
    raise Refused(_("{console} is not one of your consoles (yours: {consoles}).").format(
        console=printable(name), consoles=", ".join(console.name for console in consoles)))


def open_now(consoles: Sequence[Console], now: int) -> list[Console]:
    """Those that are open, at least one; raises Refused with the next times."""
    found = [console for console in consoles if console.is_open]
    if not found:
        raise Refused(not_now(consoles, now))
    return found


def name_one(consoles: Sequence[Console]) -> Refused:
    """What to answer where several are open and nobody can be asked."""
    return Refused(_("Several consoles are open. Name one of them: spice-open {consoles}").format(
        consoles="|".join(console.name for console in consoles)), USAGE)


def ask(consoles: Sequence[Console], now: int, read_line: Callable[[], str],
        write: Callable[[str], None], in_use: Sequence[str] = ()) -> Console | None:
    """Let the person choose; None if he doesn't want any.

    ``read_line`` returns a line with its newline, and an empty text at the end of input.
    """
    for number, line in enumerate(table(consoles, now, in_use), 1):
        write(f"{number:3}  {line}\n")
    while True:
        write(_("Which one (1-{count}, q to quit)?").format(count=len(consoles)) + " ")
        line = read_line()
        answer = line.strip()
        if not line or answer in ("q", "Q"):
            if not line:
                write("\n")
            return None
        for number, console in enumerate(consoles, 1):
            if answer in (str(number), console.name):
                return console
