"""Grants that are there twice, or that give nothing which another one doesn't give."""

from collections.abc import Iterator
from itertools import combinations, islice

from conf.lint.findings import Code, Finding
from conf.model import Grant, Policy, Schedule, Subject

_MAX_COMPARED = 20_000  # pairs of one subject's grants


def needless_grants(policy: Policy) -> Iterator[Finding]:
    """Judged by what is written, so for all time: what one grant gives in another way than the
    other, though at the same times, is not found."""
    first: dict[tuple[object, ...], Grant] = {}
    by_subject: dict[Subject, list[Grant]] = {}
    for grant in policy.grants:
        key = (grant.subject, frozenset(each.name for each in grant.consoles),
               None if grant.schedules is None else frozenset(grant.schedules), grant.valid,
               frozenset(glob.lower() for glob in grant.workstations))
        if key in first:
            yield Finding(Code.DUPLICATE, grant.mark,
                          f"this grant is there already: {_place(first[key])}",
                          "keep one of the two")
            continue
        first[key] = grant
        by_subject.setdefault(grant.subject, []).append(grant)
    for grants in by_subject.values():
        told = set()
        for one, other in islice(combinations(grants, 2), _MAX_COMPARED):
            for small, large in ((other, one), (one, other)):
                if small.mark not in told and _is_within(small, large):
                    told.add(small.mark)
                    yield Finding(Code.CONTAINED, small.mark,
                                  f"this grant gives nothing that another one doesn't give: "
                                  f"{_place(large)}", "delete it, or narrow the other one")
                    break


def _place(grant: Grant) -> str:
    return f"{grant.mark.file}:{grant.mark.line}"


def _is_within(small: Grant, large: Grant) -> bool:
    return (set(small.consoles) <= set(large.consoles)
            and large.valid[0] <= small.valid[0] and small.valid[1] <= large.valid[1]
            and (not large.workstations or bool(small.workstations)
                 and {glob.lower() for glob in small.workstations}
                 <= {glob.lower() for glob in large.workstations})
            and (large.schedules is None or small.schedules is not None and all(
                any(_is_schedule_within(each, whole) for whole in large.schedules)
                for each in small.schedules)))


def _is_schedule_within(small: Schedule, large: Schedule) -> bool:
    return (small.timezone == large.timezone
            and set(large.exceptions.dates) <= set(small.exceptions.dates)
            and set(large.exceptions.holidays) <= set(small.exceptions.holidays)
            and all(any(not days & ~other_days and other_start <= start and end <= other_end
                        and first >= other_first and last <= other_last
                        for other_days, other_start, other_end, (other_first, other_last)
                        in large.windows)
                    for days, start, end, (first, last) in small.windows))
