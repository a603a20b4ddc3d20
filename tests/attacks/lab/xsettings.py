"""An XSETTINGS manager of one setting: python3 -I xsettings.py DISPLAY-NUMBER NAME VALUE.

Any client of an X screen may be it. Speaks X11 as far as that needs, and stays until it is killed.
"""

from __future__ import annotations

import socket
import struct
import sys

_INTERN_ATOM, _CREATE_WINDOW, _CHANGE_PROPERTY, _SET_SELECTION_OWNER = 16, 1, 18, 22
_INPUT_ONLY = 2


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


class _Screen:
    def __init__(self, number: str) -> None:
        self._stream = socket.socket(socket.AF_UNIX)
        self._stream.connect(f"/tmp/.X11-unix/X{number}")
        self._stream.sendall(struct.pack("<BxHHHHxx", ord("l"), 11, 0, 0, 0))
        head = self._read(8)
        if head[0] != 1:
            raise SystemExit("the X server refuses")
        told = self._read(4 * struct.unpack("<6xH", head)[0])
        self.window, vendor, formats = struct.unpack("<4xI8xH3xB", told[:22])
        screens = 32 + len(_padded(bytes(vendor))) + 8 * formats
        self.root = struct.unpack_from("<I", told, screens)[0]

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self._stream.recv(count - len(data))
            if not more:
                raise SystemExit("the X server has gone")
            data += more
        return data

    def ask(self, opcode: int, detail: int, body: bytes) -> None:
        body = _padded(body)
        self._stream.sendall(struct.pack("<BBH", opcode, detail, 1 + len(body) // 4) + body)

    def atom(self, name: str) -> int:
        self.ask(_INTERN_ATOM, 0, struct.pack("<Hxx", len(name)) + name.encode())
        return int(struct.unpack_from("<I", self._read(32), 8)[0])

    def stay(self) -> None:
        while self._stream.recv(4096):
            pass


def _settings(name: bytes, value: bytes) -> bytes:
    text = 1
    return (struct.pack("<BxxxII", 0, 1, 1) + struct.pack("<BxH", text, len(name)) + _padded(name)
            + struct.pack("<II", 1, len(value)) + _padded(value))


def main(number: str, name: str, value: str) -> None:
    screen = _Screen(number)
    owner, place = screen.atom("_XSETTINGS_S0"), screen.atom("_XSETTINGS_SETTINGS")
    data = _settings(name.encode(), value.encode())
    screen.ask(_CREATE_WINDOW, 0, struct.pack("<IIhhHHHHII", screen.window, screen.root, 0, 0, 1, 1,
                                              0, _INPUT_ONLY, 0, 0))
    screen.ask(_CHANGE_PROPERTY, 0, struct.pack("<IIIBxxxI", screen.window, place, place, 8,
                                                len(data)) + data)
    screen.ask(_SET_SELECTION_OWNER, 0, struct.pack("<III", screen.window, owner, 0))
    screen.atom("_XSETTINGS_S0")  # its answer tells that the server has done all of it
    print("ready", flush=True)
    screen.stay()


if __name__ == "__main__":
    main(*sys.argv[1:])
