"""``pam-spice log``: what happened here, a line each."""

import argparse
import json
import re
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from conf.problems import how_many, printable
from conf.zones import clock, told
from pam_spice.auditlog import Event, NoJournal, Reach, Reader, journal_lines
from pam_spice.naming import granted_consoles, user_of, viewer_gid
from pam_spice.report.sessions import told_at
from pam_spice.verbs import USAGE, YES, UsageError, need_root, parse_instant, zone_of_policy

_ALL_NETWORKS = Path("/proc/sys/net/netfilter/nf_log_all_netns")
_REACHING = ("open", "change", "extend")
_COLUMN = len("policy-problem")  # of events; longer names are rare
_MOST_CONSOLES = 20  # in a line
_SIMPLE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]*", re.ASCII)
_SIMPLE_WORDS = re.compile(r"[A-Za-z0-9_](?: ?[A-Za-z0-9_.,:@/'-])*", re.ASCII)


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the verb."""
    parser = verbs.add_parser(
        "log", help="show what happened: who could reach what, who was refused, who changed it",
        description="Reads the journal's records of pam-spice and the kernel's of what it refused, "
                    "oldest first. Times are by the policy's clock; each line's first one names "
                    "its zone. What the events mean: docs/journal.md.")
    parser.add_argument("--user", metavar="USER",
                        help="what is about this user, by name or uid, or was done by him")
    parser.add_argument("--console", metavar="CONSOLE", help="what names this console")
    parser.add_argument("--since", metavar="TIME",
                        help="like 2026-11-23T18:00, 18:00, today, yesterday or -2h")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0, also where nothing happened."""
    need_root()
    zone = zone_of_policy()
    since = parse_instant(arguments.since, zone) if arguments.since else None
    reader = Reader(user_of, granted_consoles(), viewer_gid())
    if users_forge_the_kernel():
        print("note: users can make lines like the kernel's, in network namespaces of their own\n"
              "  sysctl net.netfilter.nf_log_all_netns=0", file=sys.stderr)
    count = 0
    try:
        for line in journal_lines(since):
            event = reader.event(line)
            if event is None or not _is_wanted(event, arguments.user, arguments.console):
                continue
            if arguments.json:
                print("[" if count == 0 else ",")
                print(json.dumps(event.as_json()), end="")
            else:
                print(in_a_line(event, zone))
            count += 1
    except NoJournal as error:
        raise UsageError(str(error)) from None
    except KeyboardInterrupt:
        return USAGE
    if arguments.json:
        print("\n]" if count else "[]")
    elif not count:
        about = " and ".join(filter(None, (arguments.user, arguments.console))) or "this machine"
        print(f"the journal has nothing about {printable(about)}"
              + (f" since {told(since, zone)}" if since is not None else ""), file=sys.stderr)
    return YES


def users_forge_the_kernel() -> bool:
    """Whether users can make lines like the kernel's, in network namespaces of their own."""
    return _ALL_NETWORKS.exists() and _ALL_NETWORKS.read_text().strip() != "0"


def _is_wanted(event: Event, user: str | None, console: str | None) -> bool:
    if user is not None and user not in (event.user, str(event.uid), event.by):
        return False
    return console is None or any(each.console == console for each in event.consoles)


# For a person

def in_a_line(event: Event, zone: str) -> str:
    """Time, what, who, and the rest, by the clock in the zone of that name.

    Nothing of it reaches a terminal that is not printable; names and reasons that could be taken
    for something else stand in quotes.
    """
    when = clock(event.time // 1_000_000, zone)
    who = "-" if event.uid is None else str(event.uid)
    if event.user is not None:
        who = _name(event.user)
    facts = []
    if event.consoles or event.event in _REACHING:
        text = _in_words(event.consoles, when, zone)
        facts += [f"session {_name(event.session)}"] if event.session else []
        if event.count is not None:
            facts.append(how_many(event.count, "connection"))
        if event.reason is not None:
            facts.append(_words(event.reason) if event.by is None else _quoted(event.reason))
        facts += [f"by {_name(event.by)}"] if event.by else []
    else:
        text = printable(event.message.removeprefix(f"{event.event}: "))
        facts += [_quoted(event.reason)] if event.by and event.reason else []
    facts += [f"until {_time(event.until, when, zone)}"] if event.until else []
    facts += [f"policy {_name(event.revision)}"] if event.revision else []
    if "kept_since" in event.details:  # the journal's time is when it was delivered
        facts.append(f"told at {_time(told_at(event), when, zone)}")
    facts += [f"lost before it: {_words(event.details['lost'])}"] if "lost" in event.details else []
    at = told(event.time // 1_000_000, zone)
    return (f"{at}  {_name(event.event):{_COLUMN}} {who:10}  {text}"
            + (f"  [{', '.join(facts)}]" if facts else ""))


def _in_words(consoles: Sequence[Reach], when: datetime, zone: str) -> str:
    spans: dict[str, list[Reach]] = {}
    for each in consoles:
        name = each.console or f"{','.join(each.addresses)} port {each.port}"
        spans.setdefault(name, []).append(each)
    words = []
    for name, (first, *others) in list(spans.items())[:_MOST_CONSOLES]:
        text = _words(name)
        if first.start is not None and first.start > when.timestamp():
            text += f" from {_time(first.start, when, zone)}"
        if first.end is not None:
            text += f" until {_time(first.end, when, zone)}"
        words.append(text + _more(len(others)))
    if len(spans) > _MOST_CONSOLES:
        words.append(f"and {len(spans) - _MOST_CONSOLES} more, see --json")
    return "; ".join(words) or "no console"


def _more(times: int) -> str:
    return {0: "", 1: " and once more"}.get(times, f" and {times} times more")


def _time(instant: int, when: datetime, zone: str) -> str:
    """As short as it can be beside the time of the line."""
    moment = clock(instant, zone)
    text = moment.strftime("%H:%M:%S").removesuffix(":00")
    if moment.date() != when.date():
        text = f"{moment.date()} {text}"
    return text if moment.utcoffset() == when.utcoffset() else f"{text} {moment:%Z}"


def _words(text: str) -> str:
    return text if _SIMPLE_WORDS.fullmatch(text) else _quoted(text)


def _name(text: str) -> str:
    return text if _SIMPLE_NAME.fullmatch(text) else _quoted(text)


def _quoted(text: str) -> str:
    return '"' + printable(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'
