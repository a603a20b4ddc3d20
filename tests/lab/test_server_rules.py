"""The server's own rules, made by `pam-spice server-rules` on the workstation: a third machine gets
in no more, and nobody gets in by way of it; the workstation does."""

import subprocess
from collections.abc import Callable, Iterator

import pytest

from lab.door import wait_until
from lab.network import THIRD_ADDRESSES
from lab.rootfs import HOSTNAME
from lab.story import Stage
from lab.story.stage import MYSELF, SERVER4, SERVER6, WORKSTATION, policy

PORT = 20002  # of the console that myself may reach
LISTED = f'workstations: {{{HOSTNAME}: [{WORKSTATION[0]}, "{WORKSTATION[1]}"]}}\n'
TUNNEL, SSH_PORT = 7002, 2222
_SSH = ("ssh -i /home/myself/.ssh/key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null "
        f"-o BatchMode=yes -p {SSH_PORT}").split()
_TLS = """\
import socket, ssl, sys
context = ssl.create_default_context(cafile="/etc/pam-spice/mysrv-ca.pem")
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), 4) as plain:
        with context.wrap_socket(plain, server_hostname="mysrv") as channel:
            print("in by", channel.version()[:3])
except OSError as error:
    print(type(error).__name__)
"""
IN = "in by TLS"


class Machines:
    """What is done on the workstation, on the third machine and on the server."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.box, self.server = stage.lab.workstation, stage.lab.server

    def on_third(self, *words: str) -> list[str]:
        """The command line that runs this there; it has the workstation's files and accounts."""
        command = self.box.enter(words)
        at = command.index("--all")
        command[at:at + 1] = ["--mount", "--uts", "--ipc", "--pid", "--cgroup",
                              f"--net=/run/netns/{self.stage.lab.network.third}"]
        return command

    def from_third(self, address: str, port: int = PORT) -> str:
        return self.stage.lab.server.run(  # which only starts it
            self.on_third("/usr/bin/python3", "-Ic", _TLS, address, str(port))).stdout.strip()

    def from_workstation(self, address: str, port: int = PORT) -> str:
        return self.box.run(
            ["setpriv", f"--reuid={MYSELF}", "--regid=spicegrp", "--clear-groups", "--",
             "/usr/bin/python3", "-Ic", _TLS, address, str(port)]).stdout.strip()

    def load(self) -> None:
        rules = self.box.run(["pam-spice", "server-rules", "mysrv"]).stdout
        path = "/run/pam-spice-lab/server.nft"
        with open(path, "w") as file:
            file.write(rules)
        self.server.run(["nft", "-f", path])


@pytest.fixture
def machines(stage: Stage) -> Iterator[Machines]:
    stage.reset()
    stage.set_policy(policy() + LISTED)
    found = Machines(stage)
    stage.lab.network.add_third()
    yield found
    found.server.run(["nft", "delete", "table", "inet", "pam_spice_server"], check=False)
    stage.lab.network.remove_third()


def test_a_third_machine_gets_in_no_more_nor_does_a_tunnel_through_it_and_the_workstation_does(
        stage: Stage, machines: Machines) -> None:
    box = machines.box
    stage.lab.login("myself", 1)
    box.shell("mkdir -p /run/sshd; install -d -m 700 -o myself -g myself /home/myself/.ssh; "
              "cd /home/myself/.ssh; test -f key || ssh-keygen -q -t ed25519 -N '' -f key; "
              "cp key.pub authorized_keys; chown -R myself:myself .")
    sshd = subprocess.Popen(machines.on_third(
        "setpriv", "--pdeathsig", "KILL", "--", "/usr/sbin/sshd", "-D", "-e",
        "-p", str(SSH_PORT), "-o", "PidFile=none"), stderr=subprocess.DEVNULL)
    tunnel = box.popen([*_SSH, "-N", "-L", f"{TUNNEL}:mysrv:{PORT}",
                        "-o", "ConnectionAttempts=20", f"myself@{THIRD_ADDRESSES[0]}"],
                       user="myself")
    try:
        wait_until("the tunnel", lambda: box.run(
            ["ss", "-Hltn", f"sport = :{TUNNEL}"]).stdout, 20)
        attempts: dict[str, Callable[[], str]] = {
            "workstation": lambda: machines.from_workstation(SERVER4),
            "workstation, IPv6": lambda: machines.from_workstation(SERVER6),
            "third": lambda: machines.from_third(SERVER4),
            "third, IPv6": lambda: machines.from_third(SERVER6),
            "tunnel": lambda: machines.from_workstation("127.0.0.1", TUNNEL)}
        assert {name: attempt() for name, attempt in attempts.items()} == dict.fromkeys(
            attempts, IN)
        stage.lab.kernel_denials("pam-spice server deny")
        machines.load()
        after = {name: attempt() for name, attempt in attempts.items()}
        denials = stage.lab.kernel_denials("pam-spice server deny")
    finally:
        for process in (tunnel, sshd):
            process.kill()
            process.wait()
    assert after == {"workstation": IN, "workstation, IPv6": IN,
                     "third": "ConnectionRefusedError", "third, IPv6": "ConnectionRefusedError",
                     # The far end of ssh was refused, and it closes the near one.
                     "tunnel": after["tunnel"]}
    assert after["tunnel"] in ("ConnectionResetError", "SSLEOFError", "SSLZeroReturnError")
    assert {line.partition(" SRC=")[2].split()[0] for line in denials} == {
        THIRD_ADDRESSES[0], "fd00:0000:0000:0000:0000:0000:0000:0003"}
    assert {line.partition(" DPT=")[2].split()[0] for line in denials} == {str(PORT)}
