"""docs/firewalls.md: written from what the tests have measured."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.lab.deeds import FIREWALLS
from tests.lab.prober import Seen

PAGE = Path(__file__).parents[2] / "docs" / "firewalls.md"
ZONE_SET = "`timedatectl set-timezone`, and the policy names no zone"
_WENT_ON = 0.1
"""Seconds; a connection that waits longer for an echo was held up."""


@dataclass(frozen=True)
class Row:
    """What came of one deed."""

    what: str
    seen: Seen
    drops_all: bool


class Rows:
    """All that this run has measured."""

    def __init__(self) -> None:
        self.versions = ""
        self.firewalls: dict[str, list[Row]] = {}
        self.zone_set: float | None = None
        """Seconds until the policy was compiled for the new zone."""

    def add(self, firewall: str, row: Row) -> None:
        """Keep a firewall's row."""
        self.firewalls.setdefault(firewall, []).append(row)

    def is_whole(self) -> bool:
        """Whether every row of the page was measured."""
        return self.zone_set is not None and {
            name: [row.what for row in rows] for name, rows in self.firewalls.items()} == {
            firewall.name: [deed.what for deed in firewall.deeds] for firewall in FIREWALLS}

    def render(self) -> str:
        """The page."""
        lines = [_line(name, row) for name, rows in self.firewalls.items() for row in rows]
        return f"""# Beside other firewalls, and when the clock is set

Written by `make firewalls`; every figure is as measured there ({self.versions}).

## Other firewalls

On the lab's workstation a user is logged in and has a connection to his console's port, on which \
a word goes to and fro; beside it another program of his, with the viewer's group, tries a guarded \
port that isn't granted, over IPv4 and IPv6, several hundred times a second. Then the admin's \
own programs do what the row says. After each: the whole table of pam-spice, the user's chain in \
it, is as before within a second; a colleague and the user himself are refused at the port that \
isn't granted; and all other rules of the machine (`nft list ruleset`, `iptables-legacy-save`, \
`ip6tables-legacy-save`) are the same, line by line, as after the same deeds where pam-spice was \
not there.

*Without guard* is the time from the last attempt that was refused until the next one that is, \
around those that got through: the longest and, where there were several, all together. What got \
in meanwhile is cut when the guard is back. Only who flushes the whole ruleset takes the guard \
away; the others keep to their own tables.

| | deed | without guard, ms | attempts: got through / all | the live connection |
| --- | --- | ---: | ---: | --- |
{"".join(lines)}
That a connection is held up comes of what the other firewall drops while it loads, or of a packet \
lost in the midst of a flush: TCP sends it again.

## The clock

| what | then |
| --- | --- |
| {ZONE_SET} | compiled for the new zone after {_ms(self.zone_set or 0)} ms; sessions keep what \
they were opened with |
| the clock is set, or the machine wakes from suspend | the kernel tells the watcher, by a timer \
that it cancels then (TFD_TIMER_CANCEL_ON_SET), and systemd's timer unit (OnClockChange); the \
machine's clock is not set in tests: `tests/kernel/test_clock.py` shifts the watcher's |

A window that ended while the machine slept is closed before the first packet: the kernel compares \
with its own clock. What the watcher adds is to cut idle connections, within a second.
"""


def _line(name: str, row: Row) -> str:
    seen = row.seen
    gap = _ms(seen.longest_gap)
    if seen.all_gaps > seen.longest_gap:
        gap += f" ({_ms(seen.all_gaps)})"
    went = "went on" if seen.held_up < _WENT_ON else f"held up for {_ms(seen.held_up)} ms"
    if row.drops_all:
        went = "stands still, as is meant"
    return f"| {name} | {row.what} | {gap} | {seen.got_through} / {seen.attempts} | {went} |\n"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f}"


def deeds_of(text: str) -> list[tuple[str, str]]:
    """Each row's firewall and deed, in a page's order."""
    return re.findall(r"^\| (.*?) \| (.*?) \| [\d ()]+ \| \d+ / \d+ \|", text, re.MULTILINE)
