"""What an admin does while people work: a deputy, a console taken back, an edit that can't wait."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from lab.door import wait_until
from lab.story.attempts import REFUSED
from lab.story.stage import MYSELF, Stage, policy

FRAGMENT = "/etc/pam-spice/policy.d/deputies.yaml"


def the_admin_gives_and_takes_at_once(stage: Stage) -> None:
    """The admin gives a console for an hour and takes consoles back, in a running session"""
    box = stage.lab.workstation
    stage.lab.login("myself", 1)
    desktop = stage.lab.desktop("myself", 1)
    said = box.run(["pam-spice", "grant", "myself", "leaptest", "--for", "1h",
                    "--reason", "mybro is ill"]).stdout
    stage.line("pam-spice grant opens leaptest for him at once",
               stage.connect(MYSELF, 20004) == "connected", said)
    channels = stage.open_console(desktop, "leaptest")
    stage.line("and spice-open brings it on his screen", len(channels) == 4)
    told = box.run(["pam-spice", "explain", "myself", "leaptest"]).stdout
    stage.line("pam-spice explain names the deputy's entry, its end and its reason",
               "temporary.yaml" in told and "mybro is ill" in told and "until:" in told, told)
    until = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    said = box.run(["pam-spice", "revoke", "myself", "--until", until, "--reason", "exam"]).stdout
    stage.soon("pam-spice revoke cuts the live console on both sides within a second",
               lambda: stage.is_silent("leaptest"))
    got = {port: stage.connect(MYSELF, port) for port in (20002, 20004)}
    stage.line("all of his consoles are closed", set(got.values()) == {REFUSED}, f"{said}{got}")
    stage.lab.logout(1)
    stage.lab.login("myself", 1)
    ran = stage.lab.run_at("spice-open debianx", 1)
    stage.line("a new login does not bring them back; spice-open says when",
               ran.status == 1 and "Not now: your next time for debianx" in ran.text, ran.text)
    box.run(["pam-spice", "revoke", "myself", "--lift"])
    stage.line("pam-spice revoke --lift does", stage.connect(MYSELF, 20002) == "connected")
    said = box.run(["pam-spice", "grant", "myself", "leaptest", "--end"]).stdout
    got = {port: stage.connect(MYSELF, port) for port in (20002, 20004)}
    stage.line("pam-spice grant --end takes back what was granted for the hour, and no more",
               got == {20002: "connected", 20004: REFUSED}, said)
    log = box.run(["journalctl", "-t", "pam-spice", "-o", "cat", "-n", "60"]).stdout
    lines = [line for line in log.splitlines() if "(by " in line]
    stage.line("the journal says who did it", len(lines) >= 4, "\n".join(lines[-4:]))
    box.run(["rm", "/etc/pam-spice/policy.d/temporary.yaml"])


def a_file_of_policy_d_counts_like_the_policy(stage: Stage) -> None:
    """A deputy in a file of policy.d: taken in without a command, at once by apply --now"""
    box = stage.lab.workstation
    stage.lab.login("myself", 1)
    today = datetime.now(UTC).date()
    box.write_file(FRAGMENT, f"""\
grants:
  - user: myself
    console: leaptest
    valid: {{from: {today}, until: {today + timedelta(days=1)}}}
    workstations: "work*"
    reason: deputy of mybro
  - {{user: myself, console: debianx, when: Mo}}
""")
    wait_until("sudo follows", lambda: "20004" in box.run(
        ["sudo", "-l", "-U", "myself"]).stdout, 20)
    stage.line("guard and sudo followed the new file without a command typed", True)
    got = stage.connect(MYSELF, 20004)
    stage.line("the running session is unchanged", got == REFUSED, got)
    checked = box.run(["pam-spice", "check"], check=False)
    stage.line("pam-spice check names the file, the line and what was meant",
               checked.returncode == 1 and "deputies.yaml:7:" in checked.stderr, checked.stderr)
    refused = box.run(["pam-spice", "apply", "--now"], check=False)
    stage.line("apply --now changes nothing while there is an error", refused.returncode == 2,
               refused.stderr)
    box.run(["sed", "-i", "$d", FRAGMENT])
    said = box.run(["pam-spice", "apply", "--now"]).stdout
    stage.line("apply --now gives it to the running session",
               stage.connect(MYSELF, 20004) == "connected", said)
    box.run(["rm", FRAGMENT])
    wait_until("sudo follows", lambda: '"current": true' in stage.status(), 20)
    said = box.run(["pam-spice", "apply", "--now"]).stdout
    stage.line("and takes it away when the file is gone",
               stage.connect(MYSELF, 20004) == REFUSED, said)
    stage.lab.logout(1)
    box.write_file(FRAGMENT, "grants:\n  - {user: myself, console: leaptest, when: Mo}\n")
    wait_until("the policy is compiled", lambda: '"current": true' in stage.status(), 20)
    stage.lab.login("myself", 1)
    log = box.run(["journalctl", "-t", "pam-spice", "-o", "cat", "-n", "20"]).stdout
    stage.line("a login says in the journal which entry of its user is skipped",
               "deputies.yaml:2 gives myself nothing" in log,
               "\n".join(line for line in log.splitlines() if "gives myself nothing" in line))
    box.run(["rm", FRAGMENT])
    stage.set_policy(policy())


def a_public_holiday_closes(stage: Stage) -> None:
    """Public holidays of the system's own library close a console: New Year's Day in Bavaria"""
    box = stage.lab.workstation
    box.write_file(FRAGMENT, "grants:\n  - {user: myself, console: leaptest, except: DE-BY}\n")
    told = box.run(["pam-spice", "windows", "myself", "leaptest", "--from", "2026-12-31",
                    "--to", "2027-01-08"]).stdout
    stage.line("pam-spice windows leaves out the 1st and the 6th of January", told.splitlines() == [
        "leaptest: Thu 2026-12-31 00:00:00 UTC - Fri 2027-01-01 00:00:00 UTC",
        "leaptest: Sat 2027-01-02 00:00:00 UTC - Wed 2027-01-06 00:00:00 UTC",
        "leaptest: Thu 2027-01-07 00:00:00 UTC - Fri 2027-01-08 00:00:00 UTC"], told)
    wait_until("the policy is compiled", lambda: '"current": true' in stage.status(), 20)
    stage.lab.login("myself", 1)
    stage.line("and his login has it", "20004" in stage.chain(MYSELF), stage.chain(MYSELF))
    box.run(["rm", FRAGMENT])


def the_admin_asks_before_anyone_logs_in(stage: Stage) -> None:
    """Before anyone logs in the admin asks what is odd, what would change, what a week holds"""
    box = stage.lab.workstation
    new = policy(myself="Mon-Fri 08:00-18:00").replace(
        "user: mybro, console: leaptest", "user: mybro, console: [leaptest, debianx]")
    box.write_file("/root/new.yaml", new)
    found = box.run(["pam-spice", "check", "--lint", "--policy", "/root/new.yaml"],
                    check=False).stderr
    stage.line("pam-spice check --lint tells that two users meet at one console, and which group "
               "nobody knows", "L101" in found and "L502" in found, found)
    stage.line("and finds no fault with the real CA file", "L70" not in found)
    online = box.run(["pam-spice", "check", "--online"], check=False).stderr
    stage.line("check --online finds the server at its declared addresses", "L80" not in online,
               online)
    told = box.run(["pam-spice", "diff", "/etc/pam-spice/policy.yaml", "/root/new.yaml"],
                   check=False).stdout
    stage.line("pam-spice diff says who gains and who loses",
               "mybro gains debianx" in told and "myself" in told, told)
    week = box.run(["pam-spice", "calendar", "--policy", "/root/new.yaml"]).stdout
    stage.line("pam-spice calendar shows the week, the overlap hatched",
               "debianx" in week and "####" in week, week)
    box.run(["pam-spice", "calendar", "--policy", "/root/new.yaml", "--output", "/root/week.html"])
    page = box.read_file("/root/week.html")
    (stage.pictures / "week.html").write_text(page)
    stage.line("and writes it as a page of its own", "<svg" in page)
    box.run(["rm", "/root/new.yaml", "/root/week.html"])
