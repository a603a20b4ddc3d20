"""A policy that somebody wrote in YAML, as the oracle's policy; it has to be a good one.

PyYAML's base loader leaves every scalar a text, so that nothing is taken for a number or a date.
"""

import re
from datetime import UTC, date, datetime
from typing import Any

import yaml

from tests.oracle.policies import (
    Calendar,
    Dates,
    Except,
    Grant,
    Literal,
    Moment,
    Policy,
    Window,
)
from tests.oracle.writing import DAY_NAMES

_DATE = r"\d{4}-\d\d-\d\d"


def _items(node: Any) -> list[Any]:
    if node is None:
        return []
    return list(node) if isinstance(node, list) else [node]


def _dates(text: str) -> Dates:
    first, _, last = text.partition("..")
    return date.fromisoformat(first), date.fromisoformat(last or first)


def _clock(text: str) -> int:
    hour, minute, second = (int(part) for part in (text + ":00").split(":")[:3])
    return hour * 3600 + minute * 60 + second


def literal_of(text: str) -> Literal | None:
    """A window literal; None for a text that is none, the name of a window."""
    dates, days, times = [], [], []
    for word in text.split():
        for part in word.split(","):
            first, dash, last = part.partition("-")
            if re.fullmatch(rf"{_DATE}(\.\.{_DATE})?", part):
                dates.append(_dates(part))
            elif first in DAY_NAMES and (last or first) in DAY_NAMES:
                days.append((DAY_NAMES.index(first), DAY_NAMES.index(last or first)))
            elif ":" in first and dash:
                times.append((_clock(first), _clock(last)))
            else:
                return None
    return Literal(tuple(dates), tuple(days), tuple(times))


def _when(node: Any) -> tuple[Literal | str, ...]:
    return tuple(literal_of(text) or text for text in _items(node))


def _literals(node: Any) -> tuple[Literal, ...]:
    literals = [literal_of(text) for text in _items(node)]
    assert all(literals), node
    return tuple(literal for literal in literals if literal is not None)


def _excepted(node: Any) -> tuple[Except, ...]:
    return tuple(_dates(text) if text[0].isdigit() else text for text in _items(node))


def _moment(text: str | None) -> Moment | None:
    if text is None:
        return None
    if re.fullmatch(_DATE, text):
        return date.fromisoformat(text)
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if text.endswith("Z") else moment


def _window(name: str, node: Any) -> Window:
    if not isinstance(node, dict):
        return Window(name, _literals(node))
    return Window(name, _literals(node.get("when")), True, node.get("timezone"),
                  _excepted(node.get("except")))


def _grant(node: dict[str, Any]) -> Grant:
    kind = "user" if "user" in node else "group"
    valid = node.get("valid", {})
    known = {kind, "console", "when", "except", "valid", "workstations", "reason"}
    return Grant(kind, node[kind], tuple(_items(node["console"])), _when(node.get("when")),
                 _excepted(node.get("except")), _moment(valid.get("from")),
                 _moment(valid.get("until")), tuple(_items(node.get("workstations"))),
                 node.get("reason"), is_spoilt=bool(set(node) - known))


def read_policy(texts: list[str]) -> Policy:
    """The policy of a main file and of those in its directory."""
    documents = [yaml.load(text, Loader=yaml.BaseLoader) or {} for text in texts]

    def section(name: str) -> list[tuple[str, Any]]:
        return [pair for document in documents for pair in document.get(name, {}).items()]

    return Policy(
        documents[0]["timezone"],
        tuple(name for name, _ in section("consoles")),
        tuple(_window(name, node) for name, node in section("windows")),
        tuple(Calendar(name, _excepted(node)) for name, node in section("calendars")),
        tuple(_grant(node) for document in documents for node in document.get("grants", [])),
        files=len(texts))
