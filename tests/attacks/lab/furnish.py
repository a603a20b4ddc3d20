"""The three workstations: one with nothing, one with the article's setup, one with pam-spice."""

from __future__ import annotations

from pathlib import Path

from lab import product
from lab.lab import Lab
from lab.network import SERVER_ADDRESSES, SERVER_LINK, WORKSTATION_LINK
from lab.story.stage import policy
from tests.attacks import article
from tests.attacks.attempt import ARTICLE, NOTHING, PAM_SPICE

PLACE = article.Place()
THIRD_MACHINE = "192.168.2.3"
ADMINS_MACHINE = "192.168.44.12"
"""The one from which the article's firewall lets ssh in."""

ARTICLES_LAUNCHER = "/usr/local/bin/start_vm"
# As openSUSE ships it, and as the article found it: everybody may do everything. There the target
# user's password is asked for; that he knows it is taken for granted.
_SUDO_FOR_ALL = "ALL ALL=(ALL:ALL) NOPASSWD: ALL\n"


def furnish(lab: Lab, setup: str) -> None:
    """Make a workstation as it comes from the lab, without pam-spice, the one of that setup.

    Raises LabError.
    """
    # One key opens every account: who has it is the one who attacks.
    lab.workstation.shell(
        "mkdir -p /run/sshd; ssh-keygen -q -t ed25519 -N '' -f /root/key; "
        "for user in myself mybro guest; do "
        "install -D -m 600 /root/key /home/$user/.ssh/key; "
        "cp /root/key.pub /home/$user/.ssh/authorized_keys; "
        "chown -R $user:$user /home/$user/.ssh; done")
    lab.server.run(["ip", "address", "replace", f"{THIRD_MACHINE}/24", "dev", SERVER_LINK])
    lab.server.run(["ip", "address", "replace", f"{ADMINS_MACHINE}/32", "dev", SERVER_LINK])
    lab.workstation.run(["ip", "route", "replace", ADMINS_MACHINE, "dev", WORKSTATION_LINK])
    {NOTHING: _nothing, ARTICLE: _article, PAM_SPICE: _pam_spice}[setup](lab)


def _nothing(lab: Lab) -> None:
    lab.workstation.run(["groupadd", "--system", article.VIEWER_GROUP])
    lab.workstation.write_file("/etc/sudoers.d/everybody", _SUDO_FOR_ALL, mode=0o440)
    _trust_server(lab)


def _article(lab: Lab) -> None:
    box = lab.workstation
    box.run(["groupadd", "--system", article.VIEWER_GROUP])
    box.run(["chown", f"root:{article.VIEWER_GROUP}", article.VIEWER])
    box.run(["chmod", f"{article.VIEWER_MODE:o}", article.VIEWER])
    box.write_file("/etc/sudoers", article.sudoers(PLACE), mode=0o440)
    box.write_file(ARTICLES_LAUNCHER, article.launcher(PLACE), mode=article.LAUNCHER_MODE)
    box.write_file(article.SCRIPT, article.firewall(PLACE), mode=0o755)
    box.write_file("/etc/systemd/system/fw.service", article.boot_unit())
    box.run(["systemctl", "enable", "--now", "fw.service"])
    # The article's server has an IPv4 address alone.
    hosts = box.read_file("/etc/hosts").replace(f"{SERVER_ADDRESSES[1][0]} mysrv\n", "")
    box.write_file("/etc/hosts", hosts)
    _trust_server(lab)


def _pam_spice(lab: Lab) -> None:
    product.write_policy(lab.workstation, policy())
    lab.install()


def _trust_server(lab: Lab) -> None:
    """Where the viewer looks for a CA when its command line names none (spice-gtk)."""
    text = Path(lab.server.ca_file).read_text()
    for user in ("myself", "mybro"):
        lab.workstation.write_file(f"/home/{user}/.spicec/spice_truststore.pem", text,
                                   owner=f"{user}:{user}")
