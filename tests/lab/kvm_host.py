"""The lab's server as an administrator meets it: root's ssh, nft, and libvirt with two domains.

It is the server's network namespace, with processes and mounts of its own. Its programs and files
are this machine's, but for sshd, which is that of the lab's root file system; what is written to
its /etc and /var is gone with it. Its domains have 16 MiB and no disk: libvirt, QEMU, SPICE and TLS
are real, and what would run in them doesn't matter here.
"""

import shlex
import subprocess
import tempfile
from pathlib import Path
from subprocess import CompletedProcess

from lab.door import call, wait_until
from lab.lab import Lab
from lab.pki import make_pki
from lab.rootfs import rootfs
from lab.server import HOSTS

NAMES = ("mysrv", "mysrv.example")
_ADDRESS = "192.168.2.2"

# Started as PID 1 of the server: what it starts ends with it. It stays bash, which reaps whom
# nobody else does: libvirtd asks QEMU what it can by one that goes into the background, and waits
# until that is gone. (Where the machine's /var/cache/libvirt has the answer it does not ask.)
_BOOT = """\
set -eu
work=$1 pki=$2 newer=$3 sshd=$4 key=$5
mount -t tmpfs tmpfs "$work"
for name in etc var/lib var/cache var/log; do
    mkdir -p "$work/$name/upper" "$work/$name/work"
    mount -t overlay -o "lowerdir=/$name,upperdir=$work/$name/upper,workdir=$work/$name/work" \
        overlay "/$name"
done
mkdir -p /etc/pki/qemu /etc/libvirt
cp "$pki/ca-cert.pem" "$pki/server-cert.pem" "$pki/server-key.pem" /etc/pki/qemu/
cp "$newer/ca-cert.pem" /etc/pki/qemu/new-ca-cert.pem
cp "$work.qemu.conf" /etc/libvirt/qemu.conf
mount -t tmpfs tmpfs /run
mount -t tmpfs -o mode=700 tmpfs /root
mkdir -p /run/sshd /root/.ssh
echo "$key" >/root/.ssh/authorized_keys
cp "$work.host-key" /run/sshd/host-key
chmod 600 /run/sshd/host-key
for user in sshd libvirt-qemu; do
    getent passwd "$user" >/dev/null || useradd --system --user-group --home-dir /run "$user"
done
LD_LIBRARY_PATH="$sshd/usr/lib/x86_64-linux-gnu" "$sshd/usr/sbin/sshd" -f /dev/null \
    -h /run/sshd/host-key -o UsePAM=no -o 'Subsystem=sftp internal-sftp'
libvirtd &
wait
"""

# Of libvirt's qemu.conf, beside what docs/server.md writes: this machine has neither security
# drivers nor control groups for it, and no virtlogd.
_QEMU_CONF = """\
user = "root"
group = "root"
security_driver = "none"
namespaces = []
cgroup_controllers = []
stdio_handler = "file"
"""

_DOMAIN = """\
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>16</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    <video><model type='qxl'/></video>
    {graphics}
  </devices>
</domain>
"""


# A SPICE client as far as its password goes: port and password are the arguments, the server's
# answer is printed, 0 for yes. It names no capabilities, so it is the password that is asked for,
# encrypted with a key that the server sends.
_LINK = """\
import socket, ssl, struct, subprocess, sys, tempfile
context = ssl.create_default_context(cafile="/etc/pki/qemu/ca-cert.pem")
with socket.create_connection(("192.168.2.2", int(sys.argv[1])), 5) as plain:
    with context.wrap_socket(plain, server_hostname="mysrv") as channel:
        stream = channel.makefile("rwb")
        stream.write(b"REDQ" + struct.pack("<IIIIBBIII", 2, 2, 18, 0, 1, 0, 0, 0, 18))
        stream.flush()
        reply = stream.read(struct.unpack("<4sIII", stream.read(16))[3])
        with tempfile.NamedTemporaryFile() as key:
            key.write(reply[4:166])
            key.flush()
            stream.write(subprocess.run(
                ["openssl", "pkeyutl", "-encrypt", "-pubin", "-keyform", "DER", "-inkey", key.name,
                 "-pkeyopt", "rsa_padding_mode:oaep"], input=sys.argv[2].encode() + b"\\0",
                stdout=subprocess.PIPE, check=True).stdout)
        stream.flush()
        print(struct.unpack("<I", stream.read(4))[0])
"""
_YES, _PERMISSION_DENIED = "0", "7"


class KvmHost:
    """The running server; `stop` ends all of it."""

    def __init__(self, lab: Lab, qemu_conf: str, directory: Path) -> None:
        """Start it, in `directory`. The workstation's root may log in there."""
        self._domains: list[str] = []
        box = lab.workstation
        box.shell("mkdir -p -m 700 /root/.ssh; cd /root/.ssh; test -f id_ed25519 || "
                  "ssh-keygen -q -t ed25519 -N '' -f id_ed25519")
        key = box.read_file("/root/.ssh/id_ed25519.pub").strip()
        work = directory / "server"
        work.mkdir()
        call(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{work}.host-key"])
        host_key = Path(f"{work}.host-key.pub").read_text().strip()
        # Else ssh would ask whether it is the right one.
        box.write_file("/etc/ssh/ssh_known_hosts",
                       "".join(f"{name} {host_key}\n" for name in (*NAMES, "front-2")))
        Path(f"{work}.qemu.conf").write_text(_QEMU_CONF + qemu_conf)
        make_pki(directory / "newer", HOSTS, [_ADDRESS])
        log = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{lab.server.namespace}", "--",
             "setpriv", "--pdeathsig", "KILL", "--",
             "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
             "--propagation", "private", "--", "/bin/bash", "-c", _BOOT, "boot", str(work),
             str(lab.server.ca_file.parent), str(directory / "newer"), str(rootfs()), key],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self._log = log

    def wait_until_up(self) -> None:
        """Raises LabTimeout."""
        wait_until("the server's libvirt", lambda: self._first() and not self.run(
            "virsh list", check=False).returncode, 30, 0.2)

    def _first(self) -> str:
        """Its PID 1, as the machine counts; "" while there is none."""
        path = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        if self._process.poll() is not None:
            self._log.seek(0)
            raise AssertionError(self._log.read().decode())
        return path.read_text().split()[0] if path.read_text() else ""

    def run(self, script: str, *, check: bool = True, stdin: str | None = None,
            ) -> CompletedProcess[str]:
        """A command of root's there, in his home. Raises LabError."""
        return call(["nsenter", f"--target={self._first()}", "--mount", "--net", "--pid", "--",
                     "/bin/bash", "-c", f"cd /root; {script}"], check=check, stdin=stdin)

    def write_file(self, path: str, text: str) -> None:
        """Write a file there."""
        self.run(f"cat >{shlex.quote(path)}", stdin=text)

    def define(self, name: str, graphics: str, *, start: bool) -> None:
        """Make a domain with that element."""
        self.write_file("/run/domain.xml", _DOMAIN.format(name=name, graphics=graphics))
        self.run("virsh define /run/domain.xml" + (f"; virsh start {name}" if start else ""))

    def takes(self, password: str, port: int = 20001) -> bool:
        """Whether a console lets a SPICE client in with that password."""
        client = ["/usr/bin/python3", "-Ic", _LINK, str(port), password]
        answer = self.run(shlex.join(client)).stdout.strip()
        assert answer in (_YES, _PERMISSION_DENIED), answer
        return answer == _YES

    def stop(self) -> None:
        """End its PID 1, and with it everything."""
        self._process.kill()
        self._process.wait()
        self._log.close()
