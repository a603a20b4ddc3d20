"""logind's state files, and which of the sessions in them count."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conf.lookup import Settings
from session.eligibility import is_alive, is_ordinary, why_not_eligible
from session.logind import LogindSilent, is_session_id, read_session, read_sessions
from session.processes import start_ticks, started_before
from tests.unit.support import logind_session, within

# As systemd 252 wrote it for a login at tty1.
CONSOLE = """\
# This is private data. Do not parse.
UID=1021
USER=myself
ACTIVE=1
IS_DISPLAY=1
STATE=active
REMOTE=0
TYPE=tty
ORIGINAL_TYPE=tty
CLASS=user
SCOPE=session-3.scope
FIFO=/run/systemd/sessions/3.ref
SEAT=seat0
TTY=tty1
TTY_VALIDITY=from-pam
SERVICE=login
VTNR=1
POSITION=1
LEADER=142
AUDIT=3
REALTIME=1795435200000000
MONOTONIC=52134567
"""
STRICT = Settings(True, True, ("login", "lightdm"))


def test_a_console_login_is_read_in_full(tmp_path: Path) -> None:
    (tmp_path / "3").write_text(CONSOLE)
    session = read_session("3", str(tmp_path))
    assert (session.id, session.uid, session.user, session.state, session.remote, session.class_,
            session.service, session.seat, session.leader, session.since) == (
                "3", 1021, "myself", "active", False, "user", "login", "seat0", 142, 52134567)


def test_what_is_no_session_file_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "3").write_text(CONSOLE)
    (tmp_path / "c2").write_text(CONSOLE)
    os.mkfifo(tmp_path / "3.ref")
    (tmp_path / ".#3abc").write_text(CONSOLE)
    (tmp_path / "4").mkdir()
    (tmp_path / "5").symlink_to("3")
    (tmp_path / "6").write_text("")
    with within(3):
        sessions = read_sessions(str(tmp_path))
    assert sorted(session.id for session in sessions) == ["3", "c2"]


@pytest.mark.parametrize("field", ["UID", "USER", "STATE", "REMOTE", "CLASS", "LEADER",
                                   "MONOTONIC"])
def test_a_session_that_lacks_a_field_is_left_out(tmp_path: Path, field: str) -> None:
    (tmp_path / "3").write_text("".join(
        line for line in CONSOLE.splitlines(keepends=True) if not line.startswith(f"{field}=")))
    assert read_sessions(str(tmp_path)) == []


@pytest.mark.parametrize(("old", "new"), [
    ("UID=1021", "UID="), ("UID=1021", "UID=root"), ("LEADER=142", "LEADER=x"),
    ("MONOTONIC=52134567", "MONOTONIC=1e9"), ("UID=1021", "UID=0x3fd")])
def test_a_session_with_a_field_that_is_no_number_is_left_out(tmp_path: Path, old: str,
                                                              new: str) -> None:
    (tmp_path / "3").write_text(CONSOLE.replace(old, new))
    assert read_sessions(str(tmp_path)) == []


@pytest.mark.parametrize("text", ["REMOTE=", "REMOTE=yes", "REMOTE=1"])
def test_remote_is_everything_but_a_zero(tmp_path: Path, text: str) -> None:
    (tmp_path / "3").write_text(CONSOLE.replace("REMOTE=0", text))
    assert read_session("3", str(tmp_path)).remote


def test_a_session_without_seat_or_service_is_read_and_has_none(tmp_path: Path) -> None:
    (tmp_path / "3").write_text(CONSOLE.replace("SEAT=seat0\n", "").replace("SERVICE=login\n", ""))
    session = read_session("3", str(tmp_path))
    assert (session.seat, session.service) == ("", "")


@pytest.mark.parametrize("separator", ["\r", "\v", "\f", "\x1c", "\x1d", "\x85", "\u2028",
                                       "\u2029"])
def test_only_a_newline_ends_a_field(tmp_path: Path, separator: str) -> None:
    (tmp_path / "3").write_text(
        CONSOLE.replace("SERVICE=login", f"SERVICE=sshd\nDESKTOP=x{separator}SERVICE=login"),
        newline="")
    assert read_session("3", str(tmp_path)).service == "sshd"


def test_logind_is_silent_where_its_directory_is_missing(tmp_path: Path) -> None:
    with pytest.raises(LogindSilent):
        read_sessions(str(tmp_path / "sessions"))


def test_an_empty_directory_means_that_nobody_is_here(tmp_path: Path) -> None:
    assert read_sessions(str(tmp_path)) == []


@settings(max_examples=60, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, len(CONSOLE)), st.binary(max_size=8))
def test_a_damaged_state_file_never_raises(tmp_path: Path, at: int, junk: bytes) -> None:
    data = CONSOLE.encode()
    (tmp_path / "3").write_bytes(data[:at] + junk + data[at + len(junk):])
    for session in read_sessions(str(tmp_path)):
        why_not_eligible(session, STRICT)


@pytest.mark.parametrize(("text", "expected"), [
    ("3", True), ("c12", True), ("x" * 64, True), ("", False), ("x" * 65, False), ("..", False),
    ("3.ref", False), ("a/b", False), ("3\n", False), ("³", False), ("-1", False), ("a b", False)])
def test_session_ids_are_short_and_of_ascii_letters_and_digits(text: str, expected: bool) -> None:
    assert is_session_id(text) is expected


@pytest.mark.parametrize(("uid", "expected"), [
    (0, False), (1, False), (999, False), (1000, True), (1021, True), (65533, True),
    (65534, False), (65535, True), (2**31, True), (2**32 - 2, True), (2**32 - 1, False),
    (2**32, False), (-1, False)])
def test_ordinary_are_uids_from_1000_on_but_nobody_and_no_uid(uid: int, expected: bool) -> None:
    assert is_ordinary(uid) is expected


@pytest.mark.parametrize("fields", [
    {}, {"STATE": "online"}, {"STATE": "opening"}, {"SERVICE": "lightdm"}, {"SEAT": "seat1"}])
def test_a_person_at_the_workstation_s_own_screen_counts(fields: dict[str, str]) -> None:
    assert why_not_eligible(logind_session(fields=fields), STRICT) is None


@pytest.mark.parametrize(("fields", "words"), [
    ({"UID": "0"}, "not an ordinary user"),
    ({"UID": "120"}, "not an ordinary user"),
    ({"UID": "65534"}, "not an ordinary user"),
    ({"UID": "4294967295"}, "not an ordinary user"),
    ({"UID": "-5"}, "not an ordinary user"),
    ({"REMOTE": "1"}, "logged in from elsewhere"),
    ({"CLASS": "greeter"}, "class 'greeter'"),
    ({"CLASS": "background"}, "class 'background'"),
    ({"CLASS": "manager"}, "class 'manager'"),
    ({"CLASS": "lock-screen"}, "class 'lock-screen'"),
    ({"SEAT": ""}, "screen and keyboard"),
    ({"SERVICE": "sshd"}, "logins through 'sshd'"),
    ({"SERVICE": "su-l"}, "logins through 'su-l'"),
    ({"SERVICE": "cron"}, "logins through 'cron'"),
    ({"SERVICE": "systemd-user"}, "logins through 'systemd-user'"),
    ({"SERVICE": "chfn"}, "logins through 'chfn'"),
    ({"SERVICE": "Login"}, "logins through 'Login'"),
    ({"SERVICE": ""}, "'an unknown service'"),
    ({"STATE": "closing"}, "ending"),
    ({"STATE": ""}, "ending"),
    ({"STATE": "lingering"}, "ending"),
])
def test_what_does_not_count_is_told_why(fields: dict[str, str], words: str) -> None:
    uid = int(fields.pop("UID", "1021"))
    reason = why_not_eligible(logind_session(uid=uid, fields=fields), STRICT)
    assert reason is not None and words in reason


def test_without_require_seat_a_login_without_a_seat_counts_but_not_a_remote_one() -> None:
    lax = Settings(True, False, ("login", "sshd"))
    assert why_not_eligible(logind_session(SEAT=""), lax) is None
    assert why_not_eligible(logind_session(SEAT="", REMOTE="1", SERVICE="sshd"), lax) is not None


def test_no_service_in_the_policy_means_that_no_session_counts() -> None:
    assert why_not_eligible(logind_session(), Settings(True, True, ())) is not None


# Leaders

def now_usec() -> int:
    import time
    return int(time.clock_gettime(time.CLOCK_MONOTONIC) * 1e6)


def test_a_session_lives_while_its_leader_does() -> None:
    assert is_alive(logind_session(leader=os.getpid(), since=now_usec()))


@pytest.mark.parametrize("leader", [0, -1, 2**22 + 1, 2**31])
def test_a_session_whose_leader_is_no_process_is_over(leader: int) -> None:
    assert not is_alive(logind_session(leader=leader, since=now_usec()))


def test_a_process_that_started_after_the_session_is_not_its_leader() -> None:
    # This process is younger than the machine's boot.
    assert not started_before(os.getpid(), 1)
    assert started_before(os.getpid(), now_usec())


def test_the_start_of_a_process_is_field_22_whatever_its_name(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = " ".join(["S", "1", *("0" for _ in range(17)), "4711", "0"])
    real_open = os.open

    def fake_open(path: str, flags: int) -> int:
        assert path == "/proc/77/stat"
        return real_open(tmp_path / "stat", flags)

    monkeypatch.setattr(os, "open", fake_open)
    for name in ("login", "a b", ") S 1 (", "a)) Z", "\n", "(("):
        (tmp_path / "stat").write_text(f"77 ({name}) {fields}\n")
        assert start_ticks(77) == 4711, name
    (tmp_path / "stat").write_text(f"77 (login) {fields.replace('S', 'Z', 1)}\n")
    assert start_ticks(77) is None, "a zombie"
