"""What a screen reader finds on a desktop: by AT-SPI, as Orca has it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from lab.desktop import Display

# Run in the workstation as the desktop's user. A window that closes meanwhile is passed over.
_PROGRAM = """\
import json
import gi
gi.require_version("Atspi", "2.0")
from gi.repository import Atspi, GLib

def read(thing):
    # Not all that holds something shown says of itself that it is.
    if thing.get_name() and thing.get_state_set().contains(Atspi.StateType.SHOWING):
        place = thing.get_extents(Atspi.CoordType.SCREEN) if thing.get_component_iface() else None
        print(json.dumps([application, thing.get_role_name(), thing.get_name(),
                          [place.x + place.width // 2, place.y + place.height // 2] if place
                          else None]))
    for number in range(min(thing.get_child_count(), 200)):
        child = thing.get_child_at_index(number)
        if child is not None:
            read(child)

desktop = Atspi.get_desktop(0)
for number in range(desktop.get_child_count()):
    try:
        program = desktop.get_child_at_index(number)
        if program is not None:
            application = program.get_name()
            read(program)
    except GLib.Error:
        pass
"""


@dataclass(frozen=True)
class Thing:
    """Something on the screen that has a name."""

    application: str
    role: str
    """AT-SPI's word: `label`, `table cell`, `push button` ..."""

    name: str
    middle: tuple[int, int]
    """Where it is, in pixels; on Wayland nobody tells."""


def read(display: Display) -> list[Thing]:
    """All that is shown, in the order in which it is read."""
    said = display.workstation.run_on_bus(["python3", "-I", "-W", "ignore", "-c", _PROGRAM],
                                          display.user, env=display.env)
    things = []
    for line in said.stdout.splitlines():
        application, role, name, middle = json.loads(line)
        things.append(Thing(application, role, name, tuple(middle or (0, 0))))
    return things
