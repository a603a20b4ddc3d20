"""``pam-spice report``: what happened in a week, as one page for the admin."""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from conf.model import Policy
from conf.zones import zone_to_tell_in
from pam_spice import paths
from pam_spice.auditlog import Event, NoJournal, Reader, journal_lines
from pam_spice.chart import Chart, chart_of, week_at
from pam_spice.naming import granted_consoles, user_of, viewer_gid
from pam_spice.report.facts import Facts, facts_of
from pam_spice.report.page import html_page
from pam_spice.report.sudolog import MATCHES, SudoLog
from pam_spice.verbs import (
    USAGE,
    YES,
    UsageError,
    need_policy,
    need_root,
    parse_instant,
    read_policy,
)
from pam_spice.verbs.log import users_forge_the_kernel

STDOUT = "-"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_DAY = 86400
_WEEK = 7 * _DAY
_LEAD = 31 * _DAY
"""How long before the time that is asked for a session may have begun: it needs no record while
nothing changes for it."""


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the verb."""
    parser = verbs.add_parser(
        "report", help="write a page about a week: who could, who did, what was refused",
        description="Writes one HTML page, which needs nothing else: the policy's calendar, who "
                    "could reach which console when and whose viewer ran, what was refused, cut, "
                    "changed and put right. It is about people: a file is for root alone. What it "
                    "is made of: docs/journal.md.")
    parser.add_argument("--since", metavar="TIME",
                        help="like 2026-11-23, yesterday or -3d; default: a week before --until")
    parser.add_argument("--until", metavar="TIME", help="the same; default: now")
    parser.add_argument("--output", metavar="FILE.html", default=STDOUT,
                        help="default: -, standard output")
    parser.add_argument("--policy", metavar="FILE",
                        help=f"the calendar of this policy, not of {paths.POLICY}")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0, also where nothing happened."""
    output = arguments.output
    if output != STDOUT and not output.endswith(".html"):
        raise UsageError(f"{output!r} is no page's name: end it in .html")
    need_root()
    policy = (need_policy(arguments.policy) if arguments.policy is not None
              else read_policy(None).policy)
    zone = zone_to_tell_in(policy.timezone if policy is not None else None)
    now = int(time.time())
    until = min(parse_instant(arguments.until, zone), now) if arguments.until else now
    since = parse_instant(arguments.since, zone) if arguments.since else until - _WEEK
    if since >= until:
        raise UsageError("the time to tell of ends before it begins: see --since and --until")
    notes = []
    if users_forge_the_kernel():
        notes.append("On this machine users can make lines like the kernel's of refused packets, "
                     "in network namespaces of their own: sysctl net.netfilter.nf_log_all_netns=0")
    try:
        facts = _gather(policy, since, until, _boot() if until == now else None)
    except KeyboardInterrupt:
        return USAGE
    host = os.uname().nodename
    page = html_page(facts, _calendar(policy, until, now, host), zone, host, notes)
    if output == STDOUT:
        # The page is UTF-8 whatever this terminal speaks.
        sys.stdout.buffer.write(page.encode())
    else:
        _write(output, page)
    return YES


def _gather(policy: Policy | None, since: int, until: int, boot: str | None) -> Facts:
    consoles: dict[tuple[str, int], list[str]] = {}
    for each in policy.consoles.values() if policy is not None else ():
        consoles.setdefault((each.server.host, each.tls_port), []).append(each.name)
    reader = Reader(user_of, granted_consoles(), viewer_gid())
    sudo = SudoLog(reader.name, consoles, viewer_gid())

    def events() -> Iterator[Event]:
        for line in journal_lines(since - _LEAD, until, MATCHES):
            sudo.take(line)
            event = reader.event(line)
            if event is not None:
                yield event

    try:
        return facts_of(events(), sudo, since, until, boot)
    except NoJournal as error:
        raise UsageError(str(error)) from None


def _boot() -> str:
    """This boot, as journald names it."""
    return _BOOT_ID.read_text().strip().replace("-", "")


def _calendar(policy: Policy | None, until: int, now: int, host: str) -> Chart | None:
    """The week in which the time that is told of ends."""
    if policy is None:
        return None
    return chart_of(policy, week_at(until - 1, policy.timezone), now, host)


def _write(path: str, page: str) -> None:
    """For root alone, and never through a link or a file that another has put there."""
    name = None
    try:
        descriptor, name = tempfile.mkstemp(prefix=".report", dir=os.path.dirname(path) or ".")
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(page)
        os.replace(name, path)
    except OSError as error:
        if name is not None and os.path.exists(name):
            os.unlink(name)
        raise UsageError(f"{path}: {error.strerror}") from None
