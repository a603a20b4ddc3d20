"""Reads a gettext catalogue as translators keep it: a PO file. Pure.

The PO file itself and not the MO file that msgfmt(1) makes of it: so there is nothing to build and
nothing that can be left behind, and reading it takes a millisecond, where the standard library's
``gettext`` takes seven to be imported. It holds one plural form beside the singular, chosen as in
English and German, and no contexts (msgctxt).
"""

from __future__ import annotations

TYPE_CHECKING = False  # see launcher
if TYPE_CHECKING:
    from collections.abc import Iterator

_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}


def read_catalogue(text: str) -> dict[str, tuple[str, ...]]:
    """The translations by message: one, or singular and plural.

    What is not translated, or is marked as fuzzy, is left out, and so is the header. Raises
    ValueError for text that is no PO file.
    """
    found = {}
    for entry in text.replace("\r\n", "\n").split("\n\n"):
        fields, is_fuzzy = _fields(entry)
        forms = tuple(fields[key] for key in ("msgstr", "msgstr[0]", "msgstr[1]") if key in fields)
        if fields.get("msgid") and not is_fuzzy and all(forms):
            found[fields["msgid"]] = forms
    return found


def _fields(entry: str) -> tuple[dict[str, str], bool]:
    fields: dict[str, str] = {}
    is_fuzzy = False
    key = ""
    for line in entry.split("\n"):
        if line.startswith("#"):
            is_fuzzy = is_fuzzy or line.startswith("#,") and "fuzzy" in line
        elif line.startswith("msg"):
            key, _, rest = line.partition(" ")
            fields[key] = _unquoted(rest)
        elif line.strip():
            fields[key] = fields.get(key, "") + _unquoted(line)
    return fields, is_fuzzy


def _unquoted(quoted: str) -> str:
    text = quoted.strip()
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        raise ValueError(f"not a string of a PO file: {quoted}")
    return "".join(_characters(text[1:-1]))


def _characters(text: str) -> Iterator[str]:
    characters = iter(text)
    for character in characters:
        if character == "\\":
            character = _ESCAPES.get(next(characters, ""), "")
            if not character:
                raise ValueError(f"not an escape of a PO file: {text}")
        yield character
