"""``pam-spice diff OLD NEW``: who gains and loses which console when."""

import argparse
import os
import time

from conf.changes import Change, Changes, compare
from conf.intervals import DAY, Interval
from conf.model import ParsedPolicy, Policy
from conf.zones import told
from pam_spice.verbs import (
    NO,
    YES,
    UsageError,
    iso,
    parse_instant,
    print_json,
    read_policy,
)

SPAN = 28 * DAY


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the verb."""
    parser = verbs.add_parser(
        "diff", help="tell who gains and loses which console from one policy to another",
        description="Each policy is a file with the directory beside it, as policy.yaml with "
                    "policy.d. Needs no root.")
    parser.add_argument("old", metavar="OLD", help="the policy before")
    parser.add_argument("new", metavar="NEW", help="the policy after")
    parser.add_argument("--from", dest="start", metavar="TIME",
                        help="what was before this is of no interest: a time like 2026-11-23, "
                             "tomorrow or +3d; default: now")
    parser.add_argument("--to", dest="end", metavar="TIME",
                        help="where the times of --json end, the same; default: four weeks later")
    parser.add_argument("--workstation", metavar="NAME", default=os.uname().nodename,
                        help="for which workstation; default: this machine's host name")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0: nothing changes; 1: something does."""
    old, _ = _usable(arguments.old)
    new, parsed = _usable(arguments.new)
    start = parse_instant(arguments.start, new.timezone) if arguments.start else int(time.time())
    end = parse_instant(arguments.end, new.timezone) if arguments.end else start + SPAN
    if end < start:
        raise UsageError("--to is before --from")
    changes = compare(old, new, start, end, arguments.workstation,
                      has_problems=bool(parsed.problems))
    if arguments.json:
        print_json(_document(changes, start, end, arguments.workstation))
    else:
        print("\n".join(filter(None, [*changes.lines(), changes.clock]))
              or f"nothing changes for anybody from {told(start, new.timezone)} on")
    return NO if changes else YES


def _usable(path: str) -> tuple[Policy, ParsedPolicy]:
    parsed = read_policy(path)
    if parsed.policy is None:
        raise UsageError("\n".join([f"{path} is unusable:", *map(str, parsed.problems)]))
    return parsed.policy, parsed


def _document(changes: Changes, start: int, end: int, workstation: str) -> dict[str, object]:
    return {"from": iso(start), "to": iso(end), "workstation": workstation,
            "changes": [_change(change) for change in changes.here],
            "elsewhere": [{"on": change.on, **_change(change)} for change in changes.elsewhere],
            "other": [{"text": text, "loud": is_loud}
                      for texts, is_loud in ((changes.loud, True), (changes.other, False))
                      for text in texts]}


def _change(change: Change) -> dict[str, object]:
    return {"subject": str(change.subject), "console": change.console,
            "gains": [_interval(interval) for interval in change.gains],
            "loses": [_interval(interval) for interval in change.loses], "text": change.text}


def _interval(interval: Interval) -> dict[str, str | None]:
    return {"start": iso(interval[0]), "end": iso(interval[1])}
