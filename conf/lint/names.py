"""Names that lead nowhere: unused entries, consoles of nobody, unknown accounts."""

from collections.abc import Iterator
from typing import Protocol

from conf.deciding import fits, is_for
from conf.lint.findings import Code, Finding
from conf.lint.written import Written
from conf.model import Grant, Policy, Subject, SubjectKind

_RIGHT = "mend the name; if it is right, a directory may be away"


class Accounts(Protocol):
    """What is known of users and groups, by name."""

    def has_user(self, user: str) -> bool:
        """Whether there is such a user."""

    def is_person(self, user: str) -> bool:
        """Whether that user's account is an ordinary one, which alone can have consoles."""

    def has_group(self, group: str) -> bool:
        """Whether there is such a group."""

    def is_member(self, user: str, group: str) -> bool:
        """Whether the user is known to be in the group."""


def unused_entries(policy: Policy, written: Written) -> Iterator[Finding]:
    """What nothing refers to, not even an entry with an error; what is in one list twice."""
    for window in policy.windows.values():
        if window.name not in written.times:
            yield Finding(Code.UNUSED_WINDOW, window.mark,
                          f"no grant names the window {window.name!r}", "use it, or delete it")
    for calendar in policy.calendars.values():
        if calendar.name not in written.exceptions:
            yield Finding(Code.UNUSED_CALENDAR, calendar.mark,
                          f"no window or grant excepts the calendar {calendar.name!r}",
                          "use it under `except:`, or delete it")
    for server in policy.servers.values():
        if server.name not in written.servers:
            yield Finding(Code.UNUSED_SERVER, server.mark,
                          f"server {server.name!r} has no console",
                          "name its consoles; its ports stay guarded as long as it stands here")
    for mark, text in written.doubled:
        yield Finding(Code.DOUBLED, mark, f"{text!r} is in this list twice", "delete one of them")


def closed_consoles(policy: Policy, now: int) -> Iterator[Finding]:
    """Consoles that nobody may open any more, or could ever."""
    granted: set[str] = {name for skipped in policy.skipped for name in skipped.consoles}
    expired: set[str] = set()
    for grant in policy.grants:
        (granted if grant.valid[1] > now else expired).update(
            console.name for console in grant.consoles)
    for console in policy.consoles.values():
        if console.name not in granted:
            why = ("all its grants have expired" if console.name in expired
                   else "no grant names it")
            yield Finding(Code.CLOSED_CONSOLE, console.mark,
                          f"nobody may open console {console.name!r}: {why}",
                          "grant it to somebody, or delete it")


def unknown_accounts(policy: Policy, accounts: Accounts) -> Iterator[Finding]:
    """Once for each subject, at its first grant."""
    first: dict[Subject, Grant] = {}
    for grant in policy.grants:
        first.setdefault(grant.subject, grant)
    for subject, grant in first.items():
        name = subject.name
        if subject.kind == SubjectKind.GROUP:
            if not accounts.has_group(name):
                yield Finding(Code.UNKNOWN_GROUP, grant.mark, f"there is no group {name!r} here",
                              f"{_RIGHT}: `getent group {_word(name)}` prints it once it is back")
        elif not accounts.has_user(name):
            yield Finding(Code.UNKNOWN_USER, grant.mark, f"there is no user {name!r} here",
                          f"{_RIGHT}: `getent passwd {_word(name)}` prints it once it is back")
        elif not accounts.is_person(name):
            yield Finding(Code.NOT_A_PERSON, grant.mark,
                          f"{name!r} is no person's account: consoles open for none such",
                          "grant it to the account that the person logs in with")


def workstation_names(policy: Policy, written: Written) -> Iterator[Finding]:
    """Only where workstations are listed: what is granted on none of them, and those on which
    nothing is granted. Those with an error are listed too, and what a grant with an error gives,
    nobody knows."""
    if not written.workstations:
        return
    listed = {name.lower(): name for name in sorted(written.workstations)}.values()
    known: dict[str, bool] = {}
    for grant in policy.grants:
        for glob in dict.fromkeys(grant.workstations):
            if glob not in known:
                known[glob] = any(fits(glob, name) for name in listed)
            if not known[glob]:
                yield Finding(Code.UNLISTED_WORKSTATION, grant.mark,
                              f"this grant's {glob!r} fits none of the workstations listed",
                              "mend it, or list the workstation: the server's rules shut it out")
    if policy.skipped or any(not grant.workstations for grant in policy.grants):
        return
    globs = {grant.workstations: grant for grant in policy.grants}.values()
    for workstation in policy.workstations.values():
        if not any(is_for(grant, workstation.name) for grant in globs):
            yield Finding(Code.IDLE_WORKSTATION, workstation.mark,
                          f"no grant counts on the workstation {workstation.name!r}",
                          "mend its name or the grants' patterns, or delete it")


def _word(name: str) -> str:
    """As a shell takes it; the language lets no quote into a name."""
    return name if name.replace("_", "").replace("-", "").isalnum() else f"'{name}'"
