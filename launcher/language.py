"""The person's language: each sentence in it, by gettext's rules and from catalogues of our own.

The environment chooses one of the catalogues that are named here, and nothing else: no path is made
of it. English is in the sources; for it nothing is read.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # see launcher
if TYPE_CHECKING:
    from collections.abc import Mapping

CATALOGUES = {"de": "de.po"}

_DIRECTORY = f"{os.path.dirname(__file__)}/po"

_messages: Mapping[str, tuple[str, ...]] | None = None


def chosen(environment: Mapping[str, str]) -> str | None:
    """The language in which a person with this environment is spoken to; None: English.

    As gettext(3) has it: LANGUAGE is a list, and counts only where there is a locale.
    """
    locale = (environment.get("LC_ALL") or environment.get("LC_MESSAGES")
              or environment.get("LANG") or "C")
    if locale in ("C", "POSIX"):  # C.UTF-8 is one
        return None
    for name in (environment.get("LANGUAGE") or locale).split(":"):
        language = _language(name)
        if language in CATALOGUES:
            return language
        if language in ("en", "C", "POSIX"):
            return None
    return None


def _language(locale: str) -> str:
    """``de`` of ``de_AT.UTF-8@euro``."""
    for separator in "@._":
        locale = locale.partition(separator)[0]
    return locale


def speak(language: str | None) -> None:
    """From now on in this language; None: English. A catalogue that is missing or damaged leaves
    English: a person would rather read that than nothing."""
    global _messages
    _messages = {}
    if language is not None:
        from launcher.catalogue import read_catalogue

        try:
            with open(f"{_DIRECTORY}/{CATALOGUES[language]}", encoding="utf-8") as file:
                _messages = read_catalogue(file.read())
        except (OSError, ValueError):
            pass


def _forms(message: str) -> tuple[str, ...] | None:
    if _messages is None:
        speak(chosen(os.environ))
        assert _messages is not None
    return _messages.get(message)


def gettext(message: str) -> str:
    """The message in the person's language. Names in braces are still to be filled in."""
    forms = _forms(message)
    return forms[0] if forms else message


def ngettext(singular: str, plural: str, count: int) -> str:
    """The same for one and for several."""
    forms = _forms(singular) or (singular, plural)
    return forms[0] if count == 1 else forms[-1]
