"""What is asked of sudo beside the one line that it allows."""

from tests.attacks.attempt import Seen, attack
from tests.attacks.lab.stage import SPARE_SCREEN, Stage

_REFUSED = "sudo started nothing"


@attack("He asks sudo for the viewer with his colleague's console", threat=3)
def test_sudo_does_not_start_the_viewer_for_another_console(stage: Stage) -> Seen:
    stage.at_desk()
    stage.start(f"DISPLAY={SPARE_SCREEN} {stage.sudo(console='leaptest')}")
    return stage.reached("leaptest")


@attack("He writes another character in the place of the ? in the console's address", threat=5,
        control=False)
def test_a_question_mark_in_sudoers_is_no_wildcard(stage: Stage) -> Seen:
    stage.at_desk()
    line = stage.sudo().replace("?", "/")
    stage.start(f"DISPLAY={SPARE_SCREEN} {line}")
    return stage.viewer_runs("spice://mysrv/tls-port=20002")


@attack("He adds an argument that makes the viewer load a module of his", threat=5)
def test_sudo_allows_no_further_argument(stage: Stage) -> Seen:
    stage.at_desk()
    stage.put_own_code()
    stage.start(f"DISPLAY={SPARE_SCREEN} "
                f"{stage.sudo(arguments='--gtk-module=/home/myself/own.so')}")
    return stage.own_code_ran()


@attack("He gives the viewer a connection file with his colleague's console", threat=5)
def test_sudo_allows_no_connection_file(stage: Stage) -> Seen:
    stage.at_desk()
    stage.box.write_file("/home/myself/own.vv", "[virt-viewer]\ntype=spice\nhost=mysrv\n"
                         "tls-port=20004\n", owner="myself:myself")
    stage.afterwards("rm ~myself/own.vv")
    line = stage.sudo().partition(" -- ")[0]
    stage.start(f"DISPLAY={SPARE_SCREEN} {line} -- ~/own.vv")
    return stage.reached("leaptest")


@attack("He asks sudo to run the viewer as his colleague, for whom the console is", threat=5)
def test_sudo_does_not_run_the_viewer_as_another_user(stage: Stage) -> Seen:
    stage.at_desk()
    stage.start(f"DISPLAY={SPARE_SCREEN} {stage.sudo(user='mybro', runas='mybro')}")
    return stage.reached("leaptest")


@attack("He asks sudo to run the viewer as root", threat=5)
def test_sudo_does_not_run_the_viewer_as_root(stage: Stage) -> Seen:
    stage.at_desk()
    stage.start(f"DISPLAY={SPARE_SCREEN} {stage.sudo(runas='root')}")
    return stage.reached("debianx")


@attack("He asks sudo for a shell with the viewer's group, and types nc in it")
def test_sudo_gives_no_shell_with_the_viewers_group(stage: Stage) -> Seen:
    stage.at_desk()
    stage.type("sudo -n -g spicegrp -s -- nc -z -w 2 mysrv 20004")
    return stage.reached("leaptest", 0, otherwise=_REFUSED)


@attack("He names a program of his like the viewer, and asks sudo for that one")
def test_a_program_named_like_the_viewer_is_not_started(stage: Stage) -> Seen:
    stage.at_desk()
    name = "viewer" if stage.is_ours else "remote-viewer"
    stage.box.write_file(f"/home/myself/{name}", "#!/bin/sh\nnc -z -w 2 mysrv 20004\n",
                         mode=0o755, owner="myself:myself")
    stage.afterwards(f"rm ~myself/{name}")
    stage.type(stage.sudo(program=f"/home/myself/{name}"))
    return stage.reached("leaptest", 0, otherwise=_REFUSED)


@attack("He asks sudo to let him edit a file that belongs to the viewer's group")
def test_sudoedit_gives_nobody_the_viewers_group(stage: Stage) -> Seen:
    stage.at_desk()
    stage.box.shell("install -m 660 -o root -g spicegrp /dev/null /srv/viewers")
    stage.afterwards("rm -f /srv/viewers")
    stage.box.write_file("/home/myself/editor", "#!/bin/sh\necho written >\"$1\"\n", mode=0o755,
                         owner="myself:myself")
    stage.type("SUDO_EDITOR=~/editor sudoedit -n -u myself -g spicegrp /srv/viewers")
    written = "written" in stage.box.read_file("/srv/viewers")
    return Seen(written, "the group's file was written" if written else _REFUSED)


@attack("He asks newgrp's like, sg, for the viewer's group, which has no password and no members",
        threat=11)
def test_sg_gives_nobody_the_viewers_group(stage: Stage) -> Seen:
    """Where nothing protects, the group has him as a member."""
    stage.at_desk()
    if not (stage.is_ours or stage.is_article):
        stage.box.run(["gpasswd", "-a", "myself", "spicegrp"])
        stage.afterwards("gpasswd -d myself spicegrp")
    stage.type_and_answer("sg spicegrp -c 'touch ~/made-in-group'", "Password:", "")
    stage.afterwards("rm -f ~myself/made-in-group")
    made = stage.box.run(["stat", "-c", "%G", "/home/myself/made-in-group"], check=False).stdout
    got = made.strip() == "spicegrp"
    return Seen(got, "a process of his had the viewer's group" if got
                else "no process of his had the viewer's group")


@attack("The administrator has once made him a member of the viewer's group: sg, then nc to his "
        "own console", threat=11, control=False)
def test_a_member_of_the_viewers_group_gets_nowhere(stage: Stage) -> Seen:
    """He is made one while he is logged in: sg asks the list of members each time."""
    stage.at_desk()
    _notice(stage)
    stage.box.run(["gpasswd", "-a", "myself", "spicegrp"])
    stage.afterwards("gpasswd -d myself spicegrp")
    _reconcile(stage)
    stage.type("sg spicegrp -c 'nc -z -w 2 mysrv 20002'")
    return stage.reached("debianx")


@attack("The viewer's group has got a password, which he knows: sg, then nc to his own console",
        threat=11, control=False)
def test_with_a_password_on_the_viewers_group_nothing_opens(stage: Stage) -> Seen:
    stage.at_desk()
    _notice(stage)
    stage.box.shell("cp -p /etc/gshadow /etc/.gshadow; "
                    "echo spicegrp:known | chgpasswd -c SHA256")
    stage.afterwards("mv /etc/.gshadow /etc/gshadow")
    _reconcile(stage)
    stage.type_and_answer("sg spicegrp -c 'nc -z -w 2 mysrv 20002'", "Password:", "known")
    return stage.reached("debianx")


def _notice(stage: Stage) -> None:
    if stage.is_ours:
        stage.afterwards("pam-spice reconcile")


def _reconcile(stage: Stage) -> None:
    """What the timer does every minute."""
    if stage.is_ours:
        stage.box.run(["pam-spice", "reconcile"])
