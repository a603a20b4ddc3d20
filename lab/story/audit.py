"""What happened can be read afterwards, and nobody but root can write it."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from typing import Any

from lab.door import wait_until
from lab.story.stage import MYSELF, Stage

_FORGE = """\
import socket
journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
journal.sendto(b"MESSAGE=open: session 1 of mybro may reach debianx (forged)\\nPRIORITY=5\\n"
               b"SYSLOG_IDENTIFIER=pam-spice\\n_UID=0\\nPAM_SPICE_EVENT=open\\nPAM_SPICE_USER=mybro\\n"
               b"PAM_SPICE_UID=1022\\nPAM_SPICE_REASON=forged\\n", "/run/systemd/journal/socket")
"""


def what_happened_can_be_read_and_not_forged(stage: Stage) -> None:
    """The admin reads what happened, a line each; a user's own lines are not among them"""
    box = stage.lab.workstation
    time.sleep(1)  # --since counts whole seconds, and the last chapter is told too
    began = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    stage.lab.login("myself", 1)
    desktop = stage.lab.desktop("myself", 1)
    stage.open_console(desktop, "debianx")
    stage.lab.login("mybro", 2)
    box.run(["pam-spice", "revoke", "myself", "--reason", "lunch [open mybro]"])
    box.run(["pam-spice", "revoke", "myself", "--lift"])
    for forge in (["python3", "-c", _FORGE],
                  ["logger", "-t", "pam-spice", "open: session 1 of mybro (forged)"]):
        box.run(forge, user="myself")
    stage.lab.logout(1)
    box.run(["nft", "flush", "ruleset"])
    stage.soon("the guard is there again after somebody flushed it",
               lambda: stage.connect(MYSELF, 20002) == "ConnectionRefusedError")

    def events_so_far() -> list[dict[str, Any]]:
        box.run(["journalctl", "--sync"])
        found: list[dict[str, Any]] = json.loads(
            box.run(["pam-spice", "log", "--since", began, "--json"]).stdout)
        return found

    # The last of all; the watcher tells of it once it has seen that it is done.
    wait_until("it is told", lambda: ("mend", None) in [
        (event["event"], event["user"]) for event in events_so_far()], 10)
    told = box.run(["pam-spice", "log", "--since", began]).stdout
    events = events_so_far()
    happened = [(event["event"], event["user"]) for event in events]
    for what in (("open", "myself"), ("wait", "mybro"), ("revoke", "myself"), ("cut", "myself"),
                 ("lift", "myself"), ("close", "myself"), ("open", "mybro"), ("mend", None)):
        stage.line(f"pam-spice log tells of it: {what[0]} {what[1] or 'the guard'}",
                   what in happened)
    opened = next(event for event in events if event["event"] == "open")
    stage.line("of an opening it tells which console, until when and by which policy",
               opened["consoles"][0]["console"] == "debianx" and opened["revision"],
               opened["consoles"])
    stage.line("a line for each",
               len(told.splitlines()) == len(events), told)
    stage.line("what a user wrote into the journal is not in it",
               "forged" in box.run(["journalctl", "-o", "cat", "-t", "pam-spice"]).stdout
               and "forged" not in told)
    of_mybro = box.run(["pam-spice", "log", "--since", began, "--user", "mybro"]).stdout
    of_leaptest = box.run(["pam-spice", "log", "--since", began, "--console", "leaptest"]).stdout
    stage.line("one can ask for a user or a console", "  wait " in of_mybro
               and "myself" not in of_mybro and "debianx" not in of_leaptest
               and "leaptest" in of_leaptest, of_mybro)
    box.run(["pam-spice", "report", "--since", began, "--output", "/root/report.html"])
    page = box.read_file("/root/report.html")
    (stage.pictures / "report.html").write_text(page)
    box.run(["rm", "/root/report.html"])
    stage.line("pam-spice report makes a page of it that needs nothing else",
               all(name in page for name in ("myself", "mybro", "debianx", "leaptest"))
               and "forged" not in page and not re.search(r"(src|href)=.https?:", page))
    ran = re.search(r'>myself</th>.*>debianx<.*data-label="Viewer ran"><div><ul>', page)
    stage.line("it tells from sudo's lines that the viewer of myself was started", ran,
               box.run(["journalctl", "-t", "sudo", "-n", "20"]).stdout)
