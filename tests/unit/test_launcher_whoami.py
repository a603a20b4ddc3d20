"""Whose login it is, and why consoles don't open in it."""

from collections.abc import Mapping

import pytest

from launcher.refusal import Refused
from launcher.whoami import (
    Caller,
    Login,
    find_login,
    open_record,
    refuse_foreign_account,
    unit_of,
    who_else,
)
from session.logind import LogindSession
from session.records import CLOSED, OPEN, WAITING, Record

MYSELF, MYBRO = 1021, 1022
NAMES = {MYSELF: "myself", MYBRO: "mybro", 1030: "guest", 1031: "other"}
SCOPE = "0::/user.slice/user-1021.slice/session-5.scope\n"
MANAGER = "0::/user.slice/user-1021.slice/user@1021.service/app.slice/app-x.scope\n"


def session(id_: str = "5", uid: int = MYSELF, **changes: str) -> LogindSession:
    fields = {"UID": str(uid), "USER": NAMES[uid], "STATE": "active", "REMOTE": "0",
              "CLASS": "user", "SERVICE": "login", "SEAT": "seat0", "LEADER": "100",
              "MONOTONIC": "1000"} | changes
    return LogindSession(id_, {key: value for key, value in fields.items() if value})


def record(session_id: str = "5", state: str = OPEN, uid: int = MYSELF) -> Record:
    return Record(session_id, uid, NAMES[uid], 100, 1, 1000, "abc", state, {}, [])


def caller(cgroup: str = SCOPE, uid: int = MYSELF, sudo_uid: str | None = None,
           hint: str | None = None) -> Caller:
    return Caller(uid, uid, cgroup, sudo_uid, hint)


def found(by: Caller, sessions: list[LogindSession],
          records: Mapping[str, Record] | None = None) -> Login:
    return find_login(by, sessions, lambda session: (records or {}).get(session.id))


def message_of(login: Login, other: str | None = None) -> str:
    with pytest.raises(Refused) as caught:
        open_record(login, lambda: other)
    assert caught.value.status == 1
    assert "\n" not in caught.value.message
    return caught.value.message


# Which account

@pytest.mark.parametrize(("uid", "effective", "sudo_uid", "says"), [
    (0, 0, None, "root"),
    (0, 0, "1021", "root"),
    (MYSELF, 0, None, "root"),
    (MYBRO, MYBRO, "1021", "borrowed"),
    (MYBRO, MYBRO, "0", "borrowed"),
    (MYBRO, MYBRO, "nonsense", "borrowed"),
    (MYSELF, MYBRO, None, "borrowed"),
    (33, 33, None, "person"),
    (65534, 65534, None, "person"),
])
def test_root_borrowed_and_service_accounts_are_refused_with_the_remedy(
        uid: int, effective: int, sudo_uid: str | None, says: str) -> None:
    with pytest.raises(Refused) as caught:
        refuse_foreign_account(Caller(uid, effective, SCOPE, sudo_uid))
    assert says in caught.value.message
    assert "Log in as yourself" in caught.value.message


def test_a_person_in_his_own_account_is_not_refused() -> None:
    refuse_foreign_account(caller())
    refuse_foreign_account(caller(sudo_uid="1021"))


# Which session

@pytest.mark.parametrize(("cgroup", "unit"), [
    (SCOPE, ("5", None)),
    ("12:cpu:/\n1:name=systemd:/user.slice/user-1021.slice/session-c3.scope\n0::/\n", ("c3", None)),
    ("1:name=systemd:/user.slice/user-1021.slice/session-5.scope/sub\n", ("5", None)),
    ("0::/../../payload/user.slice/user-1021.slice/session-5.scope\n", ("5", None)),
    (MANAGER, (None, 1021)),
    ("0::/system.slice/cron.service\n", (None, None)),
    ("0::/\n", (None, None)),
    ("", (None, None)),
    ("garbage\n:::\n", (None, None)),
])
def test_the_cgroup_names_the_session_or_the_users_manager(
        cgroup: str, unit: tuple[str | None, int | None]) -> None:
    assert unit_of(cgroup) == unit


@pytest.mark.parametrize("below", [
    "app.slice/session-9.scope", "session-9.scope", "a.slice/user@1022.service/session-9.scope"])
def test_a_cgroup_that_a_user_made_below_his_own_names_no_session(below: str) -> None:
    assert unit_of(f"0::/user.slice/user-1021.slice/user@1021.service/{below}\n") == (None, 1021)


def test_a_process_in_a_sessions_scope_belongs_to_it() -> None:
    sessions = [session("4", SEAT=""), session("5"), session("6")]
    assert found(caller(hint="6"), sessions).session.id == "5"


def test_another_users_login_is_refused_by_name() -> None:
    with pytest.raises(Refused, match="This is myself's login, not yours"):
        found(caller(uid=MYBRO), [session("5"), session("6", MYBRO)],
              {"6": record("6", uid=MYBRO)})


def test_another_users_manager_is_refused() -> None:
    with pytest.raises(Refused, match="another user's login"):
        found(caller(MANAGER, uid=MYBRO), [session("6", MYBRO)], {"6": record("6", uid=MYBRO)})


def test_a_session_that_logind_has_forgotten_has_ended() -> None:
    with pytest.raises(Refused, match="This login has ended"):
        found(caller(), [session("6")])


def test_whoever_has_no_login_here_is_told_to_log_in() -> None:
    for cgroup in (MANAGER, "0::/system.slice/cron.service\n"):
        with pytest.raises(Refused, match="Log in there"):
            found(caller(cgroup), [session("6", MYBRO)])


def test_from_the_desktops_manager_the_login_that_has_consoles_is_found() -> None:
    sessions = [session("3", REMOTE="1", SEAT=""), session("5", STATE="online"), session("7")]
    assert found(caller(MANAGER), sessions, {"5": record("5")}).session.id == "5"


def test_of_several_with_consoles_the_one_in_front_is_found() -> None:
    sessions = [session("5", STATE="online"), session("7"), session("8", STATE="online")]
    records = {id_: record(id_) for id_ in ("5", "7", "8")}
    assert found(caller(MANAGER, hint="5"), sessions, records).session.id == "7"


def test_a_waiting_login_is_found_before_one_without_a_record() -> None:
    sessions = [session("3"), session("5")]
    assert found(caller(MANAGER, hint="3"), sessions,
                 {"5": record("5", WAITING)}).session.id == "5"


def test_the_environments_session_id_only_decides_between_own_equals() -> None:
    sessions = [session("5"), session("6"), session("9", MYBRO)]
    assert found(caller(MANAGER, hint="6"), sessions).session.id == "6"
    assert found(caller(MANAGER, hint="5"), sessions).session.id == "5"
    assert found(caller(MANAGER, hint="9"), sessions).session.uid == MYSELF


# Why not

def test_an_open_login_in_front_is_let_through() -> None:
    made = record()
    assert open_record(Login(session(), made), lambda: None) is made


def test_a_remote_login_is_refused() -> None:
    assert "from elsewhere" in message_of(Login(session(REMOTE="1", SEAT=""), record()))


def test_a_login_without_a_seat_is_refused() -> None:
    assert "screen and keyboard" in message_of(Login(session(SEAT=""), None))


def test_a_login_without_a_seat_that_the_policy_admitted_is_let_through() -> None:
    made = record()
    assert open_record(Login(session(SEAT=""), made), lambda: None) is made


def test_a_login_in_the_background_is_told_to_come_to_the_front() -> None:
    assert "in the background" in message_of(Login(session(STATE="online"), record()))


def test_a_login_that_ends_is_refused() -> None:
    assert "has ended" in message_of(Login(session(STATE="closing"), record()))


@pytest.mark.parametrize("made", [None, record(state=CLOSED), record(state="new")])
def test_a_login_whose_consoles_were_not_opened_names_the_journal(made: Record | None) -> None:
    message = message_of(Login(session(), made))
    assert "Log out and in again" in message
    assert "journalctl -t pam-spice" in message


def test_whoever_waits_is_told_for_whom() -> None:
    login = Login(session("6", MYBRO), record("6", WAITING, MYBRO))
    assert message_of(login, "myself") == (
        "mybro: myself is logged in here. Your consoles open when myself has logged out.")
    assert message_of(login, None) == (
        "mybro: another user is logged in here. Your consoles open when another user has logged "
        "out.")


def test_the_one_waited_for_has_a_record_and_came_first() -> None:
    sessions = [session("9", 1031, MONOTONIC="5"), session("5", MONOTONIC="10"),
                session("7", 1030, MONOTONIC="20"), session("6", MYBRO, MONOTONIC="1")]
    with_record = {"5", "6", "7"}
    assert who_else(MYBRO, sessions, lambda _: True, lambda s: s.id in with_record) == "myself"


@pytest.mark.parametrize("other", [
    session(REMOTE="1"), session(CLASS="greeter"), session(STATE="closing"), session(uid=MYBRO)])
def test_logins_that_do_not_count_are_not_waited_for(other: LogindSession) -> None:
    assert who_else(MYBRO, [other], lambda _: True, lambda _: False) is None


def test_a_login_whose_leader_is_dead_is_not_waited_for() -> None:
    assert who_else(MYBRO, [session("5")], lambda _: False, lambda _: True) is None
