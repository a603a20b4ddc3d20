"""What is wrong in a policy: where, what, and what to do about it."""

from dataclasses import dataclass


def printable(text: str) -> str:
    """A text of foreign words in one line that does nothing to a terminal: what is not printable
    is written as in Python, ``\\x1b``."""
    return "".join(character if character.isprintable()
                   else character.encode("unicode_escape").decode() for character in text)


def how_many(count: int, what: str) -> str:
    """Like ``1 error``, ``2 errors``."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def counted_errors(count: int) -> str:
    """So many errors of a policy that is usable all the same, for a person."""
    return f"{how_many(count, 'error')}; an entry with an error is skipped"


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{printable(self.file)}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One error: a line of fact, a line of remedy, and the source line it is about."""

    mark: Mark
    fact: str
    remedy: str
    source_line: str = ""
    cause: str = ""
    """What has an error itself, where this only follows from that."""

    def __str__(self) -> str:
        text = f"{self.mark}: {printable(self.fact)}\n"
        if self.source_line:
            # Tabs are kept under tabs, so that the caret stands below its character. Control
            # characters are not let through to the reader's terminal.
            shown = "".join(c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}"
                            for c in self.source_line)
            lead = "".join("\t" if c == "\t" else " " for c in shown[:self.mark.column - 1])
            text += f"    {shown}\n    {lead}^\n"
        return f"{text}  {printable(self.remedy)}"

    def in_a_line(self) -> str:
        """For the journal."""
        return f"{self.mark}: {printable(f'{self.fact}; {self.remedy}')}"
