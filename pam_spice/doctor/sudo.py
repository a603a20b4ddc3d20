"""sudo: our rules are there, whole and read, and no other rule does what they guard."""

import os
import shlex
import stat
import time
from collections.abc import Iterator, Sequence

from conf.lookup import CompiledPolicy
from conf.viewer import CONFINER, VIEWER, VIEWER_GROUP
from pam_spice import paths, sudoers
from pam_spice.doctor import sudolist
from pam_spice.doctor.findings import FIX, Code, Finding, Piece
from pam_spice.doctor.people import People
from pam_spice.run import CommandFailed, lines, paste, run
from session.records import read_records

SUDOERS = "/etc/sudoers"
_DROP_INS = os.path.dirname(paths.SUDOERS)
_SUDO = "/usr/bin/sudo"
_TIMEOUT = "/usr/bin/timeout"

_MOST_USERS = 200
_SECONDS = 20.0
"""How many users sudo is asked about, and how long all of it may take: without a directory server
one takes 4 ms."""

_DEPTH = 8  # of includes


def drop_in_findings(policy: CompiledPolicy | None) -> Iterator[Finding]:
    """Our file: there, root's alone, what the policy asks for, and read by sudo."""
    try:
        found = os.lstat(paths.SUDOERS)
    except OSError:
        yield Finding(Code.SUDOERS_MISSING, f"there is no {paths.SUDOERS}: nobody can start the "
                      f"viewer", FIX, Piece.SUDOERS)
    else:
        if (not stat.S_ISREG(found.st_mode) or found.st_uid != 0 or found.st_gid != 0
                or stat.S_IMODE(found.st_mode) != 0o440):
            yield Finding(Code.SUDOERS_OWNER, f"{paths.SUDOERS} is not a file of root:root 0440, "
                          f"so sudo or pam-spice does not take it", FIX, Piece.SUDOERS)
        elif policy is not None and not sudoers.is_in_place(policy, read_records().values()):
            yield Finding(Code.SUDOERS_CHANGED, f"{paths.SUDOERS} is not what the policy asks for",
                          FIX, Piece.SUDOERS)
    if not _includes(SUDOERS, 0):
        yield Finding(Code.SUDOERS_NOT_INCLUDED, f"{SUDOERS} does not include {_DROP_INS}: nobody "
                      f"can start the viewer",
                      f"visudo, and append the line: @includedir {_DROP_INS}")
    try:
        run([paths.VISUDO, "-c"])
    except CommandFailed as error:
        said = (error.error_output or error.what).split("\n")[0]
        yield Finding(Code.SUDOERS_INVALID, f"visudo -c finds fault with sudo's files: {said}",
                      "mend it: visudo, or visudo -f FILE")


def _includes(path: str, depth: int) -> bool:
    """Whether the file includes our drop-in, or its directory: sudoers(5), Including other
    files."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError:
        return False
    for line in text.replace("\\\n", " ").splitlines():
        word, _, target = line.strip().partition(" ")
        target = target.strip().strip('"').replace("%h", os.uname().nodename.partition(".")[0])
        if word in ("@includedir", "#includedir"):
            if os.path.normpath(os.path.join("/etc", target)) == _DROP_INS:
                return True
        elif word in ("@include", "#include") and depth < _DEPTH:
            other = os.path.normpath(os.path.join("/etc", target))
            if other == paths.SUDOERS or _includes(other, depth + 1):
                return True
    return False


def rule_findings(policy: CompiledPolicy | None, people: People,
                  gid: int | None) -> Iterator[Finding]:
    """What sudo says that each of the policy's users may do, beside what our rules give him."""
    group = {VIEWER_GROUP, "ALL", f"#{gid}"}
    programs = (CONFINER, VIEWER)
    asked = people.names[:_MOST_USERS]
    end = time.monotonic() + _SECONDS
    weak: dict[tuple[str, str], str] = {}
    for number, user in enumerate(asked):
        if time.monotonic() > end:
            asked = asked[:number]
            break
        try:
            text = _ask(user)
        except (CommandFailed, UnicodeDecodeError) as error:
            yield Finding(Code.SUDO_UNASKED, f"sudo does not say what {user} may do: {error}",
                          f"find out why: {paste(['sudo', '-ll', '-U', user])}")
            continue
        listing = sudolist.parse_listing(text)
        own = _own_commands(policy, people.subjects(user)) if policy else set()
        for entry in listing.entries:
            if sudolist.is_root_in_effect(entry):
                yield Finding(Code.SUDO_ROOT, f"{user} may become root by sudo, for whom nothing "
                              f"of this is a wall", "nothing, if he is an admin here")
                continue
            command = sudolist.opening_command(entry, group, programs, own)
            if command is not None:
                word = shlex.quote(sudolist.word_of(entry, command, group))
                yield Finding(Code.SUDO_RULE, f"another rule of sudo opens the viewer or its group "
                              f"to {user}: {_rule(entry, command)}",
                              f"take it out of sudo's rules (which file: grep -rF {word} "
                              f"{SUDOERS} {_DROP_INS}; visudo -f FILE)")
        for each in sudolist.weakening(listing, (CONFINER,), sudoers.settings()):
            weak.setdefault(each, user)
    for (what, setting), user in weak.items():
        yield Finding(Code.SUDO_DEFAULTS, f"a Defaults of sudo weakens what starts the viewer: "
                      f"{setting} for {what} (seen for {user})",
                      "bind it to other commands, or take it out: visudo, visudo -f FILE")
    if len(asked) < len(people.names):
        yield Finding(Code.SUDO_UNASKED, f"sudo was asked about {len(asked)} of "
                      f"{len(people.names)} users, more takes too long",
                      "ask about the others: sudo -ll -U USER")


def _ask(user: str) -> str:
    # To a pipe: elsewhere sudo breaks lines at the 80th column.
    return b"".join(lines([_TIMEOUT, "--kill-after=1", "5", _SUDO, "-ll", "-U", user])).decode()


def _own_commands(policy: CompiledPolicy, subjects: Sequence[str]) -> set[str]:
    grants, _ = policy.grants_of(list(subjects))
    kept = [grant for record in read_records().values() for grant in record.grants
            if grant.subject in subjects]
    return {sudoers.command_of(grant) for grant in [*grants, *kept]}


def _rule(entry: sudolist.Entry, command: str) -> str:
    who = ", ".join(entry.users) + (f" : {', '.join(entry.groups)}" if entry.groups else "")
    return f"({who}) {command}"
