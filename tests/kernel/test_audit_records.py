"""Each event is one record in a real journal, with the fields that docs/journal.md names.

systemd-journald runs in the test's own namespaces. What it takes for the kernel's log is a FIFO in
place of /dev/kmsg: the kernel logs only what happens in the machine's own network namespace. The
lines are as that kernel wrote them, each a record of /dev/kmsg.
"""

import calendar
import json
import os
import re
import signal
import socket
import subprocess
import time
import tracemalloc
from pathlib import Path

import pytest

from conf.grantline import GrantLine
from conf.lookup import CompiledPolicy
from pam_spice import auditlog, journal, pamstack, paths, run, viewerfile
from pam_spice.auditlog import Event, Reach, Reader, journal_lines
from pam_spice.cli import main
from pam_spice.doctor.findings import Code, Finding
from pam_spice.doctor.selftest import Place, Selftest
from pam_spice.firewall import KernelRefused, netlink, nft
from pam_spice.reconcile import Reconciliation
from pam_spice.told import write_told
from pam_spice.verbs import doctor, setup, uninstall
from session.records import DIRECTORY, OPEN, Record
from tests.kernel import namespace as ns
from tests.kernel.namespace import GUARDED_PORT, OTHER_GUARDED_PORT, USERS, V4, V6, VIEWER_GID
from tests.kernel.test_edit import at_terminal
from tests.kernel.workstation import OFFICE, SESSIONS, Workstation, office, window

ANNE, RALPH, ZOE = USERS["anne"], USERS["ralph"], USERS["zoe"]
JOURNALD = "/lib/systemd/systemd-journald"
DAY = 86400
ROOT = Path(__file__).parents[2]

DENY = ("pam-spice deny IN= OUT=lo SRC=10.77.0.1 DST=10.77.0.1 LEN=60 TOS=0x00 PREC=0x00 TTL=64 "
        "ID=50036 DF PROTO=TCP SPT=49836 DPT=20001 WINDOW=65495 RES=0x00 SYN URGP=0 UID=1022 "
        "GID=997 ")
CUT = ("pam-spice cut IN= OUT=lo SRC=fd77:0000:0000:0000:0000:0000:0000:0001 "
       "DST=fd77:0000:0000:0000:0000:0000:0000:0001 LEN=77 TC=0 HOPLIMIT=64 FLOWLBL=519817 "
       "PROTO=TCP SPT=51694 DPT=20001 WINDOW=64 RES=0x00 ACK PSH URGP=0 UID=1021 GID=997 ")


# The page

def _tables() -> dict[str, dict[str, tuple[set[int], set[str], set[str]]]]:
    """By heading and event: priorities, the fields that are always there, those that may be."""
    found: dict[str, dict[str, tuple[set[int], set[str], set[str]]]] = {}
    text = (ROOT / "docs/journal.md").read_text()
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        heading = part.split("\n")[0]
        for event, priorities, fields in re.findall(
                r"^\| `([a-z-]+)` \| ([0-9, ]+) \| .* \| (.*)\|$", part, re.MULTILINE):
            names = re.findall(r"`(\[?[a-z]+\]?)`", fields)
            found.setdefault(heading, {})[event] = (
                set(map(int, priorities.split(", "))),
                {name for name in names if name[0] != "["},
                {name[1:-1] for name in names if name[0] == "["} | {"lost", "kept_since"})
    return found


TABLES = _tables()
DONE, WRONG = TABLES["What was done and refused"], TABLES["What went wrong"]


def assert_documented(record: dict[str, str]) -> str:
    """A record's event; fails where its fields or its priority are not those of the page."""
    fields = {name.removeprefix("PAM_SPICE_").lower() for name in record
              if name.startswith("PAM_SPICE_")} - {"event"}
    event = record["PAM_SPICE_EVENT"]
    priorities, always, sometimes = (DONE | WRONG)[event]
    assert always <= fields <= always | sometimes, (event, fields)
    assert int(record["PRIORITY"]) in priorities, (event, record["PRIORITY"])
    assert "\n" not in record["MESSAGE"]
    return event


# The journal

class Journal:
    """A journald of the test's own, with nothing in it yet."""

    def __init__(self, queue: int = 512, is_kept: bool = False) -> None:
        """``queue``: how many datagrams wait for it; systemd's own at boot is 512. ``is_kept``: in
        /var/log/journal, where each user's records go into a file of his own."""
        for directory in ("/run/log", "/var/log"):
            os.makedirs(directory, exist_ok=True)
            ns.mount("tmpfs", directory, "tmpfs", 0, "mode=0755,size=300m")
        os.makedirs("/run/log/journal")
        os.makedirs("/run/systemd/journal", exist_ok=True)
        os.makedirs("/etc/systemd", exist_ok=True)
        # Room enough for a flood: else the oldest records make place for it.
        Path("/etc/systemd/journald.conf").write_text(
            "[Journal]\nAudit=no\nSplitMode=uid\n"
            + ("Storage=persistent\nSystemMaxUse=250M\nSystemKeepFree=1M\n" if is_kept else
               "Storage=volatile\nRuntimeMaxUse=250M\nRuntimeKeepFree=1M\n"))
        if is_kept:  # as systemd-journal-flush.service tells it once /var is there
            Path("/run/systemd/journal/flushed").touch()
        Path("/proc/sys/net/unix/max_dgram_qlen").write_text(str(queue))
        os.mkfifo("/run/kmsg")
        ns.mount("/run/kmsg", "/dev/kmsg", "none", 4096)
        # For both ways, or who opens it for one would wait.
        self._kmsg = os.open("/run/kmsg", os.O_RDWR)
        self._number = 0
        self.pid = subprocess.Popen(
            [JOURNALD], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env={"SYSTEMD_LOG_TARGET": "null"},
            preexec_fn=ns.die_with_parent).pid
        assert ns.until(lambda: Path("/run/systemd/journal/socket").exists(), 10)
        self._settle()

    def kernel(self, text: str, facility: int = 0) -> None:
        """A line of the kernel's log; of another facility than 0 where root wrote it there."""
        self._settle()
        record = f"{facility << 3 | 4},{self._number},{self._number},-;{text}\n"
        self._number += 1
        os.write(self._kmsg, record.encode())
        assert ns.until(lambda: any(line.startswith(text.rstrip()) for line in (
            record.get("MESSAGE", "") for record in self._read("_TRANSPORT=kernel"))), 5)

    def ours(self) -> list[dict[str, str]]:
        """The records that pam-spice wrote, oldest first; each as the page says."""
        self._settle()
        found = self._read("_UID=0", "SYSLOG_IDENTIFIER=pam-spice")
        for record in found:
            assert_documented(record)
        return found

    def of(self, event: str) -> list[dict[str, str]]:
        """Those of one event, their fields alone and without their prefix."""
        return [{name.removeprefix("PAM_SPICE_").lower(): value for name, value in record.items()
                 if name.startswith("PAM_SPICE_") and name != "PAM_SPICE_EVENT"}
                for record in self.ours() if record["PAM_SPICE_EVENT"] == event]

    def events(self) -> list[Event]:
        """What ``pam-spice log`` makes of all that is in the journal."""
        self._settle()
        reader = Reader({ANNE: "anne", RALPH: "ralph", ZOE: "zoe"}.get, {}, VIEWER_GID)
        return [event for event in map(reader.event, journal_lines(None)) if event is not None]

    def _settle(self) -> None:
        """Wait until journald has written all that it was sent before."""
        mark = f"{time.monotonic_ns()}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(f"MARK={mark}\nMESSAGE=mark\n".encode(), journal._ADDRESS)
        assert ns.until(lambda: bool(self._read(f"MARK={mark}")), 20)

    def _read(self, *matches: str) -> list[dict[str, str]]:
        text = ns.command(auditlog.JOURNALCTL, "--output=json", "--all", "--quiet", *matches)
        return [json.loads(line) for line in text.splitlines()]


def forge(uid: int, datagram: bytes, *credentials: int) -> None:
    """Write into the journal as that user; with credentials, claim to be those."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            ns.become(uid, uid)
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                control = [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS,
                            b"".join(each.to_bytes(4, "little") for each in (
                                os.getpid(), *credentials)))] if credentials else []
                sender.sendmsg([datagram], control, 0, journal._ADDRESS)
            status = 0
        except PermissionError:
            status = 2
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status == (2 if credentials else 0)


FORGED = (b"MESSAGE=open: session 3 of zoe may reach first (login)\nPRIORITY=5\n"
          b"SYSLOG_IDENTIFIER=pam-spice\nPAM_SPICE_EVENT=open\nPAM_SPICE_USER=zoe\n"
          b"PAM_SPICE_UID=1023\nPAM_SPICE_SESSION=3\nPAM_SPICE_REASON=login\n"
          b"PAM_SPICE_REVISION=x\nPAM_SPICE_CONSOLES=first 10.77.0.1 20001 - -\n"
          b"_UID=0\n_TRANSPORT=kernel\n_COMM=hook\nSYSLOG_FACILITY=0\n")


# Each event

def play(happens: "Journal") -> None:
    """A day in the office on which everything that the first table names comes to pass."""
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    workstation.log_in("4", "ralph", hint=True)
    workstation.log_in("5", "zoe", hint=True, REMOTE="1", SERVICE="sshd")
    client = ns.Client(ANNE, VIEWER_GID, V4, GUARDED_PORT)
    assert client.say() == "yes"
    assert main(["grant", "ralph", "first", "--for", "2h", "--reason", "deputy of anne"]) == 0
    assert main(["grant", "ralph", "first", "--end"]) == 0
    assert main(["revoke", "anne", "--until", "2100-01-01", "--reason", "exam"]) == 0
    assert ns.until(lambda: ns.established(GUARDED_PORT) == [])
    assert main(["revoke", "anne", "--lift"]) == 0
    workstation.policy(OFFICE.replace("{user: anne, console: first}",
                                      "{user: anne, console: first, when: 08:00-12:00}"))
    assert main(["apply", "--now"]) == 0
    real = time.time
    time.time = lambda: real() + DAY
    try:
        workstation.reconcile()
    finally:
        time.time = real
    # What is not as it should be: the chain, the guard, sudo's rules, PAM's stack.
    ns.nft("flush chain inet pam_spice user-1021\nadd chain inet pam_spice odd\n")
    Path(paths.SUDOERS).write_text("anne ALL=(ALL) ALL\n")
    pamstack.PROFILE.write_text("Session:\n")
    workstation.reconcile()
    status, screen = at_terminal(Path(paths.POLICY), "sed -i s/ralph/zoe/",
                                 ("What now?", "S\n"))
    assert status == 0, screen
    workstation.policy(OFFICE + "workstation: {services: [sddm]}\n")
    assert main(["apply", "--now"]) == 0
    test = Selftest("anne", ANNE, ANNE, "login", CompiledPolicy(paths.COMPILED), Place("", {}, ""))
    test._session = "3"
    test._tell_journal()
    workstation.log_out("3")
    workstation.kill("4")
    workstation.reconcile()
    assert main(["setup"]) == 0
    assert main(["uninstall"]) == 0


def played(monkeypatch: pytest.MonkeyPatch) -> Journal:
    there = Journal()
    monkeypatch.setattr(pamstack, "install", lambda services: None)
    for verb in (setup, uninstall):
        monkeypatch.setattr(verb, "carry_out", lambda *_, **__: None)
    monkeypatch.setattr(setup, "VIEWER", "/bin/sh")
    monkeypatch.setattr(setup, "setup_steps", lambda: [])
    monkeypatch.setattr(uninstall, "uninstall_steps", lambda: [])
    monkeypatch.setattr(setup, "setup_notes", lambda: [])
    play(there)
    doctor.tell_journal([Finding(Code.GROUP_MEMBER, "anne is a member", "gpasswd")])
    return there


def test_every_event_of_the_page_comes_to_pass_with_its_fields(
        monkeypatch: pytest.MonkeyPatch) -> None:
    there = played(monkeypatch)
    assert {record["PAM_SPICE_EVENT"] for record in there.ours()} == set(DONE)
    assert {each["what"] for each in there.of("mend")} == {"guard", "chain", "sudoers", "pam"}


def test_a_login_s_record_says_exactly_what_the_kernel_was_told() -> None:
    there = Journal()
    workstation = office()
    workstation.policy(OFFICE.replace(
        "{user: anne, console: first}",
        "{user: anne, console: first, when: 08:00-12:00, valid: {until: 2100-01-01}}"))
    workstation.log_in("3", "anne", hint=True)
    opened, = there.of("open")
    assert (opened["user"], opened["uid"], opened["session"], opened["reason"]) == (
        "anne", str(ANNE), "3", "login")
    assert opened["revision"] == CompiledPolicy(paths.COMPILED).revision
    told = set()
    for line in opened["consoles"].split("\n"):
        name, addresses, port, start, end = line.split(" ")
        told |= {(name, address, int(port), seconds(start), seconds(end))
                 for address in addresses.split(",")}
    observed = nft.observe()
    assert observed is not None
    now = int(time.time())
    names = {GUARDED_PORT: "first", OTHER_GUARDED_PORT: "second"}
    rules = {(names[port], address, port, start if start > now else 0, end)
             for address, port, _, start, end in observed.chains[ANNE] or ()}
    assert {(*each[:3], each[3] if each[3] > now else 0, each[4]) for each in told} == rules
    assert len(rules) >= 2 * 8


def seconds(text: str) -> int:
    return 0 if text == "-" else calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))


def test_who_changed_what_and_why_is_in_the_records() -> None:
    there = Journal()
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    assert main(["grant", "ralph", "first", "--for", "2h", "--reason", "deputy"]) == 0
    assert main(["revoke", "anne", "--until", "2100-01-01T00:00:00Z", "--reason", "exam"]) == 0
    assert main(["revoke", "ralph"]) == 0
    granted, = there.of("grant")
    assert (granted["user"], granted["by"], granted["reason"]) == ("ralph", "root", "deputy")
    assert granted["consoles"].startswith(f"first {V4},{V6} {GUARDED_PORT} ")
    start, end = map(seconds, granted["consoles"].split(" ")[3:])
    assert end - start == 7200
    assert granted["place"] == f"{paths.TEMPORARY}:4"
    assert main(["grant", "ralph", "first", "--end", "--reason", "back"]) == 0
    ended, = there.of("end")
    assert (ended["user"], ended["by"], ended["reason"], ended["consoles"], ended["place"]) == (
        "ralph", "root", "back", granted["consoles"], paths.TEMPORARY)
    assert main(["grant", "ralph", "first", "--for", "2h", "--reason", "deputy"]) == 0
    with Path(paths.TEMPORARY).open("a") as file:
        file.write("# by hand\n")
    workstation.log_in("4", "ralph", hint=True)
    assert main(["grant", "ralph", "first", "--end"]) == 1
    closed, failed = there.of("end")[1:]
    assert "error" not in closed, "the session has lost it"
    assert failed["error"].startswith(f"{paths.TEMPORARY}:5: ")
    assert [assert_documented(each) for each in there.ours()].count("end") == 3
    revoked, other = there.of("revoke")
    assert (revoked["user"], revoked["by"], revoked["reason"], revoked["until"]) == (
        "anne", "root", "exam", "2100-01-01T00:00:00Z")
    assert (other["reason"], "until" in other) == ("-", False)
    changed = there.of("change")[-1]
    assert (changed["session"], changed["reason"], changed["revoked"]) == (
        "3", "revoked", "2100-01-01T00:00:00Z")
    assert {line.split(" ")[3] for line in changed["consoles"].split("\n")} == {
        "2100-01-01T00:00:00Z"}


def test_an_edit_s_revision_is_that_of_the_policy_that_counts_then() -> None:
    there = Journal()
    workstation = office()
    first, = there.of("policy")
    status, screen = at_terminal(Path(paths.POLICY), "sed -i s/ralph/zoe/", ("What now?", "S\n"))
    assert status == 0, screen
    workstation.reconcile()
    edited, = there.of("edit")
    policy = there.of("policy")[-1]
    assert (edited["by"], edited["place"]) == ("root", paths.POLICY)
    assert edited["revision"] == policy["revision"] != first["revision"] == policy["before"]


def test_what_counts_from_now_on_is_told_in_plain_words() -> None:
    there = Journal()
    workstation = office()
    first = there.of("policy")[0]["revision"]
    Path(paths.POLICY).write_bytes(Path(paths.POLICY).read_bytes())
    workstation.reconcile()
    workstation.policy(OFFICE + "grants: [\n")
    workstation.reconcile()
    second = there.of("policy")[-1]["revision"]
    workstation.policy(OFFICE.replace("ralph, console: second", "ralph, console: none"))
    workstation.reconcile()
    third = there.of("policy")[-1]["revision"]
    told = [event.message for event in there.events() if event.event == "policy"]
    assert told == [
        f"policy: {first} counts from now on, and is valid (before: none)",
        f"policy: {first} was compiled anew, its text is as before, and is valid (before: "
        f"{first})",
        f"policy: {second} can't be used, and nobody gets a console from it: see pam-spice check "
        f"(before: {first})",
        f"policy: {third} counts from now on, but what has an error gives nothing: see pam-spice "
        f"check (before: {second})"]


def test_a_session_s_end_says_how_it_ended() -> None:
    there = Journal()
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    workstation.log_out("3")
    workstation.log_in("4", "anne", hint=True)
    workstation.kill("4")
    workstation.log_in("5", "anne", hint=True)
    workstation.set_state("5", "closing")
    workstation.reconcile()
    assert [(each["session"], each["reason"]) for each in there.of("close")] == [
        ("3", "logout"), ("4", "its login is over"), ("5", "logind says so")]


def test_a_cut_after_a_logout_that_nobody_saw_says_what_is_known() -> None:
    there = Journal()
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    client = ns.Client(ANNE, VIEWER_GID, V4, GUARDED_PORT)
    assert client.say() == "yes"
    workstation.log_out("3", hint=False)
    workstation.reconcile()
    cut, = there.of("cut")
    assert cut["reason"] == "his login is over"


def test_a_watcher_that_is_first_to_look_tells_of_no_policy_that_nobody_has_compiled() -> None:
    # setup starts it before it reconciles.
    there = Journal()
    workstation = Workstation()
    workstation.policy()
    Reconciliation(phase="close").run()
    assert there.of("no-policy") == []
    workstation.reconcile()
    Path(paths.COMPILED).unlink()
    Reconciliation(phase="close").run()
    assert len(there.of("no-policy")) == 1


def test_a_login_of_root_or_of_a_system_account_is_no_refusal() -> None:
    """Nobody expects a console of it, and an admin's own would be told as something that failed."""
    there = Journal()
    workstation = office()
    workstation.log_in("3", "root", hint=True, UID="0")
    workstation.log_in("5", "lightdm", hint=True, UID="110", CLASS="greeter")
    assert there.of("refuse") == []
    workstation.log_in("4", "anne", hint=True, REMOTE="1", SERVICE="sshd")
    refused, = there.of("refuse")
    assert refused["user"] == "anne"


@pytest.mark.parametrize(("cause", "reason"), [
    (["revoke", "anne"], "revoked"), (["logout"], "he has logged out"),
    (["window"], "outside its time"), (["stranger"], "no session of his counts")])
def test_a_cut_says_who_lost_which_console_and_why(cause: list[str], reason: str) -> None:
    there = Journal()
    workstation = office()
    end = int(time.time()) + 2
    if cause == ["window"]:
        workstation.policy(OFFICE.replace(
            "{user: anne, console: first}",
            f"{{user: anne, console: first, when: {window(end - 10, end)}}}"))
    workstation.log_in("3", "anne", hint=True)
    if cause == ["stranger"]:  # somebody else's, let through by who flushed the table
        ns.nft("flush ruleset\n")
        client = ns.Client(ZOE, ZOE, V4, GUARDED_PORT)
    else:
        client = ns.Client(ANNE, VIEWER_GID, V4, GUARDED_PORT)
    assert client.say() == "yes"
    if cause[0] == "revoke":
        assert main(cause) == 0
    elif cause == ["logout"]:
        workstation.log_out("3")
    else:
        time.sleep(max(0.0, end + 0.1 - time.time()))
        workstation.reconcile()
    assert ns.until(lambda: ns.established(GUARDED_PORT) == [])
    cut, = there.of("cut")
    if cause == ["stranger"]:
        assert (cut["uid"], "user" in cut) == (str(ZOE), False)
        assert cut["consoles"] == f"- {V4} {GUARDED_PORT} - -"
    else:
        assert (cut["uid"], cut["user"]) == (str(ANNE), "anne")
        assert cut["consoles"] == f"first {V4} {GUARDED_PORT} - -"
    assert (cut["count"], cut["reason"]) == ("1", reason)


# Mends

@pytest.mark.parametrize(("damage", "what"), [
    ("flush ruleset", {("guard", "it was missing"), ("chain", "it was missing")}),
    ("insert rule inet pam_spice output accept", {("guard", "it was changed")}),
    ("flush chain inet pam_spice user-1021", {("chain", "it was changed")}),
    ("insert rule inet pam_spice user-1021 accept", {("chain", "it held what is not ours")}),
    ("delete element inet pam_spice sessions { 1021 }", {("chain", "nothing led to it")}),
    ("add chain inet pam_spice user-1023", set()),
    ("add chain inet pam_spice user-1023\nadd rule inet pam_spice user-1023 accept",
     {("chain", "no session that counts had it")})])
def test_what_somebody_did_to_our_table_is_one_record_each(
        damage: str, what: set[tuple[str, str]]) -> None:
    there = Journal()
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    before = len(there.of("mend"))  # sudo's rules, at the beginning
    ns.nft(damage + "\n")
    workstation.reconcile()
    mended = there.of("mend")[before:]
    assert {(each["what"], each["reason"]) for each in mended} == what
    assert len(mended) == len(what)
    for each in mended:
        if each["what"] == "chain" and "session" in each:
            assert each["consoles"] == there.of("open")[0]["consoles"].replace(
                there.of("open")[0]["consoles"].split(" ")[3],
                each["consoles"].split(" ")[3])
    workstation.reconcile()
    assert len(there.of("mend")) == before + len(what), "and it is said once"


def test_sudo_s_rules_of_the_first_policy_were_not_missing_and_those_of_a_later_one_were() -> None:
    there = Journal()
    workstation = office()
    assert there.of("mend") == []
    assert [each["what"] for each in there.of("setup")] == ["sudoers"]
    Path(paths.SUDOERS).unlink()
    workstation.policy(OFFICE + "# other\n")
    workstation.reconcile()
    assert [each["what"] for each in there.of("mend")] == ["sudoers"]
    # The compiled one is lost, as by a full disk: it had been in force all the same.
    Path(paths.SUDOERS).unlink()
    Path(paths.COMPILED).unlink()
    workstation.reconcile()
    assert [each["what"] for each in there.of("mend")] == ["sudoers"] * 2
    assert len(there.of("setup")) == 1


def test_the_name_of_what_others_put_into_our_table_is_told() -> None:
    there = Journal()
    workstation = office()
    ns.nft("add chain inet pam_spice odd\n")
    workstation.reconcile()
    assert there.of("mend")[-1]["foreign"] == "chain:odd"


def test_that_time_passes_is_no_mend() -> None:
    """Windows end, others come nearer, day by day for a week; and a suspend over a weekend."""
    there = Journal()
    workstation = office()
    workstation.policy(OFFICE.replace("{user: anne, console: first}",
                                      "{user: anne, console: first, when: Mon-Fri 08:00-12:00}"))
    workstation.log_in("3", "anne", hint=True)
    before = len(there.of("mend"))
    real = time.time
    steps = [hours * 3600 for hours in (1, 3, 7, 13, 25, 31, 50, 74, 75, 100, 160, 168, 240)]
    passed = [0]
    time.time = lambda: real() + passed[0]
    try:
        for passed[0] in steps:
            workstation.reconcile()
            workstation.reconcile()
    finally:
        time.time = real
    assert len(there.of("mend")) == before, there.of("mend")[before:]
    extended = there.of("extend")
    assert 3 <= len(extended) <= len(steps)
    opened, = there.of("open")
    told = "\n".join(each["consoles"] for each in (opened, *extended))
    days = {time.strftime("%Y-%m-%d", time.gmtime(real() + day * DAY)) for day in range(1, 17)}
    assert {day for day in days if time.strptime(day, "%Y-%m-%d").tm_wday < 5} <= {
        line.split(" ")[3][:10] for line in told.split("\n") if line.startswith("first ")}


def test_a_chain_that_a_killed_hook_had_not_told_the_kernel_is_in_the_records() -> None:
    there = Journal()
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    netlink.change([ANNE], {})
    workstation.reconcile()
    mended = there.of("mend")[-1]
    assert (mended["session"], mended["reason"]) == ("3", "it was missing")
    assert mended["consoles"].startswith(f"first {V4},{V6} ")


def test_what_opens_is_recorded_before_the_kernel_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    there = Journal()
    workstation = office()

    def killed(*_: object) -> None:
        os._exit(7)

    monkeypatch.setattr(netlink.Connection, "change", killed)
    leader = workstation.log_in("3", "anne")
    pid = os.fork()
    if pid == 0:
        Reconciliation(leader, "open").run()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    assert [each["session"] for each in there.of("open")] == ["3"]
    assert workstation.chains() == {}


def test_a_login_that_fails_says_so_after_what_was_to_open(
        monkeypatch: pytest.MonkeyPatch) -> None:
    there = Journal()
    workstation = office()

    def refused(*_: object) -> None:
        raise KernelRefused("no")

    monkeypatch.setattr(netlink.Connection, "change", refused)
    workstation.log_in("3", "anne")
    assert workstation.hook("3", "open") == 1
    events = [record["PAM_SPICE_EVENT"] for record in there.ours()]
    assert events[-4:] == ["open", "hook-again", "mend", "hook-failed"]


# What went wrong

def test_what_went_wrong_is_recorded_with_its_fields() -> None:
    there = Journal()
    workstation = office()
    workstation.policy(OFFICE + "  - {user: anne, console: first, when: Mo}\n")
    workstation.log_in("3", "anne", hint=True)
    Path(f"{DIRECTORY}/3").write_text("damaged")
    workstation.reconcile()
    Path(paths.REVOKED).write_text("damaged")
    workstation.reconcile()
    os.rename(SESSIONS, f"{SESSIONS}.away")
    workstation.reconcile()
    os.rename(f"{SESSIONS}.away", SESSIONS)
    Path("/etc/group").write_text("root:x:0:\n")
    write_told([])
    workstation.reconcile()
    assert {record["PAM_SPICE_EVENT"] for record in there.ours()} >= {
        "policy-problem", "skipped", "record-damaged", "revocations-unreadable", "logind-silent",
        "no-group"}
    skipped, = there.of("skipped")
    assert (skipped["user"], skipped["session"]) == ("anne", "3")
    assert skipped["place"] == f"{paths.POLICY}:{len(OFFICE.splitlines()) + 1}"


@pytest.mark.parametrize("what", ["no-group", "viewer-fault"])
def test_what_the_doctor_is_about_to_mend_is_told_by_nobody_but_a_login(
        monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    # The first policy, and a boot: four runs come before it has looked.
    there = Journal()
    workstation = office()
    workstation.log_in("3", "anne")
    workstation.reconcile()
    if what == "no-group":
        Path("/etc/group").write_text("root:x:0:\n")
    else:
        monkeypatch.setattr(viewerfile, "fault", lambda _gid: "mode is 0755")
    workstation.reconcile()
    assert there.of(what) == []
    workstation.log_in("4", "anne", hint=True)
    assert len(there.of(what)) == 1
    write_told([])
    workstation.reconcile()
    assert len(there.of(what)) == 2


def test_what_waited_for_the_first_policy_s_pieces_was_not_missing() -> None:
    there = Journal()
    groups = Path("/etc/group").read_text()
    Path("/etc/group").write_text("root:x:0:\n")
    workstation = Workstation()
    workstation.log_in("3", "anne")
    workstation.policy()
    workstation.reconcile()
    assert workstation.chains() == {}
    Path("/etc/group").write_text(groups)
    workstation.reconcile()
    assert list(workstation.chains()) == [ANNE]
    assert there.of("mend") == []
    changed, = there.of("change")
    assert changed["reason"] == "what it had to wait for is in place"
    assert changed["consoles"] == there.of("open")[0]["consoles"].replace(
        there.of("open")[0]["consoles"].split(" ")[3], changed["consoles"].split(" ")[3])
    # Nor is it hidden that somebody flushes everything before the doctor has looked.
    ns.nft("flush ruleset\n")
    workstation.reconcile()
    assert [each["what"] for each in there.of("mend")] == ["chain", "guard"]
    write_told([])
    ns.nft("delete element inet pam_spice sessions { 1021 }\n"
           "flush chain inet pam_spice user-1021\ndelete chain inet pam_spice user-1021\n")
    workstation.reconcile()
    assert there.of("mend")[-1]["reason"] == "it was missing"


def test_a_command_that_fails_says_who_wanted_it(monkeypatch: pytest.MonkeyPatch) -> None:
    there = Journal()
    workstation = office()
    workstation.log_in("3", "anne", hint=True)

    def refused(*_: object) -> None:
        raise KernelRefused("no")

    monkeypatch.setattr(netlink.Connection, "change", refused)
    assert main(["revoke", "anne", "--reason", "exam"]) == 2
    failed, = there.of("revoke")
    assert (failed["by"], failed["reason"], failed["error"]) == (
        "root", "exam", "KernelRefused('no')")


# Forging, and breaking lines

def test_nobody_but_root_can_write_a_record_that_is_shown() -> None:
    there = Journal()
    forge(ANNE, FORGED)
    forge(ANNE, FORGED, 0, 0)  # the kernel refuses it
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.sendto(f"<4>pam-spice: {DENY}".encode(), "/run/systemd/journal/dev-log")
        syslog.sendto(f"<4>{DENY}".encode(), "/run/systemd/journal/dev-log")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stdout:
        stdout.connect("/run/systemd/journal/stdout")
        stdout.sendall(b"pam-spice\n\n4\n1\n0\n0\n0\n<4>" + DENY.encode() + b"\n")
        there.kernel(DENY, facility=3)
        there.kernel("pam-spice deny [1234]: segfault at 0 ip 0000000000401136 sp "
                     "00007ffc3ad7f6d0 error 6 in x IN= OUT=lo DST=10.77.0.1 DPT=20001 UID=1022")
        assert there.events() == []
    text = ns.command(auditlog.JOURNALCTL, "--output=cat", "--quiet")
    assert text.count("pam-spice deny") == 5, "all of it is in the journal"
    assert "may reach first" in text


def test_a_record_of_the_hook_under_su_is_root_s() -> None:
    """su and sudo run it with the real uid of who called them."""
    there = Journal()
    workstation = office()
    workstation.log_in("3", "anne")
    pid = os.fork()
    if pid == 0:
        os.setresuid(ANNE, 0, 0)
        Reconciliation(0, "close").run()
        journal.log(journal.NOTICE, "close: as under su", event="close", session="9", reason="x")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert [each["session"] for each in there.of("close")] == ["9"]
    assert there.events()[-1].session == "9"


def test_a_name_that_no_account_should_have_stays_within_its_line(
        capsys: pytest.CaptureFixture[str]) -> None:
    there = Journal()
    workstation = office()
    name = "zoe\x1b[2J\u202e\x85  open"
    workstation.log_in("3", name, hint=True)
    assert there.events()[-1].user == name, "whole in its field"
    capsys.readouterr()
    assert main(["log"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.isprintable()
    _, _, rest = last.partition(" UTC  ")
    assert rest.startswith('refuse         "zoe\\x1b[2J\\u202e\\x85  open"  nothing opens for ')


def test_a_user_who_floods_the_journal_keeps_no_record_out_of_it() -> None:
    there = Journal(queue=10)
    flooding = []
    for _ in range(4):
        flooding.append(os.fork())
        if flooding[-1] == 0:
            ns.die_with_parent()
            ns.become(ANNE, ANNE)
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.connect(journal._ADDRESS)
                end = time.monotonic() + 10
                while time.monotonic() < end:
                    sender.send(b"MESSAGE=flood\n")
            os._exit(0)
    time.sleep(0.3)
    for number in range(50):
        journal.log(journal.NOTICE, "close", event="close", session=str(number), reason="x")
        time.sleep(0.01)
    for pid in flooding:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert [each["session"] for each in there.of("close")] == list(map(str, range(50)))


def test_a_journal_that_hangs_costs_half_a_second_once_and_nothing_is_lost() -> None:
    there = Journal(queue=1)
    office()
    os.kill(there.pid, signal.SIGSTOP)
    took = []
    for number in range(5):
        before = time.monotonic()
        journal.log(journal.NOTICE, "close", event="close", session=str(number), reason="x")
        took.append(time.monotonic() - before)
    waited = [each for each in took if each > 0.4]
    assert len(waited) == 1 and sum(took) < 0.8, took

    def another_process() -> str:
        before = time.monotonic()
        journal.log(journal.NOTICE, "close", event="close", session="x", reason="x")
        return f"{time.monotonic() - before:.1f}"

    assert float(ns.answer_of(another_process)) < 0.4, "nor does another process wait"
    os.kill(there.pid, signal.SIGCONT)
    there._settle()
    journal.log(journal.NOTICE, "close", event="close", session="5", reason="x")
    taken = there.of("close")
    assert 0 < len(taken) < 5
    journal.deliver()
    there._settle()
    late = there.of("close")[len(taken):]
    assert sorted(each["session"] for each in [*taken, *late]) == [*"012345", "x"]
    assert all(each.get("kept_since") for each in late)
    assert not any("kept_since" in each or "lost" in each for each in taken)


def test_a_record_of_some_thousand_consoles_arrives_whole() -> None:
    there = Journal()
    grants = [GrantLine("user:anne", f"console{number}", "kvm", "kvm.example", 20001,
                        (V4, V6), "/etc/pam-spice/kvm.pem", None, "policy.yaml:1")
              for number in range(5000)]
    record = Record("3", ANNE, "anne", 1, 1, 1, "0123456789ab", OPEN, {}, grants)
    journal.session(record, None, int(time.time()), "")
    opened, = there.of("open")
    assert len(opened["consoles"]) > 212_992, "net.core.wmem_default, what a datagram can hold"
    assert len({line.split(" ")[0] for line in opened["consoles"].split("\n")}) == 5000
    assert len(there.events()[-1].consoles) == 5000


# Reading

def test_the_kernel_s_refusals_are_shown_with_names() -> None:
    there = Journal()
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    there.kernel(DENY)
    there.kernel(CUT)
    there.kernel(DENY.replace("DPT=20001", "DPT=20009").replace("GID=997", "GID=1022"))
    kernel = [event for event in there.events() if event.source == "kernel"]
    assert [(each.event, each.user, each.uid, each.reason) for each in kernel] == [
        ("deny", "ralph", RALPH, "not open"), ("cut", "anne", ANNE, "not open"),
        ("deny", "ralph", RALPH, "not the viewer, gid 1022")]
    assert [each.consoles for each in kernel] == [
        (Reach("first", (V4,), GUARDED_PORT),), (Reach("first", (V6,), GUARDED_PORT),),
        (Reach(None, (V4,), 20009),)]


def test_log_shows_what_happened_since_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    there = Journal()
    workstation = office()
    workstation.log_in("3", "anne", hint=True)
    there._settle()
    time.sleep(1.1)
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    workstation.log_out("3")
    there._settle()
    capsys.readouterr()
    assert main(["log", "--since", since, "--json"]) == 0
    assert [each["event"] for each in json.loads(capsys.readouterr().out)] == ["close"]
    assert main(["log", "--user", "anne"]) == 0
    assert [line[27:34].strip() for line in capsys.readouterr().out.splitlines()] == [
        "open", "close"]


def test_without_a_journal_log_says_so_and_exits_with_2(
        capsys: pytest.CaptureFixture[str]) -> None:
    Workstation()
    for directory in ("/run/log", "/var/log"):
        os.makedirs(directory, exist_ok=True)
        ns.mount("tmpfs", directory, "tmpfs", 0, "mode=0755,size=64k")
    assert main(["log"]) == 2
    assert capsys.readouterr() == (
        "", "pam-spice: there is no journal in /var/log/journal or /run/log/journal\n"
            "  systemctl start systemd-journald\n")


def test_a_journal_of_many_records_is_read_as_it_comes() -> None:
    there = Journal()
    for number in range(3000):
        journal.log(journal.NOTICE, "close", event="close", session=str(number), reason="x")
    there._settle()
    tracemalloc.start()
    count = sum(1 for _ in journal_lines(None))
    _, most = tracemalloc.get_traced_memory()
    assert count == 3000
    assert most < 2_000_000, most


def test_a_program_s_lines_come_while_it_runs_and_it_ends_with_who_reads_them() -> None:
    endless = run.lines(["/bin/sh", "-c", "echo one; echo two; exec sleep 60"])
    before = time.monotonic()
    assert [next(endless), next(endless)] == [b"one\n", b"two\n"]
    endless.close()
    assert time.monotonic() - before < 5
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.mark.parametrize(("script", "what"), [
    ("echo one; echo bad >&2; exit 3", "exit status 3: bad"), ("kill -9 $$", "signal 9")])
def test_a_program_that_fails_says_so_after_its_lines(script: str, what: str) -> None:
    with pytest.raises(run.CommandFailed) as caught:
        list(run.lines(["/bin/sh", "-c", script]))
    assert caught.value.what == what
    with pytest.raises(run.CommandFailed, match="can't be started: No such file or directory"):
        list(run.lines(["/nonexistent"]))
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_before_the_first_policy_its_lack_is_no_fault() -> None:
    there = Journal()
    workstation = Workstation()
    Reconciliation(phase="close").run()  # the watcher's
    workstation.reconcile()
    workstation.reconcile()
    os.makedirs(f"{Path(paths.POLICY).parent}/policy.d")
    workstation.reconcile()
    records = there.ours()
    assert {(record["PAM_SPICE_EVENT"], record["PRIORITY"], record["MESSAGE"])
            for record in records} == {
        ("policy", "6", f"policy: none yet: nothing is enforced before there is {paths.POLICY}")}
    assert {each["problems"] for each in there.of("policy")} == {"0"}
    list(map(assert_documented, records))


def test_after_one_was_in_force_its_lack_is_a_loud_fault() -> None:
    there = Journal()
    workstation = office()
    revision = there.of("policy")[-1]["revision"]
    Path(paths.POLICY).unlink()
    workstation.reconcile()
    records = [record for record in there.ours() if record["PRIORITY"] == "3"]
    assert [record["PAM_SPICE_EVENT"] for record in records] == ["policy-problem", "policy"]
    assert records[1]["MESSAGE"] == (
        f"policy: {paths.POLICY} is gone (before: {revision}): no login opens anything, and what "
        f"was guarded stays so")
    list(map(assert_documented, records))
    # Also where nobody remembers it but the file for the boot.
    Path(paths.COMPILED).unlink()
    Reconciliation(phase="close").run()
    assert there.of("no-policy")
    workstation.reconcile()
    assert there.of("policy")[-1]["outcome"] == "missing"
    assert there.ours()[-1]["PRIORITY"] == "3"
