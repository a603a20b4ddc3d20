"""A person at her desktop, who knows nothing of uids and ports."""

from __future__ import annotations

import json
import time
from contextlib import suppress

from lab import screenreader
from lab.desktop import Screen, WaylandDisplay
from lab.door import wait_until
from lab.errors import LabError, LabTimeout
from lab.graphical import X11, GraphicalLogin, Greeter
from lab.screenreader import Thing
from lab.story.stage import Stage

LIST = MESSAGE = "^(Consoles|Konsolen)$"
ASKPASS = "^(Your password|Ihr Passwort)$"
VIEWER = r"\(1\)$"
VIEWER_PASSWORD = "^Authentication required$"  # noqa: S105
_OURS = "spice-open"  # the application's name, for a screen reader
_ICON = "onsole"  # Consoles, Konsolen


class Person:
    """What she does and sees, at a graphical login of hers."""

    def __init__(self, stage: Stage, user: str, desktop: str = X11, display: int = 0) -> None:
        """She has typed her password; raises LabTimeout when no desktop comes."""
        self.stage = stage
        self.user = user
        self.login = GraphicalLogin(stage.lab.workstation, user, desktop)
        self.login.wait()
        self.display = self.login.screen(display)
        if isinstance(self.display, Screen):
            try:
                self.display.wait_for_window("^Desktop$")
            except LabTimeout as late:
                said = stage.lab.workstation.read_file(f"/home/{user}/.xsession-errors")
                raise LabTimeout(f"{late}\n{said[-3000:]}") from late
            self.waits_for("toggle button", "Applications")

    # Seeing

    def sees(self, role: str = "", name: str = "") -> list[Thing]:
        """What a screen reader finds, of a role and with such words in its name."""
        return [thing for thing in screenreader.read(self.display)
                if role in ("", thing.role) and name in thing.name]

    def waits_for(self, role: str, name: str, timeout: float = 15) -> Thing:
        """Wait until a screen reader finds it. Raises LabTimeout."""
        return wait_until(f"a {role} {name!r}", lambda: self.sees(role, name), timeout, 0.2)[0]

    def reads(self, *words: str, timeout: float = 20) -> str:
        """Wait for a message of spice-open's with all these words, and return it.

        Raises LabTimeout, with what is read instead.
        """
        def shown() -> list[str]:
            return [thing.name for thing in self.sees("label") if thing.application == _OURS
                    and all(word in thing.name for word in words)]

        try:
            text = wait_until("the message", shown, timeout, 0.2)[0]
        except LabTimeout as late:
            said = [thing.name for thing in self.sees() if thing.application == _OURS]
            raise LabTimeout(f"{late}: {words}; there is {said}") from late
        self.turns_to(MESSAGE)
        return text

    def rows(self) -> list[str]:
        """The cells of spice-open's list, as they are read."""
        return [thing.name for thing in self.sees("table cell") if thing.application == _OURS]

    def is_warned(self) -> bool:
        """Whether a notification is on the screen."""
        shown = self._notifications("count", "displayed")
        return shown.isdigit() and int(shown) > 0

    def warnings(self) -> list[str]:
        """Put the notifications away, and return what all of them have said."""
        self._notifications("close-all")
        said = json.loads(self._notifications("history"))
        return [each["body"]["data"] for each in said["data"][0]]

    def picture(self, name: str) -> None:
        """Keep what she sees."""
        time.sleep(0.5)
        self.display.screenshot(self.stage.pictures / f"{name}.png")

    # Doing

    def opens_the_menu(self) -> None:
        """So far that she sees the icon."""
        if isinstance(self.display, WaylandDisplay):
            self.display.press("logo", "d")
            self.waits_for("label", _ICON)
            self.display.type_text("consoles")
            time.sleep(0.5)  # a screen reader is told of those that are filtered out, too
        else:
            self.clicks("toggle button", "Applications")
            self.clicks("menu", "Internet")
            self.waits_for("menu item", _ICON)

    def clicks_the_icon(self) -> None:
        """In the menu that is open."""
        if isinstance(self.display, WaylandDisplay):
            self.display.key("Return")
        else:
            self.clicks("menu item", _ICON)

    def opens_consoles(self) -> None:
        """Both."""
        self.opens_the_menu()
        self.clicks_the_icon()

    def logs_out(self, button: str = "Log Out") -> None:
        """By the menu; or leaves her login for another by "Switch User"."""
        if isinstance(self.display, WaylandDisplay):
            with suppress(OSError):  # its end is the keyboard's, too
                self.display.press("logo", "q")
            return
        wait_until("Xfce has finished its start", self._can_log_out, 15)
        self.clicks("toggle button", "Applications")
        self.clicks("menu item", "Log Out")
        self.display.wait_for_window("^xfce4-session$")
        try:
            self.clicks("push button", button)
        except LabError as error:
            if "X connection to" not in str(error):  # the screen may be gone before xdotool is
                raise

    def clicks(self, role: str, name: str) -> None:
        """With the mouse, on something that she sees."""
        assert isinstance(self.display, Screen)  # noqa: S101
        self.display.click(*self.waits_for(role, name).middle)

    def turns_to(self, title: str) -> None:
        """Wait for such a window, which gets the keyboard."""
        self.display.focus(self.display.wait_for_window(title))

    def answers(self, text: str) -> None:
        """Type it, and Enter."""
        self.display.type_text(text)
        self.display.key("Return")

    def closes_it(self) -> None:
        """The message that she has read."""
        self.display.key("Escape")
        wait_until("no message is left", lambda: not self.display.windows(MESSAGE), 5, 0.1)

    def logs_into(self, console: str) -> None:
        """Type the virtual machine's password, and wait until the server sees her."""
        self.turns_to(VIEWER_PASSWORD)
        self.answers(self.stage.lab.server.consoles[console].password)
        self.stage.lab.server.wait_for_channels(console, 4)

    def has_nothing_left(self) -> bool:
        """Whether nothing of spice-open runs any more."""
        ran = self.stage.lab.workstation.run(
            ["pgrep", "-u", self.user, "-f", "spice-open|pam-spice/(window|askpass)"], check=False)
        return ran.returncode == 1

    def _notifications(self, *words: str) -> str:
        return self._on_her_bus("dunstctl", *words)

    def _can_log_out(self) -> bool:
        # Before, its dialog shows an error: it waits for eight seconds for the programs that it
        # has started itself, though they are there.
        return self._on_her_bus(
            "busctl", "--user", "call", "org.xfce.SessionManager", "/org/xfce/SessionManager",
            "org.xfce.Session.Manager", "GetState") == "u 1"

    def _on_her_bus(self, *command: str) -> str:
        return self.display.workstation.run_on_bus(
            command, self.user, check=False).stdout.strip()


def at_the_greeter(stage: Stage, desktop: str = X11) -> Greeter:
    """Start the display manager; it asks for a name."""
    greeter = stage.lab.display_manager().start(desktop)
    greeter.wait_for_question()
    return greeter


def logged_in(stage: Stage, user: str, desktop: str = X11) -> Person:
    """A person who has just come to her desktop."""
    stage.lab.graphical_login(user, desktop)
    return Person(stage, user, desktop)

