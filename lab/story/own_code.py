"""Code of a user's own, in the viewer."""

from __future__ import annotations

import tempfile
from pathlib import Path

from lab.door import call, wait_until
from lab.story.stage import Stage

_MODULE = """\
#include <stdio.h>
#include <unistd.h>
__attribute__((constructor)) static void run(void) {
    char name[64];
    snprintf(name, sizeof name, "/home/myself/own-code-ran-%d", (int) getegid());
    fclose(fopen(name, "w"));
}
"""


def a_module_of_his_own_is_not_loaded(stage: Stage) -> None:
    """A module that his GTK settings name runs in his own programs, and not in the viewer"""
    box = stage.lab.workstation
    _put_module(stage)
    stage.lab.login("myself", 1)
    desktop = stage.lab.desktop("myself", 1)
    box.shell("install -o myself -g myself -m 755 /usr/bin/remote-viewer /home/myself/my-viewer")
    desktop.start_program("./my-viewer")
    own, viewers = (box.run(["getent", "group", name]).stdout.split(":")[2]
                    for name in ("myself", "spicegrp"))

    def ran(gid: str) -> bool:
        return not box.run(["test", "-e", f"/home/myself/own-code-ran-{gid}"],
                           check=False).returncode

    stage.soon("the module runs in a program of his own", lambda: ran(own), 15)
    box.run(["pkill", "-u", "myself", "-f", "my-viewer"], check=False)
    channels = stage.open_console(desktop, "debianx")
    stage.line("the console opens", len(channels) == 4)
    pid = box.run(["pgrep", "-u", "myself", "-x", "remote-viewer"]).stdout.split()[0]
    maps = box.read_file(f"/proc/{pid}/maps")
    stage.line("the viewer has loaded no file from his home",
               "/home/" not in maps and "libgtk" in maps,
               [line for line in maps.splitlines() if "/home/" in line])
    stage.line("and no code of his has run with the viewer's group", not ran(viewers))
    status = box.read_file(f"/proc/{pid}/status")
    stage.line("the viewer can gain no privileges", "NoNewPrivs:\t1" in status)
    got = box.run(["setpriv", "--reuid=myself", "--regid=myself", "--clear-groups", "--",
                   "cat", f"/proc/{pid}/environ"], check=False)
    stage.line("no other process of his can look into it", got.returncode == 1, got.stderr)
    box.shell("rm -r /home/myself/.config/gtk-3.0 /home/myself/own*")


def _put_module(stage: Stage) -> None:
    with tempfile.TemporaryDirectory() as directory:
        source, module = Path(directory, "own.c"), Path(directory, "own.so")
        source.write_text(_MODULE)
        call(["gcc", "-shared", "-fPIC", "-o", module, source])
        stage.lab.workstation.copy_in(module, "/home/myself/own.so")
    stage.lab.workstation.write_file(
        "/home/myself/.config/gtk-3.0/settings.ini",
        "[Settings]\ngtk-modules=/home/myself/own.so\n", owner="myself:myself")
    wait_until("the settings are there", lambda: "own.so" in stage.lab.workstation.read_file(
        "/home/myself/.config/gtk-3.0/settings.ini"), 2)
