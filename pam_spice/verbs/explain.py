"""``pam-spice explain USER CONSOLE``: may he, until when or when next, and why."""

import argparse
import grp
import os
import pwd
import sys
import time

from conf.deciding import Entry, Verdict, explain
from conf.model import Console, Policy
from conf.zones import told
from pam_spice import paths
from pam_spice.revocations import Revocation, read_revocations
from pam_spice.verbs import (
    NO,
    YES,
    UsageError,
    add_common,
    iso,
    need_policy,
    parse_instant,
    print_json,
)
from session.records import OPEN, read_records


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the verb."""
    parser = verbs.add_parser("explain", help="tell whether a user may reach a console, and why")
    parser.add_argument("user", metavar="USER", help="the login name")
    parser.add_argument("console", metavar="CONSOLE", help="as the policy names it")
    parser.add_argument("--at", metavar="TIME",
                        help="like 2026-11-23T18:00, 18:00, tomorrow or +2h; default: now")
    add_asker(parser)
    add_common(parser)
    parser.set_defaults(run=run)


def add_asker(parser: argparse.ArgumentParser) -> None:
    """The options that say who asks, beside the user's name, and from where."""
    parser.add_argument("--groups", metavar="A,B", help="default: the user's groups here")
    parser.add_argument("--workstation", metavar="NAME", default=os.uname().nodename,
                        help="default: this machine's host name")


def groups_of(user: str, given: str | None) -> frozenset[str]:
    """The groups given on the command line, or those that this machine knows of the user."""
    if given is not None:
        return frozenset(filter(None, given.split(",")))
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        return frozenset()
    names = set()
    for gid in os.getgrouplist(user, account.pw_gid):
        try:
            names.add(grp.getgrgid(gid).gr_name)
        except KeyError:
            continue
    return frozenset(names)


def find_console(policy: Policy, name: str) -> Console:
    """The console of that name; raises UsageError."""
    console = policy.consoles.get(name)
    if console is None:
        raise UsageError(f"there is no console {name!r}; there are: "
                         f"{', '.join(policy.consoles) or 'none'}")
    return console


def _revocation_of(user: str) -> Revocation | None:
    """Whether the user's consoles are taken back, as far as the caller may know: root knows."""
    try:
        return read_revocations(0).get(pwd.getpwnam(user).pw_uid)
    except (KeyError, PermissionError, NotADirectoryError):
        return None
    except ValueError as error:
        raise UsageError(f"{paths.REVOKED} is damaged, so no login opens anything: {error}"
                         ) from None


def run(arguments: argparse.Namespace) -> int:
    """0: allowed; 1: not."""
    policy = need_policy(arguments.policy)
    console = find_console(policy, arguments.console)
    zone = policy.timezone
    at = parse_instant(arguments.at, zone) if arguments.at else int(time.time())
    groups = groups_of(arguments.user, arguments.groups)
    _note_who_is_unknown(arguments)
    _note_revoked_logins(arguments)
    verdict = explain(policy, arguments.user, groups, console, at, arguments.workstation)
    revoked = _revocation_of(arguments.user) if arguments.policy is None else None
    if revoked is not None and at < revoked.until:
        after = explain(policy, arguments.user, groups, console, revoked.until,
                        arguments.workstation)
        verdict = Verdict(False, None, revoked.until if after.allowed else after.next,
                          f"revoked by {revoked.by} until {told(revoked.until, zone)}",
                          verdict.entries)
    if arguments.json:
        print_json({"allowed": verdict.allowed, "until": iso(verdict.until),
                    "next": iso(verdict.next), "reason": verdict.reason,
                    "entries": [_entry(entry) for entry in verdict.entries]})
        return YES if verdict.allowed else NO
    print(f"{arguments.user} {'may' if verdict.allowed else 'may not'} reach {console.name} at "
          f"{told(at, zone)}: {verdict.reason}")
    if verdict.allowed:
        print(f"  until: {told(verdict.until, zone) if verdict.until else 'without end'}")
    if verdict.next is not None or not verdict.allowed:
        print(f"  next:  {told(verdict.next, zone) if verdict.next is not None else 'never'}")
    for entry in verdict.entries:
        print(f"  {entry.mark.file}:{entry.mark.line}: {'; '.join(entry.lacks) or 'grants it'}"
              + (f" ({entry.reason})" if entry.reason else ""))
    return YES if verdict.allowed else NO


def _note_who_is_unknown(arguments: argparse.Namespace) -> None:
    """A mistyped name is granted nothing. Of another policy, machine or groups nobody says that he
    should be here."""
    if (arguments.policy is not None or arguments.groups is not None
            or arguments.workstation != os.uname().nodename):
        return
    try:
        pwd.getpwnam(arguments.user)
    except KeyError:
        print(f"note: there is no user {arguments.user!r} here", file=sys.stderr)


def _note_revoked_logins(arguments: argparse.Namespace) -> None:
    """What was taken back for as long as a login lasts stands in its record alone."""
    now = time.time()
    if arguments.policy is None and any(
            record.user == arguments.user and record.state == OPEN and record.revoked > now
            for record in read_records().values()):
        print(f"note: in his login now the consoles of {arguments.user} are revoked, see pam-spice "
              f"status; this is what the policy gives", file=sys.stderr)


def _entry(entry: Entry) -> dict[str, object]:
    subject = {str(entry.subject.kind): entry.subject.name} if entry.subject else {}
    return {"file": entry.mark.file, "line": entry.mark.line, **subject,
            "consoles": list(entry.consoles), "counts": not entry.lacks,
            "lacks": list(entry.lacks), "reason": entry.reason}
