"""What PAM runs at login and logout, called by hand or led astray."""

import shlex

from tests.attacks.attempt import Seen, attack
from tests.attacks.lab import own_code
from tests.attacks.lab.stage import SSH, Stage

_HOOK = "/usr/lib/pam-spice/hook"
_COME_AND_GO = f"{SSH} myself@localhost true"
_ENVIRONMENT = "/home/myself/.pam_environment"
_ROOTS = "/home/myself/ran-as-0-0"


@attack("From ssh he calls the login hook by hand and through sudo, PAM's variables set as at the "
        "screen", 27, article=False, control=False)
def test_the_hook_called_by_hand_opens_nothing(stage: Stage) -> Seen:
    """Its own control: the same hook, called by PAM at a login at the screen, opens his console."""
    stage.at_desk()
    stage.start(stage.viewer())
    assert stage.reached("debianx").through
    stage.nobody()
    stage.end()
    stage.begin()
    given = ("PAM_USER=myself PAM_TYPE=open_session PAM_SERVICE=login PAM_TTY=/dev/tty1 "
             "XDG_SEAT=seat0 XDG_VTNR=1 XDG_SESSION_ID=1")
    stage.come_in(shlex.quote(f"export {given}; {_HOOK} open; {_HOOK}; {_HOOK} open close; "
                              f"sudo -n {_HOOK} open; {stage.viewer()}"))
    return stage.reached("debianx")


@attack("He writes LD_PRELOAD into ~/.pam_environment, which Debian's sshd reads, and comes in and "
        "leaves by ssh", 26, article=False, control=False)
def test_what_sshd_reads_from_his_home_runs_nothing_as_root(stage: Stage) -> Seen:
    """Its own control: with a program of root's in that stack, as a hook might be, it does."""
    stage.nobody()
    stage.start_ssh()
    stage.put_own_code()
    stage.box.write_file(_ENVIRONMENT, f"LD_PRELOAD DEFAULT={own_code.LIBRARY}\n",
                         owner="myself:myself")
    stage.afterwards(f"rm -f {_ENVIRONMENT}")
    stage.box.shell(_COME_AND_GO, user="myself")
    ran = stage.exists(_ROOTS)
    stage.box.shell("cp -p /etc/pam.d/sshd /etc/pam.d/.sshd; "
                    "echo 'session optional pam_exec.so /bin/true' >>/etc/pam.d/sshd")
    stage.afterwards("mv /etc/pam.d/.sshd /etc/pam.d/sshd")
    stage.box.shell(_COME_AND_GO, user="myself")
    assert stage.exists(_ROOTS), "the stock stack gives it to whatever root runs there"
    return Seen(ran, "his code ran as root" if ran else "none of his code ran as root")


@attack("The site lets users set the environment of console logins too, and he logs in with "
        "LD_PRELOAD there", 26, article=False, control=False)
def test_where_users_set_the_logins_environment_the_hook_is_taken_out(stage: Stage) -> Seen:
    """Its own control is the same attempt by ssh, where root's program in the stack ran his code.
    """
    stage.nobody()
    stage.put_own_code()
    stage.box.write_file(_ENVIRONMENT, f"LD_PRELOAD DEFAULT={own_code.LIBRARY}\n",
                         owner="myself:myself")
    stage.afterwards(f"rm -f {_ENVIRONMENT}")
    stage.box.shell("cp -p /etc/pam.d/login /etc/pam.d/.login; "
                    "sed -i 's/^@include common-session/session required pam_env.so "
                    "user_readenv=1\\n&/' /etc/pam.d/login; pam-spice reconcile")
    stage.afterwards("mv /etc/pam.d/.login /etc/pam.d/login; pam-spice reconcile")
    stage.lab.login("myself", 1)
    stage.forget_who_is_there()
    ran = stage.exists(_ROOTS)
    return Seen(ran, "his code ran as root" if ran else "none of his code ran as root")
