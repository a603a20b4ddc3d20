"""What only the text of a policy shows: which names it mentions, and what is in a list twice."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import yaml

from conf.problems import Mark, Problem
from conf.times import BadWindow, parse_window
from conf.yamlnodes import Document


@dataclass(slots=True)
class Written:
    """Of all files, entries with an error too."""

    files: list[str] = field(default_factory=list)
    times: set[str] = field(default_factory=set)  # all that stands in ``when``
    exceptions: set[str] = field(default_factory=set)  # all that stands in ``except``
    servers: set[str] = field(default_factory=set)  # those that consoles name
    workstations: set[str] = field(default_factory=set)  # those that are listed
    doubled: list[tuple[Mark, str]] = field(default_factory=list)


def look_through(files: Sequence[tuple[str, bytes | Problem]]) -> Written:
    """The files as ``conf.parser.parse_files`` takes them."""
    written = Written()
    for name, data in files:
        written.files.append(name)
        document = Document(name, data)
        for section, node in _pairs(document.root):
            if section == "workstations":
                written.workstations.update(name for name, _ in _pairs(node))
            for entry in _entries(node):
                _look_at(section, entry, document, written)
    return written


def _look_at(section: str, entry: yaml.Node, document: Document, written: Written) -> None:
    fields = dict(_pairs(entry))
    if section == "consoles":
        written.servers.update(_texts(fields.get("server")))
    elif section == "windows" and not fields:
        _find_doubled(entry, document, written)
    elif section in ("windows", "grants"):
        written.times.update(_texts(fields.get("when")))
        written.exceptions.update(_texts(fields.get("except")))
        for key in ("when", "except", "console", "workstations"):
            _find_doubled(fields.get(key), document, written)
    elif section in ("calendars", "workstations"):
        _find_doubled(entry, document, written)


def _find_doubled(node: yaml.Node | None, document: Document, written: Written) -> None:
    seen: set[object] = set()
    for item in node.value if isinstance(node, yaml.SequenceNode) else ():
        if not isinstance(item, yaml.ScalarNode):
            continue
        meaning = _meaning(item.value)
        if meaning in seen:
            written.doubled.append((document.mark(item), item.value))
        seen.add(meaning)


def _meaning(text: str) -> object:
    try:
        return parse_window(text)
    except BadWindow:  # a name or a glob
        return text


def _pairs(node: yaml.Node | None) -> Iterator[tuple[str, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                yield key.value, value


def _entries(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [value for _, value in node.value]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _texts(node: yaml.Node | None) -> list[str]:
    items = node.value if isinstance(node, yaml.SequenceNode) else [node]
    return [item.value for item in items if isinstance(item, yaml.ScalarNode)]
