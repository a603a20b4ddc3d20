"""The administrator's work, and bad luck, while people have their consoles."""

from tests.attacks import article
from tests.attacks.attempt import Seen, attack
from tests.attacks.lab.furnish import PLACE
from tests.attacks.lab.stage import Stage


@attack("The administrator takes his console back while he looks at it", 35,
        control=False)
def test_a_console_taken_back_is_cut_at_once(stage: Stage) -> Seen:
    stage.at_desk()
    stage.open_console()
    if stage.is_ours:
        stage.box.run(["pam-spice", "revoke", "myself"])
        stage.afterwards("pam-spice revoke myself --lift")
    else:
        # In the hand-made setup: without his rule, and the script run again.
        without = article.firewall(PLACE).replace("-m owner --uid-owner 1021 -j Spice_VM_1",
                                                  "-m owner --uid-owner 1021 -j RETURN")
        stage.box.run(["sh"], stdin=without)
        stage.afterwards(article.SCRIPT)
    stage.forget_who_is_there()
    return stage.what_is_left("debianx")


@attack("The viewer's package is installed again, and he starts the viewer without sudo", 42,
        control=False)
def test_an_update_of_the_viewer_keeps_it_closed(stage: Stage) -> Seen:
    stage.at_desk()
    stage.install_package("virt-viewer")
    ran = stage.type("remote-viewer --version")
    started = "version" in ran.text
    return Seen(started, "he could start the viewer himself" if started
                else "the viewer stayed closed to him")


@attack("logind and D-Bus are down while he logs in, so nobody can tell who is here", 50,
        control=False)
def test_without_logind_nothing_opens(stage: Stage) -> Seen:
    stage.nobody()
    stage.box.run(["systemctl", "mask", "--runtime", "--now", "systemd-logind.service"])
    stage.afterwards("systemctl unmask --runtime systemd-logind.service; "
                     "systemctl restart systemd-logind.service; pkill -KILL -u myself; "
                     "systemctl restart getty@tty1")
    stage.log_in_only("myself", 1)
    stage.start(stage.viewer())
    return stage.reached("debianx")


@attack("He logs in while the system's Python is half upgraded", 51, control=False)
def test_with_half_a_python_nothing_opens(stage: Stage) -> Seen:
    stage.nobody()
    stage.box.shell("cd /usr/lib/python3.11; mv encodings encodings.new")
    stage.afterwards("cd /usr/lib/python3.11; mv encodings.new encodings")
    stage.lab.login("myself", 1)
    stage.forget_who_is_there()
    stage.start(stage.viewer())
    return stage.reached("debianx", 1, otherwise="he logged in, and the viewer was not started")
