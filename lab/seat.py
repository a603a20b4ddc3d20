"""A person at the keyboard: typing at a virtual terminal, and reading its screen."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shlex
import struct
import termios
from dataclasses import dataclass
from pathlib import Path

from lab.door import wait_until
from lab.errors import LabError, LabTimeout

_VT_ACTIVATE = 0x5606


class LoginRefused(LabError):
    """The workstation said that the login is incorrect."""


@dataclass(frozen=True)
class Ran:
    """What a command typed at a terminal left: its text on the screen, and its status."""

    text: str
    """At most the terminal's last lines (some twenty), wrapped at its width."""

    status: int


def active() -> int:
    """The number of the virtual terminal that is in front."""
    return int(Path("/sys/class/tty/tty0/active").read_text().strip().removeprefix("tty"))


def switch_to(tty: int, timeout: float = 5) -> None:
    """Bring a terminal to the front, as Ctrl-Alt-F2 does. Raises LabTimeout."""
    device = os.open("/dev/tty0", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(device, _VT_ACTIVATE, tty)
    finally:
        os.close(device)
    wait_until(f"tty{tty} in front", lambda: active() == tty, timeout, 0.01)


def screen(tty: int) -> str:
    """What the terminal shows: its lines without blanks at their ends; empty if it isn't in use."""
    try:
        device = os.open(f"/dev/vcsa{tty}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        raw = os.read(device, 1 << 17)
    except OSError:  # given back to the kernel meanwhile: systemd does so between two gettys
        return ""
    finally:
        os.close(device)
    # Rows, columns, the cursor's place; then a character and its colour for each cell.
    rows, columns, _, _ = struct.unpack("4B", raw[:4])
    text = raw[4::2].decode("cp437")
    lines = [text[row * columns : (row + 1) * columns].rstrip() for row in range(rows)]
    return "\n".join(lines).rstrip("\n")


def wipe(tty: int) -> None:
    """Clear the terminal's screen, so that nothing of an earlier boot is taken for an answer."""
    device = os.open(f"/dev/tty{tty}", os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        os.write(device, b"\033c\033[3J")
    finally:
        os.close(device)


def type_text(tty: int, text: str) -> None:
    """Press the keys."""
    device = os.open(f"/dev/tty{tty}", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        for byte in text.encode():
            fcntl.ioctl(device, termios.TIOCSTI, bytes([byte]))
    finally:
        os.close(device)


def type_line(tty: int, text: str) -> None:
    """Press the keys, and Enter."""
    type_text(tty, f"{text}\n")


def wait_for(tty: int, pattern: str, timeout: float = 20) -> re.Match[str]:
    """Wait until the screen matches (`$` is the screen's end), and return the match.

    Raises LabTimeout, with the screen, after `timeout` seconds.
    """
    regex = re.compile(pattern)
    try:
        seen = wait_until(f"/{pattern}/ on tty{tty}", lambda: regex.search(screen(tty)), timeout)
    except LabTimeout as late:
        raise LabTimeout(f"{late}\n--- tty{tty}\n{screen(tty)}\n---") from late
    assert seen is not None  # noqa: S101
    return seen


def login(tty: int, user: str, password: str, timeout: float = 30) -> None:
    """Log in at the terminal, which is brought to the front, and wait for the shell's prompt.

    Raises LoginRefused, LabTimeout when there is no prompt within `timeout` seconds.
    """
    switch_to(tty)
    wait_for(tty, r"login:$", timeout)
    type_line(tty, user)
    answer_password(tty, r"Password:$", password, timeout)
    said = wait_for(tty, r"(?s)Password:(?!.*Password:).*?(Login incorrect|[$#]$)", timeout)
    if said[1] == "Login incorrect":
        raise LoginRefused(f"tty{tty} refused {user}")


def answer_password(tty: int, pattern: str, password: str, timeout: float = 20) -> None:
    """Wait for a prompt that doesn't show what is typed, and type. Raises LabTimeout."""
    wait_for(tty, pattern, timeout)
    wait_until("the password is not shown", lambda: not _echoes(tty), timeout)
    type_line(tty, password)


def run_at(tty: int, command: str, timeout: float = 60) -> Ran:
    """Type a command at the terminal's shell prompt, and wait for its end.

    For much output let the command write to a file. Raises LabTimeout, with the screen.
    """
    if "\n" in command:
        raise ValueError("a command is one line")
    wait_for(tty, r"[$#]$", timeout)
    mark = f"end-{secrets.token_hex(4)}"
    # The screen and its scrollback are cleared first: the output is then all that is there. One
    # line, since a program that asks for a password would swallow a second one. What is typed
    # doesn't match the pattern, only what is printed does.
    clear = r"printf '\033[H\033[2J\033[3J'"
    type_line(tty, rf"{clear}; eval {shlex.quote(command)}; printf '\n%s:%d:\n' {mark} $?")
    seen = wait_for(tty, rf"(?s)^(.*)\n{mark}:(\d+):.*[$#]$", timeout)
    return Ran(seen[1].strip("\n"), int(seen[2]))


def logout(tty: int, timeout: float = 30) -> None:
    """Leave the shell at its prompt, and wait until the terminal asks for the next login."""
    wait_for(tty, r"[$#]$", timeout)
    type_line(tty, "exit")
    wait_for(tty, r"login:$", timeout)


def _echoes(tty: int) -> bool:
    device = os.open(f"/dev/tty{tty}", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        return bool(termios.tcgetattr(device)[3] & termios.ECHO)
    finally:
        os.close(device)
