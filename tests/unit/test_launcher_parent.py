"""What the launcher says while the viewer runs; the clock is the test's own."""

import signal
from collections.abc import Callable

import pytest

from launcher.consoles import Console
from launcher.desktop import ANSWERED, CANCELLED, NO_WINDOW
from launcher.diagnosis import Diagnosis
from launcher.parent import LONGEST_WAIT, accompany, next_look, warnings_due, why_ended

START = 1795424400  # Mon 2026-11-23 10:00 in Berlin
END = START + 7200  # 12:00
ZONE = ((0, 3600),)


def webdev(until: int | None, opens: int | None = None) -> Console:
    return Console("webdev", "mysrv.example", 20002, "/ca", opens is None, until, opens, ZONE)


WEBDEV = webdev(END)
NEXT = webdev(None, END + 20 * 3600)  # Tue 08:00

Present = tuple[bool, Console | None]


class World:
    """Time passes only in waits. ``viewer_ends`` and ``stopped_at`` are instants."""

    def __init__(self, start: float = START, viewer_ends: float | None = None, status: int = 0,
                 starts: float = 0, asked_at: float | None = None, obeys: bool = True) -> None:
        self.clock = start
        self.viewer_ends = viewer_ends
        self.viewer_status = status
        self.starts = starts
        self.asked_at = asked_at
        self.obeys = obeys
        self.stops: list[float] = []
        self.said: list[tuple[float, str]] = []
        self.announced: list[str] = []
        self.explained: list[str] = []
        self.lines: list[tuple[float, str]] = []
        self.notes = ""
        self.diagnosis = Diagnosis(lambda _: ())
        self.waits: list[float] = []
        self.present: Callable[[float], Present] = lambda now: (
            True, WEBDEV if now < END else NEXT)

    def now(self) -> float:
        return self.clock

    def console(self) -> Present:
        return self.present(self.clock)

    def has_started(self) -> bool:
        return self.clock >= self.starts and self.status() is None

    def status(self) -> int | None:
        if self.viewer_ends is not None and self.clock >= self.viewer_ends:
            return self.viewer_status
        return None

    def wait(self, seconds: float) -> bool:
        assert seconds > 0
        self.waits.append(seconds)
        said = self.lines[0][0] if self.lines else None
        woken = [instant for instant in (self.viewer_ends, self.asked_at, said)
                 if instant is not None and self.clock < instant <= self.clock + seconds]
        self.clock = min(woken, default=self.clock + seconds)
        return self.clock == self.asked_at

    def stop(self) -> None:
        self.stops.append(self.clock)
        if self.obeys:
            self.viewer_ends, self.viewer_status = self.clock + 0.2, -signal.SIGTERM

    def heard(self) -> Diagnosis:
        while self.lines and self.lines[0][0] <= self.clock:
            self.diagnosis.hear(self.lines.pop(0)[1])
        return self.diagnosis

    def password_notes(self) -> str:
        return self.notes

    def tell(self, text: str) -> None:
        self.said.append((self.clock, text))

    def announce(self, text: str) -> None:
        self.tell(text)
        self.announced.append(text)

    def explain(self, text: str) -> None:
        self.tell(text)
        self.explained.append(text)

    @property
    def texts(self) -> list[str]:
        return [text for _, text in self.said]


def test_it_warns_ten_five_and_one_minute_before_the_end_and_says_why_it_closed() -> None:
    world = World(viewer_ends=END + 1)
    assert accompany(world, WEBDEV) == 0
    assert world.said == [
        (END - 600, "webdev closes in 10 minutes, at 12:00."),
        (END - 300, "webdev closes in 5 minutes, at 12:00."),
        (END - 60, "webdev closes in 1 minute, at 12:00."),
        (END, "Your time for webdev ended at 12:00. The next one is Tue 08:00.")]
    assert world.announced == world.texts[:3]
    assert world.explained == world.texts[3:]


def test_no_wait_is_longer_than_half_a_minute() -> None:
    world = World(viewer_ends=END + 1)
    accompany(world, WEBDEV)
    assert max(world.waits) <= LONGEST_WAIT <= 30


def test_a_console_without_an_end_is_watched_all_the_same() -> None:
    always = webdev(None)
    world = World(viewer_ends=START + 86400)
    world.present = lambda now: (True, always)
    assert accompany(world, always) == 0
    assert world.texts == ["Closed."]
    assert max(world.waits) <= LONGEST_WAIT <= 30


def test_whoever_opens_late_is_told_at_once_what_is_left_and_warned_as_before() -> None:
    world = World(start=END - 200, viewer_ends=END + 1)
    accompany(world, WEBDEV)
    assert world.texts == ["webdev closes in 4 minutes, at 12:00.",
                           "webdev closes in 1 minute, at 12:00.",
                           "Your time for webdev ended at 12:00. The next one is Tue 08:00."]


def test_while_sudo_asks_nobody_is_warned() -> None:
    world = World(start=END - 400, viewer_ends=END + 1, starts=END - 200)
    accompany(world, WEBDEV)
    assert world.said[0] == (END - 200, "webdev closes in 4 minutes, at 12:00.")


def test_a_suspend_over_two_warnings_gives_one_with_the_time_that_is_left() -> None:
    world = World(viewer_ends=END + 1)
    plain_wait = world.wait

    def wait(seconds: float) -> bool:
        if world.clock == END - 630:
            world.clock = END - 150  # the lid was closed
            return False
        return plain_wait(seconds)

    world.wait = wait  # type: ignore[method-assign]
    accompany(world, WEBDEV)
    assert world.said[0] == (END - 150, "webdev closes in 3 minutes, at 12:00.")
    assert world.said[1] == (END - 60, "webdev closes in 1 minute, at 12:00.")


def test_a_suspend_over_the_end_says_that_the_time_is_over() -> None:
    world = World(viewer_ends=END + 7300)
    plain_wait = world.wait

    def wait(seconds: float) -> bool:
        if world.clock == END - 900:
            world.clock = END + 7200
            return False
        return plain_wait(seconds)

    world.wait = wait  # type: ignore[method-assign]
    accompany(world, WEBDEV)
    assert world.texts == ["Your time for webdev ended at 12:00. The next one is Tue 08:00."]


def test_a_clock_that_is_set_back_warns_again_at_its_time() -> None:
    world = World(start=END - 700, viewer_ends=END + 1)
    plain_wait = world.wait
    steps = iter([END - 700])

    def wait(seconds: float) -> bool:
        if world.clock == END - 570:
            world.clock = next(steps, world.clock)
        return plain_wait(seconds)

    world.wait = wait  # type: ignore[method-assign]
    accompany(world, WEBDEV)
    assert world.texts.count("webdev closes in 10 minutes, at 12:00.") == 2


def test_a_time_that_is_made_longer_is_followed() -> None:
    longer = webdev(END + 3600)
    world = World(viewer_ends=END + 600)
    world.present = lambda now: (True, WEBDEV if now < END - 900 else longer)
    accompany(world, WEBDEV)
    assert world.texts == ["Closed."]


def test_the_person_who_closes_the_viewer_reads_only_closed() -> None:
    world = World(viewer_ends=START + 100)
    assert accompany(world, WEBDEV) == 0
    assert world.texts == ["Closed."]
    assert (world.announced, world.explained) == ([], [])


def test_a_viewer_that_dies_of_the_cut_is_explained_by_the_end_of_the_time() -> None:
    world = World(start=END - 30, viewer_ends=END, status=1)
    assert accompany(world, WEBDEV) == 0
    assert world.texts == ["webdev closes in 1 minute, at 12:00.",
                           "Your time for webdev ended at 12:00. The next one is Tue 08:00."]


def test_a_refusal_of_sudo_leaves_the_explaining_to_sudo() -> None:
    world = World(viewer_ends=START + 5, status=1, starts=END)
    assert accompany(world, WEBDEV) == 1
    assert world.texts == ["webdev was not opened. See the message above."]


def test_a_viewer_that_fails_is_told_with_its_status() -> None:
    world = World(viewer_ends=START + 5, status=1)
    assert accompany(world, WEBDEV) == 1
    assert world.texts == ["The viewer of webdev ended with an error (status 1). Try again, or "
                           "ask your administrator."]


def ended(status: int) -> tuple[str, int]:
    return why_ended(WEBDEV, status, True, Diagnosis(lambda _: ()), "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_viewer_ended_from_the_keyboard_or_by_a_polite_signal_is_closed(number: int) -> None:
    assert ended(-number) == ("Closed.", 0)


def test_a_viewer_that_crashes_is_told_with_its_signal() -> None:
    assert ended(-signal.SIGSEGV) == (
        "The viewer of webdev was ended by signal 11. Try again.", 1)


@pytest.mark.parametrize("present", [(False, None), (False, WEBDEV)])
def test_a_record_that_is_gone_or_closed_is_told(present: Present) -> None:
    world = World(viewer_ends=START + 3600)
    world.present = lambda now: (True, WEBDEV) if now < START + 100 else present
    assert accompany(world, WEBDEV) == 0
    assert world.texts == ["webdev was closed: your login has ended, or your consoles were taken "
                           "back."]
    assert world.said[0][0] <= START + 100 + LONGEST_WAIT


@pytest.mark.parametrize("present", [(True, None), (True, NEXT)])
def test_a_grant_that_is_gone_before_its_time_was_the_administrator(present: Present) -> None:
    world = World(viewer_ends=START + 3600)
    world.present = lambda now: (True, WEBDEV) if now < START + 100 else present
    accompany(world, WEBDEV)
    assert world.texts == ["webdev was closed by your administrator. Open Consoles again to see "
                           "what you have."]


def test_the_viewer_is_left_alone_until_the_end_and_ten_seconds_after_it() -> None:
    world = World(start=END - 100)
    accompany(world, WEBDEV)
    assert world.stops == [pytest.approx(END + 10, abs=0.1)]


def test_a_viewer_that_does_not_want_to_end_is_left_behind() -> None:
    world = World(start=END - 100, obeys=False)
    assert accompany(world, WEBDEV) == 0
    assert world.clock == pytest.approx(END + 15, abs=1)


def test_an_end_that_is_asked_for_is_passed_on_to_the_viewer() -> None:
    world = World(asked_at=START + 100)
    assert accompany(world, WEBDEV) == 0
    assert world.stops == [START + 100]
    assert world.texts == ["Closed."]


def test_an_end_that_is_asked_for_at_the_password_prompt_opens_nothing() -> None:
    world = World(asked_at=START + 100, starts=END)
    assert accompany(world, WEBDEV) == 1
    assert world.texts == ["webdev was not opened."]


def test_an_end_that_is_asked_for_after_the_time_is_over_is_not_waited_for() -> None:
    world = World(start=END - 100, asked_at=END + 3)
    accompany(world, WEBDEV)
    assert world.stops == [END + 3]


def test_warnings_are_due_at_their_instant_not_before() -> None:
    assert [warnings_due(WEBDEV, END - seconds) for seconds in (600.1, 600, 300, 60, 0)] == [
        0, 1, 2, 3, 3]


def test_a_wait_never_becomes_a_busy_loop() -> None:
    assert next_look(WEBDEV, END - 1e-7, True) >= 0.01


VIEWER_SAYS = "(remote-viewer:8154): virt-viewer-DEBUG: 19:03:44.841: main channel: "


def test_a_viewer_that_can_t_connect_is_ended_at_once_and_the_reason_told_in_its_place() -> None:
    world = World()
    world.lines = [(START + 2, f"{VIEWER_SAYS}failed to connect Could not connect: no such luck")]
    assert accompany(world, WEBDEV) == 1
    assert world.explained == ["webdev was not opened: mysrv.example could not be reached (Could "
                               "not connect: no such luck). Tell your administrator."]
    assert world.stops == [pytest.approx(START + 2, abs=1)]


def test_a_viewer_that_fails_because_the_time_is_over_is_told_by_the_time() -> None:
    world = World(start=END - 1)
    world.lines = [(END, f"{VIEWER_SAYS}failed to connect Could not connect: no such luck")]
    assert accompany(world, WEBDEV) == 0
    assert world.explained == ["Your time for webdev ended at 12:00. The next one is Tue 08:00."]


def test_a_server_that_ends_the_connection_is_told() -> None:
    world = World(viewer_ends=START + 60)
    world.lines = [(START + 1, f"{VIEWER_SAYS}opened"), (START + 59, f"{VIEWER_SAYS}closed")]
    assert accompany(world, WEBDEV) == 0
    assert world.explained == ["mysrv.example has ended the connection to webdev."]


@pytest.mark.parametrize(("notes", "lines", "text", "in_a_window"), [
    (CANCELLED, ["sudo: no password was provided"], "webdev was not opened.", False),
    (ANSWERED + CANCELLED, ["Sorry, try again."], "webdev was not opened.", False),
    (ANSWERED * 3, ["Sorry, try again.", "sudo: 3 incorrect password attempts"],
     "webdev was not opened. This is what sudo says: 3 incorrect password attempts", True),
    (NO_WINDOW, ["sudo: no password was provided"],
     "webdev was not opened: there is no window here that could ask for your password. Run "
     "spice-open in a terminal.", True)])
def test_without_a_terminal_a_refusal_of_sudo_is_told_unless_the_person_broke_it_off(
        notes: str, lines: list[str], text: str, in_a_window: bool) -> None:
    world = World(viewer_ends=START + 5, status=1, starts=END)
    world.notes = notes
    world.lines = [(START + 4, line) for line in lines]
    assert accompany(world, WEBDEV) == 1
    assert world.texts == [text]
    assert world.explained == ([text] if in_a_window else [])
