"""A chart as one HTML page that needs nothing else: the picture, and the same as a table for those
who can't see it or want to read off the exact times."""

from html import escape

from pam_spice.calendar_svg import svg_element
from pam_spice.chart import Chart, Row
from pam_spice.chartwords import (
    changes,
    closed,
    heading,
    label,
    labels,
    overlaps,
    reasons,
    total,
    under_heading,
    when,
)

STYLE = """
:root { color-scheme: light dark; }
body { margin: 1.5rem; font: 15px/1.45 system-ui, "DejaVu Sans", sans-serif; color: #1b1f23;
  background: #fff; }
figure { margin: 0 -1rem; overflow-x: auto; }
figure svg { display: block; width: 100%; min-width: 68rem; max-width: 110rem; height: auto; }
table { border-collapse: collapse; }
caption { text-align: left; }
th, td { text-align: left; vertical-align: top; padding: .25rem .9rem .25rem 0; }
thead th { border-bottom: 2px solid #8b949e; }
tbody { border-bottom: 1px solid #b3bac1; }
td.amount { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
td.name, tbody th { overflow-wrap: anywhere; min-width: 6rem; }
td.reason { min-width: 12rem; overflow-wrap: anywhere; }
td.key { font-family: ui-monospace, "DejaVu Sans Mono", monospace; }
tr.overlap td { color: #b3261e; }
tr.nobody td { color: #57606a; }
@media (prefers-color-scheme: dark) {
  body { color: #eceff2; background: #16191d; }
  tbody { border-color: #59626b; }
  tr.overlap td { color: #ff8f7a; }
  tr.nobody td { color: #aab2ba; }
}
"""


def html_page(chart: Chart) -> str:
    """The whole page."""
    return page(heading(chart), STYLE,
                f"{picture(chart)}\n<h2>The same in words</h2>\n{in_words(chart)}")


def page(title: str, style: str, body: str) -> str:
    """A page of that title, in plain text. The policy it forbids itself is everything but its own
    style."""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{style}</style>
</head>
<body>
{body}</body>
</html>
"""


def picture(chart: Chart) -> str:
    """An element; it holds ids, so that a page can have one."""
    return f"<figure>\n{svg_element(chart)}\n</figure>"


def in_words(chart: Chart) -> str:
    """What there is to say of the picture, and a table."""
    notes = "".join(f"<p>{escape(note)}</p>\n" for note in _notes(chart))
    has_reasons = any(reasons(row, subject) for row in chart.rows for subject in row.lanes)
    reason = '<th scope="col">Reason</th>' if has_reasons else ""
    return f"""{notes}<table>
<caption>Who may reach which console, and when nobody may</caption>
<thead><tr><th scope="col">Console</th><th scope="col">Letter</th><th scope="col">Who</th>\
<th scope="col">When</th><th scope="col">Total</th>{reason}</tr></thead>
{"".join(_rows(chart, row, has_reasons) for row in chart.rows)}</table>
"""


def _notes(chart: Chart) -> list[str]:
    notes = [f"{under_heading(chart)}.", *(f"{change}." for change in changes(chart))]
    bars = [bar for row in chart.rows for bar in row.bars]
    if any(bar.from_before or bar.goes_on for bar in bars):
        notes.append("< and > stand where a time goes on before or after the week.")
    if any(bar.subject.kind == "group" for bar in bars):
        notes.append("% marks a group, whoever is in it.")
    return notes


def _rows(chart: Chart, row: Row, has_reasons: bool) -> str:
    lines = [("", chart.keys[subject], label(subject), when(row.bars_of(subject), chart),
              total(row.bars_of(subject)), "; ".join(reasons(row, subject)))
             for subject in row.lanes]
    lines += [("overlap", "", f"several at once: {labels(subjects)}", when(stretches, chart),
               total(stretches), "") for subjects, stretches in overlaps(row)]
    if row.gaps:
        lines.append(("nobody", "", closed(chart), when(row.gaps, chart), total(row.gaps), ""))
    head = f'<th scope="rowgroup" rowspan="{len(lines)}">{escape(row.console.name)}</th>'
    cells = []
    for style, key, name, times, amount, reason in lines:
        cells.append(f'<tr class="{style}">{head}<td class="key">{escape(key)}</td>'
                     f'<td class="name">{escape(name)}</td><td>{escape(times)}</td>'
                     f'<td class="amount">{escape(amount)}</td>'
                     + (f'<td class="reason">{escape(reason)}</td>' if has_reasons else "")
                     + "</tr>\n")
        head = ""
    return f"<tbody>\n{''.join(cells)}</tbody>\n"
