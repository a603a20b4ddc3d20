"""A guest of 512 bytes: it shows a console's name in letters that a screenshot can't miss."""

from __future__ import annotations

_ORIGIN = 0x7C00
_COLUMNS = 80
_FONT_SIZE = 8
_FIRST_ROW = 8


def boot_sector(name: str, colour: int) -> bytes:
    """The disk image of a guest that writes `name` (ASCII, at most 10 letters) over its screen.

    `colour` is a VGA text attribute: background in the high half, foreground in the low one.
    """
    if not name.isascii() or not 0 < len(name) <= _COLUMNS // _FONT_SIZE:
        raise ValueError(f"a name of 1 to 10 ASCII letters, not {name!r}")
    left = (_COLUMNS - len(name) * _FONT_SIZE) // 2
    start = 2 * (_FIRST_ROW * _COLUMNS + left)
    blank = bytes([ord(" "), colour])
    code = b"".join(
        [
            b"\x31\xc0",  # xor ax, ax
            b"\x8e\xd8",  # mov ds, ax
            b"\x8e\xd0",  # mov ss, ax
            b"\xbc\x00\x7c",  # mov sp, 0x7c00
            b"\xb8\x03\x00\xcd\x10",  # mov ax, 3; int 0x10: text mode, 80 columns
            b"\xb4\x01\xb9\x07\x26\xcd\x10",  # mov ah, 1; mov cx, 0x2607; int 0x10: no cursor
            b"\xb8\x30\x11\xb7\x03\xcd\x10",  # mov ax, 0x1130; mov bh, 3; int 0x10: font at es:bp
            b"\x06\x0f\xa1",  # push es; pop fs
            b"\xb8\x00\xb8\x8e\xc0",  # mov ax, 0xb800; mov es, ax: the screen's memory
            b"\xfc",  # cld
            b"\x31\xff",  # xor di, di
            b"\xb8" + blank,  # mov ax, blank
            b"\xb9\xd0\x07",  # mov cx, 2000
            b"\xf3\xab",  # rep stosw
        ]
    )
    draw = b"".join(
        [
            b"\xbf" + start.to_bytes(2, "little"),  # mov di, start
            # letter:
            b"\xac",  # lodsb
            b"\x84\xc0",  # test al, al
            b"\x74\x2d",  # jz done
            b"\x0f\xb6\xd8",  # movzx bx, al
            b"\xc1\xe3\x03",  # shl bx, 3
            b"\x01\xeb",  # add bx, bp
            b"\x57",  # push di
            b"\xb9\x08\x00",  # mov cx, 8
            # row:
            b"\x64\x8a\x17",  # mov dl, fs:[bx]
            b"\x43",  # inc bx
            b"\x51",  # push cx
            b"\xb9\x08\x00",  # mov cx, 8
            # bit:
            b"\xb8" + blank,  # mov ax, blank
            b"\xd0\xe2",  # shl dl, 1
            b"\x73\x02",  # jnc put
            b"\xb0\xdb",  # mov al, 0xdb: a full block
            # put:
            b"\xab",  # stosw
            b"\xe2\xf4",  # loop bit
            b"\x59",  # pop cx
            b"\x81\xc7\x90\x00",  # add di, 160 - 16
            b"\xe2\xe5",  # loop row
            b"\x5f",  # pop di
            b"\x83\xc7\x10",  # add di, 16
            b"\xeb\xce",  # jmp letter
            # done:
            b"\xf4",  # hlt
            b"\xeb\xfd",  # jmp done
        ]
    )
    text_at = _ORIGIN + len(code) + 3 + len(draw)
    program = code + b"\xbe" + text_at.to_bytes(2, "little") + draw  # mov si, text
    program += name.encode() + b"\0"
    return program.ljust(510, b"\0") + b"\x55\xaa"
