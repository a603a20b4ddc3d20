"""What people see, from the greeter to the console and back; told by `make demo-desktop`."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory

from lab import product, seat
from lab.door import wait_until
from lab.graphical import WAYLAND, X11
from lab.pki import make_pki
from lab.story.person import (
    ASKPASS,
    LIST,
    VIEWER,
    VIEWER_PASSWORD,
    Person,
    at_the_greeter,
    logged_in,
)
from lab.story.stage import MYBRO, MYSELF, Stage, clock, policy

NOTIFIER = "/usr/share/dbus-1/services/org.knopwob.dunst.service"


def two_consoles(ends: float, *, begins: str = "", sudo_password: bool = True) -> str:
    """The office's policy, with both consoles for myself until so many seconds from now, and a
    third one at another time of the day."""
    when = f"{begins or clock(-3600)}-{clock(ends)}"
    later = f"{clock(-7200)}-{clock(-3600)}"
    return policy(myself=when, sudo_password=sudo_password).replace("consoles:\n", """\
consoles:
  archive:  {server: mysrv, tls_port: 20006}
""").replace("grants:\n", f"""\
grants:
  - {{user: myself, console: leaptest, when: "{when}"}}
  - {{user: myself, console: archive, when: "{later}"}}
""")


def _ends_in(stage: Stage, seconds: float) -> tuple[float, str]:
    """Let both consoles end so many seconds from now, for who is there too; when they will, and at
    what time of the day they begin."""
    end, begins = time.time() + seconds, clock(-3600)
    stage.set_policy(two_consoles(seconds, begins=begins))
    stage.lab.workstation.run(["pam-spice", "apply", "--now"])
    return end, begins


def an_icon_leads_to_the_console(stage: Stage) -> None:
    """From the greeter by an icon to the console; warned, ended, refused (X11, Xfce)"""
    _a_whole_day(stage, X11, MYSELF)


def on_wayland_it_is_the_same(stage: Stage) -> None:
    """The same on Wayland (sway)"""
    _a_whole_day(stage, WAYLAND, MYSELF)


def _a_whole_day(stage: Stage, desktop: str, uid: int) -> None:
    stage.set_policy(two_consoles(1800))
    name = "x11" if desktop == X11 else "wayland"
    greeter = at_the_greeter(stage, desktop)
    greeter.type_text("myself")
    greeter.screenshot(stage.pictures / f"{name}-01-greeter.png")
    greeter.answer("")
    greeter.answer(stage.lab.passwords["myself"])
    person = Person(stage, "myself", desktop)
    session = next(s for s in stage.lab.sessions() if s.user == "myself")
    stage.line(f"logind has a session on seat0 whose type is {name}, and opened by the greeter",
               (session.seat, session.kind, session.service) == ("seat0", name, "lightdm"),
               f"{session.seat} {session.kind} service {session.service}")
    stage.soon("her chain is there", lambda: stage.chains() == {uid}, 2)
    time.sleep(1)
    person.picture(f"{name}-02-desktop")

    person.opens_the_menu()
    person.picture(f"{name}-03-icon")
    stage.line("beside it there is no viewer that she couldn't start",
               not person.sees(name="Remote Viewer"))
    person.clicks_the_icon()
    person.turns_to(LIST)
    person.waits_for("table cell", "leaptest")
    stage.line("a list, as a screen reader reads it: name, server, open until, next at; the open "
               "ones first", person.rows()[::3] == ["debianx", "leaptest", "archive"]
               and "open until" in person.rows()[2] and "closed, next" in person.rows()[8],
               "\n".join(person.rows()))
    person.picture(f"{name}-04-list")
    person.display.key("Down")
    person.display.type_text("l")  # type-ahead goes before the arrow
    person.display.key("Return")

    _her_own_password(stage, person, name)
    person.turns_to(VIEWER_PASSWORD)
    person.picture(f"{name}-07-virtual-machine-password")
    person.logs_into("leaptest")
    stage.line("the server sees her: four TLS channels", len([
        channel for channel in stage.lab.server.channels("leaptest") if channel.tls]) == 4)
    time.sleep(1)  # for the guest's display to be drawn
    stage.line("the window bears the console's name", "leaptest (1)" in person.display.titles(),
               person.display.titles())
    person.picture(f"{name}-08-console")

    person.opens_consoles()
    person.display.wait_for_window(LIST)
    person.waits_for("table cell", "leaptest")
    stage.line("the list says which one she has in use", "in use by you" in person.rows(),
               "\n".join(person.rows()))
    person.picture(f"{name}-09-list-in-use")
    person.display.key("Escape")
    stage.soon("what she types goes to the list, though her mouse is over the viewer, which would "
               "take the keyboard", lambda: not person.display.windows(LIST), 5)
    _warned_and_ended(stage, person, name)
    person.logs_out()
    stage.soon("she logs out by the menu: nothing is left",
               lambda: not stage.chains() and stage.is_silent("leaptest"), 10)


def _her_own_password(stage: Stage, person: Person, name: str) -> None:
    person.turns_to(ASKPASS)
    asked = person.waits_for("label", "To open leaptest")
    stage.line("a window asks for her own password, and says what for",
               "the one with which you logged in here" in asked.name, asked.name)
    person.picture(f"{name}-05-password")
    person.answers("not-it")
    again = person.waits_for("label", "That was not your password")
    stage.line("mistyped, it says so and asks again", True, again.name)
    person.turns_to(ASKPASS)
    person.picture(f"{name}-06-password-again")
    person.answers(stage.lab.passwords["myself"])


def _warned_and_ended(stage: Stage, person: Person, name: str) -> None:
    _ends_in(stage, 602)
    wait_until("she is warned", person.is_warned, 15, 0.2)
    person.picture(f"{name}-10-ten-minutes-left")
    warned = person.warnings()
    stage.line("ten minutes before the end a notification says so",
               any("leaptest closes in 10 minutes, at" in each for each in warned), warned)
    end, begins = _ends_in(stage, 12)
    said = person.reads("Your time for leaptest ended at", ". The next one is ")
    late = time.time() - end
    stage.line("at the end the console closes, and a window says why and when it opens again",
               -1 <= late <= 8 and said.endswith(f"{begins.removesuffix(':00')}."),
               f"{said} ({late:.1f} s after its end)")
    person.picture(f"{name}-11-ended")
    person.closes_it()
    stage.soon("the viewer has gone, nothing of spice-open runs",
               lambda: not person.display.windows(VIEWER) and person.has_nothing_left(), 20)
    person.opens_consoles()
    said = person.reads("Not now: your next time for debianx is")
    stage.line("the icon now says when, each console on a line of its own",
               said.count("Not now") == 3, said)
    person.picture(f"{name}-12-not-now")
    person.closes_it()


def a_second_person_waits_for_the_first(stage: Stage) -> None:
    """Two people at one workstation by "Switch User": the second one waits, told so in German"""
    box = stage.lab.workstation
    box.write_file("/home/mybro/.xsessionrc", "export LANG=de_DE.UTF-8\n", owner="mybro:mybro")
    try:
        _she_waits(stage)
    finally:
        box.run(["rm", "/home/mybro/.xsessionrc"])


def _she_waits(stage: Stage) -> None:
    first = logged_in(stage, "myself")
    first.opens_consoles()
    first.logs_into("debianx")
    greeter = stage.lab.display_manager().next_greeter(1)
    first.logs_out("Switch User")
    greeter.wait_for_question()
    greeter.answer("mybro")
    greeter.answer(stage.lab.passwords["mybro"])
    second = Person(stage, "mybro", display=1)
    stage.line("a second login beside the first: it has no chain", stage.chains() == {MYSELF},
               [f"{s.user} {s.kind} {s.tty} {s.state}" for s in stage.lab.sessions()])
    second.opens_consoles()
    said = second.reads("mybro: myself ist hier angemeldet")
    stage.line("the icon says for whom the second one waits, in her language", said, said)
    second.picture("waiting-1-for-the-first")
    second.closes_it()

    seat.switch_to(7)
    greeter = stage.lab.display_manager().next_greeter(0)
    first.logs_out()
    first.login.wait_for_end()
    stage.soon("the first one has logged out: now the second one has her chain",
               lambda: stage.chains() == {MYBRO} and stage.is_silent("debianx"), 2)
    greeter.wait_for_question()  # it takes the first one's place, and comes to the front
    seat.switch_to(8)
    second.opens_consoles()
    second.logs_into("leaptest")
    time.sleep(1)
    second.picture("waiting-2-her-turn")
    stage.line("and the same icon opens her one console, without another question",
               len(stage.lab.server.channels("leaptest")) == 4)


def who_leaves_a_question_opens_nothing(stage: Stage) -> None:
    """Escape in the list or at the password opens nothing, and no message follows"""
    stage.set_policy(two_consoles(1800))
    person = logged_in(stage, "myself")
    for last in (LIST, ASKPASS):
        person.opens_consoles()
        person.turns_to(LIST)
        if last == ASKPASS:
            person.display.key("Return")
            person.turns_to(ASKPASS)
        person.display.key("Escape")
        stage.soon(f"Escape in {'the list' if last == LIST else 'the question'} ends it all",
                   lambda: person.has_nothing_left() and not person.display.windows(LIST), 5)
    stage.set_policy(policy(sudo_password=True))
    stage.lab.workstation.run(["pam-spice", "apply", "--now"])
    person.opens_consoles()
    for _ in range(3):
        person.turns_to(ASKPASS)
        person.answers("not-it")
        wait_until("the question has gone", lambda: not person.display.windows(ASKPASS), 5, 0.02)
    said = person.reads("debianx was not opened")
    stage.line("a wrong password three times is told in sudo's own words",
               said == "debianx was not opened. This is what sudo says: 3 incorrect password "
               "attempts", said)
    person.picture("refused-1-by-sudo")


def a_warning_needs_no_notifications(stage: Stage) -> None:
    """Where nobody shows notifications, a warning comes in a window"""
    box = stage.lab.workstation
    box.shell(f"mv {NOTIFIER} {NOTIFIER}.away")
    try:
        stage.set_policy(two_consoles(1800, sudo_password=False))
        person = logged_in(stage, "myself")
        person.login.start_program("spice-open debianx")
        person.logs_into("debianx")
        stage.set_policy(two_consoles(30, sudo_password=False))
        box.run(["pam-spice", "apply", "--now"])
        said = person.reads("debianx closes in 1 minute, at ")
        stage.line("the warning is a window that leaves the keyboard to the console", said, said)
        person.picture("warned-in-a-window")
    finally:
        box.shell(f"mv {NOTIFIER}.away {NOTIFIER}")


def a_viewer_that_cant_connect_is_explained(stage: Stage) -> None:
    """A viewer that can't connect: the reason in plain words, not "unable to connect\""""
    lab = stage.lab
    person = logged_in(stage, "myself")
    lab.server.stop_console("debianx")
    person.opens_consoles()
    said = person.reads("debianx was not opened: mysrv has refused the connection")
    stage.line("the virtual machine is switched off", said, said)
    person.picture("no-connection-1-switched-off")
    person.closes_it()
    lab.server.start_console("debianx")

    person.opens_consoles()
    person.turns_to(VIEWER_PASSWORD)
    person.answers("wrong")
    wait_until("the viewer's own word", lambda: person.sees("alert"), 10, 0.1)
    person.picture("no-connection-2-the-viewer-s-own-word")
    person.display.key("Return")
    person.turns_to(VIEWER_PASSWORD)
    person.display.key("Escape")
    said = person.reads("debianx was not opened: that was not the virtual machine's")
    stage.line("the wrong password", said, said)
    person.picture("no-connection-3-wrong-password")
    person.closes_it()

    with TemporaryDirectory() as directory:
        other = make_pki(Path(directory) / "pki", ["mysrv"], ["192.168.2.2"])
        product.put_ca(lab.workstation, other)
    try:
        person.opens_consoles()
        said = person.reads("debianx was not opened: the server could not prove that it is mysrv")
        stage.line("a certificate of another authority", said, said)
        person.picture("no-connection-4-certificate")
        person.closes_it()
    finally:
        product.put_ca(lab.workstation, lab.server.ca_file)
    lab.workstation.run(["ip", "link", "set", "eth0", "down"])
    try:
        person.login.start_program("env LANG=de_DE.UTF-8 gtk-launch spice-open")
        said = person.reads("debianx wurde nicht geöffnet: mysrv antwortet nicht.")
        stage.line("no network; in German", said, said)
        person.picture("no-connection-5-network")
        person.closes_it()
    finally:
        lab.workstation.run(["ip", "link", "set", "eth0", "up"])
    stage.soon("nothing of it runs any more", person.has_nothing_left, 5)
