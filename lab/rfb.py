"""Keys for a Wayland compositor, through its VNC server, as from a usual keyboard."""

from __future__ import annotations

import socket
import struct
import time
from pathlib import Path
from types import TracebackType

# X11/keysymdef.h; letters, digits and signs are their own numbers.
_KEYS = {"BackSpace": 0xFF08, "Tab": 0xFF09, "Return": 0xFF0D, "Escape": 0xFF1B, "Home": 0xFF50,
         "Left": 0xFF51, "Up": 0xFF52, "Right": 0xFF53, "Down": 0xFF54, "shift": 0xFFE1,
         "ctrl": 0xFFE3, "logo": 0xFFEB}  # fmt: skip
_WITH_SHIFT = '~!@#$%^&*()_+{}|:"<>?'
_PAUSE = 0.02  # seconds
_VERSION = b"RFB 003.008\n"
_NO_PASSWORD = 1


class Keyboard:
    """A connection to a VNC server (RFC 6143) that asks for no password; only keys are sent."""

    def __init__(self, path: Path) -> None:
        """`path` is the server's socket. Raises OSError."""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(10)
        self._socket.connect(str(path))
        self._read(len(_VERSION))
        self._socket.sendall(_VERSION)
        self._read(self._read(1)[0])
        self._socket.sendall(bytes([_NO_PASSWORD]))
        self._read(4)
        self._socket.sendall(b"\1")  # others may look, too
        (length,) = struct.unpack(">20xI", self._read(24))
        self._read(length)

    def press(self, *keys: str) -> None:
        """Press keys one after another: a character, or one of the names that there are."""
        for key in keys:
            is_shifted = len(key) == 1 and (key.isupper() or key in _WITH_SHIFT)
            self.chord(*(["shift"] if is_shifted else []), key)

    def chord(self, *keys: str) -> None:
        """Press keys together, and let go of them."""
        for is_down, key in [*((1, key) for key in keys), *((0, key) for key in reversed(keys))]:
            self._socket.sendall(struct.pack(">BBxxI", 4, is_down, _KEYS.get(key) or ord(key)))
            time.sleep(_PAUSE)

    def __enter__(self) -> Keyboard:
        return self

    def __exit__(self, kind: type[BaseException] | None, failure: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._socket.close()

    def _read(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            more = self._socket.recv(length - len(data))
            if not more:
                raise ConnectionError("the VNC server hung up")
            data += more
        return data
