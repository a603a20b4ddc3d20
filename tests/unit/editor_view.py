"""A policy as an editor sees it that completes and checks with conf/policy.schema.json.

Editors (yaml-language-server and those that use it) read YAML 1.2: there a date, ``9:30``, ``no``
and ``NO`` are text, ``010`` is ten, and ``<<`` is a key like any other. PyYAML reads YAML 1.1: its
own loaders would show the schema values that no editor shows it.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

SCHEMA: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "conf" / "policy.schema.json").read_text())

# The core schema of YAML 1.2.2, chapter 10.3.2.
_NULL = re.compile(r"~|null|Null|NULL|")
_BOOLEAN = re.compile(r"true|True|TRUE|false|False|FALSE")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_OTHER_BASE = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_TAGS = {f"tag:yaml.org,2002:{tag}" for tag in ("str", "seq", "map")}


def seen_by_editors(data: bytes) -> Any:
    """The document as JSON has it; raises yaml.YAMLError where an editor already complains of the
    YAML, RecursionError for one nested a thousand deep."""
    node = yaml.compose(data, yaml.BaseLoader)
    return None if node is None else _value(node, {})


def _value(node: yaml.Node, known: dict[int, Any]) -> Any:
    if id(node) not in known:  # an alias stands for the same value again
        if node.tag not in _TAGS:
            raise yaml.YAMLError(f"unresolved tag: {node.tag}")
        if isinstance(node, yaml.MappingNode):
            found: Any = {str(key.value): _value(value, known) for key, value in node.value}
        elif isinstance(node, yaml.SequenceNode):
            found = [_value(item, known) for item in node.value]
        elif isinstance(node, yaml.ScalarNode):
            found = str(node.value) if node.style else _scalar(str(node.value))
        known[id(node)] = found
    return known[id(node)]


def _scalar(text: str) -> Any:
    if _NULL.fullmatch(text):
        return None
    if _BOOLEAN.fullmatch(text):
        return text.lower() == "true"
    if _OTHER_BASE.fullmatch(text):
        return int(text, 0)
    if _NUMBER.fullmatch(text):
        return int(text) if re.fullmatch(r"[-+]?[0-9]{1,18}", text) else float(text)
    return text


def _pattern(_validator: Any, pattern: str, value: Any, _schema: Any) -> Iterator[ValidationError]:
    # Patterns are of ECMA 262: $ is the very end. Python's also stands before a last newline.
    ending = re.sub(r"(\[[^]]*\])|\$", lambda found: found[1] or r"\Z", pattern)
    if isinstance(value, str) and not re.search(ending, value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


_Validator: Any = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, {"pattern": _pattern})


def faults(document: Any, part: str | None = None) -> list[str]:
    """What the schema, or the part of it that is $defs/PART, finds wrong in a document."""
    schema = SCHEMA if part is None else {"$ref": f"#/$defs/{part}", "$defs": SCHEMA["$defs"]}
    return [error.message for error in _Validator(schema).iter_errors(document)]
