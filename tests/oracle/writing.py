"""A policy of the oracle's as YAML text, in one file or several."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from tests.oracle.policies import Calendar, Dates, Except, Grant, Literal, Moment, Policy, Window

DAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_UNSAFE = set(",*?&!|>%@`\"'#[]{}")


def clock_text(seconds: int) -> str:
    """``HH:MM``, or ``HH:MM:SS`` where there are odd seconds."""
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}"
    return f"{text}:{seconds % 60:02}" if seconds % 60 else text


def dates_text(dates: Dates) -> str:
    """A day, or a span of days."""
    first, last = dates
    return first.isoformat() if first == last else f"{first.isoformat()}..{last.isoformat()}"


def literal_text(literal: Literal) -> str:
    """A window literal."""
    parts = [
        ",".join(dates_text(dates) for dates in literal.dates),
        ",".join(DAY_NAMES[first] if first == last else f"{DAY_NAMES[first]}-{DAY_NAMES[last]}"
                 for first, last in literal.days),
        ",".join(f"{clock_text(start)}-{clock_text(end)}" for start, end in literal.times),
    ]
    return " ".join(part for part in parts if part)


def moment_text(moment: Moment) -> str:
    """A bound of ``valid``. Local times on the hour are written with a blank, others with a T, to
    have both."""
    if not isinstance(moment, datetime):
        return moment.isoformat()
    precision = "seconds" if moment.second else "minutes"
    if moment.tzinfo is None:
        return moment.isoformat("T" if moment.minute else " ", precision)
    if moment.tzinfo is UTC:
        return moment.replace(tzinfo=None).isoformat("T", precision) + "Z"
    offset = moment.utcoffset()
    assert offset is not None
    minutes = offset // timedelta(minutes=1)
    return (moment.replace(tzinfo=None).isoformat("T", precision)
            + f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}")


class _Writer:
    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def scalar(self, text: str) -> str:
        if self.policy.is_quoted or _UNSAFE & set(text):
            return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return text

    def one_or_list(self, texts: Sequence[str]) -> str:
        if len(texts) == 1 and self.policy.is_bare:
            return self.scalar(texts[0])
        return f"[{', '.join(self.scalar(text) for text in texts)}]"

    def excepted(self, items: Sequence[Except]) -> str:
        return self.one_or_list([item if isinstance(item, str) else dates_text(item)
                                 for item in items])

    def when(self, items: Sequence[Literal | str]) -> str:
        return self.one_or_list([item if isinstance(item, str) else literal_text(item)
                                 for item in items])

    def window(self, window: Window) -> str:
        if not window.is_long:
            return f"  {window.name}: {self.when(window.when)}"
        lines = [f"  {window.name}:"]
        if window.when:
            lines.append(f"    when: {self.when(window.when)}")
        if window.zone is not None:
            lines.append(f"    timezone: {self.scalar(window.zone)}")
        if window.excepted:
            lines.append(f"    except: {self.excepted(window.excepted)}")
        return "\n".join(lines)

    def calendar(self, calendar: Calendar) -> str:
        return f"  {calendar.name}: {self.excepted(calendar.days)}"

    def grant(self, grant: Grant) -> str:
        lines = [f"  - {grant.kind}: {self.scalar(grant.subject)}",
                 f"    console: {self.one_or_list(grant.consoles)}"]
        if grant.when:
            lines.append(f"    when: {self.when(grant.when)}")
        if grant.excepted:
            lines.append(f"    except: {self.excepted(grant.excepted)}")
        bounds = [f"{key}: {self.scalar(moment_text(moment))}" for key, moment in
                  (("from", grant.valid_from), ("until", grant.valid_until)) if moment is not None]
        if bounds:
            lines.append(f"    valid: {{{', '.join(bounds)}}}")
        if grant.workstations:
            lines.append(f"    workstations: {self.one_or_list(grant.workstations)}")
        if grant.reason is not None:
            lines.append(f"    reason: {self.scalar(grant.reason)}")
        if grant.is_spoilt:
            lines.append("    colour: red")
        return "\n".join(lines)

    def file(self, number: int) -> str:
        policy = self.policy
        text = ""
        if number == 0:
            text = (f"timezone: {policy.timezone}\n"
                    "servers:\n  mysrv:\n    host: mysrv.example\n    addresses: [192.168.2.2]\n"
                    "    guarded_ports: [20001-20010]\n    ca_file: /etc/pam-spice/ca.pem\n")
        sections = {
            "consoles": [f"  {name}: {{server: mysrv, tls_port: {20001 + index}}}"
                         for index, name in enumerate(policy.consoles)],
            "calendars": [self.calendar(calendar) for calendar in policy.calendars],
            "windows": [self.window(window) for window in policy.windows],
            "grants": [self.grant(grant) for grant in policy.grants],
        }
        for name, entries in sections.items():
            # Dealt out backwards, so that what is referred to is often in a later file.
            own = [entry for index, entry in enumerate(entries)
                   if (len(entries) - 1 - index) % policy.files == number]
            if own:
                text += f"{name}:\n" + "\n".join(own) + "\n"
        return text


def policy_files(policy: Policy) -> list[str]:
    """The text of the main file, and of those in its directory; none of them is empty."""
    texts = [_Writer(policy).file(number) for number in range(policy.files)]
    return [texts[0], *(text for text in texts[1:] if text)]


def spans_of(days: Sequence[date]) -> tuple[Dates, ...]:
    """Each day as a span of its own."""
    return tuple((day, day) for day in days)
