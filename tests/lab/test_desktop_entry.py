"""spice-open from its desktop entry: what a person without a terminal sees, and can type.

The pictures are in the directory of the ``stage`` fixture.
"""

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lab import product
from lab.desktop import Desktop
from lab.door import wait_until
from lab.pki import make_pki
from lab.story import Stage
from lab.story.stage import clock, policy

LIST, ASKPASS, MESSAGE = "^Consoles$", "^Your password$", "^(Consoles|Konsolen)$"
VIEWER = r"\(1\)$"
NOTIFIER = "/usr/share/dbus-1/services/org.knopwob.dunst.service"
VIEWER_PASSWORD = "Authentication required"


def two_consoles(ends: float, *, sudo_password: bool = True) -> str:
    """The office's policy, with both consoles for myself until so many seconds from now."""
    when = f"{clock(-3600)}-{clock(ends)}"
    grant = f'  - {{user: myself, console: leaptest, when: "{when}"}}\n'
    return policy(myself=when, sudo_password=sudo_password).replace(
        "grants:\n", f"grants:\n{grant}")


def text_of(stage: Stage) -> list[str]:
    """What the message windows that are open say, from their command lines."""
    found = stage.lab.workstation.run(
        ["pgrep", "-u", "myself", "-fa", "pam-spice/window (message|notice)"], check=False).stdout
    return [re.split("message |notice ", line, maxsplit=1)[1] for line in found.splitlines()
            if re.search("message |notice ", line)]


class Person:
    """At her desktop, with the mouse on the icon."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        stage.lab.login("myself", 1)
        self.desktop: Desktop = stage.lab.desktop("myself", 1)

    def click(self, language: str = "en_GB.UTF-8") -> None:
        self.desktop.start_program(f"env LANG={language} gtk-launch spice-open")

    def picture(self, name: str) -> None:
        time.sleep(0.5)
        self.desktop.screenshot(self.stage.pictures / f"desktop-{name}.png")

    def wait(self, title: str) -> None:
        self.desktop.focus(self.desktop.wait_for_window(title))

    def answer(self, text: str) -> None:
        self.desktop.type_text(text)
        self.desktop.key("Return")

    def reads(self, *words: str) -> str:
        """Wait for a message with these words, and close it as a person does."""
        def shown() -> list[str]:
            return [text for text in text_of(self.stage) if all(word in text for word in words)]

        wait_until(f"a message with {words}: {text_of(self.stage)}", shown, 20, 0.2)
        (text,) = shown()
        self.wait(MESSAGE)
        return text

    def closes_it(self) -> None:
        self.desktop.key("Escape")
        wait_until("no message is left", lambda: not text_of(self.stage), 5, 0.1)

    def nothing_runs(self) -> bool:
        ran = self.stage.lab.workstation.run(
            ["pgrep", "-u", "myself", "-fa", "spice-open$|pam-spice/(window|askpass)"],
            check=False)
        return ran.returncode == 1


@pytest.fixture
def office(stage: Stage) -> Iterator[Stage]:
    stage.reset()
    yield stage
    stage.reset()


def test_list_password_console_warning_end_and_refusal(office: Stage) -> None:
    office.set_policy(two_consoles(1800))
    person = Person(office)
    person.desktop.start_program("dunst")

    person.click()
    person.wait(LIST)
    person.picture("list")
    person.desktop.key("Down")
    person.desktop.type_text("l")  # type-ahead goes before the arrow
    person.desktop.key("Return")

    person.wait(ASKPASS)
    person.picture("password")
    person.answer("not-it")
    wait_until("asked again", lambda: not person.desktop.windows(ASKPASS), 5, 0.05)
    person.wait(ASKPASS)
    person.picture("password-again")
    person.answer(office.lab.passwords["myself"])

    person.wait(VIEWER_PASSWORD)
    person.answer(office.lab.server.consoles["leaptest"].password)
    office.lab.server.wait_for_channels("leaptest", 4)
    time.sleep(1)
    person.picture("console")

    person.click()  # a second time, to see what is in use
    person.wait(LIST)
    person.picture("list-in-use")
    person.desktop.key("Escape")

    end = time.time() + 15
    office.set_policy(two_consoles(15))
    office.lab.workstation.run(["pam-spice", "apply", "--now"])
    wait_until("she is warned", lambda: person.desktop.windows("Dunst|dunst"), 10, 0.2)
    person.picture("warned")
    said = person.reads("your time for leaptest ended at", "; next ")
    assert end - 1 <= time.time() <= end + 8
    tomorrow = datetime.fromtimestamp(end - 3600, UTC)
    assert tomorrow.strftime("%H:") in said.partition("next ")[2]
    person.picture("ended")
    person.closes_it()
    wait_until("the viewer has gone", lambda: not person.desktop.windows(VIEWER), 20, 0.2)
    wait_until("nothing is left", person.nothing_runs, 5, 0.2)

    person.click()
    assert person.reads("not now: your next time for debianx is").count("\n") == 0
    person.picture("refused")
    person.closes_it()
    assert person.nothing_runs()


def test_who_leaves_the_list_or_the_question_opens_nothing_and_reads_nothing(
        office: Stage) -> None:
    office.set_policy(two_consoles(1800))
    person = Person(office)
    for last in (LIST, ASKPASS):
        person.click()
        person.wait(LIST)
        if last == ASKPASS:
            person.desktop.key("Return")
            person.wait(ASKPASS)
        person.desktop.key("Escape")
        wait_until("nothing is left", person.nothing_runs, 5, 0.1)
        assert text_of(office) == []


def test_a_wrong_password_three_times_is_told_in_sudo_s_own_words(office: Stage) -> None:
    office.set_policy(policy(sudo_password=True))
    person = Person(office)
    person.click()
    for _ in range(3):
        person.wait(ASKPASS)
        person.answer("not-it")
        wait_until("the question has gone", lambda: not person.desktop.windows(ASKPASS), 5, 0.02)
    assert person.reads("debianx was not opened") == (
        "debianx was not opened; sudo says: 3 incorrect password attempts")
    person.picture("sudo-refuses")
    person.closes_it()


@pytest.fixture
def without_notifications(office: Stage) -> Iterator[Stage]:
    """The bus knows nobody who shows them."""
    box = office.lab.workstation
    box.shell(f"mv {NOTIFIER} {NOTIFIER}.away")
    yield office
    box.shell(f"mv {NOTIFIER}.away {NOTIFIER}")


def test_where_nobody_shows_notifications_a_warning_comes_in_a_window(
        without_notifications: Stage) -> None:
    office = without_notifications
    office.set_policy(two_consoles(1800, sudo_password=False))
    person = Person(office)
    person.desktop.start_program("spice-open debianx")
    person.wait(VIEWER_PASSWORD)
    person.answer(office.lab.server.consoles["debianx"].password)
    office.lab.server.wait_for_channels("debianx", 4)
    office.set_policy(two_consoles(30, sudo_password=False))
    office.lab.workstation.run(["pam-spice", "apply", "--now"])
    person.reads("debianx closes in 1 minute, at ")
    person.picture("warned-in-a-window")


def test_a_viewer_that_can_t_connect_is_explained_in_a_window(
        office: Stage, tmp_path: Path) -> None:
    lab = office.lab
    person = Person(office)

    lab.server.stop_console("debianx")
    person.click()
    person.reads("debianx was not opened: mysrv has refused the connection")
    person.picture("switched-off")
    person.closes_it()
    lab.server.start_console("debianx")

    person.click()
    person.wait(VIEWER_PASSWORD)
    person.answer("wrong")
    wait_until("the viewer's own word", lambda: len(person.desktop.windows()) > 1, 10, 0.1)
    person.picture("wrong-password")
    person.desktop.key("Return")
    person.wait(VIEWER_PASSWORD)
    person.desktop.key("Escape")
    person.reads("debianx was not opened: that was not its password")
    person.closes_it()

    product.put_ca(lab.workstation, make_pki(tmp_path / "pki", ["mysrv"], ["192.168.2.2"]))
    try:
        person.click()
        person.reads("debianx was not opened: the server could not prove that it is mysrv")
        person.picture("certificate")
        person.closes_it()
    finally:
        product.put_ca(lab.workstation, lab.server.ca_file)
    lab.workstation.run(["ip", "link", "set", "eth0", "down"])
    try:
        person.click("de_DE.UTF-8")
        person.reads("debianx wurde nicht geöffnet: mysrv antwortet nicht. Ist das Netz verbunden?")
        person.picture("no-network-german")
        person.closes_it()
    finally:
        lab.workstation.run(["ip", "link", "set", "eth0", "up"])
    wait_until("nothing is left", person.nothing_runs, 5, 0.2)
