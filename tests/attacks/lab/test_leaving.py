"""What is left over when a login ends."""

import time

from lab.door import wait_until
from tests.attacks.attempt import Seen, attack
from tests.attacks.lab.stage import SPARE_SCREEN, Stage


@attack("He logs out and leaves the viewer running, out of the reach of his shell", threat=22,
        control=False)
def test_a_viewer_that_is_left_is_cut_at_logout(stage: Stage) -> Seen:
    stage.at_desk()
    stage.open_console(f"setsid nohup {stage.viewer_words()}")
    stage.log_out(1)
    stage.forget_who_is_there()
    return stage.what_is_left("debianx")


@attack("He logs out and leaves a tmux behind, in which his console is opened", threat=22,
        control=False)
def test_a_tmux_that_is_left_opens_nothing(stage: Stage) -> Seen:
    stage.at_desk()
    stage.type("tmux new-session -d -s left")
    stage.log_out(1)
    stage.forget_who_is_there()
    time.sleep(0.2)
    stage.begin()
    stage.box.run(["tmux", "send-keys", "-t", "left", stage.viewer(), "Enter"], user="myself")
    return stage.reached("debianx")


@attack("He has the viewer started by his systemd --user, which lingers, and logs out", threat=22,
        control=False)
def test_a_viewer_of_a_lingering_service_is_cut_at_logout(stage: Stage) -> Seen:
    stage.box.run(["loginctl", "enable-linger", "myself"])
    stage.afterwards("loginctl disable-linger myself; systemctl stop user@1021.service")
    stage.at_desk()
    stage.open_console(f"systemd-run --quiet --user -E DISPLAY={SPARE_SCREEN} "
                       f"{stage.viewer_words()}")
    stage.log_out(1)
    stage.forget_who_is_there()
    return stage.what_is_left("debianx")


@attack("He logs in twice, leaves the first login and then the second, with the viewer running",
        threat=24, control=False)
def test_the_console_stays_until_the_last_login_ends(stage: Stage) -> Seen:
    stage.at_desk()
    stage.log_in("myself", 2)
    stage.open_console(f"setsid nohup {stage.viewer_words()}", tty=2)
    stage.log_out(1)
    time.sleep(0.5)
    assert stage.has_channels("debianx"), "his other login is still there"
    stage.log_out(2)
    stage.forget_who_is_there()
    return stage.what_is_left("debianx")


@attack("The login process is killed, so that nobody tells of the logout", threat=25, control=False)
def test_a_lost_logout_is_noticed(stage: Stage) -> Seen:
    stage.at_desk()
    stage.open_console(f"setsid nohup {stage.viewer_words()}")
    leader = stage.lab.session_at(1).leader
    stage.forget_who_is_there()
    stage.box.run(["kill", "-KILL", str(leader)])
    return stage.what_is_left("debianx")


@attack("The display manager crashes while his console is open", threat=25, control=False)
def test_a_crash_of_the_display_manager_is_noticed(stage: Stage) -> Seen:
    stage.nobody()
    stage.forget_who_is_there()
    graphical = stage.lab.graphical_login("myself", autologin=True)
    stage.afterwards("systemctl stop lightdm")
    graphical.start_program(f"env {stage.viewer()}")
    stage.answer_viewer("debianx")
    # systemd starts another one at once.
    manager = stage.box.run(
        ["systemctl", "show", "-P", "MainPID", "lightdm.service"]).stdout.strip()
    stage.box.run(["systemctl", "kill", "-s", "KILL", "--kill-whom=all", "lightdm.service"])
    wait_until("the display manager is gone", lambda: not stage.exists(f"/proc/{manager}"), 5)
    return stage.what_is_left("debianx")
