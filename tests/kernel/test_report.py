"""What the report takes sudo's lines for, with the real sudo, PAM and journald of this machine."""

import os
import socket
import time
from pathlib import Path

import pytest

from conf.viewer import VIEWER_GROUP, viewer_command
from pam_spice import paths, sudoers
from pam_spice.auditlog import Reader, journal_lines
from pam_spice.report.sudolog import MATCHES, UNCONFIRMED, SudoLog, Use
from tests.kernel import namespace as ns
from tests.kernel.namespace import USERS, VIEWER_GID
from tests.kernel.test_audit_records import FORGED, Journal, forge
from tests.unit.support import grant

ANNE, RALPH = USERS["anne"], USERS["ralph"]
FIRST, SECOND = (viewer_command(name, "mysrv.example", port, "/etc/pam-spice/ca.pem")
                 for name, port in (("first", 20001), ("second", 20002)))
CONSOLES = {("mysrv.example", 20001): ["first"], ("mysrv.example", 20002): ["second"]}
SUDO = "/usr/bin/sudo"


def workstation(rules: str = "", is_kept: bool = False) -> Journal:
    """A journald, and a sudo that lets anne start a stand-in for the viewer, for one console;
    ``rules`` are sudo's others, ``is_kept`` is the journal's."""
    there = Journal(is_kept=is_kept)
    os.mkdir("/run/dev")
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        found = os.stat(f"/dev/{name}")
        os.mknod(f"/run/dev/{name}", found.st_mode, found.st_rdev)
        os.chmod(f"/run/dev/{name}", 0o666)
    os.symlink("/run/systemd/journal/dev-log", "/run/dev/log")
    ns.mount("/run/dev", "/dev", "none", 4096)
    ns.cover_missing(paths.PREFIX)
    viewer = Path(FIRST[0])
    viewer.write_text("#!/bin/sh\nexit 0\n")
    viewer.chmod(0o755)
    arguments = " ".join(map(sudoers._escape_argument, FIRST[1:]))
    drop_in = Path(paths.SUDOERS)
    drop_in.write_text(rules or (
        f"anne ALL = (:{VIEWER_GROUP}) NOPASSWD: {FIRST[0]} {arguments}\n"
        f"anne ALL = (root) NOPASSWD: /bin/true\n"))
    drop_in.chmod(0o440)
    Path("/etc/shadow").write_text("".join(f"{name}:*:19000::::::\n" for name in ("root", *USERS)))
    return there


def as_user(uid: int, *argv: str, lines: tuple[str, ...] = ()) -> int:
    """Write these lines as sudo would, and then become that program."""
    pid = os.fork()
    if pid == 0:
        try:
            ns.become(uid, uid)
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                for line in lines:
                    sender.sendto(b"<85>sudo: " + line.encode(), "/dev/log")
            os.execv(argv[0], argv)
        finally:
            os._exit(127)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def told(there: Journal) -> SudoLog:
    there._settle()
    found = SudoLog({ANNE: "anne", RALPH: "ralph"}.get, CONSOLES, VIEWER_GID)
    for line in journal_lines(None, None, MATCHES):
        found.take(line)
    return found


@pytest.mark.parametrize("is_kept", [False, True], ids=["volatile", "persistent"])
def test_a_start_by_sudo_is_a_use_and_what_users_write_like_it_is_none(is_kept: bool) -> None:
    there = workstation(is_kept=is_kept)
    before = int(time.time())
    start = (SUDO, "-n", "-g", VIEWER_GROUP, *FIRST)
    opened = f"pam_unix(sudo:session): session opened for user anne(uid={ANNE}) by (uid={ANNE})"
    forged = f"anne : PWD=/ ; USER=anne ; GROUP={VIEWER_GROUP} ; COMMAND={' '.join(SECOND)}"
    assert as_user(ANNE, *start) == 0
    assert as_user(ANNE, *start, lines=(opened, forged)) == 0
    # Not the viewer, and not by sudo.
    assert as_user(ANNE, SUDO, "-n", "/bin/true", lines=(forged,)) == 0
    assert as_user(RALPH, "/bin/true", lines=(forged, opened)) == 0
    found = told(there)
    now = int(time.time())
    uses: list[Use] = found.uses()
    assert [(use.uid, use.user, use.console) for use in uses] == [(ANNE, "anne", "first")] * 2
    assert all(use.end is not None and before <= use.start <= use.end <= now for use in uses)
    # What nothing confirms she can make up, about herself.
    assert [(each.user, each.console, each.reason) for each in found.denials()] == [
        ("anne", "second", UNCONFIRMED)] * 2
    own_files = list(Path("/var/log/journal").rglob(f"user-{ANNE}.journal"))
    assert bool(own_files) == is_kept


def test_a_user_s_own_journal_holds_what_sudo_refused_and_his_forged_lines_are_not_believed(
        ) -> None:
    there = workstation("Defaults:ralph !authenticate\n", is_kept=True)
    assert as_user(RALPH, SUDO, "-n", "-g", VIEWER_GROUP, *FIRST) == 1
    forge(ANNE, FORGED)
    forge(ANNE, b"MESSAGE=pam_unix(sudo:session): session opened for user anne\n"
                b"SYSLOG_IDENTIFIER=sudo\n_GID=%d\n_TRANSPORT=syslog\n_UID=0\n" % VIEWER_GID)
    found = told(there)
    assert found.uses() == []
    assert [(each.user, each.console) for each in found.denials()] == [("ralph", "first")]
    reader = Reader({ANNE: "anne", RALPH: "ralph"}.get, {}, VIEWER_GID)
    assert not list(filter(None, map(reader.event, journal_lines(None, None, MATCHES))))


@pytest.mark.parametrize("name", ["webdev", "A.b-c_d", "0", "_", "a..-", "x" * 64])
def test_sudo_starts_a_console_s_viewer_under_its_own_name_and_no_other(name: str) -> None:
    line = grant(name)
    workstation(sudoers.render([line, grant("other", subject="user:ralph")], False))
    start = [SUDO, "-n", "-g", VIEWER_GROUP,
             *viewer_command(name, line.host, line.port, line.ca_file)]
    title = start.index(f"--title={name}")
    assert as_user(ANNE, *start) == 0
    for other in ([], ["--title=other"], ["--title=*"], [f"--title={name}x"], [f"--title={name} x"],
                  [f"--title={name}", "--gtk-module=/tmp/own.so"], ["--title", name],
                  [f"--title={name}"] * 2):
        assert as_user(ANNE, *start[:title], *other, *start[title + 1:]) == 1, other
    assert as_user(RALPH, *start) == 1
