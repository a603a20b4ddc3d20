"""`pam-spice status` on the workstation: real logins, and a real connection."""

import json
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from lab.door import wait_until
from lab.story import Stage
from lab.story.stage import MYSELF, SERVER4, SERVER6
from lab.workstation import Workstation

_HOLD = ("import socket, time; connection = socket.create_connection(('mysrv', 20002)); "
         "print('in', flush=True); time.sleep(60)")


@pytest.fixture
def box(stage: Stage) -> Iterator[Workstation]:
    stage.reset()
    yield stage.lab.workstation


def test_it_shows_that_all_is_well_who_is_here_and_the_connection_with_its_since(
        stage: Stage, box: Workstation) -> None:
    stage.lab.login("myself", 1)
    began = time.time()
    viewer = box.popen(["/usr/bin/python3", "-Ic", _HOLD], user="myself", group="spicegrp")
    try:
        assert viewer.stdout is not None
        assert viewer.stdout.readline() == "in\n"
        shown: Any = json.loads(stage.status())
        before = time.monotonic()
        text = box.run(["pam-spice", "status"]).stdout
        took = time.monotonic() - before
    finally:
        viewer.kill()
        viewer.wait()
    assert shown["health"]["faults"] == []
    [session] = shown["sessions"]
    assert (session["user"], session["seat"], session["tty"]) == ("myself", "seat0", "tty1")
    assert abs(datetime.fromisoformat(session["since"]).timestamp() - began) < 30
    [one] = shown["connections"]
    assert (one["uid"], one["address"] in (SERVER4, SERVER6), one["consoles"], one["program"]) \
        == (MYSELF, True, ["debianx"], "python3")
    assert abs(datetime.fromisoformat(one["since"]).timestamp() - began) <= 2
    # The lab's kernel logs to the machine: what it refuses is in tests/kernel.
    assert isinstance(shown["refusals"], list)
    lines = text.splitlines()
    assert lines[0] == "well: guard loaded, policy current, viewer 0750, watcher running"
    assert any(line.startswith("  debianx: myself, 1 connection to ") for line in lines)
    assert any(line.startswith("refused in the last 24 hours") for line in lines)
    assert "\x1b" not in text
    assert took < 2


def test_it_tells_what_the_doctor_found_last_and_why_no_console_opens(box: Workstation) -> None:
    ca_file = "/etc/pam-spice/mysrv-ca.pem"

    def looked(findings: int) -> bool:
        # One that was at work already may have looked before.
        box.run(["systemctl", "start", "pam-spice-doctor.service"])
        found: Any = json.loads(box.run(["pam-spice", "status", "--json"]).stdout)
        return len(found["doctor"]["findings"]) == findings

    box.run(["mv", ca_file, "/root"])
    try:
        wait_until("it is found", lambda: looked(1), 20)
        told = box.run(["pam-spice", "status"]).stdout.splitlines()
        document: Any = json.loads(box.run(["pam-spice", "status", "--json"]).stdout)
    finally:
        box.run(["mv", "/root/mysrv-ca.pem", ca_file])
    assert told[0].startswith("well: guard loaded, ")
    assert told[0].endswith("; but the doctor has 1 finding")
    assert told[1].startswith("doctor: 1 finding at ")
    assert told[2].startswith("  D611 ")
    assert ca_file in told[2]
    assert document["health"]["well"]
    [finding] = document["doctor"]["findings"]
    assert finding["code"] == "D611"
    assert abs(datetime.fromisoformat(document["doctor"]["looked"]).timestamp()
               - time.time()) < 60
    wait_until("it is gone", lambda: looked(0), 20)
    assert "doctor" not in box.run(["pam-spice", "status"]).stdout


def test_on_a_terminal_watch_shows_it_until_ctrl_c_and_elsewhere_it_is_refused(
        stage: Stage, box: Workstation) -> None:
    refused = box.run(["pam-spice", "status", "--watch"], check=False)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--watch needs a terminal" in refused.stderr
    stage.lab.login("myself", 1)
    watched = box.popen(["script", "-qefc", "pam-spice status --watch", "/dev/null"])
    try:
        assert watched.stdin is not None
        seen = ""
        assert watched.stdout is not None
        while seen.count("\x1b[H") < 2:
            line = watched.stdout.readline()
            assert line, seen
            seen += line
        watched.stdin.write("\x03")
        watched.stdin.flush()
        rest, _ = watched.communicate(timeout=10)
    finally:
        watched.kill()
        watched.wait()
    assert "well: guard loaded" in seen
    assert "Traceback" not in seen + rest
    assert wait_until("its end", lambda: not box.run(
        ["pgrep", "-f", "pam-spice status --watch"], check=False).stdout, 5)
