"""Files that decide about access: opened only if nobody but their owner can have written them."""

import os
import stat
from pathlib import Path

import pytest

from conf.files import (
    FileMissing,
    FileRefused,
    open_trusted,
    read_all,
    write_all,
    write_atomically,
)
from tests.unit.support import within

ME = os.getuid()


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A directory of ours below /tmp, which is sticky and everybody's; in it a good file."""
    tmp_path.chmod(0o755)
    directory = tmp_path / "etc"
    directory.mkdir(mode=0o755)
    (directory / "policy").write_bytes(b"good")
    (directory / "policy").chmod(0o644)
    return directory


def open_and_close(path: Path | str, owner: int = ME) -> None:
    os.close(open_trusted(str(path), owner))


def refusal(path: Path | str, owner: int = ME) -> FileRefused:
    with within(5), pytest.raises(FileRefused) as caught:
        open_and_close(path, owner)
    assert caught.value.fact and caught.value.remedy
    return caught.value


def test_a_file_of_one_s_own_is_opened_and_read_whole(room: Path) -> None:
    descriptor = open_trusted(str(room / "policy"), ME)
    try:
        assert read_all(descriptor) == b"good"
        assert not os.get_inheritable(descriptor)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("mode", [0o400, 0o440, 0o600, 0o644, 0o755, 0o1644])
def test_modes_that_let_nobody_else_write_are_taken(room: Path, mode: int) -> None:
    (room / "policy").chmod(mode)
    open_and_close(room / "policy")


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o620, 0o602, 0o666, 0o1666, 0o777])
def test_a_file_that_others_can_write_is_refused_with_its_mode(room: Path, mode: int) -> None:
    (room / "policy").chmod(mode)
    error = refusal(room / "policy")
    assert "can be written by others" in error.fact
    assert f"{mode:04o}" in error.fact
    assert error.remedy == f"chmod go-w {room / 'policy'}"


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777])
def test_a_file_in_a_directory_that_others_can_write_is_refused_for_the_directory(
        room: Path, mode: int) -> None:
    room.chmod(mode)
    error = refusal(room / "policy")
    assert "can be written by others" in error.fact
    assert error.path == str(room)


def test_a_directory_higher_up_that_others_can_write_is_refused(room: Path) -> None:
    (room / "a" / "b").mkdir(parents=True)
    (room / "a" / "b" / "policy").write_bytes(b"")
    (room / "a").chmod(0o777)
    assert refusal(room / "a" / "b" / "policy").path == str(room / "a")


def test_a_sticky_directory_that_others_can_write_is_taken_as_tmp_is(room: Path) -> None:
    room.chmod(0o1777)
    open_and_close(room / "policy")


def test_a_file_of_a_stranger_is_refused_in_a_sticky_directory_too(room: Path) -> None:
    room.chmod(0o1777)
    if ME == 0:
        os.chown(room / "policy", 12345, -1)
        assert "belongs to uid 12345" in refusal(room / "policy").fact
    else:
        assert f"belongs to uid {ME}" in refusal(room / "policy", owner=0).fact


@pytest.mark.skipif(ME != 0, reason="giving a directory away needs root")
def test_a_file_of_root_below_a_stranger_s_directory_is_refused(room: Path) -> None:
    os.chown(room, 12345, -1)
    error = refusal(room / "policy")
    assert "belongs to uid 12345" in error.fact
    assert error.path == str(room)


@pytest.mark.skipif(ME != 0, reason="giving a file away needs root")
def test_a_group_s_ownership_alone_is_no_matter(room: Path) -> None:
    os.chown(room / "policy", -1, 12345)
    open_and_close(room / "policy")


def test_a_symbolic_link_is_refused(room: Path) -> None:
    (room / "link").symlink_to("policy")
    assert refusal(room / "link").fact == "is a symbolic link"


def test_a_dangling_symbolic_link_is_refused_and_not_missing(room: Path) -> None:
    (room / "link").symlink_to("nowhere")
    assert not isinstance(refusal(room / "link"), FileMissing)


def test_a_symbolic_link_in_the_place_of_a_directory_is_refused(room: Path) -> None:
    (room.parent / "etc2").symlink_to(room)
    error = refusal(room.parent / "etc2" / "policy")
    assert error.fact == "is a symbolic link"
    assert error.path == str(room.parent / "etc2")


def test_a_fifo_is_refused_and_does_not_hang(room: Path) -> None:
    os.mkfifo(room / "fifo", 0o600)
    assert refusal(room / "fifo").fact == "is not a regular file"


def test_a_directory_is_refused(room: Path) -> None:
    assert refusal(room).fact == "is not a regular file"


def test_a_device_is_refused() -> None:
    refusal("/dev/null")


def test_a_missing_file_is_missing(room: Path) -> None:
    with pytest.raises(FileMissing):
        open_and_close(room / "nothing")


def test_a_file_below_a_missing_directory_is_missing(room: Path) -> None:
    with pytest.raises(FileMissing):
        open_and_close(room / "nothing" / "policy")


def test_a_file_below_a_file_is_refused(room: Path) -> None:
    refusal(room / "policy" / "policy")


def test_a_relative_path_is_refused(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(room)
    assert refusal("policy").fact == "is not an absolute path"


def test_the_root_directory_is_refused_like_any_other() -> None:
    refusal("/")


def test_no_descriptor_is_left_open_by_a_refusal(room: Path) -> None:
    (room / "link").symlink_to("policy")
    os.mkfifo(room / "fifo")
    before = os.listdir("/proc/self/fd")
    for name in ("link", "fifo", "nothing", "policy/x"):
        refusal(room / name)
    assert os.listdir("/proc/self/fd") == before


def test_more_than_the_limit_is_not_read(room: Path) -> None:
    (room / "policy").write_bytes(b"x" * 1001)
    descriptor = open_trusted(str(room / "policy"), ME)
    try:
        with pytest.raises(ValueError, match="larger than 1000 bytes"):
            read_all(descriptor, 1000)
    finally:
        os.close(descriptor)


def test_a_write_replaces_the_file_and_leaves_nothing_beside_it(room: Path) -> None:
    write_atomically(str(room / "policy"), b"new", 0o640)
    assert (room / "policy").read_bytes() == b"new"
    assert stat.S_IMODE((room / "policy").stat().st_mode) == 0o640
    assert os.listdir(room) == ["policy"]


def test_a_write_gives_another_inode_so_that_an_open_reader_keeps_the_old_file(
        room: Path) -> None:
    with (room / "policy").open("rb") as reader:
        write_atomically(str(room / "policy"), b"new")
        assert reader.read() == b"good"


def test_a_write_replaces_a_symbolic_link_and_not_what_it_points_to(room: Path) -> None:
    (room / "link").symlink_to("policy")
    write_atomically(str(room / "link"), b"new")
    assert (room / "policy").read_bytes() == b"good"
    assert not (room / "link").is_symlink()


def test_a_write_does_not_follow_a_link_planted_under_its_temporary_name(room: Path) -> None:
    (room / f"policy.{os.getpid()}.new").symlink_to("victim")
    with pytest.raises(OSError):
        write_atomically(str(room / "policy"), b"new")
    assert not (room / "victim").exists()
    assert (room / "policy").read_bytes() == b"good"


def test_the_mode_does_not_depend_on_the_umask(room: Path) -> None:
    before = os.umask(0o777)
    try:
        write_atomically(str(room / "new"), b"new", 0o644)
    finally:
        os.umask(before)
    assert stat.S_IMODE((room / "new").stat().st_mode) == 0o644


@pytest.mark.parametrize("failing", ["write", "fchmod", "fsync", "rename"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(
        room: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, failing, full)
        with pytest.raises(OSError, match="No space left"):
            write_atomically(str(room / "policy"), b"new")
    assert (room / "policy").read_bytes() == b"good"
    assert os.listdir(room) == ["policy"]


def test_short_writes_are_carried_on(monkeypatch: pytest.MonkeyPatch) -> None:
    written = bytearray()

    def write_a_little(_descriptor: int, data: memoryview) -> int:
        written.extend(data[:3])
        return min(3, len(data))

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", write_a_little)
        write_all(1, b"0123456789")
    assert written == b"0123456789"
