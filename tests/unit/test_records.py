"""The records of sessions in /run: what was written comes back, or nothing does."""

import os
import stat
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conf.grantline import format_grant
from session.records import (
    CLOSED,
    OPEN,
    WAITING,
    Record,
    format_record,
    parse_record,
    read_record,
    read_records,
    remove_record,
    write_record,
)
from tests.unit.support import UTC_OFFSETS, grant, record, zoned

ME = os.getuid()
WINDOWED = zoned("Europe/Berlin", (31, 64800, 79200))
FULL = record(uid=ME, grants=(grant(), grant("analysis", 20003, WINDOWED)), offsets={
    "Europe/Berlin": ((1795000000, 3600), (1806195600, 7200)), "UTC": UTC_OFFSETS})


def fields(one: Record) -> tuple[object, ...]:
    return (one.session, one.uid, one.user, one.leader, one.leader_start, one.since, one.revision,
            one.state, one.offsets, [format_grant(line) for line in one.grants])


@pytest.mark.parametrize("state", [OPEN, WAITING, CLOSED])
def test_a_record_comes_back_whole(tmp_path: Path, state: str) -> None:
    write_record(FULL.in_state(state), str(tmp_path))
    back = read_record("3", str(tmp_path))
    assert back is not None
    assert fields(back) == fields(FULL.in_state(state))
    assert os.listdir(tmp_path) == ["3"]


_NAME = st.text(st.characters(exclude_characters="\n:", exclude_categories=["Cs"]), min_size=1)


@settings(max_examples=150)
@given(_NAME, st.integers(0, 2**32), st.integers(1, 2**22), st.integers(0, 2**60))
def test_a_record_comes_back_whole_whatever_the_user_s_name(name: str, uid: int, leader: int,
                                                            since: int) -> None:
    written = Record("c3", uid, name, leader, 7, since, "r", OPEN, {}, [])
    assert fields(parse_record(format_record(written))) == fields(written)


def test_a_user_s_name_can_not_forge_a_line(tmp_path: Path) -> None:
    forged = f"anne\x85grant {format_grant(grant('analysis', 20003))}"
    written = record(uid=ME, user=forged)
    try:
        back = parse_record(format_record(written))
    except ValueError:
        return
    assert back.grants == []


def test_a_record_is_readable_by_root_and_its_user_alone(tmp_path: Path) -> None:
    write_record(record(uid=4321), str(tmp_path))
    path = tmp_path / "3"
    assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0
    acl = os.getxattr(path, "system.posix_acl_access")
    entries = {struct.unpack_from("<HHI", acl, at) for at in range(4, len(acl), 8)}
    named = {(tag, permissions, id_) for tag, permissions, id_ in entries if tag in (2, 8)}
    assert named == {(2, 4, 4321)}, "the user reads, no other user or group is named"
    assert {permissions for tag, permissions, _ in entries if tag in (4, 32)} == {0}


def test_in_state_changes_nothing_but_the_state() -> None:
    assert FULL.in_state(OPEN) is FULL
    closed = FULL.in_state(CLOSED)
    assert closed.state == CLOSED
    assert fields(closed.in_state(OPEN)) == fields(FULL)


def test_a_record_is_of_its_uid_and_leader_together() -> None:
    assert FULL.is_of(ME, 100)
    assert not FULL.is_of(ME, 101)
    assert not FULL.is_of(ME + 1, 100)


def test_records_that_are_damaged_or_no_records_are_passed_over(tmp_path: Path) -> None:
    write_record(FULL, str(tmp_path))
    (tmp_path / "4").write_text("junk")
    (tmp_path / "5").write_bytes(b"\xff\xfe")
    (tmp_path / "6").mkdir()
    (tmp_path / "7").symlink_to("3")
    (tmp_path / "3.123.new").write_text(format_record(FULL))
    assert list(read_records(str(tmp_path))) == ["3"]


def test_without_a_directory_there_are_no_records(tmp_path: Path) -> None:
    assert read_records(str(tmp_path / "sessions")) == {}


def test_every_truncation_of_a_record_is_damage() -> None:
    text = format_record(FULL)
    for length in range(len(text) - 1):
        with pytest.raises(ValueError):
            parse_record(text[:length])


@pytest.mark.parametrize("key", ["session", "uid", "user", "leader", "since", "revision",
                                 "state"])
def test_a_record_without_a_field_is_damaged(key: str) -> None:
    lines = [line for line in format_record(FULL).split("\n") if not line.startswith(f"{key} ")]
    with pytest.raises(ValueError):
        parse_record("\n".join(lines))


@pytest.mark.parametrize(("old", "new"), [
    ("pam-spice-session 4", "pam-spice-session 3"), ("uid ", "uid x"), ("leader 100", "leader "),
    ("zone Europe/Berlin 1795000000:3600", "zone Europe/Berlin 1795000000"),
    ("20003", "20004"), ("webdev", "weddev")])
def test_a_record_with_a_damaged_line_is_damaged(old: str, new: str) -> None:
    text = format_record(FULL)
    assert old in text
    with pytest.raises(ValueError):
        parse_record(text.replace(old, new, 1))


def test_a_record_whose_grant_lacks_its_zone_is_damaged() -> None:
    text = "\n".join(line for line in format_record(FULL).split("\n")
                     if not line.startswith("zone Europe"))
    with pytest.raises(ValueError):
        parse_record(text)


@settings(max_examples=200, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_record_is_read_as_none_or_without_a_grant_that_it_had_not(
        tmp_path: Path, data: st.DataObject) -> None:
    text = bytearray(format_record(FULL).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        text[at:at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    (tmp_path / "3").write_bytes(bytes(text))
    back = read_record("3", str(tmp_path))
    if back is not None:
        had = {format_grant(line) for line in FULL.grants}
        assert {format_grant(line) for line in back.grants} <= had
        for line in back.grants:
            line.open_in(back.offsets, 1795435200, 1795435200 + 86400)


def test_removing_a_record_twice_is_no_error(tmp_path: Path) -> None:
    write_record(FULL, str(tmp_path))
    remove_record("3", str(tmp_path))
    remove_record("3", str(tmp_path))
    assert read_records(str(tmp_path)) == {}
