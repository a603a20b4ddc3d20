"""What the viewer says of its connection while it runs, in words for the person. Pure.

remote-viewer ends with 0 whatever happened, and shows "Unable to connect to the graphic server"
for everything. Its messages (virt-viewer 11, virt-viewer-session-spice.c) tell more: GLib writes
them to stdout where G_MESSAGES_DEBUG names its domain, which ``confine`` sees to where that is a
pipe. Warnings of spice-gtk are on stderr, which only a start from the desktop reads.
"""

from __future__ import annotations

import errno

from launcher.language import gettext as _

TYPE_CHECKING = False  # see launcher
if TYPE_CHECKING:
    from collections.abc import Callable

    from launcher.consoles import Console

# In English always; but the reason at the end is in the language of the viewer's environment.
_OPENED = "main channel: opened"
_CLOSED = "main channel: closed"
_WRONG_PASSWORD = "main channel: auth failure"  # noqa: S105 - and so is "no password yet"
_NOT_CONNECTED = "main channel: failed to connect "
_GIVEN_UP = ": zap main channel"
_NO_CA = "loading ca certs from "
_BAD_CERTIFICATE = ("openssl_verify:", "SSL_connect:")

_UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ETIMEDOUT, errno.ENETDOWN)


class Diagnosis:
    """Hears the lines of sudo and the viewer, one by one."""

    def __init__(self, text_of: Callable[[int], tuple[str, ...]]) -> None:
        """``text_of`` gives strerror(3)'s texts of a number, in English and the viewer's tongue."""
        self._text_of = text_of
        self.was_opened = False
        self.last = ""
        """The last line that is no message of the viewer's: sudo's, where it refuses."""

        self._asked = 0
        self._reason: str | None = None
        self._is_over = False
        self._lacks_ca = False
        self._distrusts = False
        self._was_closed = False

    def hear(self, line: str) -> None:
        """Take in a line."""
        if _OPENED in line:
            self.was_opened = True
        elif _CLOSED in line:
            self._was_closed = True
        elif _WRONG_PASSWORD in line:
            self._asked += 1
        elif _NOT_CONNECTED in line:
            self._reason = line.partition(_NOT_CONNECTED)[2].strip()
        elif _GIVEN_UP in line:
            self._is_over = True
        elif _NO_CA in line:
            self._lacks_ca = True
        elif any(mark in line for mark in _BAD_CERTIFICATE):
            self._distrusts = True
        elif line.strip() and not is_message(line):
            self.last = line.strip()

    def failure(self, console: Console) -> str | None:
        """Why there will be no connection; None while there may be one, or was."""
        if self.was_opened or not (self._is_over or self._reason):
            return None
        if self._reason:
            return self._no_connection(console, self._reason)
        if self._asked:
            return None
        if self._lacks_ca:
            return _("{console} was not opened: the certificate with which to recognize {server} "
                     "is missing here. Tell your administrator.").format(
                console=console.name, server=console.host)
        return _("{console} was not opened: the server could not prove that it is {server} (its "
                 "certificate does not fit). Tell your administrator.").format(
            console=console.name, server=console.host)

    def ending(self, console: Console) -> str | None:
        """Why the viewer ended by itself; None where the person closed it."""
        if self.was_opened:
            return _("{server} has ended the connection to {console}.").format(
                console=console.name, server=console.host) if self._was_closed else None
        if self._asked > 1:
            return _("{console} was not opened: that was not the virtual machine's password (it "
                     "is not the one with which you logged in).").format(console=console.name)
        return None

    def _no_connection(self, console: Console, reason: str) -> str:
        names = {"console": console.name, "server": console.host}
        if self._is_one_of(reason, (errno.ECONNREFUSED,)):
            return _("{console} was not opened: {server} has refused the connection. Perhaps the "
                     "virtual machine is switched off. Ask your administrator.").format(**names)
        if self._is_one_of(reason, _UNREACHABLE):
            return _("{console} was not opened: {server} does not answer. Is the network "
                     "connected?").format(**names)
        return _("{console} was not opened: {server} could not be reached ({reason}). Tell your "
                 "administrator.").format(reason=reason, **names)

    def _is_one_of(self, reason: str, numbers: tuple[int, ...]) -> bool:
        return any(reason.endswith(text) for number in numbers for text in self._text_of(number))


def is_message(line: str) -> bool:
    """Whether it is one of GLib's messages: ``(remote-viewer:8154): Gtk-WARNING **: ...``."""
    return line.startswith(("(remote-viewer:", "(process:"))


def is_debugging(line: str) -> bool:
    """Whether it is a message that only ``Diagnosis`` asked for."""
    return is_message(line) and ": virt-viewer-DEBUG: " in line
