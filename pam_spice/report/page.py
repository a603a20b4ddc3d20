"""A report as one HTML page that needs nothing else: no script, no font, no network. Pure."""

from collections.abc import Iterable, Sequence
from html import escape

from pam_spice.auditlog import Event
from pam_spice.calendar_html import in_words, page, picture
from pam_spice.chart import Chart
from pam_spice.report.clock import Clock, total
from pam_spice.report.facts import NO_CONSOLE, Facts, Row, Tally
from pam_spice.report.limits import LIMITS
from pam_spice.report.sessions import Session, Span, clipped, name_of, told_at
from pam_spice.report.style import STYLE
from pam_spice.report.tables import items, table, text

_NEVER = "no viewer was started"
_MOST_TESTS = 20
_TALLY = ("Who", "What", "Why", "Told by", "Times", "First", "Last")


def html_page(facts: Facts, chart: Chart | None, zone: str, host: str,
              notes: Iterable[str] = ()) -> str:
    """The whole page. ``chart``: a week of the policy, None where that is unusable. ``notes``: what
    the reader has to know beside what all reports say, in plain text."""
    return _Page(facts, chart, Clock(zone), host, tuple(notes)).draw()


class _Page:
    def __init__(self, facts: Facts, chart: Chart | None, clock: Clock, host: str,
                 notes: tuple[str, ...]) -> None:
        self.facts = facts
        self.chart = chart
        self.clock = clock
        self.host = host
        self.notes = notes

    def draw(self) -> str:
        """From top to bottom."""
        facts = self.facts
        title = f"Consoles on {self.host}"
        parts = [
            f"<header>\n<h1>{text(title)}: what happened</h1>\n"
            f'<p class="under">From {escape(self.clock.text(facts.since))} to '
            f"{escape(self.clock.text(facts.until))}, by the clock of "
            f"{text(self.clock.zone)}.</p>\n</header>\n{self._summary()}<main>\n",
            _section("calendar", "Who may: the week's calendar", self._calendar()),
            _section("use", "Who could, and who did", self._use()),
            _section("sessions", "Logins", self._sessions()),
            _section("refused", "Refused", self._tallies(
                facts.refusals, "Logins that got nothing or had to wait, packets that the kernel "
                "refused, and what sudo did not start. The same is summed.",
                "Nothing was refused.")),
            _section("cut", "Cut", self._tallies(
                facts.cuts, "Live connections that were ended; the same is summed.",
                "No live connection was cut.")),
            _section("changed", "Changed by people", self._changes()),
            _section("mended", "Put right", self._mends()),
            _section("wrong", "Went wrong", self._wrong()),
            _section("known", "What this page knows", self._limits()),
            "</main>\n"]
        return page(title, STYLE, "".join(parts))

    def _summary(self) -> str:
        facts = self.facts
        used = sum(len(row.used) for row in facts.rows)
        cards = [("use", used, "viewer started", "viewers started"),
                 ("sessions", len(facts.sessions), "login", "logins"),
                 ("refused", _times(facts.refusals), "refusal", "refusals"),
                 ("cut", _times(facts.cuts), "connection cut", "connections cut"),
                 ("changed", len(facts.changes), "change", "changes"),
                 ("mended", len(facts.mends), "thing put right", "things put right"),
                 ("wrong", _times(facts.faults), "fault", "faults")]
        links = "".join(
            f'<li><a href="#{name}"{_look(name, number)}><b>{number}</b> '
            f"{one if number == 1 else several}"
            f'{": please look" if _look(name, number) else ""}</a></li>\n'
            for name, number, one, several in cards)
        return f'<nav aria-label="Summary">\n<ul>\n{links}</ul>\n</nav>\n'

    def _calendar(self) -> str:
        if self.chart is None:
            return _none("The policy is unusable and gives nobody anything: pam-spice check")
        return ("<p>What the policy says now, for the whole week; not what happened in it.</p>\n"
                f"{picture(self.chart)}\n<details>\n<summary>The same in words</summary>\n"
                f"{in_words(self.chart)}</details>\n")

    def _use(self) -> str:
        if not self.facts.rows:
            return _none("Nobody who was logged in could reach a console.")
        caption = ("Open: the kernel would have let his viewer through, as he was logged in and it "
                   "was his time. Viewer ran: sudo started it for him, until it ended.")
        return table(caption, ("Who", "Console", "Open", "Open in all", "Viewer ran", "In all"),
                     [self._use_row(row) for row in self.facts.rows])

    def _use_row(self, row: Row) -> tuple[str, ...]:
        console = ("not known: sudo's line is missing" if row.console == NO_CONSOLE
                   else row.console)
        ran = items(self._ran(row, span) for span in row.used) if row.used else _aside(_NEVER)
        return (text(row.user), text(console),
                items(map(self.clock.span, row.open)) if row.open else _aside("never"),
                total(row.open) if row.open else "", ran, self._used(row))

    def _ran(self, row: Row, span: Span) -> str:
        if span not in row.end_unknown:
            return self.clock.span(span)
        if span.end == self.facts.until:
            return f"{self.clock.time(span.start)}, and goes on, as far as is told"
        return (f"{self.clock.time(span.start)}, no end is told; "
                f"over by {self.clock.time(span.end)}")

    def _used(self, row: Row) -> str:
        if not row.used or row.end_unknown:
            return ""
        while_open = [part for span in row.used
                      for part in clipped(row.open, span.start, span.end)]
        words = total(row.used)
        outside = sum(span.length for span in row.used) - sum(each.length for each in while_open)
        if outside > 0 and row.console != NO_CONSOLE:
            words += f", {total(tuple(while_open))} of it while it was open"
        return words

    def _sessions(self) -> str:
        if not self.facts.sessions:
            return _none("No login got consoles or waited for them.") + self._tests()
        return self._tests() + table(
            "Logins that count, each with the consoles that were open for it at some time.",
            ("Who", "Session", "From", "To", "Ended by", "Consoles"),
            [self._session(each) for each in self.facts.sessions])

    def _tests(self) -> str:
        if not self.facts.tests:
            return ""
        told = ", ".join(f"{text(each.user or f'uid {each.uid}')} ({self.clock.time(each.start)}, "
                         f"by {text(each.tested_by or '-')})" for each in
                         self.facts.tests[-_MOST_TESTS:])
        more = len(self.facts.tests) - _MOST_TESTS
        return (f"<p>Made by pam-spice selftest, and not counted: {told}"
                f"{f', and {more} before' if more > 0 else ''}.</p>\n")

    def _session(self, session: Session) -> tuple[str, ...]:
        start = self.clock.time(session.start)
        if not session.is_start_known:
            start = f"before {start}"
        reach = session.reach(self.facts.until)
        consoles = sorted(name for name, spans in reach.items()
                          if clipped(spans, self.facts.since, self.facts.until))
        words = ", ".join(consoles) or "none"
        if session.waited:
            words += "; it waited while another user was there"
        goes_on = session.end is None
        return (text(session.user or f"uid {session.uid}"), text(session.id), start,
                "goes on" if session.end is None else self.clock.time(session.end),
                "" if goes_on else text(session.why or "-"), text(words))

    def _tallies(self, tallies: Sequence[Tally], caption: str, nothing: str) -> str:
        if not tallies:
            return _none(nothing)
        return table(caption, _TALLY, [
            (text(each.who), text(each.what), text(each.reason), text(each.by), str(each.count),
             self.clock.time(each.first),
             self.clock.time(each.last) if each.last != each.first else "")
            for each in tallies])

    def _changes(self) -> str:
        if not self.facts.changes:
            return _none("Nobody changed anything.")
        return table("Edits of the policy, grants and revocations, with who did it and the reason "
                     "he gave.", ("When", "What", "By", "About", "Reason", "Outcome"),
                     [self._change(event) for event in self.facts.changes])

    def _change(self, event: Event) -> tuple[str, ...]:
        details = event.details
        about = [event.user] if event.user else []
        about += [self._granted(event)] if event.consoles else []
        about += [details["place"]] if "place" in details and event.event == "edit" else []
        outcome = []
        if event.event == "policy":
            about.append(f"{details.get('before', 'none')} \N{RIGHTWARDS ARROW} {event.revision}")
            outcome.append(details.get("outcome", ""))
            if details.get("problems", "0") != "0":
                outcome.append(f"errors: {details['problems']}")
        elif event.revision:
            outcome.append(f"policy {event.revision}")
        until = event.until
        if until is not None:
            about.append(f"until {self.clock.text(until)}")
        if "error" in details:
            outcome = ["NOT done, or not all of it:", details["error"]]
        by = event.by or ("not known" if event.event == "policy" else "-")
        return (self.clock.time(told_at(event)), text(event.event), text(by),
                text(" ".join(about)), text(event.reason or ""), text(" ".join(outcome)))

    def _granted(self, event: Event) -> str:
        words = []
        for each in event.consoles:
            words.append(name_of(each) + (
                f" until {self.clock.text(each.end)}" if each.end is not None else ""))
        return ", ".join(dict.fromkeys(words))

    def _wrong(self) -> str:
        body = self._tallies(self.facts.faults, "What pam-spice could not do, or not as it should; "
                             "the same is summed.", "Nothing went wrong.")
        if self.facts.notes:
            body += self._tallies(self.facts.notes, "Notes of pam-spice doctor, which are no "
                                  "faults.", "")
        return body

    def _placed(self) -> str:
        if not self.facts.placed:
            return ""
        what = ", ".join(dict.fromkeys(event.details["what"] for event in self.facts.placed))
        return (f"<p>Put in place, as it was the first policy: {text(what)} "
                f"({self.clock.time(told_at(self.facts.placed[0]))}).</p>\n")

    def _mends(self) -> str:
        if not self.facts.mends:
            return _none("Everything stayed as it should be.") + self._placed()
        return self._placed() + table("What was not as it should be, and is again.",
                     ("When", "What", "Whose", "Why", "Foreign"),
                     [(self.clock.time(told_at(event)), text(event.details.get("what", "-")),
                       text(event.user or ("" if event.uid is None else f"uid {event.uid}")),
                       text(event.reason or event.message),
                       text(event.details.get("foreign", ""))) for event in self.facts.mends])

    def _limits(self) -> str:
        own = "".join(f"<li>{text(note)}</li>\n" for note in self.notes)
        general = "".join(f"<li>{escape(limit)}</li>\n" for limit in LIMITS)
        gaps = ""
        if self.facts.gaps:
            gaps = self._tallies(self.facts.gaps, "What the journal itself says that it lost or "
                                 "got late.", "")
        return f'<ul class="notes">\n{own}{general}</ul>\n{gaps}'


def _section(name: str, heading: str, body: str) -> str:
    return (f'<section id="{name}" aria-labelledby="{name}-h">\n'
            f'<h2 id="{name}-h">{escape(heading)}</h2>\n{body}</section>\n')


def _none(words: str) -> str:
    return f'<p class="none">{escape(words)}</p>\n'


def _aside(words: str) -> str:
    return f'<span class="aside">{escape(words)}</span>'


def _times(tallies: Iterable[Tally]) -> int:
    return sum(each.count for each in tallies)


def _look(name: str, number: int) -> str:
    return ' class="look"' if name in ("mended", "wrong") and number else ""
