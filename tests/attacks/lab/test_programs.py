"""The right user at the screen, with a program of his own instead of the viewer."""

from tests.attacks.attempt import Seen, attack
from tests.attacks.lab.stage import SPARE_SCREEN, Stage, uri

_CA = "/etc/pam-spice/mysrv-ca.pem"


@attack("He logs in at the screen and opens his own console with a copy of the viewer in his home",
        threat=2, control=False)
def test_a_copy_of_the_viewer_gets_nowhere(stage: Stage) -> Seen:
    stage.at_desk()
    # Nobody but root and the group can read the viewer; he has it from the package.
    stage.box.shell("install -o myself -g myself -m 755 /usr/bin/remote-viewer ~myself/my-viewer")
    stage.afterwards("rm ~myself/my-viewer")
    stage.start(f"DISPLAY={SPARE_SCREEN} ~/my-viewer --spice-ca-file={_CA} -- {uri('debianx')}")
    return stage.reached("debianx")


@attack("He types nc at his own prompt, to his own console", threat=2, control=False)
def test_nc_gets_nowhere(stage: Stage) -> Seen:
    stage.at_desk()
    stage.type("nc -z -w 2 mysrv 20002")
    return stage.reached("debianx")


@attack("He opens his own console with spicy, another SPICE client", threat=2, control=False)
def test_another_client_gets_nowhere(stage: Stage) -> Seen:
    stage.at_desk()
    stage.start(f"DISPLAY={SPARE_SCREEN} spicy -h mysrv -s 20002 --spice-ca-file={_CA}")
    return stage.reached("debianx")


@attack("He gives a copy of nc in his home the viewer's group and the setgid bit with chgrp and "
        "chmod", control=False)
def test_he_cannot_make_a_program_setgid_to_the_viewers_group(stage: Stage) -> Seen:
    stage.at_desk()
    stage.afterwards("rm -f ~myself/my-nc")
    stage.type("cp /bin/nc.openbsd ~/my-nc; chgrp spicegrp ~/my-nc; chmod g+s ~/my-nc; "
               "~/my-nc -z -w 2 mysrv 20002")
    return stage.reached("debianx")


@attack("He starts socat as a relay to his console, and his colleague connects to it", threat=13,
        control=False)
def test_a_relay_of_his_gets_nowhere(stage: Stage) -> Seen:
    stage.at_desk()
    stage.start("socat TCP-LISTEN:7000,reuseaddr TCP:mysrv:20002")
    stage.wait_for_listener(7000)
    stage.box.run(["nc", "-z", "-w", "2", "localhost", "7000"], user="mybro", check=False)
    return stage.reached("debianx")
