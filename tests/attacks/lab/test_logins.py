"""Ways to be the right user without a login at this workstation's screen and keyboard."""

import shlex

from tests.attacks.attempt import Seen, attack
from tests.attacks.lab.furnish import THIRD_MACHINE
from tests.attacks.lab.stage import SSH, Stage


@attack("He comes in by ssh and opens his console", threat=21, control=False)
def test_ssh_opens_nothing(stage: Stage) -> Seen:
    stage.nobody()
    stage.come_in(shlex.quote(stage.viewer()))
    return stage.reached("debianx")


@attack("He uses the workstation as ssh's jump host to his console", threat=13, control=False)
def test_ssh_forwards_nothing(stage: Stage) -> Seen:
    stage.nobody()
    stage.come_in("", "-W mysrv:20002")
    return stage.reached("debianx")


@attack("Logged in at the screen, he forwards his console to another machine with ssh -R",
        threat=13)
def test_ssh_takes_nothing_elsewhere(stage: Stage) -> Seen:
    stage.at_desk()
    stage.hold_elsewhere("mkdir -p /run/sshd; exec /usr/sbin/sshd -D -p 2222 "
                         f"-o ListenAddress={THIRD_MACHINE} -o PidFile=none", user=None)
    assert stage.listens_elsewhere(2222)
    stage.start(f"exec {SSH} -o ConnectTimeout=1 -N -R 7001:mysrv:20002 -p 2222 "
                f"guest@{THIRD_MACHINE} </dev/null")
    stage.afterwards("pkill -f 7001:mysrv:20002")
    if not stage.listens_elsewhere(7001):
        return Seen(False, "he did not reach the other machine")
    stage.run_elsewhere("nc -z -w 2 localhost 7001")
    return stage.reached("debianx", 1)


@attack("Somebody becomes him with su", threat=21, control=False)
def test_su_opens_nothing(stage: Stage) -> Seen:
    stage.nobody()
    stage.hold(f'su - myself -c "{stage.viewer()}"')
    return stage.reached("debianx")


@attack("An administrator becomes him with sudo -i", threat=21, control=False)
def test_sudo_i_opens_nothing(stage: Stage) -> Seen:
    stage.nobody()
    stage.hold(f"sudo -u myself -i sh -c {shlex.quote(stage.viewer())}")
    return stage.reached("debianx")


@attack("Logged in at the screen, he becomes his colleague with su, whose password he knows",
        threat=21, control=False)
def test_su_at_the_screen_opens_nothing_of_the_colleagues(stage: Stage) -> Seen:
    stage.at_desk()
    stage.box.write_file("/home/myself/.known", f"{stage.lab.passwords['mybro']}\n",
                         owner="myself:myself")
    stage.afterwards("rm ~myself/.known")
    stage.start(f"su - mybro -c {shlex.quote(stage.viewer('mybro'))} <~/.known")
    return stage.reached("leaptest")


@attack("A cron job of his opens his console", threat=21, control=False)
def test_a_cron_job_opens_nothing(stage: Stage) -> Seen:
    stage.nobody()
    # @reboot, so that nobody waits for the next minute.
    stage.box.run(["crontab", "-u", "myself", "-"], stdin=f"@reboot {stage.viewer()}\n")
    stage.afterwards("crontab -u myself -r; systemctl stop cron")
    stage.box.shell("rm -f /run/crond.reboot; systemctl restart cron")
    return stage.reached("debianx")


@attack("A job that he has left with at opens his console", threat=21, control=False)
def test_an_at_job_opens_nothing(stage: Stage) -> Seen:
    stage.nobody()
    stage.box.run(["systemctl", "restart", "atd"])
    stage.afterwards("systemctl stop atd")
    stage.box.run(["at", "now"], user="myself", stdin=stage.viewer())
    return stage.reached("debianx")


@attack("A service of his lingering systemd --user opens his console with nobody logged in",
        threat=21, control=False)
def test_a_lingering_user_service_opens_nothing(stage: Stage) -> Seen:
    stage.nobody()
    _linger(stage)
    stage.hold(f"systemd-run --quiet --machine=myself@.host --user "
               f"/bin/sh -c {shlex.quote(stage.viewer())}")
    return stage.reached("debianx")


@attack("From a lingering service he logs in with su, XDG_SEAT and XDG_VTNR set to those of the "
        "screen", control=False)
def test_a_seat_that_he_says_he_has_opens_nothing(stage: Stage) -> Seen:
    """Where the service is no session, su makes one, and pam_systemd believes the variables."""
    stage.nobody()
    _linger(stage)
    stage.box.write_file("/home/myself/.known", f"{stage.lab.passwords['myself']}\n",
                         owner="myself:myself")
    stage.afterwards("rm ~myself/.known")
    script = f"su myself -c {shlex.quote(stage.viewer())} <~/.known"
    stage.hold(f"systemd-run --quiet --machine=myself@.host --user -E XDG_SEAT=seat0 "
               f"-E XDG_VTNR=3 /bin/sh -c {shlex.quote(script)}")
    return stage.reached("debianx")


@attack("He logs in at a terminal that is none of the screen's: a serial line", control=False)
def test_a_login_without_a_seat_opens_nothing(stage: Stage) -> Seen:
    """The program is the same that asks at the screen, and so is its name for PAM."""
    stage.nobody()
    line = stage.hold("socat -t 20 - EXEC:/bin/login,pty,setsid,ctty,stderr")
    stage.answer(line, "login:", "myself")
    stage.answer(line, "Password:", stage.lab.passwords["myself"])
    stage.answer(line, "$ ", stage.viewer())
    return stage.reached("debianx")


@attack("He asks logind over D-Bus for a session at the screen, and opens his console",
        control=False)
def test_logind_makes_no_session_for_a_user(stage: Stage) -> Seen:
    stage.nobody()
    call = ("busctl call org.freedesktop.login1 /org/freedesktop/login1 "
            "org.freedesktop.login1.Manager CreateSession 'uusssssussbssa(sv)' 1021 $$ login "
            "tty user '' seat0 3 tty3 '' false '' '' 0")
    stage.come_in(shlex.quote(f"{call}; {stage.viewer()}"))
    return stage.reached("debianx")


@attack("A second account has his uid, with a password of its own: somebody logs in with that",
        threat=28, promised=False, control=False)
def test_a_second_name_of_a_uid_is_the_same_user(stage: Stage) -> Seen:
    stage.nobody()
    password = "not-his-own"
    stage.box.shell("useradd -o -u 1021 -g myself -d /home/myself -s /bin/bash twin; "
                    f"echo twin:{password} | chpasswd")
    stage.afterwards("sed -i /^twin:/d /etc/passwd /etc/shadow")
    stage.log_in_only("twin", 1, password)
    stage.start(stage.viewer())
    return stage.reached("debianx")


def _linger(stage: Stage) -> None:
    stage.box.run(["loginctl", "enable-linger", "myself"])
    stage.afterwards("loginctl disable-linger myself; systemctl stop user@1021.service")
    # One that a login has just left behind may still be about to end.
    stage.box.run(["systemctl", "start", "user@1021.service"])
