"""Who doesn't get through."""

from __future__ import annotations

import time

from lab.door import wait_until
from lab.story.stage import (
    MYBRO,
    MYSELF,
    OPEN_PORT,
    PORTS,
    SERVER4,
    SERVER6,
    Stage,
)

REFUSED = "ConnectionRefusedError"


def before_any_login(stage: Stage) -> None:
    """Before any login nobody reaches a console, and other traffic is untouched"""
    for console, port in PORTS.items():
        for address in (SERVER4, SERVER6, f"::ffff:{SERVER4}"):
            got = {who: stage.connect(uid, port, address=address)
                   for who, uid in (("root", 0), ("myself", MYSELF), ("mybro", MYBRO))}
            stage.line(f"nobody reaches {console} at {address} port {port}",
                       set(got.values()) == {REFUSED}, got)
    for address in (SERVER4, SERVER6):
        got = {str(uid): stage.connect(uid, OPEN_PORT, address=address, group="root")
               for uid in (0, MYSELF, MYBRO)}
        stage.line(f"an unguarded port ({address} port {OPEN_PORT}) is open to all",
                   set(got.values()) == {"connected"}, got)
    denials = [line for line in stage.lab.kernel_denials() if f"UID={MYSELF}" in line]
    stage.line("the kernel's log names the uid that was refused", denials, denials[-1:])


def only_the_viewer_gets_through(stage: Stage) -> None:
    """The right user with the wrong program does not get through"""
    stage.lab.login("myself", 1)
    desktop = stage.lab.desktop("myself", 1)
    stage.line("myself has his chain", MYSELF in stage.chains(), stage.chains())
    stage.line("with the viewer's gid he would be through",
               stage.connect(MYSELF, 20002) == "connected")
    got = stage.connect(MYSELF, 20002, group="myself")
    stage.line("any other program of his is refused by the kernel: its gid is his own",
               got == REFUSED, got)
    ran = stage.lab.run_at(f"nc -w 3 {SERVER4} 20002 </dev/null; echo status $?", 1)
    stage.line("nc, typed at his own prompt, is refused", "status 1" in ran.text, ran.text)
    # Nobody but root and the group can read the viewer, so the copy is one brought from elsewhere.
    stage.lab.workstation.shell(
        "install -o myself -g myself -m 755 /usr/bin/remote-viewer /home/myself/my-viewer")
    before = stage.lab.kernel_log.last()
    desktop.start_program("./my-viewer --spice-ca-file=/etc/pam-spice/mysrv-ca.pem "
                          "-- 'spice://mysrv?tls-port=20002'")
    wait_until("it was denied", lambda: stage.lab.kernel_denials(after=before), 15)
    time.sleep(2)  # for the viewer's own words about it
    desktop.screenshot(stage.pictures / "own-copy-of-the-viewer-refused.png")
    stage.line("an own copy of the viewer does not get through: no channel at the server",
               not stage.lab.server.channels("debianx"), stage.lab.kernel_denials()[-1:])
    ran = stage.lab.run_at("/usr/bin/remote-viewer --version", 1)
    stage.line("the viewer itself can't be run without sudo", "Permission denied" in ran.text,
               ran.text)


def no_seat_no_console(stage: Stage) -> None:
    """ssh, su, sudo -i, cron and systemd --user of a user without a seat open nothing"""
    box = stage.lab.workstation
    box.shell("install -d -m 700 -o myself -g myself /home/myself/.ssh; cd /home/myself/.ssh; "
              "test -f key || ssh-keygen -q -t ed25519 -N '' -f key; cp key.pub authorized_keys; "
              "chown -R myself:myself .; mkdir -p /run/sshd; "
              "echo 'myself ALL=(ALL) NOPASSWD: /bin/true' >/etc/sudoers.d/lab-story; "
              "systemctl start ssh cron")
    ssh = ("ssh -i /home/myself/.ssh/key -o StrictHostKeyChecking=no -o BatchMode=yes "
           "myself@127.0.0.1 'sleep 1.5; echo seat=$XDG_SEAT session=$XDG_SESSION_ID'")
    for name, script in (
            ("ssh", ssh),
            ("su", "runuser -u nobody -- true; su - myself -c 'sleep 1; id -un'"),
            ("sudo -i", "sudo -u myself -i sh -c 'sleep 1; id -un'"),
            ("systemd --user", "loginctl enable-linger myself; sleep 1; "
                               "systemctl --machine=myself@.host --user is-system-running; "
                               "pgrep -u myself -fa 'systemd --user'")):
        said = box.popen(["/bin/bash", "-c", script])
        time.sleep(0.8)
        during = stage.chains()
        output = said.communicate(timeout=30)[0].strip().splitlines()
        stage.line(f"{name} as myself opens nothing", not during and not stage.chains() and output,
                   f"chains {during or 'none'}; it ran: {output[-1:]}")
    box.run(["loginctl", "disable-linger", "myself"])
    # cron runs it when it starts after a boot: nobody has to wait for the next minute.
    box.shell("echo '@reboot sleep 2; date >/home/myself/cron-ran' | crontab -u myself -; "
              "systemctl stop cron; rm -f /run/crond.reboot; systemctl start cron")
    wait_until("cron's job runs", lambda: box.run(
        ["pgrep", "-u", "myself", "-f", "cron-ran"], check=False).stdout, 15)
    during = stage.chains()
    box.run(["crontab", "-u", "myself", "-r"])
    stage.line("a cron job of myself opens nothing", not during and not stage.chains(), during)
    box.shell("systemctl stop ssh cron; rm /etc/sudoers.d/lab-story")
