"""Who is logged in no more, or as somebody else, or nobody knows."""

import os
import shutil
import signal
import socket
import stat
import struct
import time
from pathlib import Path

from tests.attacks.attempt import Seen, attack
from tests.attacks.kernel.stage import ANNE, FIRST, POLICY, RALPH, Stage, outcome
from tests.kernel import namespace as ns
from tests.kernel.namespace import V4, VIEWER_GID
from tests.kernel.workstation import SESSIONS

PASSWD = Path("/etc/passwd")


@attack("The login program is killed, and a minute later what the user left running connects",
        threat=25)
def test_a_lost_logout_is_found_within_a_minute(stage: Stage) -> Seen:
    session = stage.log_in("anne")
    assert stage.viewer(ANNE, FIRST).through
    stage.lose(session)
    stage.minute()
    return stage.viewer(ANNE, FIRST)


@attack("The login program is killed with the console open and idle", threat=25)
def test_a_lost_logout_cuts_at_once(stage: Stage) -> Seen:
    stage.watch()
    session = stage.log_in("anne")
    client = stage.console("anne")
    stage.lose(session)
    ns.until(lambda: stage.consoles.live(FIRST) == 0, 1.0)
    return stage.still_there(client)


@attack("While the console is open the user's account is renamed and a new one gets the uid",
        threat=29)
def test_a_uid_that_went_to_somebody_else_is_closed(stage: Stage) -> Seen:
    stage.log_in("anne")
    PASSWD.write_text(PASSWD.read_text().replace("anne:x:", "newcomer:x:"))
    stage.minute()
    return stage.viewer(ANNE, FIRST)


@attack("While the console is open the user's name goes to another uid", threat=29)
def test_a_name_that_went_to_another_uid_is_closed(stage: Stage) -> Seen:
    stage.log_in("anne")
    PASSWD.write_text(PASSWD.read_text().replace("anne:x:1021", "anne:x:1999"))
    stage.minute()
    return stage.viewer(ANNE, FIRST)


@attack("A granted user logs in while logind does not answer", threat=30)
def test_without_logind_nothing_opens(stage: Stage) -> Seen:
    if stage.is_ours:
        stage.workstation.log_in("1", "anne")
        SESSIONS.rename("/run/away")
        assert stage.workstation.hook("1", "open") in (0, 1)
    return stage.viewer(ANNE, FIRST)


@attack("logind says of the granted user's session neither its seat nor its service", threat=30)
def test_a_session_that_is_told_by_halves_opens_nothing(stage: Stage) -> Seen:
    stage.log_in("anne", SEAT="", SERVICE="")
    return stage.viewer(ANNE, FIRST)


@attack("The id of a lost session comes again for another user's login from elsewhere", threat=30)
def test_a_session_id_that_comes_again_opens_nothing_of_the_old_one(stage: Stage) -> Seen:
    session = stage.log_in("anne")
    stage.lose(session)
    if stage.is_ours:
        stage.workstation.log_in(session, "ralph", hint=True, SEAT="", REMOTE="1", SERVICE="sshd")
    return stage.viewer(ANNE, FIRST)


@attack("The admin takes the console back while it is in use", threat=35)
def test_a_revoked_console_is_cut(stage: Stage) -> Seen:
    stage.log_in("anne")
    client = stage.console("anne")
    stage.revoke("anne")
    return stage.still_there(client)


@attack("The admin takes the grant out of the policy; the user logs out and in again", threat=35,
        article=False)
def test_an_edited_policy_counts_at_the_next_login(stage: Stage) -> Seen:
    """The article's rules are the setup's own and there is no other policy to edit."""
    session = stage.log_in("anne")
    assert stage.viewer(ANNE, FIRST).through
    stage.policy(POLICY.replace("user: anne", "user: zoe"))
    stage.log_out(session)
    stage.log_in("anne")
    return stage.viewer(ANNE, FIRST)


@attack("A setgid copy of a program, made with the viewer's gid, is kept for after the logout",
        threat=8)
def test_a_setgid_copy_is_worth_nothing_after_the_logout(stage: Stage) -> Seen:
    session = stage.log_in("anne")
    copy = Path("/run/copy")
    shutil.copy("/usr/bin/nsenter", copy)
    os.chown(copy, ANNE, VIEWER_GID)
    copy.chmod(0o2755)
    assert copy.stat().st_mode & stat.S_ISGID
    stage.log_out(session)
    word = stage.word()
    # bash's /dev/tcp, by a program that takes its gid from the file.
    client = os.fork()
    if client == 0:
        ns.become(ANNE, ANNE)
        os.execv(copy, ["nsenter", "timeout", "0.5", "bash", "-pc",
                        f"echo '{word}' > /dev/tcp/{V4}/{FIRST}"])
    status = os.waitstatus_to_exitcode(os.waitpid(client, 0)[1])
    return stage.says(word, FIRST, "sent" if status in (0, 124) else "ConnectionRefusedError")


@attack("The user opens 500 connections and logs out", threat=22)
def test_a_logout_cuts_however_many_there_are(stage: Stage) -> Seen:
    session = stage.log_in("anne")
    keeper = os.fork()
    if keeper == 0:
        ns.become(ANNE, VIEWER_GID)
        ns.die_with_parent()
        kept = [socket.create_connection((V4, FIRST)) for _ in range(500)]
        time.sleep(20)
        os._exit(len(kept) & 1)
    assert ns.until(lambda: stage.consoles.live(FIRST) == 500), stage.consoles.live(FIRST)
    stage.log_out(session)
    gone = ns.until(lambda: stage.consoles.live(FIRST) == 0, 1.0)
    return Seen(not gone, "cut, both halves" if gone else "the server holds connections")


@attack("The user's program connects again and again while the logout runs", threat=22)
def test_nothing_slips_in_during_a_logout(stage: Stage) -> Seen:
    session = stage.log_in("anne")
    ready, writer = os.pipe()
    hammering = os.fork()
    if hammering == 0:
        ns.become(ANNE, VIEWER_GID)
        ns.die_with_parent()
        kept: list[socket.socket] = []
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            try:
                kept = [*kept[-20:], socket.create_connection((V4, FIRST), timeout=0.2)]
                os.write(writer, b".")
            except OSError:
                pass
        os.write(writer, b"!")
        time.sleep(20)
        os._exit(0)
    os.close(writer)
    assert os.read(ready, 1) == b"."
    time.sleep(0.2)
    stage.log_out(session)
    while b"!" not in os.read(ready, 65536):
        pass
    gone = ns.until(lambda: stage.consoles.live(FIRST) == 0, 1.0)
    return Seen(not gone, "cut, both halves" if gone else "the server holds connections")


@attack("Another user takes over the source port of a console that was just closed")
def test_the_port_of_a_closed_console_is_worth_nothing(stage: Stage) -> Seen:
    stage.log_in("anne")

    def by_anne() -> str:
        ns.become(ANNE, VIEWER_GID)
        with socket.create_connection((V4, FIRST), timeout=1) as client:
            # Reset, so that no TIME_WAIT keeps the port.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return str(client.getsockname()[1])

    port = int(ns.answer_of(by_anne))

    def same_port() -> socket.socket:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client.bind(("0.0.0.0", port))
        return client

    return stage.connect(RALPH, FIRST, prepare=same_port)



@attack("The viewer ends with much unsent just before the logout, and the server reads it later")
def test_what_waits_to_be_sent_is_not_sent_after_a_logout(stage: Stage) -> Seen:
    os.kill(stage.consoles.pid, signal.SIGKILL)
    os.waitpid(stage.consoles.pid, 0)
    stage.consoles = stage.server.serve((FIRST,), reads=False)
    session = stage.log_in("anne")
    word = stage.word()

    def send_and_end() -> str:
        ns.become(ANNE, VIEWER_GID)
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            client.settimeout(1)
            client.connect((V4, FIRST))
            client.sendall(b"x" * 250_000 + word.encode())
        return "sent"

    assert outcome(send_and_end) == "sent"
    stage.log_out(session)
    stage.consoles.read()
    return stage.says(word, FIRST, "sent")
