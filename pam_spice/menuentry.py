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

from conf.files import write_all

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
        descriptor = os.open(PATH, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.read(descriptor, len(_MARK)) == _MARK
    except OSError:
        return False
    finally:
        os.close(descriptor)


def hide() -> None:
    """Take virt-viewer's entry out of the menus, if there is none of the admin's own.

    A Debian lets its group staff write there, so nothing is opened that is there already: a link
    leads elsewhere, a FIFO waits forever, and an entry that comes meanwhile is the admin's.
    """
    if is_there():
        return
    with suppress(OSError):
        os.makedirs(os.path.dirname(PATH), 0o755, exist_ok=True)
        descriptor = os.open(PATH, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            os.fchmod(descriptor, 0o644)
            write_all(descriptor, _HIDDEN)
        except OSError:
            os.unlink(PATH)
        finally:
            os.close(descriptor)


def show() -> None:
    """Give it back."""
    if is_ours():
        with suppress(OSError):
            os.unlink(PATH)
