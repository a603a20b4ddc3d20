"""`python3 -m lab demo` and `demo-desktop`: a story on the terminal, pictures beside it."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Sequence

from lab.lab import Lab
from lab.product import CHECKOUT
from lab.story import Chapter, Line, Stage
from lab.story.stage import policy

_GREEN, _RED, _BOLD, _DIM, _PLAIN = "\033[32m", "\033[31m", "\033[1m", "\033[2m", "\033[0m"


def play(chapters: Sequence[Chapter], only: Sequence[str], pictures: str) -> int:
    """Play these chapters, or those of them that are named; the pictures go to a directory below
    build/. 0 if every line held."""
    unknown = set(only) - {chapter.__name__ for chapter in chapters}
    if unknown:
        print(f"no chapter {', '.join(unknown)}; there are: "
              f"{', '.join(chapter.__name__ for chapter in chapters)}", file=sys.stderr)
        return 2
    directory = CHECKOUT / "build" / pictures
    failed = 0
    told = 0
    colours = sys.stdout.isatty()

    def paint(colour: str, text: str) -> str:
        return f"{colour}{text}{_PLAIN}" if colours else text

    def tell(line: Line) -> None:
        nonlocal failed, told
        told += 1
        failed += not line.holds
        mark = paint(_GREEN, "\N{CHECK MARK}") if line.holds else paint(_RED, "\N{BALLOT X}")
        print(f"  {mark} {line.fact}", flush=True)
        for seen in line.seen.splitlines() if line.seen else []:
            print(paint(_DIM, f"      {seen}"), flush=True)

    began = time.monotonic()
    print(paint(_BOLD, "Starting the office: a workstation, a server, two consoles"), flush=True)
    with Lab.start(policy()) as lab:
        print(f"  up after {time.monotonic() - began:.0f} s", flush=True)
        stage = Stage(lab, tell, directory)
        for chapter in chapters:
            if only and chapter.__name__ not in only:
                continue
            print(f"\n{paint(_BOLD, chapter.__doc__ or chapter.__name__)}", flush=True)
            try:
                stage.reset()
                chapter(stage)
            except Exception:  # the story goes on; the line is red
                tell(Line("the chapter could be played to its end", False, traceback.format_exc()))
    print(f"\n{told - failed} passed, {failed} failed "
          f"in {time.monotonic() - began:.0f} s; pictures in {directory}")
    return 1 if failed or not told else 0
