"""When the viewer was really started, and by whom: from what sudo and its PAM session write.

Seen with sudo 1.9.13 and journald 252: sudo writes through /dev/log under its caller's real uid,
so ``_UID`` is that user and not 0, and he can write lines that read the same. What he can't have is
``_GID``: by the time at which pam_unix says that sudo's session is opened, and until it says that
it is closed, the kernel tells the group that sudo was asked for, and nobody has the viewer's group
but by sudo. So that a viewer ran, whose it was, from when and until when is the kernel's word.

Which console it was, only sudo's line with the command says, which comes before the group. A user
can write one like it and then become sudo, which keeps his pid; journald, which looks later, took
that one for sudo's by ``_EXE`` and ``_COMM`` three times out of five, and sudo's own for another
program's the other two: these fields are not looked at. But /dev/log is one queue, so of that pid
the last line before the session is sudo's.

Of a start that sudo refuses there is the line alone. Somebody can make it up, for himself only.

In that line directory and arguments are the user's to choose, ``;`` and ``COMMAND=`` included.
sudo lets nothing but a console's exact arguments through with the viewer's group, and these hold
no space: what stands behind the last ``COMMAND=`` is the command.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from conf.viewer import CONFINER, VIEWER
from pam_spice.auditlog import fields_of

MATCHES = ("_TRANSPORT=syslog", "SYSLOG_IDENTIFIER=sudo")
"""What journalctl is to look for."""

_SIGNS = (b"COMMAND=", b"pam_unix(sudo")
_SESSION = re.compile(r"pam_unix\(sudo(?:-i)?:session\): session (opened|closed) for user .*",
                      re.ASCII | re.DOTALL)
_LINE = re.compile(r" *(?P<user>[^ ]+) : (?:(?P<reason>[^;=]+) ; )?[A-Z]+=.* ; COMMAND=(?P<cmd>.*)",
                   re.ASCII | re.DOTALL)
# Without a title where an earlier pam-spice wrote sudo's rules.
_COMMAND = re.compile(rf"{re.escape(CONFINER)} --spice-ca-file=\S+(?: --title=(?P<title>\S+))? -- "
                      r"spice://(?P<host>\[?[A-Za-z0-9_.:-]{1,255}\]?)"
                      r"\?tls-port=(?P<port>[0-9]{1,5})", re.ASCII)
_MOST_WAITING = 10_000
"""Of processes of which nobody knows yet whether they are sudo: anybody can write that he is."""


@dataclass(frozen=True, slots=True)
class Use:
    """A viewer that sudo started: from when to when, in seconds; ``end`` is None where the journal
    doesn't tell."""

    uid: int
    user: str | None
    console: str | None  # None: no line says which
    start: int
    end: int | None
    boot: str | None


@dataclass(frozen=True, slots=True)
class Denial:
    """sudo did not start the viewer, or nothing confirms that it did; its line alone says so, or
    one that the user wrote."""

    time: int
    uid: int
    user: str | None
    console: str | None  # None: no console has these arguments
    reason: str


UNCONFIRMED = "allowed, but nothing tells that it started"


@dataclass(frozen=True, slots=True)
class _Said:
    """A line of sudo's, or one like it, that names a command."""

    time: int
    uid: int
    user: str
    command: str
    is_clear: bool


class SudoLog:
    """Takes the records in the order of time."""

    def __init__(self, user_of: Callable[[int], str | None],
                 consoles: Mapping[tuple[str, int], Sequence[str]],
                 viewer_gid: int | None) -> None:
        """``consoles``: the policy's, by host and port."""
        self._user_of = user_of
        self._consoles = consoles
        self._viewer_gid = viewer_gid
        self._running: dict[tuple[str | None, str], Use] = {}
        self._said: dict[tuple[str | None, str], _Said] = {}
        self._uses: list[Use] = []
        self._denials: list[Denial] = []

    def uses(self) -> list[Use]:
        """All of them, by their start; of those that run yet, or whose end is not told, too."""
        return sorted((*self._uses, *self._running.values()), key=lambda use: (use.start, use.uid))

    def denials(self) -> list[Denial]:
        """By their time; of lines of which nothing more came, too."""
        left = [each for said in self._said.values() for each in self._unconfirmed(said)]
        return sorted((*self._denials, *left), key=lambda denial: denial.time)

    def take(self, line: bytes) -> None:
        """A record in journalctl's JSON; what is nothing of sudo's is passed over."""
        if not any(sign in line for sign in _SIGNS):
            return
        try:
            fields = fields_of(line)
            if fields["_TRANSPORT"] != "syslog" or fields.get("SYSLOG_IDENTIFIER") != "sudo":
                return
            time = int(fields["__REALTIME_TIMESTAMP"]) // 1_000_000
            uid, gid = (_id(fields[name]) for name in ("_UID", "_GID"))
            key = fields.get("_BOOT_ID"), fields["_PID"]
        except (ValueError, KeyError):
            return
        message = fields.get("MESSAGE", "")
        session = _SESSION.fullmatch(message)
        if session is None:
            self._line(key, time, uid, message)
        elif gid == self._viewer_gid and session[1] == "opened":
            self._open(key, time, uid)
        elif gid == self._viewer_gid:
            self._close(key, time, uid)
        else:  # sudo ran something else
            self._said.pop(key, None)

    def _open(self, key: tuple[str | None, str], time: int, uid: int) -> None:
        console = None
        said = self._said.pop(key, None)
        if said is not None and said.uid == uid:
            console = self._console_of(said.command)
        if key in self._running:  # its end was lost, and the pid has come again
            self._uses.append(self._running.pop(key))
        self._running[key] = Use(uid, self._user_of(uid), console, time, None, key[0])

    def _close(self, key: tuple[str | None, str], time: int, uid: int) -> None:
        use = self._running.get(key)
        if use is not None and use.uid == uid:
            del self._running[key]
            self._uses.append(Use(use.uid, use.user, use.console, use.start, time, use.boot))

    def _line(self, key: tuple[str | None, str], time: int, uid: int, message: str) -> None:
        line = _LINE.fullmatch(message)
        if line is None:
            return
        # What can be read in two ways may be about another command.
        said = _Said(time, uid, line["user"], line["cmd"], message.count("COMMAND=") == 1)
        if line["reason"] is not None:
            self._denials += self._denial(said, line["reason"])
            return
        self._denials += self._unconfirmed(self._said.pop(key, None))
        if len(self._said) >= _MOST_WAITING:
            del self._said[next(iter(self._said))]
        self._said[key] = said

    def _unconfirmed(self, said: "_Said | None") -> list[Denial]:
        """sudo is about to start it, and that it did is not told: where its PAM stack has no
        pam_unix, where the record was lost, where it failed."""
        if said is None or self._console_of(said.command) is None:
            return []
        return self._denial(said, UNCONFIRMED)

    def _denial(self, said: "_Said", reason: str) -> list[Denial]:
        user = self._user_of(said.uid)
        if (not said.is_clear or said.user != user
                or not said.command.startswith((CONFINER, VIEWER))):
            return []
        return [Denial(said.time, said.uid, user, self._console_of(said.command), reason)]

    def _console_of(self, command: str) -> str | None:
        found = _COMMAND.fullmatch(command)
        if found is None:
            return None
        host, port = found["host"], int(found["port"])
        names = self._consoles.get((host, port), (f"{host} port {port}",))
        # The title is words; host and port are where it leads. It tells only which of their names.
        return found["title"] if found["title"] in names else " or ".join(names)


def _id(text: str) -> int:
    """Raises ValueError."""
    if not re.fullmatch("[0-9]{1,10}", text, re.ASCII):
        raise ValueError(text)
    return int(text)
