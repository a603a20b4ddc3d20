"""What the doctor found when it looked last with ``--fix``, as its units do; kept in /run so that
the journal is told of each finding once, and ``status`` can tell of them without looking."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from conf.files import write_atomically
from pam_spice import paths


@dataclass(frozen=True, slots=True)
class Told:
    """A finding, by its code and its line of fact."""

    code: str
    fact: str
    is_note: bool


def read_told() -> tuple[int, list[Told]] | None:
    """When it looked last, in seconds since the epoch, and what it found then; None where it did
    not look since the machine was started."""
    try:
        with open(paths.DOCTOR_TOLD, encoding="utf-8") as file:
            lines = file.read().splitlines()
            looked = int(os.fstat(file.fileno()).st_mtime)
    except (OSError, ValueError):
        return None
    return looked, [_told(line) for line in lines]


def write_told(findings: Sequence[Told]) -> None:
    """Replace what it found before. Raises OSError."""
    write_atomically(paths.DOCTOR_TOLD, "".join(map(_line, findings)).encode())


def _line(each: Told) -> str:
    return f"{_NOTE if each.is_note else ''}{each.code} {each.fact}\n"


def _told(line: str) -> Told:
    code, _, fact = line.removeprefix(_NOTE).partition(" ")
    return Told(code, fact, line.startswith(_NOTE))


_NOTE = "note "
