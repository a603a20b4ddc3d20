"""The windows themselves, in GTK 3: the list of consoles, sudo's question, a message.

Run by themselves, as the user; nothing here is trusted with more than the user has. GTK is what
remote-viewer is made of; Python's way to it (PyGObject, GObject introspection) is in packages of
its own and may be missing.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from launcher.desktop import (
    ANSWERED,
    CANCELLED,
    CHOSEN,
    CONSOLE_VARIABLE,
    NO_TOOLKIT,
    NO_WINDOW,
    NOTES_VARIABLE,
    NOTHING,
)
from launcher.language import gettext as _
from launcher.tell import NOTIFY, has_screen

ICON = "spice-open"

# Each asks for a password in a window, with its argument above the entry, and prints it.
OTHER_ASKPASS = ("/usr/bin/ssh-askpass", "/usr/bin/ksshaskpass",
                 "/usr/libexec/openssh/ssh-askpass", "/usr/lib/ssh/ssh-askpass")

_PATIENCE = 10  # seconds for a service that shows notifications
_PAUSE, _TRIES = 100, 20  # milliseconds between looks whether what is typed arrives
_MARGIN = 12  # pixels
_MOST_ROWS = 12  # of the list, without a scroll bar
_HEIGHT = 320  # pixels of the list, with one


class NoToolkit(Exception):
    """Neither GTK nor a screen, or one of them is missing."""


def window(arguments: list[str]) -> int:
    """``list`` (of rows on stdin), ``message TEXT``, or ``notice TEXT``: which is a notification,
    and a window where nobody shows notifications."""
    kind, *texts = arguments
    try:
        if kind == "list":
            return _list(json.load(sys.stdin))
        text = "\n".join(texts)
        if kind == "notice" and _notify(text):
            return CHOSEN
        return _message(text, takes_keyboard=kind == "message")
    except NoToolkit:
        if kind == "message":
            _notify("\n".join(texts))
        return NO_TOOLKIT


def askpass() -> int:
    """Ask for the person's own password on sudo's behalf, and print it (sudo(8), -A)."""
    console = os.environ.get(CONSOLE_VARIABLE, "")
    earlier = _notes()
    question = password_question(console, ANSWERED in earlier)
    try:
        password = _password(question)
    except NoToolkit:
        for program in OTHER_ASKPASS:
            if os.access(program, os.X_OK):
                _note(ANSWERED)
                os.execv(program, [program, question])  # noqa: S606
        _note(NO_WINDOW)
        return NO_TOOLKIT
    _note(CANCELLED if password is None else ANSWERED)
    if password is None:
        return NOTHING
    sys.stdout.buffer.write(f"{password}\n".encode())  # as a display manager hands it to PAM
    return CHOSEN


def password_question(console: str, again: bool) -> str:
    """What is asked, and what for."""
    lines = [_("That was not your password. Try again.")] if again else []
    lines.append(_("To open {console}, type your own password, the one with which you logged in "
                   "here.").format(console=console))
    return "\n".join(lines)


def _notes() -> str:
    try:
        with open(os.environ.get(NOTES_VARIABLE, os.devnull), encoding="ascii") as file:
            return file.read(100)
    except (OSError, ValueError):
        return ""


def _note(letter: str) -> None:
    try:
        with open(os.environ.get(NOTES_VARIABLE, os.devnull), "a", encoding="ascii") as file:
            file.write(letter)
    except OSError:
        pass


def _notify(text: str) -> bool:
    import subprocess

    try:
        return subprocess.run(  # noqa: S603
            [NOTIFY, f"--app-name={ICON}", f"--icon={ICON}", "--", _("Consoles"), text],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=_PATIENCE,
            check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


# GTK

def _gtk() -> Any:
    """The module Gtk, ready for use; raises NoToolkit."""
    if not has_screen():
        raise NoToolkit
    try:
        import gi

        gi.require_version("Gtk", "3.0")
        from gi.repository import GLib, Gtk
    except (ImportError, ValueError):
        raise NoToolkit from None
    GLib.set_prgname(ICON)  # by this the desktop finds the .desktop file, and so the icon
    ready, _rest = Gtk.init_check(None)
    if not ready:
        raise NoToolkit
    Gtk.Window.set_default_icon_name(ICON)
    return Gtk


def _dialog(title: str, text: str, *buttons: tuple[str, int]) -> tuple[Any, Any]:
    """A dialog with a text, and its column of contents. Escape closes it, Enter is the last
    button."""
    Gtk = _gtk()
    dialog = Gtk.Dialog(title=title, window_position=Gtk.WindowPosition.CENTER)
    for label, response in buttons:
        dialog.add_button(label, response)
    dialog.set_default_response(buttons[-1][1])
    column = dialog.get_content_area()
    column.set_spacing(_MARGIN)
    column.set_property("margin", _MARGIN)
    column.pack_start(Gtk.Label(label=text, wrap=True, max_width_chars=60, xalign=0), False, False,
                      0)
    return dialog, column


def _show(dialog: Any) -> None:
    """Show it, ready for what is typed."""
    from gi.repository import GLib

    tries = iter(range(_TRIES))
    dialog.show_all()
    GLib.timeout_add(_PAUSE, lambda: not _has_keyboard(dialog) and next(tries, None) is not None)


def _has_keyboard(dialog: Any) -> bool:
    """Whether what is typed reaches the window that has the focus; if not, help it.

    On X11 a viewer with the pointer over it holds the keyboard, even while another window has the
    focus: a password would be typed into the virtual machine. It lets go when the pointer leaves
    it.
    """
    from gi.repository import Gdk

    display, window = dialog.get_display(), dialog.get_window()
    if "X11" not in type(display).__name__:
        return True  # a compositor goes by the focus
    seat = display.get_default_seat()
    if seat.grab(window, Gdk.SeatCapabilities.KEYBOARD, False, None, None, None,
                 None) == Gdk.GrabStatus.SUCCESS:
        seat.ungrab()  # nobody held it; a grab that stays would keep a screen from locking
        return True
    _found, x, y = window.get_origin()
    seat.get_pointer().warp(dialog.get_screen(), x + dialog.get_allocated_width() // 2,
                            y + dialog.get_allocated_height() // 2)
    return False


def _message(text: str, takes_keyboard: bool) -> int:
    Gtk = _gtk()
    from gi.repository import Atk

    dialog, _column = _dialog(_("Consoles"), text, (_("_Close"), Gtk.ResponseType.CLOSE))
    # What comes by itself must not swallow keys that are meant for the console.
    dialog.set_focus_on_map(takes_keyboard)
    dialog.set_resizable(False)
    dialog.get_accessible().set_role(Atk.Role.ALERT)  # is read out at once
    dialog.set_keep_above(True)
    if takes_keyboard:
        _show(dialog)
    else:
        dialog.show_all()
    dialog.run()
    return CHOSEN


def _password(question: str) -> str | None:
    Gtk = _gtk()
    dialog, column = _dialog(_("Your password"), question, (_("_Cancel"), Gtk.ResponseType.CANCEL),
                             (_("_OK"), Gtk.ResponseType.OK))
    entry = Gtk.Entry(visibility=False, activates_default=True,
                      input_purpose=Gtk.InputPurpose.PASSWORD)
    entry.get_accessible().set_name(_("Your password"))
    column.pack_start(entry, False, False, 0)
    dialog.set_keep_above(True)
    dialog.set_resizable(False)
    _show(dialog)
    entry.grab_focus()
    return entry.get_text() if dialog.run() == Gtk.ResponseType.OK else None


def _list(rows: list[dict[str, Any]]) -> int:
    """Print the name of the row that the person chooses."""
    Gtk = _gtk()
    dialog, column = _dialog(_("Consoles"), _("Which console do you want to open?"),
                             (_("_Cancel"), Gtk.ResponseType.CANCEL),
                             (_("_Open"), Gtk.ResponseType.OK))
    store = Gtk.ListStore(str, str, str, str)
    for row in rows:
        store.append([row["name"], row["server"], row["state"],
                      _("in use by you") if row["in_use"] else ""])
    view = Gtk.TreeView(model=store, enable_search=True, search_column=0)
    for number, title in enumerate((_("Console"), _("Server"), _("Time"), _("In use"))):
        if any(row[number] for row in store):
            view.append_column(Gtk.TreeViewColumn(title, Gtk.CellRendererText(xpad=6, ypad=4),
                                                  text=number))
    view.get_accessible().set_name(_("Consoles"))
    view.connect("row-activated", lambda *_row: dialog.response(Gtk.ResponseType.OK))
    scrolled = Gtk.ScrolledWindow(shadow_type=Gtk.ShadowType.IN, propagate_natural_width=True,
                                  hscrollbar_policy=Gtk.PolicyType.NEVER)
    if len(rows) > _MOST_ROWS:
        scrolled.set_min_content_height(_HEIGHT)
    else:
        scrolled.set_property("vscrollbar-policy", Gtk.PolicyType.NEVER)
        dialog.set_resizable(False)  # compositors that tile leave such a window its size
    scrolled.add(view)
    column.pack_start(scrolled, True, True, 0)
    refusal = Gtk.Label(wrap=True, max_width_chars=60, xalign=0, no_show_all=True)
    column.pack_start(refusal, False, False, 0)
    _show(dialog)
    view.grab_focus()
    view.set_cursor(Gtk.TreePath(0))
    while dialog.run() == Gtk.ResponseType.OK:
        path, _column = view.get_cursor()
        row = rows[path.get_indices()[0]]
        if not row["refusal"]:
            print(row["name"])
            return CHOSEN
        refusal.set_text(row["refusal"])
        refusal.show()
        view.grab_focus()
    return NOTHING
