"""Drift on the lab's workstation: each finding is made as an admin, an update or a tool makes it,
is found, and is mended, by itself, by --fix or as its remedy says."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import product
from lab.door import wait_until
from lab.lab import Lab
from lab.pki import make_pki
from lab.story import Stage
from lab.story.stage import MYBRO, MYSELF, SERVER4
from lab.workstation import Workstation
from pam_spice.doctor.findings import Code

SYSTEM = "/etc/systemd/system"
UNIT = "pam-spice-reconcile.service"
LOGIN = "/etc/pam.d/login"
COMMON = "/etc/pam.d/common-session"
CA = "/etc/pam-spice/mysrv-ca.pem"

AS_TOLD = "as told"


@dataclass(frozen=True)
class Drift:
    """A command that makes a finding; without ``mend``, --fix puts it right."""

    code: Code
    make: str
    mend: str = ""
    """``AS_TOLD``: the remedy, typed as it stands."""

    fact: str = ""
    """A pattern of what is told."""
    others: frozenset[Code] = frozenset()
    """What is found beside it."""

    is_held: bool = True
    """Nothing mends before the doctor has looked."""


def above_common_session(line: str) -> str:
    return f"sed -i '0,/^@include common-session/s//{line}\\n&/' {LOGIN}"


def take_out(line: str) -> str:
    return f"sed -i '/{line}/d' {LOGIN}"


def drop_in(text: str) -> str:
    return f"printf '{text}\\n' >/etc/sudoers.d/zz; chmod 440 /etc/sudoers.d/zz"


def patiently(command: str) -> str:
    """debconf lets one in at a time, and the doctor's unit may be at work there."""
    return f"for try in 1 2 3 4 5 6 7 8 9 10; do {command} && break; sleep 0.5; done"


NO_DROP_IN = "rm /etc/sudoers.d/zz"

DRIFTS = [
    Drift(Code.VIEWER_MISSING, "mv /usr/bin/remote-viewer /root",
          "mv /root/remote-viewer /usr/bin"),
    Drift(Code.VIEWER_OPEN, "chmod 755 /usr/bin/remote-viewer", fact="mode is 0755"),
    Drift(Code.VIEWER_OPEN, "chown mybro:mybro /usr/bin/remote-viewer", fact="uid 1022"),
    Drift(Code.VIEWER_OPEN, "chmod g+s /usr/bin/remote-viewer", fact="mode is 2750"),
    Drift(Code.VIEWER_OVERRIDE, "dpkg-statoverride --remove /usr/bin/remote-viewer"),
    Drift(Code.VIEWER_OVERRIDE, "dpkg-statoverride --remove /usr/bin/remote-viewer; "
          "dpkg-statoverride --add root spicegrp 0755 /usr/bin/remote-viewer"),
    Drift(Code.GROUP_MISSING, "groupdel spicegrp"),
    Drift(Code.GROUP_MEMBER, "gpasswd -a myself spicegrp", "gpasswd -d myself spicegrp",
          fact="^myself is"),
    Drift(Code.GROUP_FIRST, "usermod -g spicegrp mybro", "usermod -g mybro mybro",
          fact="of mybro,"),
    Drift(Code.GROUP_PASSWORD, "echo spicegrp:secret | chgpasswd", AS_TOLD),
    Drift(Code.GROUP_SHARED, "groupadd -o -g $(getent group spicegrp | cut -d: -f3) twin",
          "groupdel twin", fact="group twin"),
    Drift(Code.SUDOERS_MISSING, "rm /etc/sudoers.d/pam-spice"),
    Drift(Code.SUDOERS_OWNER, "chmod 640 /etc/sudoers.d/pam-spice",
          others=frozenset({Code.SUDOERS_INVALID})),
    Drift(Code.SUDOERS_OWNER, "chown root:mybro /etc/sudoers.d/pam-spice",
          others=frozenset({Code.SUDOERS_INVALID})),
    Drift(Code.SUDOERS_CHANGED, "sed -i 's/NOPASSWD:/PASSWD:/' /etc/sudoers.d/pam-spice"),
    Drift(Code.SUDOERS_NOT_INCLUDED, "sed -i 's/^@includedir/#&/' /etc/sudoers",
          "sed -i 's/^#@includedir/@includedir/' /etc/sudoers"),
    Drift(Code.SUDOERS_INVALID, drop_in("nonsense"), NO_DROP_IN, fact="/etc/sudoers.d/zz"),
    Drift(Code.SUDO_RULE, drop_in("myself ALL=(:spicegrp) /usr/bin/less"), NO_DROP_IN,
          fact=r"to myself: \(myself : spicegrp\) /usr/bin/less$"),
    Drift(Code.SUDO_RULE, drop_in("%%mybro ALL=(root) /usr/bin/remote-*"), NO_DROP_IN,
          fact=r"to mybro: \(root\) /usr/bin/remote-\*$"),
    Drift(Code.SUDO_DEFAULTS, drop_in("Defaults!/usr/lib/pam-spice/viewer setenv"), NO_DROP_IN,
          fact="setenv for /usr/lib/pam-spice/viewer"),
    Drift(Code.SUDO_DEFAULTS, drop_in("Defaults runchroot=*"), NO_DROP_IN, fact="runchroot"),
    Drift(Code.SUDO_ROOT, "gpasswd -a mybro sudo", "gpasswd -d mybro sudo", fact="^mybro may"),
    Drift(Code.SUDO_UNASKED, "mv /usr/bin/sudo /root", "mv /root/sudo /usr/bin"),
    Drift(Code.PAM_MISSING, patiently("pam-auth-update --package --remove pam-spice")),
    Drift(Code.PAM_MISSING, f"sed -i '/hook open/d' {COMMON}"),
    Drift(Code.PAM_MISSING, f"sed -i 's/in login:lightdm/in lightdm/' {COMMON}"),
    Drift(Code.PAM_MISSING, f"sed -i '/^# here are the per/,/^# end of pam-auth/d' {COMMON}",
          patiently("DEBIAN_FRONTEND=noninteractive pam-auth-update --force")),
    Drift(Code.PAM_MISSING, f"sed -i 's/^@include common-session/#&/' {LOGIN}",
          f"sed -i 's/^#@include common-session/@include common-session/' {LOGIN}",
          fact="stack of login"),
    Drift(Code.PAM_SKIPPED, above_common_session("session sufficient pam_lastlog.so"),
          take_out("sufficient pam_lastlog"), fact=r"sufficient pam_lastlog\.so \(login\)"),
    Drift(Code.PAM_SKIPPED, above_common_session("session [success=8 default=ignore] pam_mail.so"),
          take_out("success=8")),
    Drift(Code.PAM_BEFORE_LOGIND, f"sed -i '/pam_systemd/d' {COMMON}",
          f"{patiently('pam-auth-update --package --remove systemd')}; "
          f"{patiently('pam-auth-update --package')}"),
    Drift(Code.PAM_USER_ENVIRONMENT, f"echo 'session required pam_env.so user_readenv=1' >>{LOGIN}",
          f"{take_out('user_readenv')}; pam-spice doctor --fix",
          # The line in common-session still names the service.
          others=frozenset({Code.PAM_MISSING})),
    Drift(Code.PAM_NO_SERVICE, "mv /etc/pam.d/lightdm-autologin /root",
          "mv /root/lightdm-autologin /etc/pam.d", fact="service lightdm-autologin"),
    Drift(Code.HOOK_UNSAFE, "chmod o+w /usr/lib/pam-spice/hook",
          "chmod 755 /usr/lib/pam-spice/hook", fact="mode 0757"),
    Drift(Code.UNIT_MISSING, f"mv {SYSTEM}/{UNIT} /root; systemctl daemon-reload",
          f"mv /root/{UNIT} {SYSTEM}; systemctl daemon-reload", fact=UNIT),
    # systemctl mask itself writes no link where the unit is a file of /etc.
    Drift(Code.UNIT_MASKED, f"mv {SYSTEM}/{UNIT} /root; ln -s /dev/null {SYSTEM}/{UNIT}; "
          "systemctl daemon-reload", f"mv /root/{UNIT} {SYSTEM}; systemctl daemon-reload",
          fact=UNIT),
    Drift(Code.UNIT_MASKED, f"mv {SYSTEM}/{UNIT} /root; ln -s /dev/null "
          f"/run/systemd/system/{UNIT}; systemctl daemon-reload",
          f"systemctl unmask --runtime {UNIT}; mv /root/{UNIT} {SYSTEM}; systemctl daemon-reload",
          fact=UNIT),
    Drift(Code.UNIT_DISABLED, "systemctl disable pam-spice-guard.service",
          fact="pam-spice-guard.service is disabled"),
    Drift(Code.UNIT_STOPPED, "systemctl stop pam-spice-watch.service",
          fact="pam-spice-watch.service is inactive"),
    Drift(Code.UNIT_OVERRIDDEN, f"mkdir {SYSTEM}/{UNIT}.d; printf '[Unit]\\nConditionPathExists="
          f"/nowhere\\n' >{SYSTEM}/{UNIT}.d/a.conf; systemctl daemon-reload",
          f"rm -r {SYSTEM}/{UNIT}.d; systemctl daemon-reload", fact=f"{UNIT}.d/a.conf"),
    Drift(Code.GUARD_MISSING, "nft delete table inet pam_spice"),
    Drift(Code.GUARD_CHANGED, "nft insert rule inet pam_spice output accept"),
    Drift(Code.GUARD_UNREADABLE, "mv /usr/sbin/nft /root", "mv /root/nft /usr/sbin"),
    Drift(Code.GUARD_NOT_LAST, "nft add table ip site; nft 'add chain ip site out "
          "{ type nat hook output priority 10; }'", "nft delete table ip site",
          fact="^the chain ip site out .*priority 10"),
    Drift(Code.POLICY_UNUSABLE, "echo '[' >>/etc/pam-spice/policy.yaml; pam-spice reconcile",
          "sed -i '/^\\[$/d' /etc/pam-spice/policy.yaml; pam-spice reconcile", is_held=False),
    Drift(Code.POLICY_PROBLEMS, "sed -i 's/^grants:/&\\n  - {user: guest, console: nowhere}/' "
          "/etc/pam-spice/policy.yaml; pam-spice reconcile",
          "sed -i /nowhere/d /etc/pam-spice/policy.yaml; pam-spice reconcile", is_held=False),
    Drift(Code.POLICY_STALE, "echo '# a word' >>/etc/pam-spice/policy.yaml"),
    Drift(Code.CA_UNUSABLE, f"chmod 600 {CA}", AS_TOLD, fact="mode 0600"),
    Drift(Code.CA_UNUSABLE, "chmod 700 /etc/pam-spice", AS_TOLD, fact="/etc/pam-spice lets"),
    Drift(Code.CA_UNUSABLE, f"mv {CA} /root", f"mv /root/mysrv-ca.pem {CA}", fact="does not exist"),
    Drift(Code.HOST_ELSEWHERE, "cp /etc/hosts /root; sed -i s/192.168.2.2/192.168.2.3/ /etc/hosts",
          "cat /root/hosts >/etc/hosts", fact=r"also leads to 192\.168\.2\.3"),
    Drift(Code.ZONE_OTHER, "ln -sf /usr/share/zoneinfo/Europe/Berlin /etc/localtime",
          "ln -sf /usr/share/zoneinfo/Etc/UTC /etc/localtime", fact="shows Europe/Berlin",
          others=frozenset({Code.POLICY_STALE})),  # it may be the zone that windows count in
    Drift(Code.ZONE_MISSING,
          "mv /usr/share/zoneinfo/UTC /root; mv /usr/share/zoneinfo/Etc/UTC /root/u",
          "mv /root/UTC /usr/share/zoneinfo; mv /root/u /usr/share/zoneinfo/Etc/UTC",
          others=frozenset({Code.POLICY_STALE})),
    Drift(Code.LOGIND_SILENT, "mv /run/systemd/sessions /run/systemd/gone",
          "mv /run/systemd/gone /run/systemd/sessions"),
]

UNMADE = {
    # Seen in every run: nothing keeps the lab's clock.
    Code.CLOCK_ALONE,
    # The clock and the kernel are the machine's own; a certificate takes months to expire.
    # tests/unit/test_doctor.py plays them.
    Code.CLOCK_WRONG, Code.NO_LANDLOCK, Code.NO_CUT, Code.CA_EXPIRES_SOON,
}


def test_each_code_is_made_here_or_known_not_to_be() -> None:
    assert {drift.code for drift in DRIFTS} == set(Code) - UNMADE


HOLD = """\
import fcntl, subprocess, sys
held = [open(f"/run/pam-spice/{name}.lock" if name else "/run/pam-spice/lock", "a")
        for name in ("doctor", "compile", "")]
for file in held:
    fcntl.lockf(file, fcntl.LOCK_EX)
subprocess.run(sys.argv[1], shell=True, stdout=sys.stderr)
sys.exit(subprocess.run(["pam-spice", "doctor", *sys.argv[2:]]).returncode)
"""
"""Whoever mends waits, also those whom systemd starts, while drift is made and looked at."""

Told = dict[str, list[dict[str, str]]]


def examine(box: Workstation, *options: str) -> Told:
    """What the doctor says, as it prints it for programs."""
    said = box.run(["pam-spice", "doctor", "--json", *options], check=False)
    told: Told = json.loads(said.stdout)
    assert said.returncode == (0 if told["ok"] else 1)
    return told


def make(box: Workstation, command: str) -> Told:
    """Make drift, and what the doctor says before anybody can mend it."""
    told: Told = json.loads(box.run(
        ["/usr/bin/python3", "-c", HOLD, command, "--json"], check=False).stdout)
    return told


def codes(told: Told) -> set[str]:
    return {each["code"] for each in told["findings"]} - {Code.CLOCK_ALONE}


@pytest.fixture(scope="module")
def installed(lab: Lab, stage: Stage) -> Iterator[Workstation]:
    stage.reset()
    yield lab.workstation
    lab.install()


@pytest.fixture
def box(installed: Workstation, stage: Stage) -> Workstation:
    if any(each.state == "active" for each in stage.lab.sessions()):
        stage.reset()
    return installed


@pytest.mark.parametrize("drift", DRIFTS, ids=lambda drift: re.sub(
    r"[^\w.-]+", "_", f"{drift.code.short_name}-{drift.make}")[:50])
def test_drift_is_found_and_its_remedy_ends_it(box: Workstation, drift: Drift) -> None:
    since = box.run(["date", "+%F %T"]).stdout.strip()
    if drift.is_held:
        told = make(box, drift.make)
    else:
        box.shell(drift.make)
        told = examine(box)
    found = [each for each in told["findings"] if each["code"] == drift.code
             and re.search(drift.fact, each["fact"])]
    assert found, told
    assert codes(told) == {drift.code, *drift.others} - {Code.CLOCK_ALONE}, told
    if drift.mend:
        box.shell(drift.mend if drift.mend != AS_TOLD else found[0]["remedy"])
    else:
        assert found[0]["mendable"]
        wait_until("it is mended", lambda: found[0]["fact"] not in {
            each["fact"] for each in examine(box, "--fix")["findings"]}, 10)
        journal = box.run(["journalctl", "-q", "-o", "cat", f"--since={since}",
                           "PAM_SPICE_EVENT=mend", "+", "PAM_SPICE_EVENT=policy"]).stdout
        assert journal
    wait_until("nothing is found any more", lambda: not codes(examine(box, "--fix")), 10)


def test_a_run_that_finds_nothing_writes_nothing(box: Workstation) -> None:
    box.shell("pam-spice doctor --fix; touch /root/stamp; sleep 0.05")
    assert examine(box, "--fix")["mended"] == []
    assert box.shell("find /etc /usr/bin/remote-viewer /var/lib/pam-spice /var/lib/pam "
                     "/var/lib/dpkg /usr/share/pam-configs -newer /root/stamp").stdout == ""


def test_a_viewer_that_is_opened_by_hand_closes_a_live_session_until_it_is_mended_by_itself(
        box: Workstation, stage: Stage) -> None:
    stage.lab.login("myself", 1)
    assert stage.connect(MYSELF, 20002) == "connected"
    box.run(["journalctl", "--rotate", "--vacuum-time=1s"])
    box.run(["chmod", "755", "/usr/bin/remote-viewer"])
    wait_until("it is mended", lambda: events(box)[-1:] == ["mend chain"]
               and "mend viewer" in events(box), 10)
    assert events(box) == ["viewer-fault", "mend chain", "mend viewer", "mend chain"]
    assert box.run(["stat", "-c", "%a %U %G", "/usr/bin/remote-viewer"]).stdout == (
        "750 root spicegrp\n")
    assert stage.connect(MYSELF, 20002) == "connected"


def events(box: Workstation) -> list[str]:
    """What happened to viewer and chains since the journal's last rotation."""
    said = box.run(["journalctl", "-q", "-o", "json", "PAM_SPICE_EVENT=viewer-fault", "+",
                    "PAM_SPICE_EVENT=mend"]).stdout
    return [" ".join(filter(None, (each["PAM_SPICE_EVENT"], each.get("PAM_SPICE_WHAT"))))
            for each in map(json.loads, said.splitlines())]


def test_an_edit_just_saved_is_no_finding(box: Workstation) -> None:
    for word in ("one", "two", "three"):
        box.shell(f"echo '# {word}' >>/etc/pam-spice/policy.yaml")
        assert codes(examine(box)) == set()


def test_the_first_policy_puts_all_pieces_into_place_by_itself(box: Workstation,
                                                               stage: Stage) -> None:
    box.shell("pam-spice uninstall; mv /etc/pam-spice/policy.yaml /root")
    box.run(["journalctl", "--rotate", "--vacuum-time=1s"])
    done = stage.lab.install()
    assert "note that there is no policy yet: PAM, sudo, viewer and firewall stay as" in done
    assert "as the policy says" not in done
    said = box.run(["journalctl", "-q", "-o", "cat", "-t", "pam-spice"]).stdout.splitlines()
    assert said[0] == ("policy: none yet: nothing is enforced before there is "
                       "/etc/pam-spice/policy.yaml")
    assert said[-1].startswith("setup: pam-spice is set up here")
    assert box.run(["journalctl", "-q", "-o", "cat", "-t", "pam-spice", "-p", "warning"]
                   ).stdout == "", said
    assert box.run(["pam-spice", "doctor"]).stdout.startswith("nothing is enforced yet")
    assert box.run(["stat", "-c", "%a", "/usr/bin/remote-viewer"]).stdout == "755\n"
    entry = "/usr/local/share/applications/remote-viewer.desktop"
    assert box.run(["test", "-e", entry], check=False).returncode == 1
    # The one who writes it may sit there: what will open for him waits for the doctor's pieces.
    stage.lab.login("myself", 1)
    box.run(["pam-spice", "reconcile"])
    box.shell("mv /root/policy.yaml /etc/pam-spice")
    assert codes(examine(box)) == set(), "it waits for what is on its way"
    box.run(["test", "-e", entry])
    wait_until("it is open", lambda: stage.connect(MYSELF, 20002) == "connected", 20)
    # Nothing of it was ever otherwise, and reads as if something had been wrong.
    wait_until("the doctor has looked", lambda: box.run(
        ["test", "-e", "/run/pam-spice/doctor.told"], check=False).returncode == 0, 20)
    assert box.run(["journalctl", "-q", "-o", "cat", "-t", "pam-spice", "-p", "warning"]
                   ).stdout == ""
    placed = [line for line in box.run(
        ["journalctl", "-q", "-o", "cat", "-t", "pam-spice", "PAM_SPICE_EVENT=setup"]
        ).stdout.splitlines() if "put in place" in line]
    assert sorted(placed) == [f"setup: put in place: {what}" for what in (
        "PAM's session stack calls pam-spice", "sudo's rules", "the viewer is for sudo's rules "
        "alone", "the viewer's group spicegrp")]
    page = box.run(["pam-spice", "report", "--since", "-10m"]).stdout
    assert ": please look" not in page
    box.run(["groupdel", "spicegrp"])
    wait_until("it is mended", lambda: "mend: the viewer's group was made (found: there is no "
               "group spicegrp" in box.run(["journalctl", "-q", "-o", "cat", "-t", "pam-spice"]
                                           ).stdout, 20)


# pam-spice selftest

def test_the_selftest_shows_what_a_login_opens_and_closes(box: Workstation, stage: Stage) -> None:
    said = box.run(["pam-spice", "selftest", "myself", "--json"])
    told = json.loads(said.stdout)
    assert told["ok"]
    assert [(step["step"], step["holds"]) for step in told["steps"]] == [
        ("login", True), ("counts", True), ("console debianx", None),
        (f"connect debianx with the viewer's group ({SERVER4} port 20002)", True),
        (f"certificate of mysrv ({SERVER4} port 20002)", True),
        (f"connect debianx with his own group ({SERVER4} port 20002)", True),
        (f"connect leaptest, which he is not granted ({SERVER4} port 20004)", True),
        ("logout", True), ("closed", True),
        (f"connect debianx after the logout, with the viewer's group ({SERVER4} port 20002)",
         True), ("session", True)]
    assert "at seat0" in told["steps"][0]["seen"]
    assert nothing_is_left(stage)
    events = [json.loads(line) for line in box.run(
        ["journalctl", "-q", "-o", "json", "SYSLOG_IDENTIFIER=pam-spice", "_UID=0",
         "PAM_SPICE_USER=myself", "-n", "4"]).stdout.splitlines()]
    of_session = [each["PAM_SPICE_EVENT"] for each in events
                  if each.get("PAM_SPICE_SESSION") == events[-1]["PAM_SPICE_SESSION"]]
    assert of_session[:3] == ["open", "selftest", "close"], of_session


def test_the_selftest_says_no_to_a_ca_file_that_is_not_the_servers(
        box: Workstation, stage: Stage, tmp_path: Path) -> None:
    """It is a good CA file, so doctor and check have nothing to say."""
    other = make_pki(tmp_path / "other", ["mysrv"], [SERVER4])
    product.put_ca(box, other)
    try:
        said = box.run(["pam-spice", "selftest", "myself"], check=False)
    finally:
        product.put_ca(box, stage.lab.server.ca_file)
    assert said.returncode == 1
    assert f"NO  certificate of mysrv ({SERVER4} port 20002): " in said.stdout
    assert nothing_is_left(stage)


def test_the_selftest_says_no_where_no_console_can_open(box: Workstation, stage: Stage) -> None:
    said = box.run(["pam-spice", "selftest", "myself", "--service", "sshd"], check=False)
    assert said.returncode == 1
    assert "NO  counts: logins through 'sshd' don't open consoles" in said.stdout
    assert nothing_is_left(stage)


def test_the_selftest_keeps_nobody_from_his_consoles(box: Workstation, stage: Stage) -> None:
    stage.lab.login("mybro", 1)
    for user in ("mybro", "myself"):
        said = box.run(["pam-spice", "selftest", user], check=False)
        assert said.returncode == 2
        assert "mybro is logged in here" in said.stderr
    session, = (each.id for each in stage.lab.sessions() if each.user == "mybro")
    end = f"loginctl terminate-session {session}"
    assert said.stderr.splitlines()[-1] == f"  let him log out first, or end his login: {end}"
    # The admin may be the one who sits there.
    said = box.shell("echo $(id -u mybro) >/proc/self/loginuid; pam-spice selftest myself",
                     check=False)
    assert said.returncode == 2
    assert "log out, and run it over ssh or as root on a text console" in said.stderr
    assert stage.chains() == {MYBRO}


@pytest.mark.parametrize("signal", ["INT", "TERM", "KILL"])
def test_a_selftest_that_is_ended_leaves_no_session_and_no_chain(
        box: Workstation, stage: Stage, signal: str) -> None:
    were_open: list[bool] = []
    delay = 0.1
    # On a busy machine the login comes later.
    while delay < 0.4 or (not any(were_open) and delay < 10):
        said = box.run(["timeout", f"--signal={signal}", f"{delay:.2f}", "pam-spice", "selftest",
                        "myself"], check=False).stdout
        were_open.append("login:" in said and "logout:" not in said)
        wait_until("nothing is left", lambda: nothing_is_left(stage), 10)
        delay += max(0.05, delay / 8)
    assert any(were_open)
    assert stage.connect(MYSELF, 20002) == "ConnectionRefusedError"


def nothing_is_left(stage: Stage) -> bool:
    return not stage.chains() and not stage.lab.sessions()
