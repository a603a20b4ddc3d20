"""What must hold of any policy text: asked with a reading of its own, PyYAML's and a few lines of
regular expressions, that shares no code with ``conf``."""

import re
import time
from typing import Any

import yaml

from conf.model import Grant, Policy
from conf.parser import parse_policy

SECONDS = 1.0
"""Of processor time, for one text of at most a few kilobytes."""

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_LITERAL = re.compile(
    r" *(?P<days>[A-Z][a-z]{2}(?:[,-][A-Z][a-z]{2})*)? *"
    r"(?P<times>\d\d?:\d\d(?::\d\d)?-\d\d?:\d\d(?::\d\d)?"
    r"(?:,\d\d?:\d\d(?::\d\d)?-\d\d?:\d\d(?::\d\d)?)*)? *", re.ASCII)
_KEYS = {"user", "group", "console", "when", "except", "valid", "workstations", "reason"}


def judge(data: bytes) -> Policy | None:
    """Parse a text; raises AssertionError for what must not be. Returns the policy."""
    began = time.process_time()
    parsed = parse_policy(data, "policy.yaml")
    took = time.process_time() - began
    assert took < SECONDS, f"took {took:.1f} s"
    assert parsed.policy is not None or parsed.problems
    lines = data.decode("utf-8", "replace").count("\n") + 1
    for problem in parsed.problems:
        assert 1 <= problem.mark.line <= lines and problem.mark.column >= 1, problem
        assert problem.fact and problem.remedy, problem
        text = str(problem)
        assert all(c.isprintable() or c in "\n\t" for c in text), repr(text)
        text.encode()
    if parsed.policy is not None and parsed.policy.grants:
        _judge_grants(parsed.policy, _plain(yaml.compose(data.decode(), yaml.CBaseLoader)))
    return parsed.policy


def _plain(node: Any) -> Any:
    """Strings, lists and dicts, as they are written; a key that is no string is None."""
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        return {key.value if isinstance(key, yaml.ScalarNode) else None: _plain(value)
                for key, value in node.value}
    return node.value


def _judge_grants(policy: Policy, tree: Any) -> None:
    """Every grant is written in the text, as an entry of its own, and no wider than there."""
    written = tree["grants"]
    assert len(policy.grants) <= len(written)
    # Entries keep their order; what stands between two that count was skipped.
    at = 0
    for grant in policy.grants:
        while at < len(written) and not _says(written[at], grant, policy):
            at += 1
        assert at < len(written), f"no entry says {grant}"
        at += 1
    for console in policy.consoles.values():
        entry = tree["consoles"][console.name]
        assert entry["server"] == console.server.name
        assert entry["tls_port"] == str(console.tls_port)
        assert any(low <= console.tls_port <= high for low, high in console.server.guarded_ports)


def _many(value: Any) -> list[str]:
    """One or more texts; none where anything else is among them, which is an error."""
    values = value if isinstance(value, list) else [value]
    return values if all(isinstance(each, str) for each in values) else []


def _says(entry: Any, grant: Grant, policy: Policy) -> bool:
    if not isinstance(entry, dict) or not entry.keys() <= _KEYS:
        return False
    if {key: entry[key] for key in ("user", "group") if key in entry} != {
            str(grant.subject.kind): grant.subject.name}:
        return False
    if dict.fromkeys(_many(entry.get("console"))) != dict.fromkeys(
            each.name for each in grant.consoles):
        return False
    if ("workstations" in entry) != bool(grant.workstations):
        return False
    if ("valid" in entry) != (grant.valid != (0, 1 << 62)):
        return False
    if grant.schedules is None:
        return "when" not in entry and "except" not in entry
    if "except" in entry and not all(each.exceptions.dates or each.exceptions.holidays
                                     for each in grant.schedules):
        return False
    if "when" not in entry:
        return True
    words = _many(entry["when"])
    return bool(words) and _is_not_wider(words, grant, policy)


def _is_not_wider(words: list[str], grant: Grant, policy: Policy) -> bool:
    """Whether each weekly window of the grant is of a literal or of a named window."""
    allowed: set[tuple[int, int, int]] = set()
    for word in words:
        if word in policy.windows:
            allowed |= {window[:3] for window in policy.windows[word].schedule.windows}
            continue
        match = _LITERAL.fullmatch(re.sub(r"^ *\d{4}-[0-9.,-]*", "", word))
        if not match:
            return False
        try:
            allowed |= {(_mask(match["days"]), *span) for span in _spans(match["times"])}
        except ValueError:  # no such day: an entry that was skipped
            return False
    return all(window[:3] in allowed for schedule in grant.schedules or ()
               for window in schedule.windows)


def _mask(days: str | None) -> int:
    if days is None:
        return 127
    mask = 0
    for part in days.split(","):
        first, _, last = part.partition("-")
        start, end = _DAYS.index(first), _DAYS.index(last or first)
        mask |= sum(1 << day % 7 for day in range(start, (end if end >= start else end + 7) + 1))
    return mask


def _spans(times: str | None) -> list[tuple[int, int]]:
    if times is None:
        return [(0, 86400)]
    spans = []
    for part in times.split(","):
        start, end = (sum(int(number) * 60 ** (2 - index) for index, number in
                          enumerate(clock.split(":"))) for clock in part.split("-"))
        spans.append((start, end if end > start else end + 86400))
    return spans
