"""What people do: log in, open their console, log out."""

from __future__ import annotations

import time

from lab import seat
from lab.desktop import Desktop
from lab.story.attempts import REFUSED
from lab.story.stage import MYBRO, MYSELF, WORKSTATION, Stage, policy


def _channels_seen(stage: Stage, console: str) -> str:
    return ", ".join(f"{channel.kind} from {channel.host}{' TLS' if channel.tls else ''}"
                     for channel in stage.lab.server.channels(console))


def _tell_channels(stage: Stage, console: str) -> None:
    channels = stage.lab.server.channels(console)
    stage.line(f"the server sees four TLS channels to {console}, all from the workstation",
               len(channels) == 4 and all(
                   channel.tls and channel.host.removeprefix("::ffff:") in WORKSTATION
                   for channel in channels),
               _channels_seen(stage, console))


def myself_opens_debianx(stage: Stage) -> None:
    """myself logs in at tty1 and opens debianx; leaptest stays closed to him, three times over"""
    stage.set_policy(policy(sudo_password=True))
    session = stage.lab.login("myself", 1)
    stage.line("his chain exists with the prompt", stage.chains() == {MYSELF},
               f"{session.seat} {session.tty} service {session.service}: {stage.chains()}")
    chain = stage.chain(MYSELF)
    stage.line("it holds debianx on both addresses and nothing else",
               chain.count("accept") == 2 and "dport 20002" in chain and "20004" not in chain,
               chain)
    desktop = stage.lab.desktop("myself", 1)
    ran = stage.lab.run_at("spice-open --list", 1)
    stage.line("spice-open --list names debianx and not leaptest",
               "debianx" in ran.text and "leaptest" not in ran.text, ran.text)
    ran = stage.lab.run_at("spice-open --print", 1)
    stage.line("spice-open --print is the one sudo line", "sudo" in ran.text, ran.text)
    _sudo_asks_for_his_own_password(stage, desktop)
    _tell_channels(stage, "debianx")
    time.sleep(1)  # for the guest's display to be drawn
    desktop.screenshot(stage.pictures / "myself-in-debianx.png")
    _leaptest_is_refused(stage)


def _sudo_asks_for_his_own_password(stage: Stage, desktop: Desktop) -> None:
    display = " ".join(f"{name}={value}" for name, value in desktop.env.items())
    seat.type_line(1, f"clear; {display} spice-open")
    said = seat.wait_for(1, r"password for myself:", 15)
    stage.line("spice-open greets and sudo asks for his own password", said, seat.screen(1))
    seat.type_line(1, stage.lab.passwords["myself"])
    desktop.answer_viewer_password(stage.lab.server.consoles["debianx"].password)
    stage.lab.server.wait_for_channels("debianx", 4)


def _leaptest_is_refused(stage: Stage) -> None:
    box = stage.lab.workstation
    # Other prompts of his: tty1 is busy with the console he has open.
    stage.lab.login("myself", 2)
    box.write_file("/home/myself/.password", f"{stage.lab.passwords['myself']}\n",
                   owner="myself:myself")
    ran = stage.lab.run_at(
        "sudo -S -g spicegrp -- /usr/lib/pam-spice/viewer "
        "--spice-ca-file=/etc/pam-spice/mysrv-ca.pem --title=leaptest -- "
        "'spice://mysrv?tls-port=20004' <~/.password", 2)
    stage.line("leaptest is refused by sudo, with his password",
               ran.status and "not allowed" in ran.text, ran.text)
    ran = stage.lab.run_at("spice-open leaptest", 2)
    stage.line("leaptest is refused by the launcher", ran.status == 1, ran.text)
    stage.keep_screen(2, "myself-refused-leaptest")
    got = stage.connect(MYSELF, 20004)
    stage.line("leaptest is refused by the kernel, even with the viewer's gid", got == REFUSED,
               got)
    stage.lab.logout(2)
    stage.line("one of his two sessions ended: chain and console stay",
               stage.chains() == {MYSELF} and len(stage.lab.server.channels("debianx")) == 4)


def mybro_waits_until_myself_has_left(stage: Stage) -> None:
    """mybro logs in while myself is there, and gets his console when myself has left"""
    stage.lab.login("myself", 1)
    stage.open_console(stage.lab.desktop("myself", 1), "debianx")
    stage.lab.login("mybro", 2)
    stage.line("mybro has no chain", stage.chains() == {MYSELF}, stage.chains())
    ran = stage.lab.run_at("spice-open", 2)
    stage.line("spice-open tells him why", ran.status == 1 and "myself" in ran.text, ran.text)
    stage.keep_screen(2, "mybro-waits")
    got = stage.connect(MYBRO, 20004)
    stage.line("the kernel refuses him", got == REFUSED, got)

    seat.switch_to(1)
    seat.type_line(1, "exit")
    seat.wait_for(1, r"login:$", 20)
    stage.soon("myself logged out with the viewer open: within a second QMP shows no channel and "
               "no socket is left on either side", lambda: stage.is_silent("debianx"))
    stage.line("his chain is gone, mybro has his own", stage.chains() == {MYBRO}, stage.chains())

    seat.switch_to(2)
    desktop = stage.lab.desktop("mybro", 2, display=11)
    stage.open_console(desktop, "leaptest")
    _tell_channels(stage, "leaptest")
    time.sleep(1)
    desktop.screenshot(stage.pictures / "mybro-in-leaptest.png")
    got = stage.connect(MYBRO, 20002)
    stage.line("and only leaptest: debianx is refused by the kernel", got == REFUSED, got)
    ran = stage.lab.run_at("spice-open debianx", 2)
    stage.line("and by the launcher", ran.status == 1, ran.text)
