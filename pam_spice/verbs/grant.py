"""``pam-spice grant USER CONSOLE --for 2h``: a console for a time, at once; and back by --end."""

import argparse
import os
import pwd
import re
import time
from contextlib import suppress

from conf.compiling import VALID
from conf.deciding import is_for, names
from conf.grantline import GrantLine, format_grant
from conf.intervals import DAY
from conf.lookup import CompiledPolicy, Unusable
from conf.model import Policy, Subject, SubjectKind
from conf.parser import MAX_REASON, parse_files
from conf.problems import Problem
from conf.sources import Content, read_trusted, with_file
from conf.zones import told
from pam_spice import journal, paths
from pam_spice.errors import NotDone
from pam_spice.policy import current_policy
from pam_spice.revocations import read_revocations
from pam_spice.run import CommandFailed
from pam_spice.sessions_now import (
    actor,
    end_grant,
    end_what_is_new,
    grant_now,
    temporary_grants,
)
from pam_spice.temporary import (
    HandWritten,
    entries_without,
    entry_text,
    file_text,
    is_listed,
    is_temporary,
    living_entries,
    put_back,
    write_file,
)
from pam_spice.verbs import (
    NO_REASON,
    YES,
    UsageError,
    account_of,
    add_reason,
    admin_lock,
    need_root,
    need_set_up,
    need_valid_policy,
    person_of,
    read_policy,
)
from pam_spice.verbs.explain import find_console, groups_of
from session.records import read_records

_DURATION = re.compile(r"(?:([0-9]{1,3})d)?(?:([0-9]{1,3})h)?(?:([0-9]{1,4})m)?", re.ASCII)
_LONGEST = 31 * DAY


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the verb."""
    parser = verbs.add_parser(
        "grant", help="give a user a console for a time, at once",
        description=f"Writes an entry that expires by itself to {paths.TEMPORARY}, and opens the "
                    f"console in the user's open logins too. --end takes it back, from file "
                    f"and open logins; what else gives the user the console stays.")
    parser.add_argument("user", metavar="USER", help="the login name")
    parser.add_argument("console", metavar="CONSOLE", help="as the policy names it")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--for", dest="duration", metavar="DURATION",
                      help="like 2h, 90m, 1d12h; 31 days at most; needs --reason")
    what.add_argument("--end", action="store_true", help="take such a grant back, at once")
    add_reason(parser)
    parser.set_defaults(run=run)


def parse_duration(text: str) -> int:
    """``1d2h30m`` in seconds. Raises UsageError."""
    match = _DURATION.fullmatch(text)
    days, hours, minutes = (int(part or 0) for part in match.groups()) if match else (0, 0, 0)
    seconds = days * DAY + hours * 3600 + minutes * 60
    if not 0 < seconds <= _LONGEST:
        raise UsageError(f"--for {text!r} is not a time like 2h, 90m or 1d12h, of at most 31 days")
    return seconds


def run(arguments: argparse.Namespace) -> int:
    """0 when it is done; 1: it is granted, but live sessions don't have it yet; or of --end, that
    there is no such grant, or that not all of it is taken back."""
    need_root()
    need_set_up()
    if arguments.end:
        return _end(arguments)
    if arguments.reason == NO_REASON:
        raise UsageError("say why: --reason TEXT")
    length = parse_duration(arguments.duration)
    account = account_of(arguments.user)
    user, console = account.pw_name, arguments.console
    with admin_lock():
        policy = need_valid_policy()
        find_console(policy, console)
        now = int(time.time())
        end = now + length
        _refuse_revoked(account, now, policy)
        reason = f"{arguments.reason} (by {actor()})"
        if len(reason) > MAX_REASON:
            raise UsageError(f"--reason is too long: {MAX_REASON} characters with who did it")
        entry = entry_text(user, console, now, end, reason)
        contents = read_trusted(paths.POLICY)
        before, text = _texts(contents, entry, now)
        at = _line_of_grant(with_file(contents, paths.TEMPORARY, text), user, now, end)
        place = f"{paths.TEMPORARY}:{at}"
        lines = _take_in(before, text, user, place, now)
        until = told(end, policy.timezone)
        try:
            changed = grant_now(account.pw_uid, lines, user, console, place=place,
                                reason=arguments.reason)
        except (NotDone, CommandFailed, OSError) as error:
            # A record may have it by now, so it stays where everybody can see it.
            raise NotDone(f"{error}\nthe grant itself stands at {place} until {until}; if it is "
                          f"not to count: pam-spice grant {user} {console} --end", []) from None
    for line in changed or [f"{user} is not logged in here; it counts from the next login on"]:
        print(line)
    print(f"until {until}")
    return YES


def _refuse_revoked(account: pwd.struct_passwd, now: int, policy: Policy) -> None:
    try:
        revocation = read_revocations(now).get(account.pw_uid)
    except (OSError, ValueError) as error:
        raise UsageError(f"nobody can tell who is revoked: {paths.REVOKED}: {error}\n"
                         f"  delete it, and revoke anew who is to be revoked") from None
    if revocation is not None:
        raise UsageError(
            f"{account.pw_name} is revoked until {told(revocation.until, policy.timezone)} by "
            f"{revocation.by}; pam-spice revoke {account.pw_name} --lift ends it")


def _texts(contents: list[Content], entry: str, now: int) -> tuple[bytes | None, bytes]:
    """The file as it is, if there is one, and as it is to be. Raises UsageError."""
    before = dict(contents).get(paths.TEMPORARY)
    if isinstance(before, Problem):
        raise UsageError(f"{before}\n  nothing is changed")
    try:
        living = [] if before is None else living_entries(before, now)
    except HandWritten as error:
        raise UsageError(
            f"{_by_hand(error)}; nothing is changed\n"
            f"  move it to a file of its own name in {os.path.dirname(paths.TEMPORARY)}") from None
    return before, file_text([*living, entry])


def _by_hand(error: HandWritten) -> str:
    return (f"{paths.TEMPORARY}:{error.line}: this line is not as pam-spice grant writes it, and "
            f"would be lost")


def _line_of_grant(contents: list[Content], user: str, start: int, end: int) -> int:
    """Where the grant is in the policy that there would be. Raises UsageError where that would
    have a problem, or would not hold the grant."""
    parsed = parse_files(contents)
    if parsed.policy is None or parsed.problems:
        raise UsageError(f"with this grant the policy would have an error; nothing is changed\n"
                         f"{parsed.problems[0]}")
    lines = [grant.mark.line for grant in parsed.policy.grants
             if grant.mark.file == paths.TEMPORARY and grant.valid == (start, end)
             and grant.subject == Subject(SubjectKind.USER, user)]
    if not lines:
        raise UsageError("the policy can't express this grant; nothing is changed")
    return lines[-1]


def _take_in(before: bytes | None, text: bytes, user: str, place: str,
             now: int) -> list[GrantLine]:
    """Write the file, let the compiled policy, guard and sudoers follow, and return what that
    gives at this place. Raises UsageError; the file is what it was then, or it says so."""
    try:
        write_file(paths.TEMPORARY, text)
        compiled = current_policy(now)
        lines = [line for line in compiled.grants_of([f"user:{user}"])[0] if line.source == place]
        if compiled.outcome != VALID or not lines:
            raise UsageError("the policy was changed in this moment; try again")
        return lines
    except BaseException as error:
        try:
            put_back(paths.TEMPORARY, before)
        except OSError as second:
            raise UsageError(f"{error}\nand {paths.TEMPORARY} can't be put back ({second}): the "
                             f"grant will count\n  take it out of {place}") from None
        with suppress(Unusable, OSError, CommandFailed):  # else the timer sees to it
            current_policy(now)
        if isinstance(error, (UsageError, Unusable, OSError, CommandFailed)):
            raise UsageError(f"{error}\n  nothing is granted, {paths.TEMPORARY} is as it was"
                             ) from None
        raise


# And back

def _end(arguments: argparse.Namespace) -> int:
    user, uid = person_of(arguments.user)
    console = arguments.console
    with admin_lock():
        lines = _take_back(user, uid, console, arguments.reason)
    still_given_at = _still_given_at(user, console)
    for line in lines or ["the temporary grant is ended" if still_given_at else
                          f"{user} does not have it now; his next login won't have it either"]:
        print(line)
    for place in still_given_at:
        print(f"the policy itself gives {user} {console}, at {place}: that stays, see pam-spice "
              f"explain {user} {console}")
    return YES


def _take_back(user: str, uid: int, console: str, reason: str) -> list[str]:
    """What became of his sessions, a line each. Each step is done whatever became of the one
    before, and nothing is put back. Raises NotDone."""
    now = int(time.time())
    data = dict(read_trusted(paths.POLICY)).get(paths.TEMPORARY)
    troubles: list[str] = []
    kept: list[str] = []
    is_in_file = False
    if isinstance(data, Problem):
        troubles.append(str(data))
    elif data is not None:
        try:
            kept = entries_without(data, now, user, console)
            is_in_file = is_listed(data, user, console)
        except HandWritten as error:
            troubles.append(f"{_by_hand(error)}: take the grant out of the file by hand, if it is "
                            f"in it")
    elif os.path.lexists(paths.TEMPORARY):  # its whole directory is left out
        troubles.append(f"{paths.TEMPORARY} is not read at present, see pam-spice check: once it "
                        f"is, his next login may have it again")
    had = [grant for record in read_records().values() if record.uid == uid
           for grant in temporary_grants(record, console)]
    if not had and not is_in_file:
        raise NotDone("\n".join([f"{user} has no grant of {console} by pam-spice grant",
                                 *troubles]), [])
    lines: list[str] = []
    try:
        # Who is in loses it first.
        lines = end_grant(uid, user, console, reason=reason, place=paths.TEMPORARY,
                          consoles=journal.granted(_told(user, console, had)) or None)
    except (NotDone, CommandFailed, OSError) as error:
        troubles.append(f"open logins may have it still: {error}")
    try:
        if is_in_file:
            write_file(paths.TEMPORARY, file_text(kept))
    except OSError as error:
        troubles.append(f"his next login has it again: {paths.TEMPORARY} can't be written: "
                        f"{error}")
    try:
        if is_in_file:
            current_policy(now)
        for record in end_what_is_new(uid, console):
            troubles.append(f"session {record.session} has it still: it can't be recorded")
    except (Unusable, CommandFailed, OSError) as error:
        troubles.append(f"who logs in at this moment may have it: {error}")
    if troubles:
        by = actor()
        journal.log(journal.ERROR, f"end: NOT all of the temporary grant of {console} for {user} "
                    f"is ended (by {by}): {'; '.join(troubles)}", event="end", user=user, uid=uid,
                    by=by, reason=reason, place=paths.TEMPORARY, error="; ".join(troubles))
        raise NotDone("\n".join(["not all is taken back", *troubles]), lines)
    return lines


def _told(user: str, console: str, had: list[GrantLine]) -> list[GrantLine]:
    """The grants that end, as far as they are known: where no session has them, by the policy."""
    if not had:
        with suppress(Unusable):
            lines = CompiledPolicy(paths.COMPILED).grants_of([f"user:{user}"])[0]
            had = [line for line in lines if line.console == console and is_temporary(line)]
    return list({format_grant(grant): grant for grant in had}.values())


def _still_given_at(user: str, console: str) -> list[str]:
    """Where the policy gives it to him by other entries, now or at another time."""
    policy = read_policy(None).policy
    if policy is None:
        return []
    groups, now = groups_of(user, None), time.time()
    return [f"{grant.mark.file}:{grant.mark.line}" for grant in policy.grants
            if names(grant.subject, user, groups) and is_for(grant, os.uname().nodename)
            and grant.valid[1] > now and any(each.name == console for each in grant.consoles)]
