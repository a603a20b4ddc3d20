"""One structured journal record per event, in journald's native protocol.

On the login path. The form, <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>: a datagram of fields,
``KEY=value`` lines or, for a value with newlines, the key, a newline, the length in 64 bits and
the value. Values are always sent in the second form, so that no name can forge a field.
"""

import _socket

_ADDRESS = "/run/systemd/journal/socket"

ERROR = 3
WARNING = 4
NOTICE = 5
INFO = 6


def log(priority: int, message: str, **fields: object) -> None:
    """Write a record; ``fields`` become PAM_SPICE_<NAME>. Never raises, never waits."""
    entries = {"MESSAGE": message, "PRIORITY": str(priority), "SYSLOG_IDENTIFIER": "pam-spice"}
    entries.update({f"PAM_SPICE_{name.upper()}": str(value)
                    for name, value in fields.items() if value is not None})
    datagram = bytearray()
    for key, value in entries.items():
        data = value.encode("utf-8", "backslashreplace")[:8192]
        datagram += key.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"
    try:
        sender = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
        try:
            sender.setblocking(False)
            sender.sendto(bytes(datagram), _ADDRESS)
        finally:
            sender.close()
    except OSError:
        pass  # a full or missing journal must not decide about a login
