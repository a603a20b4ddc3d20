"""systemd-logind's sessions, from its state files.

sd-login(3) answers from these same files, and neither it (no leader before systemd 254; ctypes
costs 9 ms to import) nor D-Bus (25 ms) fits on the login path. The files' form is logind's own
affair, so every field is checked and a session that lacks one does not count: that fails closed.
"""

import os

STATE_DIRECTORY = "/run/systemd/sessions"


class LogindSilent(Exception):
    """logind's state can't be read: that says nothing about who is here."""


class LogindSession:
    """One session as logind describes it; see org.freedesktop.login1(5) for the fields."""

    __slots__ = ("began", "class_", "display", "id", "leader", "remote", "seat", "service",
                 "since", "state", "tty", "uid", "user")

    def __init__(self, id_: str, fields: dict[str, str]) -> None:
        """Raises ValueError or KeyError for a session that is not described in full."""
        self.id = id_
        self.uid = int(fields["UID"])
        self.user = fields["USER"]
        self.state = fields["STATE"]
        self.remote = fields["REMOTE"] != "0"
        self.class_ = fields["CLASS"]
        self.service = fields.get("SERVICE", "")
        self.seat = fields.get("SEAT", "")
        self.leader = int(fields["LEADER"])
        self.since = int(fields["MONOTONIC"])  # microseconds of CLOCK_MONOTONIC
        # For people alone: what they lack closes nothing.
        self.tty = fields.get("TTY", "")
        self.display = fields.get("DISPLAY", "")
        self.began = fields.get("REALTIME", "")  # microseconds of the wall clock


def is_session_id(text: str) -> bool:
    """Whether the text can be a session's id: logind makes them of letters and digits."""
    return 0 < len(text) <= 64 and text.isascii() and text.isalnum()


def read_sessions(directory: str = STATE_DIRECTORY) -> list[LogindSession]:
    """All sessions that are described in full; raises LogindSilent, also where one of the files is
    there and can't be read."""
    try:
        names = os.listdir(directory)
    except OSError as error:
        raise LogindSilent(f"{directory}: {error.strerror}") from None
    sessions = []
    for name in names:
        if not is_session_id(name):  # "3.ref" is a pipe, ".#3abc" a file being written
            continue
        try:
            sessions.append(read_session(name, directory))
        except (FileNotFoundError, IsADirectoryError, ValueError, KeyError):
            continue
        except OSError as error:
            if not os.path.islink(f"{directory}/{name}"):  # none of logind's
                raise LogindSilent(f"{directory}/{name}: {error.strerror}") from None
    return sessions


def read_session(id_: str, directory: str = STATE_DIRECTORY) -> LogindSession:
    """One session; raises OSError, ValueError or KeyError."""
    descriptor = os.open(f"{directory}/{id_}", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        text = os.read(descriptor, 65536).decode("utf-8", "replace")
    finally:
        os.close(descriptor)
    fields = {}
    for line in text.split("\n"):
        key, found, value = line.partition("=")
        if found:
            fields[key] = value
    return LogindSession(id_, fields)
