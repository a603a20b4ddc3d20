"""Windows that never open, dates that don't exist, times that a clock change skips, grants that
never count."""

from collections.abc import Generator, Iterator

from conf.calendars import date_of
from conf.grantline import FOREVER
from conf.intervals import DAY, EVERY_DATE, Interval, Window
from conf.lint.coming import Coming
from conf.lint.findings import Code, Finding
from conf.model import Exceptions, Grant, Policy, Schedule
from conf.problems import Mark
from conf.times import DAYS, EVERY_DAY
from conf.zones import load_zone, offsets_between

_Literal = tuple[Schedule, Window]


def windows_in_time(policy: Policy, coming: Coming) -> Iterator[Finding]:
    """Of the named windows."""
    for named in policy.windows.values():
        schedule = named.schedule
        what = f"window {named.name!r}"
        told = yield from _literals([(schedule, window) for window in schedule.windows], what,
                                    named.mark, coming, (0, FOREVER))
        if not coming.opens(schedule) and told < len(schedule.windows):
            yield Finding(Code.NEVER_OPENS, named.mark,
                          f"{what} does not open in the coming 400 days"
                          f"{_why((schedule,), coming)}", "mend its dates, or delete it")


def grants_in_time(policy: Policy, coming: Coming) -> Iterator[Finding]:
    """Of the grants; what is told of a window they name is not told again."""
    for grant in policy.grants:
        if grant.valid[1] <= coming.now:
            yield Finding(Code.EXPIRED, grant.mark,
                          f"this grant has expired at {coming.told(grant.valid[1])}",
                          "delete it, or set valid until anew")
            continue
        own = _own_literals(policy, grant)
        told = yield from _literals(own, "this grant", grant.mark, coming, grant.valid)
        if coming.counts_ever(grant):
            continue
        is_told_of_windows = not any(coming.opens(policy.windows[name].schedule)
                                     for name in grant.windows)
        if told == len(own) and is_told_of_windows:
            continue
        yield Finding(Code.NEVER_COUNTS, grant.mark,
                      f"this grant does not count in the coming 400 days"
                      f"{_why_grant(grant, coming)}", "mend its times, or delete it")


def _own_literals(policy: Policy, grant: Grant) -> list[_Literal]:
    """What stands in the grant itself, as far as no window that it names says the same."""
    named = {(policy.windows[name].schedule.timezone, window) for name in grant.windows
             for window in policy.windows[name].schedule.windows}
    return [(schedule, window) for schedule in grant.schedules or ()
            for window in schedule.windows if (schedule.timezone, window) not in named]


def _literals(literals: list[_Literal], what: str, mark: Mark, coming: Coming, valid: Interval,
              ) -> Generator[Finding, None, int]:
    """Returns how many of them are told of, as far as they would be open in no other way."""
    told = 0
    for schedule, window in literals:
        days, _, _, (first, last) = window
        if not any(days & 1 << (day + 3) % 7 for day in range(first, min(last, first + 6) + 1)):
            told += 1
            yield Finding(Code.NO_SUCH_DAY, mark,
                          f"{what} never opens on {literal_of(window)!r}: no such day is among "
                          f"these dates", "write the dates or the days alone")
            continue
        skipped = [(day, instant) for day, instant in coming.skips(schedule, window)
                   if valid[0] <= instant < valid[1]]
        if skipped:
            day, instant = skipped[0]
            told += 1
            yield Finding(Code.DST_SKIPPED, mark,
                          f"{what} does not open on {date_of(day)}, for the clock in "
                          f"{schedule.timezone} skips {literal_of(window)!r} then",
                          "begin it earlier or end it later if it matters on that day")
    return told


def _why_grant(grant: Grant, coming: Coming) -> str:
    if grant.schedules is None:
        return ""
    if any(map(coming.opens, grant.schedules)):
        return ": its windows are closed while it is valid"
    return _why(grant.schedules, coming)


def _why(schedules: tuple[Schedule, ...], coming: Coming) -> str:
    """What keeps all of them closed, as far as it is one thing."""
    dates = [window[3] for schedule in schedules for window in schedule.windows]
    if all(last < _today(schedule, coming) for schedule in schedules
           for _, _, _, (_, last) in schedule.windows):
        return f": its last date is {date_of(max(last for _, last in dates))}"
    if all(first * DAY > coming.end - DAY for first, _ in dates):
        return f": its first date is {date_of(min(first for first, _ in dates))}"
    if any(coming.opens(Schedule(schedule.timezone, schedule.windows))
           for schedule in schedules if schedule.exceptions != Exceptions()):
        return ": all its days are excepted"
    return ""


def _today(schedule: Schedule, coming: Coming) -> int:
    (_, offset), *_ = offsets_between(load_zone(schedule.timezone), coming.now, coming.now + 1)
    return (coming.now + offset) // DAY


def literal_of(window: Window) -> str:
    """A window as the policy's language writes it."""
    days, start, end, (first, last) = window
    parts = []
    if (first, last) != EVERY_DATE:
        parts.append(str(date_of(first)) + (f"..{date_of(last)}" if last > first else ""))
    if days != EVERY_DAY:
        parts.append(_days(days))
    if (start, end) != (0, DAY) or not parts:
        parts.append(f"{_time(start)}-{_time(end if end <= DAY else end - DAY)}")
    return " ".join(parts)


def _days(mask: int) -> str:
    runs: list[list[int]] = []
    for day in range(7):
        if mask & 1 << day:
            if runs and runs[-1][-1] == day - 1:
                runs[-1].append(day)
            else:
                runs.append([day])
    return ",".join(DAYS[run[0]] + (f"{'-' if len(run) > 2 else ','}{DAYS[run[-1]]}"
                                    if len(run) > 1 else "") for run in runs)


def _time(seconds: int) -> str:
    text = f"{seconds // 3600:02}:{seconds % 3600 // 60:02}"
    return text + (f":{seconds % 60:02}" if seconds % 60 else "")
