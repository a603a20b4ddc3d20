"""A user's own code in the viewer, by what the viewer's libraries load."""

import time
from pathlib import Path

from lab.door import wait_until
from tests.attacks.attempt import Seen, attack
from tests.attacks.lab.own_code import LIBRARY
from tests.attacks.lab.stage import SPARE_SCREEN, Stage

_SETTINGS = "/home/myself/.config/gtk-3.0/settings.ini"
_FROM_STDIN = """\
import os, sys
memory = os.memfd_create("own")
os.write(memory, open("/home/myself/own.so", "rb").read())
os.dup2(memory, 0)
os.execvp("/bin/sh", ["sh", "-c", sys.argv[1]])
"""
_FROM_THREE = """\
import os
memory = os.memfd_create("own", 0)
os.write(memory, open("/home/myself/own.so", "rb").read())
os.dup2(memory, 3)
os.execve("/bin/true", ["true"], {"LD_PRELOAD": "/proc/self/fd/3"})
"""


def _module_in_settings(stage: Stage, name: str = LIBRARY) -> None:
    stage.put_own_code()
    stage.box.write_file(_SETTINGS, f"[Settings]\ngtk-modules={name}\n", owner="myself:myself")
    stage.afterwards(f"rm -f {_SETTINGS}")


@attack("He names a module of his in GTK's settings.ini in his home, and opens his console",
        threat=7, control=False)
def test_a_module_in_settings_ini_is_not_loaded(stage: Stage) -> Seen:
    stage.at_desk()
    _module_in_settings(stage)
    stage.start(stage.viewer())
    return stage.own_code_ran()


@attack("A program of his on the same screen names the module by XSETTINGS", threat=7,
        control=False)
def test_a_module_in_xsettings_is_not_loaded(stage: Stage) -> Seen:
    stage.at_desk()
    stage.put_own_code()
    stage.box.write_file("/home/myself/xsettings.py",
                         Path(__file__).with_name("xsettings.py").read_bytes())
    manager = stage.hold(f"exec python3 -I ~/xsettings.py {SPARE_SCREEN[1:]} Gtk/Modules {LIBRARY}",
                         user="myself")
    stage.wait_for_word(manager, "ready")
    stage.start(stage.viewer())
    return stage.own_code_ran()


@attack("He puts a plugin of his among GStreamer's in his home, and opens his console", threat=7,
        control=False)
def test_a_gstreamer_plugin_is_not_loaded(stage: Stage) -> Seen:
    stage.at_desk()
    stage.put_own_code()
    plugins = "/home/myself/.local/share/gstreamer-1.0/plugins"
    stage.box.shell(f"install -D {LIBRARY} {plugins}/libown.so; "
                    "rm -rf ~myself/.cache/gstreamer-1.0; chown -R myself: ~myself/.local")
    stage.afterwards("rm -r ~myself/.local/share/gstreamer-1.0")
    stage.open_console()
    return stage.own_code_ran()


@attack("He starts the viewer with a file in memory as its input, and names it as /proc/self/fd/0",
        threat=7, control=False)
def test_a_file_in_memory_is_not_loaded(stage: Stage) -> Seen:
    stage.at_desk()
    _module_in_settings(stage, "/proc/self/fd/0")
    stage.box.write_file("/home/myself/memory.py", _FROM_STDIN)
    stage.start(f"export DISPLAY={SPARE_SCREEN}; "
                f'python3 -I ~/memory.py "{stage.viewer_words()}"')
    return stage.own_code_ran()


@attack("He hands his module over as the file with the X server's cookies, and names the copy that "
        "the viewer gets of it", article=False, control=False)
def test_a_copy_of_the_cookies_is_not_loaded(stage: Stage) -> Seen:
    """Its own control: a program that has the library as its descriptor 3 loads it by that name."""
    stage.at_desk()
    _module_in_settings(stage, "/proc/self/fd/3")
    stage.box.write_file("/home/myself/memory.py", _FROM_THREE)
    stage.type("python3 -I ~/memory.py")
    assert stage.exists("/home/myself/ran-as-1021-1021")
    stage.start(f"XAUTHORITY={LIBRARY} {stage.viewer()}")
    return stage.own_code_ran()


@attack("His module in the viewer leaves a setgid copy of a program in his home, for later",
        threat=8, control=False)
def test_no_setgid_copy_is_left(stage: Stage) -> Seen:
    stage.at_desk()
    _module_in_settings(stage)
    stage.box.shell("cp /bin/nc.openbsd ~myself/program; touch ~myself/leave-a-copy")
    stage.afterwards("rm ~myself/program ~myself/leave-a-copy")
    stage.start(stage.viewer())
    if stage.own_code_ran().through:
        wait_until("the copy is made", lambda: stage.exists("/home/myself/kept"), 2)
        time.sleep(0.2)
    found = stage.box.shell("stat -c '%a %g' ~myself/kept", check=False).stdout.split()
    kept = found == ["2755", str(stage.viewers_gid)]
    return Seen(kept, "a program with the viewer's group was left" if kept else "none was left")
