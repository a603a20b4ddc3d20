"""The child of selftest that holds a PAM session: it leaves none behind."""

import io
import signal
import sys

import pytest

from pam_spice.doctor import pamsession


class Played:
    """A session of which is noted what was done with it."""

    code = 0
    done: list[str] = []

    def __init__(self, user: str, service: str) -> None:
        self.done.clear()

    def set_up(self, tty: str, environment: dict[str, str]) -> None:
        self.done.append(f"at {tty}")

    def open(self) -> dict[str, object]:
        self.done.append("open")
        return {"code": 0}

    def close(self) -> dict[str, object]:
        self.done.append("close")
        return {"code": 0}


class Nobody(io.StringIO):
    """A pipe whose reader was killed."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.fixture(autouse=True)
def played(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pamsession, "_Session", Played)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(sys, "stdin", io.StringIO())


def test_a_session_is_closed_when_its_input_ends(capsys: pytest.CaptureFixture[str]) -> None:
    pamsession.hold("anne", "login", "tty9", {})
    assert Played.done == ["at tty9", "open", "close"]
    assert capsys.readouterr().out == '{"code": 0}\n{"code": 0}\n'


def test_a_session_is_closed_though_nobody_hears_that_it_is_open(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Nobody())
    with pytest.raises(BrokenPipeError):
        pamsession.hold("anne", "login", "tty9", {})
    assert Played.done == ["at tty9", "open", "close"]
