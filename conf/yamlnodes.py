"""YAML text to nodes that know their place.

Values are taken as they were written: PyYAML's own conversions would turn ``9:30`` into 570,
``010`` into 8 and ``no`` into False.
"""

import re
from collections.abc import Iterator

import yaml

from conf.problems import Mark, Problem

# The C parser is 10 times as fast; both give the same nodes.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_MAX_DEPTH = 16  # the language itself needs 5

# Line ends to YAML 1.1, beside \n and \r\n: lines would be counted otherwise than in an editor, and
# an entry could hide behind a comment.
_ODD_LINE_BREAK = re.compile("\r(?!\n)|[\x85\u2028\u2029]")

_MEND = "mend the syntax here or on the line above"
_SYNTAX = (
    ("mapping values are not allowed", "put text with a colon and a blank in quotes, or mend the "
                                       "indentation"),
    ("scanning an alias", "put a pattern that begins with * in quotes"),
    ("maximum nesting depth", "write it flat"),  # PyYAML since 6.0.4, from 1,000 levels on
    ("found character '\\t'", "indent with blanks, not with tabs"),
    ("found character that cannot start any token", "put it in quotes; indent with blanks, not "
                                                    "with tabs"),
)
"""Words of libyaml, and what most likely is meant."""

_KINDS = {"str": "text", "int": "a number", "float": "a number", "bool": "true or false",
          "null": "nothing", "timestamp": "a date", "map": "a mapping", "seq": "a list"}


class BadEntry(Exception):
    """The entry being read is bad; its problem is already listed."""


class Document:
    """One YAML file and the problems found in it."""

    def __init__(self, file: str, data: bytes | Problem) -> None:
        """``data`` is the file's content, or why it can't be read."""
        self.file = file
        self.problems: list[Problem] = []
        self._text = ""
        self._lines: list[str] = []
        self.root: yaml.Node | None = None
        if isinstance(data, Problem):
            self.problems.append(data)
        else:
            self.root = self._compose(data)
        self.is_spoilt = False
        """Whether no entry in it can be trusted to mean what it says."""

    def _compose(self, data: bytes) -> yaml.Node | None:
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            good = data[:error.start].decode("utf-8") + "\N{REPLACEMENT CHARACTER}"
            self._lines = good.split("\n")
            self.add(len(self._lines), len(self._lines[-1]), "is not UTF-8 from here on",
                     "save the file as UTF-8")
            return None
        text = text.removeprefix("\N{BYTE ORDER MARK}")
        self._text = text
        self._lines = text.split("\n")
        odd = _ODD_LINE_BREAK.search(text)
        if odd:
            before = text[:odd.start()]
            self.add(before.count("\n") + 1, odd.start() - before.rfind("\n"),
                     f"character {odd.group()!r} ends a line, but most editors don't show that",
                     "delete it, or write a plain line end")
            return None
        try:
            if self._is_too_deep_or_aliased(text):
                return None
            node: yaml.Node | None = yaml.compose(text, _Loader)
        except yaml.reader.ReaderError as error:
            before = text[:error.position]
            self.add(before.count("\n") + 1, error.position - before.rfind("\n"),
                     f"character {error.character!r} is not allowed in YAML", "delete it")
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            fact = " ".join(filter(None, (error.context, error.problem)))
            self.add(mark.line + 1 if mark else 1, mark.column + 1 if mark else 1,
                     f"is not YAML: {fact}", next((remedy for words, remedy in _SYNTAX
                                                   if words in fact), _MEND))
        else:
            if node is None:
                self.add(1, 1, "is empty", "write servers, consoles and grants")
            return node
        return None

    def _add_at(self, event: yaml.Event, fact: str, remedy: str) -> None:
        assert event.start_mark is not None
        self.add(event.start_mark.line + 1, event.start_mark.column + 1, fact, remedy)

    def _is_too_deep_or_aliased(self, text: str) -> bool:
        # Composing recurses in C: 30,000 brackets overrun the stack and end the process. Events
        # don't nest, so they are looked through first.
        depth = 0
        for event in yaml.parse(text, _Loader):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > _MAX_DEPTH:
                    self._add_at(event, f"is nested deeper than {_MAX_DEPTH} levels",
                                 "write it flat")
                    return True
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            elif isinstance(event, yaml.AliasEvent):
                # A few lines of aliases of aliases stand for gigabytes.
                self._add_at(event, f"aliases (*{event.anchor}) are not allowed",
                             "write the entry out; put a pattern that begins with * in quotes")
                return True
        return False

    def mark(self, node: yaml.Node) -> Mark:
        """Where the node begins."""
        return Mark(self.file, node.start_mark.line + 1, node.start_mark.column + 1)

    def add(self, line: int, column: int, fact: str, remedy: str, cause: str = "") -> None:
        """List a problem at a place."""
        if line > len(self._lines):  # libyaml gives the end a line of its own
            line, column = len(self._lines), len(self._lines[-1]) + 1
        source = self._lines[line - 1].rstrip("\r")
        self.problems.append(Problem(Mark(self.file, line, column), fact, remedy, source, cause))

    def complain(self, node: yaml.Node, fact: str, remedy: str, offset: int = 0,
                 cause: str = "") -> BadEntry:
        """List a problem about a node (``offset`` characters into it); raise what this returns."""
        style = node.style if isinstance(node, yaml.ScalarNode) else None
        if style in ("'", '"'):
            offset += 1
        elif style in ("|", ">"):  # the text is on other lines than the mark
            offset = 0
        self.add(node.start_mark.line + 1, node.start_mark.column + 1 + offset, fact, remedy,
                 cause)
        return BadEntry()

    def kind(self, node: yaml.Node) -> str:
        """What a person would call the node's type."""
        return _KINDS.get(node.tag.rpartition(":")[2], "of an unknown type")

    def pairs(self, node: yaml.Node, what: str) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
        """The entries of a mapping as (key, key node, value node), in order.

        A duplicate key is listed as a problem and its second entry left out.
        """
        if not isinstance(node, yaml.MappingNode):
            raise self.complain(node, f"{what} must be a mapping, this is {self.kind(node)}",
                                "write it as `key: value` lines")
        first: dict[str, int] = {}
        for key_node, value in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self.complain(key_node, "a key must be plain text", "write a name here")
                continue
            key = key_node.value
            if key in first:
                self.complain(key_node, f"{key!r} is there already, on line {first[key]}",
                              "keep one of the two")
                continue
            first[key] = key_node.start_mark.line + 1
            yield key, key_node, value

    def items(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        """The items of a list."""
        if not isinstance(node, yaml.SequenceNode):
            raise self.complain(node, f"{what} must be a list, this is {self.kind(node)}",
                                "write it as [a, b] or as `- a` lines")
        return list(node.value)

    def one_or_more(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        """A single value or a list that isn't empty."""
        if not isinstance(node, yaml.SequenceNode):
            return [node]
        items = self.items(node, what)
        if not items:
            raise self.complain(node, f"{what} is an empty list", "name at least one")
        return items

    def text(self, node: yaml.Node, what: str) -> str:
        """A string; a number or boolean that was meant as one must be quoted."""
        if not isinstance(node, yaml.ScalarNode) or not node.tag.endswith(":str"):
            remedy = (f'put it in quotes: "{node.value}"'
                      if isinstance(node, yaml.ScalarNode) and node.value else "write text here")
            raise self.complain(node, f"{what} must be text, this is {self.kind(node)}", remedy)
        return str(node.value)

    def follows_a_comma(self, node: yaml.Node) -> bool:
        """Whether it is written right behind a comma, without a blank."""
        return self._text[node.start_mark.index - 1] == ","

    def raw(self, node: yaml.Node, what: str, remedy: str = "write a plain value") -> str:
        """A scalar as it was written, whatever YAML makes of it: ``9:30``, ``20001-20010``."""
        if not isinstance(node, yaml.ScalarNode) or node.tag.endswith(":null"):
            raise self.complain(node, f"{what} can't be {self.kind(node)}", remedy)
        return str(node.value)
