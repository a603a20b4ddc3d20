"""The look of a chart's picture: fillings, patterns and text, on light ground and on dark.

Each rule gives plain colours, no variables: the programs that show SVG beside browsers don't know
them.
"""

from collections.abc import Iterable

from pam_spice.calendar_colours import COLOURS

TEXTURES = ("", "ps-dots", "ps-lines", "ps-bricks")
"""What tells apart the subjects of one colour where there are more subjects than colours."""


def _rules(rules: Iterable[tuple[str, str]]) -> str:
    return "".join(f"{selector}{{{declarations}}}\n" for selector, declarations in rules)


_SHAPES = _rules([
    ("svg text", "font:11px system-ui,'DejaVu Sans',sans-serif"),
    ("svg .ps-h", "font-size:18px;font-weight:600"),
    ("svg .ps-day,svg .ps-console", "font-weight:600"),
    ("svg .ps-hour", "font-size:8.5px;text-anchor:middle"),
    ("svg .ps-small", "font-size:9.5px"),
    ("svg .ps-change-text", "font-size:9px"),
    ("svg .ps-hour.ps-change-text", "font-size:8.5px;font-weight:600"),
    ("svg .ps-end", "text-anchor:end"),
    ("svg .ps-now-text", "font-weight:600;font-size:9.5px"),
    (".ps-bar", "stroke-width:1;rx:2px"),
    (".ps-texture", "stroke:none"),
    (".ps-dots", "fill:url(#ps-p-dots)"),
    (".ps-lines", "fill:url(#ps-p-lines)"),
    (".ps-bricks", "fill:url(#ps-p-bricks)"),
    (".ps-overlap", "opacity:.13"),
    (".ps-several", "fill:url(#ps-p-hatch);stroke-width:.8"),
    (".ps-mark", "fill:none;stroke-width:1.6"),
    (".ps-hours", "stroke-width:.5;stroke-dasharray:1 3"),
    (".ps-midnight", "stroke-width:.8"),
    (".ps-tick", "stroke-width:.7"),
    (".ps-change", "stroke-width:1.6;stroke-dasharray:5 3"),
    (".ps-now", "stroke-width:1.8"),
])


def _paint(is_dark: bool) -> str:
    ground, text, soft, line, weekend, one, strong, now = (
        ("#16191d", "#eceff2", "#aab2ba", "#59626b", "#1e2329", "#78828c", "#ff8f7a", "#ff6fb1")
        if is_dark else
        ("#ffffff", "#1b1f23", "#57606a", "#b3bac1", "#f5f6f8", "#8b949e", "#b3261e", "#c2006b"))
    return _rules([
        (".ps-ground", f"fill:{ground}"), ("svg text", f"fill:{text}"),
        ("svg .ps-small,svg .ps-hour", f"fill:{soft}"),
        ("svg .ps-change-text", f"fill:{strong}"), ("svg .ps-now-text", f"fill:{now}"),
        (".ps-weekend", f"fill:{weekend}"), (".ps-one", f"fill:{one}"),
        (".ps-several", f"stroke:{strong}"), (".ps-overlap", f"fill:{strong}"),
        (".ps-hours,.ps-midnight,.ps-tick", f"stroke:{line}"),
        (".ps-mark", f"stroke:{text}"), (".ps-change", f"stroke:{strong}"),
        (".ps-now", f"stroke:{now}"), (".ps-ink", f"stroke:{strong}"),
        (".ps-grain", f"stroke:{text};stroke-opacity:.55"),
        *((f".ps-c{number}", f"fill:{colour.dark};stroke:{colour.dark_line}" if is_dark
           else f"fill:{colour.light};stroke:{colour.light_line}")
          for number, colour in enumerate(COLOURS))])


STYLE = (f"\n{_SHAPES}{_paint(False)}"
          f"@media (prefers-color-scheme:dark){{\n{_paint(True)}}}\n")

_PATTERNS = (
    ("hatch", 6, 6, "M-1 1l2 -2M0 6l6 -6M5 7l2 -2", "ps-ink", 1.4),
    ("dots", 6, 5, "M1 1h1M4 3.5h1", "ps-grain", 0.6),
    ("lines", 6, 5, "M0 2.5h6", "ps-grain", 0.35),
    ("bricks", 8, 5, "M4 0v5", "ps-grain", 0.5),
)

DEFINITIONS = "<defs>" + "".join(
    f'<pattern id="ps-p-{name}" width="{width}" height="{height}" patternUnits="userSpaceOnUse">'
    f'<path d="{path}" class="{style}" fill="none" stroke="#000" stroke-width="{stroke}"/>'
    f"</pattern>" for name, width, height, path, style, stroke in _PATTERNS) + "</defs>"
