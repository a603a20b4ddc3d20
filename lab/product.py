"""pam-spice itself, taken from the checkout and set up in the workstation."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from subprocess import CompletedProcess

from lab.door import call
from lab.errors import LabError
from lab.workstation import Workstation

CHECKOUT = Path(__file__).resolve().parent.parent
SOURCE = "/usr/src/pam-spice"
POLICY = "/etc/pam-spice/policy.yaml"
CA_FILE = "/etc/pam-spice/mysrv-ca.pem"
_NOT_PRODUCT = ("lab/", "tests/", ".ci/", "build/")


def put_checkout(workstation: Workstation) -> None:
    """Copy the product's files, edits that aren't committed too, to SOURCE: root's, read-only."""
    listed = call(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others"]
        + ["--exclude-standard"],
        cwd=CHECKOUT,
    ).stdout
    names = [name for name in listed.split("\0") if name and not name.startswith(_NOT_PRODUCT)]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name in sorted(names):
            # git lists a file that is deleted but not yet committed as such.
            if (CHECKOUT / name).is_file():
                tar.add(CHECKOUT / name, arcname=name, filter=_roots_and_read_only)
    workstation.run(["rm", "--recursive", "--force", SOURCE])
    workstation.unpack(packed.getvalue(), SOURCE)


def set_up(workstation: Workstation) -> CompletedProcess[str]:
    """Run the product's setup in the workstation. Raises LabError, with its output."""
    script = f"cd {SOURCE} && /usr/bin/python3 -m pam_spice setup"
    return workstation.shell(script, timeout=120)


def write_policy(workstation: Workstation, text: str) -> None:
    """Write the policy file, as an administrator's editor does: a new file takes the old one's
    place."""
    workstation.write_file(POLICY, text)


def put_ca(workstation: Workstation, ca_file: Path) -> None:
    """Give the workstation the certificate of the server's certificate authority."""
    text = ca_file.read_text()
    if "PRIVATE KEY" in text:
        raise LabError(f"{ca_file} holds a private key")
    workstation.write_file(CA_FILE, text)


def _roots_and_read_only(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mode = 0o555 if member.mode & 0o100 else 0o444
    return member
