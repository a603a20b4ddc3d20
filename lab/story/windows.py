"""Windows that begin and end while somebody is logged in; the clock is never touched."""

from __future__ import annotations

import time

from lab.door import wait_until
from lab.story.attempts import REFUSED
from lab.story.stage import MYSELF, Stage, clock, policy


def _sleep_until(instant: float) -> None:
    time.sleep(max(0.0, instant - time.time()))


def _window(begins: float, ends: float) -> str:
    return f"{clock(begins)}-{clock(ends)}"


def a_window_ends_with_every_process_stopped(stage: Stage) -> None:
    """A window ends with every process of pam-spice stopped: the kernel alone cuts"""
    end = int(time.time()) + stage.long_enough() + 5
    stage.set_policy(policy(myself=_window(-60, end - time.time())))
    stage.lab.login("myself", 1)
    desktop = stage.lab.desktop("myself", 1)
    stage.open_console(desktop, "debianx")
    stage.stop_everything()
    running = stage.lab.workstation.run(
        ["pgrep", "-fa", "pam-spice/(watch|hook)|sbin/pam-spice"], check=False).stdout
    stage.line("every process and timer of pam-spice is stopped", not running, running)
    stage.line("the console is live before the end", time.time() < end
               and len(stage.lab.server.channels("debianx")) == 4)
    _sleep_until(end + 0.1)
    # Keys make the viewer send; each is a packet to the server.
    began = time.time()

    def typed_and_dead() -> bool:
        if desktop.windows():
            desktop.key("a")
        return not stage.local_sockets()

    wait_until("the viewer's sockets are dead", typed_and_dead, 10, 0.2)
    stage.line("its first packets after the end kill it on the workstation",
               not stage.local_sockets(), f"{time.time() - began:.1f} s after the first key")
    stage.soon("and on the server", lambda: stage.is_silent("debianx"), 10)
    got = stage.connect(MYSELF, 20002)
    stage.line("a new connection is refused", got == REFUSED, got)


def a_window_ends_with_the_watcher_running(stage: Stage) -> None:
    """A window ends with the watcher running: an idle console is cut within a second"""
    end = int(time.time()) + stage.long_enough()
    stage.set_policy(policy(myself=_window(-60, end - time.time())))
    stage.lab.login("myself", 1)
    stage.open_console(stage.lab.desktop("myself", 1), "debianx")
    held = stage.lab.workstation.popen(
        ["/usr/bin/python3", "-I", "-c",
         "import socket,time; s=socket.create_connection(('fd00::2',20002)); "
         "print('connected',flush=True); time.sleep(60)"], user="myself", group="spicegrp")
    assert held.stdout is not None
    held.stdout.readline()
    stage.line("a busy viewer and an idle connection are live before the end",
               time.time() < end and len(stage.server_sockets()) == 5, stage.server_sockets())
    _sleep_until(end)
    stage.soon("both are dead on both sides within a second", lambda: stage.is_silent("debianx"))
    held.kill()
    held.communicate()


def a_window_begins_with_every_process_stopped(stage: Stage) -> None:
    """A window begins with every process of pam-spice stopped: it opens by itself"""
    begin = int(time.time()) + stage.long_enough()
    stage.set_policy(policy(myself=_window(begin - time.time(), 600)))
    stage.lab.login("myself", 1)
    stage.stop_everything()
    got = stage.connect(MYSELF, 20002)
    stage.line("closed before it begins", got == REFUSED and time.time() < begin, got)
    ran = stage.lab.run_at("spice-open debianx", 1)
    stage.line("spice-open says when", ran.status == 1 and "Not now" in ran.text, ran.text)
    _sleep_until(begin + 0.1)
    got = stage.connect(MYSELF, 20002)
    stage.line("open when it has begun", got == "connected", got)
    desktop = stage.lab.desktop("myself", 1)
    stage.open_console(desktop, "debianx")
    stage.line("and the viewer gets its four channels",
               len(stage.lab.server.channels("debianx")) == 4)
