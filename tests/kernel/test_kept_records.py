"""What the journal does not take in time is kept, and delivered later."""

import os
import socket
from pathlib import Path

from pam_spice import journal, paths

KEPT = Path(f"{paths.RUN}/journal.kept")


def busy_journal() -> socket.socket:
    """A journal whose queue is full, until somebody reads from it."""
    Path("/proc/sys/net/unix/max_dgram_qlen").write_text("1")
    os.makedirs("/run/systemd/journal")
    os.makedirs(paths.RUN)
    reader = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    reader.bind("/run/systemd/journal/socket")
    filler = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        while True:
            filler.sendto(b"MESSAGE=somebody's\n", "/run/systemd/journal/socket")
    except BlockingIOError:
        return reader


def everything(reader: socket.socket) -> list[bytes]:
    found = []
    try:
        while True:
            found.append(reader.recv(1 << 20))
    except BlockingIOError:
        return [each for each in found if b"pam-spice" in each]


def test_a_record_that_the_journal_did_not_take_in_time_is_delivered_later_and_says_so() -> None:
    reader = busy_journal()
    journal.log(journal.NOTICE, "close: kept", event="close", reason="a\nb")
    assert [path.stat().st_mode & 0o777 for path in KEPT.iterdir()] == [0o600]
    assert everything(reader) == []
    journal.deliver()
    [record] = everything(reader)
    assert b"close: kept" in record and b"PAM_SPICE_KEPT_SINCE\n\x14\0\0\0\0\0\0\0" in record
    assert list(KEPT.iterdir()) == []
    journal.log(journal.NOTICE, "open: at once", event="open")
    [record] = everything(reader)
    assert b"KEPT_SINCE" not in record and b"LOST" not in record


def test_no_more_are_kept_than_there_is_room_for_and_the_next_one_tells_how_many_are_lost() -> None:
    reader = busy_journal()
    KEPT.mkdir(mode=0o700)
    for number in range(500):
        (KEPT / f"{number:020d}.1").write_bytes(b"MESSAGE=pam-spice\n")
    journal.log(journal.NOTICE, "close: lost", event="close")
    assert len(list(KEPT.iterdir())) == 500
    everything(reader)
    journal.log(journal.NOTICE, "open: told", event="open")
    [record] = everything(reader)
    assert b"PAM_SPICE_LOST\n\x01\0\0\0\0\0\0\0001" in record


def test_what_a_killed_writer_left_behind_is_removed_and_what_is_being_written_is_not() -> None:
    busy_journal()
    KEPT.mkdir(mode=0o700)
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    for writer in (pid, os.getpid()):
        (KEPT / f"{0:020d}.{writer}.new").write_bytes(b"MESSAGE=half")
    journal.deliver()
    assert [path.name for path in KEPT.iterdir()] == [f"{0:020d}.{os.getpid()}.new"]
