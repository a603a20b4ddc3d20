"""The desktops' menu entry of virt-viewer, "Remote Viewer": nobody can start it while only sudo
starts the viewer, so it is out of the menus, and no program for spice:// links and .vv files.

A desktop takes an entry of /usr/local in the place of one of the same name in /usr, and ``Hidden``
for its absence (Desktop Entry Specification; Base Directory Specification, XDG_DATA_DIRS). So the
package's own file stays as it is, and its updates bring nothing back. It is a convenience: nothing
that opens or closes a console looks at it, and where /usr/local can't be written (mounted
read-only, or another machine's) the menus stay as they are.
"""

import os
from contextlib import suppress

from conf.files import write_atomically

PATH = "/usr/local/share/applications/remote-viewer.desktop"

_MARK = b"# Made by pam-spice; pam-spice uninstall takes it away.\n"
# Complete, for desktops that pass over what has no name or command and look on.
_HIDDEN = _MARK + b"""\
[Desktop Entry]
Type=Application
Name=Remote Viewer
Exec=remote-viewer %u
Hidden=true
NoDisplay=true
"""


def is_there() -> bool:
    """Whether there is such an entry, ours or the admin's own, which stays as it is."""
    return os.path.lexists(PATH)


def is_ours() -> bool:
    """Whether it is there and ours."""
    try:
        with open(PATH, "rb") as file:
            return file.readline() == _MARK
    except OSError:
        return False


def hide() -> None:
    """Take virt-viewer's entry out of the menus, if there is none of the admin's own."""
    if not is_there():
        with suppress(OSError):
            os.makedirs(os.path.dirname(PATH), 0o755, exist_ok=True)
            write_atomically(PATH, _HIDDEN, 0o644)


def show() -> None:
    """Give it back."""
    if is_ours():
        with suppress(OSError):
            os.unlink(PATH)
