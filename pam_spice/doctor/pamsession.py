"""A real PAM session, opened and closed through the installed stack: the child of selftest.

By python-pam (Debian: python3-pampy), of which the calls around a session are used. Its own
``authenticate`` would need a password, and frees the function that PAM calls back before a session
is opened with it: so the conversation is begun here, with nobody who could answer.
"""

import json
import signal
import sys
from ctypes import POINTER, byref, cast, sizeof
from typing import Any

_IGNORED = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)
_SUCCESS, _TTY = 0, 3  # security/_pam_types.h: PAM_SUCCESS, PAM_TTY


class NoPythonPam(Exception):
    """python-pam is not installed."""


def hold(user: str, service: str, tty: str, environment: dict[str, str]) -> None:
    """Open a session, say so on standard output, close it when standard input ends.

    The process that calls this is the session's leader. It ends by the end of its input alone, so
    that no signal leaves a session behind. Raises NoPythonPam.
    """
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    session = _Session(user, service)
    if session.code == _SUCCESS:
        session.set_up(tty, environment)
        try:
            _say(session.open())
            sys.stdin.read()
        finally:  # who asked may be gone, and does not listen
            closed = session.close()
        _say(closed)
    else:
        _say({"code": session.code, "reason": "pam_start failed", "session": ""})


def _say(document: dict[str, object]) -> None:
    print(json.dumps(document), flush=True)


class _Session:
    def __init__(self, user: str, service: str) -> None:
        try:
            from pam import PamAuthenticator
            from pam.__internals import PamConv, PamHandle, PamResponse, conv_func
        except ImportError:
            raise NoPythonPam from None
        self._pam: Any = PamAuthenticator()

        def say_nothing(count: int, _: object, responses: Any, __: object) -> int:
            # PAM frees it: pam_conv(3).
            responses[0] = cast(self._pam.calloc(count, sizeof(PamResponse)), POINTER(PamResponse))
            return _SUCCESS

        self._conversation = PamConv(conv_func(say_nothing), None)  # as long as the handle
        self._pam.handle = PamHandle()
        self.code: int = self._pam.pam_start(service.encode(), user.encode(),
                                             byref(self._conversation), byref(self._pam.handle))

    def set_up(self, tty: str, environment: dict[str, str]) -> None:
        """What a login program tells PAM of where it runs."""
        if tty:
            self._pam.pam_set_item(self._pam.handle, _TTY, tty.encode())
        for name, value in environment.items():
            self._pam.misc_setenv(name, value, 0)

    def open(self) -> dict[str, object]:
        code = self._pam.open_session()
        told = self._pam.getenvlist()
        return {"code": code, "reason": self._pam.reason,
                "session": told.get("XDG_SESSION_ID", "") if isinstance(told, dict) else ""}

    def close(self) -> dict[str, object]:
        code, reason = self._pam.close_session(), self._pam.reason
        self._pam.end()
        return {"code": code, "reason": reason}
