"""Two who may be on one console at one time.

SPICE has one seat: the later one throws the earlier out. Which workstations they sit at does not
matter, they meet at the console; but two who are bound to one and the same workstation can't meet
where that admits one user at a time.
"""

from collections.abc import Callable, Iterator

from conf.deciding import intervals_of
from conf.intervals import DAY, merged
from conf.lint.coming import Coming
from conf.lint.findings import Code, Finding
from conf.model import Console, Grant, Policy, Subject, SubjectKind

MAX_PAIRS = 20  # told of one console
_MAX_STEPS = 3_000_000  # comparisons in all: some seconds
_BLOCK = 40 * DAY

IsMember = Callable[[str, str], bool]
"""Whether a user is known to be in a group."""

_Holder = tuple[Subject, str]
"""Who may, and the one workstation it is bound to; empty: not bound to one."""


def overlaps(policy: Policy, coming: Coming, is_member: IsMember) -> Iterator[Finding]:
    """At most one finding for two subjects and a console, MAX_PAIRS for a console and one that
    says that there are more."""
    by_console: dict[str, list[int]] = {}
    for number, grant in enumerate(policy.grants):
        for console in grant.consoles:
            by_console.setdefault(console.name, []).append(number)
    left = _MAX_STEPS
    for name, numbers in by_console.items():
        holders: dict[_Holder, list[int]] = {}
        for number in numbers:
            grant = policy.grants[number]
            holders.setdefault((grant.subject, _machine(policy, grant)), []).append(number)
        machines = {machine for _, machine in holders}
        if len({subject for subject, _ in holders}) == 1 or len(machines) == 1 and all(machines):
            continue
        sweep = _Sweep(list(holders), is_member, left)
        # In pieces, for the intervals of a year of 100,000 grants take gigabytes.
        for start, end in coming.blocks(_BLOCK):
            sweep.go_through([
                (opens, number, closes) for number, own in enumerate(holders.values())
                for opens, closes in merged([span for each in own for span in
                                             coming.counts_in(policy.grants[each], start, end)])])
            if sweep.is_over:
                break
        left = sweep.left
        for one, other, instant in sweep.found[:MAX_PAIRS]:
            first, last = sorted(_number_at(policy, holders[holder], instant)
                                 for holder in (one, other))
            yield _finding(policy.consoles[name], policy.grants[first], policy.grants[last],
                           coming.told(instant))
        if sweep.is_over:
            subjects = {subject for subject, _ in holders}
            yield Finding(
                Code.OVERLAP, policy.consoles[name].mark,
                f"there are more overlaps on console {name!r} than are told here, or too many "
                f"grants to tell: {len(subjects)} users and groups may reach it",
                "give them different times, or fewer of them this console")


def _machine(policy: Policy, grant: Grant) -> str:
    names = {name.lower() for name in grant.workstations}
    if not policy.workstation.one_user or len(names) != 1:
        return ""
    name = names.pop()
    return "" if "*" in name or "?" in name else name


def _number_at(policy: Policy, numbers: list[int], instant: int) -> int:
    """Which of these grants counts at the instant."""
    return next(number for number in numbers
                if intervals_of([policy.grants[number]], instant, instant + 1))


def _finding(console: Console, first: Grant, last: Grant, when: str) -> Finding:
    return Finding(
        Code.OVERLAP, last.mark,
        f"{last.subject.kind} {last.subject.name} and {first.subject.kind} {first.subject.name} "
        f"may both reach console {console.name!r}, first at {when}; the other grant: "
        f"{first.mark.file}:{first.mark.line}",
        "the later one throws the earlier out: give them different times")


class _Sweep:
    """Goes through the beginnings of a console's intervals in order, with what is open then.
    ``left``: how many comparisons it may make."""

    def __init__(self, holders: list[_Holder], is_member: IsMember, left: int) -> None:
        self.found: list[tuple[_Holder, _Holder, int]] = []
        self.left = left
        self._holders = holders
        self._is_member = is_member
        self._seen: set[frozenset[Subject]] = set()

    @property
    def is_over(self) -> bool:
        """Whether there was more than is told, or too much to compare."""
        return len(self.found) > MAX_PAIRS or self.left < 0

    def go_through(self, intervals: list[tuple[int, int, int]]) -> None:
        """(start, holder's number, end): adds the first instants at which two subjects may."""
        active: list[tuple[int, int]] = []
        for start, number, end in sorted(intervals):
            active = [each for each in active if each[0] > start]
            self.left -= len(active)
            if self.is_over:
                return
            subject, machine = self._holders[number]
            for _, other in active:
                rival, its_machine = self._holders[other]
                if (machine and machine == its_machine) or rival == subject:
                    continue
                pair = frozenset((subject, rival))
                if pair in self._seen:
                    continue
                self._seen.add(pair)
                # What a group's members have between them is what the group was granted for.
                if not self._is_within(subject, rival) and not self._is_within(rival, subject):
                    self.found.append((self._holders[other], self._holders[number], start))
            active.append((end, number))

    def _is_within(self, user: Subject, group: Subject) -> bool:
        return (user.kind == SubjectKind.USER and group.kind == SubjectKind.GROUP
                and self._is_member(user.name, group.name))
