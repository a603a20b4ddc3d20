"""Tables of a page: captions, heads for rows and columns, and on a narrow screen a card for each
row. Pure."""

from collections.abc import Iterable, Sequence
from html import escape

from conf.problems import printable
from pam_spice.calendar_svg import shortened

MOST_ROWS = 300
_MOST_CHARACTERS = 300


def text(words: str) -> str:
    """Foreign words as HTML: nothing in them is markup, moves the text about or fills the page."""
    return escape(printable(shortened(words, _MOST_CHARACTERS)))


def items(elements: Iterable[str], most: int = 50) -> str:
    """A list of some HTML; of a long one the last."""
    every = list(elements)
    more = f"<li>and {len(every) - most} before</li>" if len(every) > most else ""
    return f"<ul>{more}{''.join(f'<li>{each}</li>' for each in every[-most:])}</ul>"


def table(caption: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """``rows``: HTML for each column, the first being what the row is about; of many the last."""
    left_out = len(rows) - MOST_ROWS
    note = (f"<p>{left_out} earlier rows are left out: choose another time by --since and "
            "--until, or see pam-spice log.</p>\n" if left_out > 0 else "")
    # The roles are those that the elements have anyway. A narrow screen's style makes them blocks,
    # and for a screen reader a table would be none any more then.
    head = "".join(f'<th scope="col" role="columnheader">{escape(column)}</th>'
                   for column in columns)
    body = "".join(
        '<tr role="row">' + "".join(_cell(column, cell, not number) for number, (column, cell)
                                    in enumerate(zip(columns, row, strict=True))) + "</tr>\n"
        for row in rows[-MOST_ROWS:])
    return (f'{note}<table class="cards" role="table">\n<caption>{escape(caption)}</caption>\n'
            f'<thead role="rowgroup"><tr role="row">{head}</tr></thead>\n'
            f'<tbody role="rowgroup">\n{body}</tbody></table>\n')


def _cell(column: str, cell: str, is_head: bool) -> str:
    label = f'data-label="{escape(column)}"'
    if is_head:
        return f'<th scope="row" role="rowheader" {label}>{cell}</th>'
    return f'<td role="cell" {label}><div>{cell}</div></td>' if cell else '<td role="cell"></td>'
