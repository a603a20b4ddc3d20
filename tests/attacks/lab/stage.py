"""A workstation of the lab furnished with one setup, and the gestures of who attacks it."""

from __future__ import annotations

import os
import select
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

from lab import seat
from lab.desktop import Desktop, Screen
from lab.door import CLEAN_ENV, wait_until
from lab.errors import LabTimeout
from lab.kernel_log import KernelLog
from lab.lab import Lab, Session
from lab.network import SERVER_ADDRESSES, WORKSTATION_ADDRESSES
from lab.rootfs import cache_dir
from lab.server import HOST, PORTS
from lab.workstation import Workstation
from tests.attacks import article
from tests.attacks.attempt import ARTICLE, NOTHING, PAM_SPICE, Seen
from tests.attacks.lab import own_code
from tests.attacks.lab.furnish import ADMINS_MACHINE, THIRD_MACHINE, furnish
from tests.attacks.lab.witness import Witness

UIDS = {"myself": 1021, "mybro": 1022}
CONSOLES = {"myself": "debianx", "mybro": "leaptest"}
SERVER4 = SERVER_ADDRESSES[0][0]
WORKSTATION4 = WORKSTATION_ADDRESSES[0]
SSH = ("ssh -i ~/.ssh/key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null "
       "-o LogLevel=ERROR -o BatchMode=yes")
SPARE_SCREEN = ":20"
"""An X screen of nobody's login, open to all: what is tried without a desktop needs one."""

_OURS = {ip_address(address) for address in WORKSTATION_ADDRESSES}
_DISPLAYS = {"myself": 10, "mybro": 11}
_PATIENCE = 15.0
_MOMENT = 1.5
"""Seconds within which a connection has to be gone from the server."""

_SUDO = "sudo refused"
_NO_MORE = 0.3
"""Seconds in which a viewer that was refused once may get through another way."""


class Stage:
    """One setup's workstation. Each attempt begins with ``begin`` and ends with ``end``."""

    def __init__(self, lab: Lab, setup: str, witness: Witness) -> None:
        self.lab = lab
        self.setup = setup
        self.box: Workstation = lab.workstation
        self._witness = witness
        self._log = KernelLog()
        self._at: dict[int, tuple[str, Desktop]] = {}
        self._is_known = True
        self._afterwards: list[str] = []
        furnish(lab, setup)
        self.viewers_gid = int(self.box.run(
            ["getent", "group", article.VIEWER_GROUP]).stdout.split(":")[2])
        self.spare = Screen(self.box, "root", int(SPARE_SCREEN[1:]), "/nonexistent")
        self._held: list[subprocess.Popen[str]] = []
        self.box.run(["systemd-run", "--quiet", "--unit=spare-screen", "Xvfb", SPARE_SCREEN,
                      "-screen", "0", "1024x768x24", "-noreset", "-nolisten", "tcp", "-ac"])

    @property
    def is_ours(self) -> bool:
        """Whether the workstation is pam-spice's."""
        return self.setup == PAM_SPICE

    @property
    def is_article(self) -> bool:
        """Whether it is the article's."""
        return self.setup == ARTICLE

    def begin(self) -> None:
        """What was seen until now is no part of the next attempt."""
        self._log = KernelLog()
        self._witness.forget()

    def afterwards(self, script: str) -> None:
        """Have a script run as root when the attempt is over, however it ends."""
        self._afterwards.append(script)

    def end(self) -> None:
        """Leave nothing of the attempt: what it started ends, what it changed is put back."""
        for process in self._held:
            # Its children hold the other ends of its pipes: nobody reads what is left in them.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
        self._held.clear()
        viewers = ("pkill -KILL -x 'remote-viewer|spicy|my-viewer'; "
                   "rm -f /home/*/.started.log")
        scripts = [viewers, *reversed(self._afterwards)]
        self._afterwards.clear()
        self.box.shell("\n".join(scripts), check=False)

    # Who is there

    def at_desk(self, user: str = "myself", tty: int = 1) -> Desktop:
        """The desktop of a user who has logged in at the terminal; nobody else has."""
        if not self._is_known or self._at.keys() != {tty} or self._at[tty][0] != user:
            self.nobody()
            self.log_in(user, tty)
        seat.switch_to(tty)
        return self._at[tty][1]

    def log_in(self, user: str, tty: int) -> Session:
        """Log in at a terminal beside whoever is there, and start a desktop."""
        session = self.lab.login(user, tty)
        self._at[tty] = (user, self.lab.desktop(user, tty, _DISPLAYS[user] + 10 * tty))
        return session

    def log_in_only(self, name: str, tty: int, password: str | None = None) -> None:
        """Log in at a terminal; logind is not asked what came of it, and there is no desktop."""
        seat.login(tty, name, password or self.lab.passwords[name])
        self.forget_who_is_there()

    def log_out(self, tty: int) -> None:
        """Leave the shell at a terminal, with all that was started there left running."""
        self.lab.logout(tty)
        self._at.pop(tty, None)

    def forget_who_is_there(self) -> None:
        """Logins were ended or changed by hand: the next attempt begins with new ones."""
        self._is_known = False

    def nobody(self) -> None:
        """End every login, and every process of the users."""
        if self._is_known and not self._at:
            return
        users = ",".join(map(str, UIDS.values()))
        self.box.shell(
            f"loginctl list-sessions --no-legend | while read id uid rest; do "
            f"case $uid in {'|'.join(map(str, UIDS.values()))}) "
            f"loginctl kill-session $id -s KILL;; esac; done; pkill -KILL -u {users}; true")
        wait_until("everybody is gone", lambda: not [
            each for each in self.lab.sessions() if each.class_ == "user"], 20)
        self.lab.renew_prompts()
        self._at.clear()
        self._is_known = True

    def type(self, command: str, tty: int = 1, timeout: float = 20) -> seat.Ran:
        """Type a command at a terminal's prompt, and wait for its end. Raises LabTimeout."""
        try:
            return self.lab.run_at(command, tty, timeout)
        except LabTimeout:
            self.forget_who_is_there()
            raise

    def type_and_answer(self, command: str, question: str, answer: str, tty: int = 1) -> None:
        """The same, for a command that may ask something. Raises LabTimeout."""
        seat.wait_for(tty, r"[$#]$")
        # What is typed doesn't match the pattern for its end.
        seat.type_line(tty, f"clear; {command}; printf 'over%s\\n' :")
        over = r"over:\n.*[$#]$"
        if seat.wait_for(tty, rf"({question}$|{over})")[0] == question:
            seat.type_line(tty, answer)
            seat.wait_for(tty, over)

    def answer(self, process: subprocess.Popen[str], question: str, answer: str,
               timeout: float = 10) -> None:
        """Wait until a held program asks, and answer. Raises LabTimeout."""
        self.wait_for_word(process, question, timeout)
        assert process.stdin is not None
        process.stdin.write(f"{answer}\n")
        process.stdin.flush()

    def wait_for_word(self, process: subprocess.Popen[str], word: str,
                      timeout: float = 10) -> None:
        """Wait until a held program says it. Raises LabTimeout."""
        assert process.stdout is not None
        end = time.monotonic() + timeout
        said = ""
        while word not in said:
            ready, _, _ = select.select([process.stdout], [], [], max(0, end - time.monotonic()))
            more = os.read(process.stdout.fileno(), 4096) if ready else b""
            if not more:
                raise LabTimeout(f"not within {timeout} s: {word!r}; it said {said!r}")
            said += more.decode(errors="replace")

    # Ways to a console

    def viewer(self, user: str = "myself", *, display: str = SPARE_SCREEN) -> str:
        """What a user types to open his own console, as his setup allows it."""
        return f"DISPLAY={display} {self.viewer_words(user)}"

    def viewer_words(self, user: str = "myself") -> str:
        """The same without its screen."""
        return (f"{article.VIEWER} -- {uri(CONSOLES[user])}" if self.setup == NOTHING
                else self.sudo(user=user))

    def sudo(self, options: str = "", *, user: str = "myself", console: str | None = None,
             program: str | None = None, arguments: str = "", runas: str = "") -> str:
        """The setup's own sudo line for the viewer, with more options of sudo, another program,
        more arguments before the viewer's own, or another user to run it as."""
        console = console or CONSOLES[user]
        if self.is_ours:
            words = ["sudo -n", f"-u {runas}" if runas else "", "-g", article.VIEWER_GROUP, options,
                     program or "/usr/lib/pam-spice/viewer",
                     "--spice-ca-file=/etc/pam-spice/mysrv-ca.pem", f"--title={console}", arguments,
                     "--", uri(console)]
        else:
            words = ["sudo -n -u", runas or user, "-g", article.VIEWER_GROUP, options,
                     program or article.VIEWER, arguments, "--", uri(console)]
        return " ".join(word for word in words if word)

    def open_console(self, command: str | None = None, user: str = "myself", tty: int = 1) -> None:
        """Open a user's console on the screen that is nobody's, with its password. Raises
        LabTimeout when the server doesn't have the viewer's four channels."""
        command = command or self.viewer_words(user)
        self.start(f"DISPLAY={SPARE_SCREEN} {command}", tty)
        self.answer_viewer(CONSOLES[user])

    def answer_viewer(self, console: str) -> None:
        """Type the console's password into the viewer, and wait for its channels."""
        window = self.spare.wait_for_window("Authentication required|assword", 10)
        self.spare.run(["xdotool", "windowfocus", "--sync", window])
        self.spare.type_text(self.lab.server.consoles[console].password)
        self.spare.key("Return")
        self.lab.server.wait_for_channels(console, 4, 10)

    def start(self, command: str, tty: int = 1) -> None:
        """Type a command at a terminal's prompt that stays in the background."""
        self.type(f"{{ {command}; }} >~/.started.log 2>&1 &", tty)

    def hold(self, script: str, user: str | None = None) -> subprocess.Popen[str]:
        """Keep a script running outside of any login until the attempt is over."""
        process = self.box.popen(["/bin/bash", "-c", script], user=user)
        self._held.append(process)
        return process

    def wait_for_listener(self, port: int) -> None:
        """Wait until something listens on the workstation. Raises LabTimeout."""
        wait_until(f"a listener on {port}", lambda: self.box.run(
            ["ss", "-Hltn", f"sport = :{port}"]).stdout, 5)

    def relay_of_a_third_machine(self, port: int, console: str) -> None:
        """Start a relay to a console at another address of the wire than the server's."""
        space = f"/run/netns/{self.lab.server.namespace}"
        relay = subprocess.Popen(
            ["nsenter", f"--net={space}", "--", sys.executable, "-I",
             Path(__file__).with_name("relay.py"), THIRD_MACHINE, str(port), SERVER4,
             str(PORTS[console])],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True)
        self._held.append(relay)
        self.wait_for_word(relay, "ready")

    def install_package(self, name: str) -> None:
        """Install a Debian package again, as an update does; its file is in the lab's cache."""
        file = next((cache_dir() / "debs").glob(f"{name}_*.deb"))
        self.box.copy_in(file, f"/root/{name}.deb")
        self.box.run(["dpkg", "--install", f"/root/{name}.deb"])

    def start_ssh(self) -> None:
        """Let people come in by ssh until the attempt is over."""
        self.box.run(["systemctl", "start", "ssh"])
        self.afterwards("systemctl stop ssh")

    def come_in(self, command: str, options: str = "", *, screen: str = "") -> None:
        """Have myself come in by ssh from the administrator's machine, and run a command. There he
        may have a screen."""
        self.start_ssh()
        own = f"DISPLAY={screen} " if screen else ""
        self.hold_elsewhere(
            f"{own}{SSH} -b {ADMINS_MACHINE} {options} myself@{WORKSTATION4} {command}")

    def hold_elsewhere(self, script: str, user: str | None = "guest") -> subprocess.Popen[str]:
        """Keep a script running on another machine until the attempt is over."""
        process = subprocess.Popen(self._enter_elsewhere(script, user), text=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        self._held.append(process)
        return process

    def run_elsewhere(self, script: str) -> None:
        """Run a script on another machine to its end."""
        subprocess.run(self._enter_elsewhere(script, "guest"), stdin=subprocess.DEVNULL,
                       capture_output=True, check=False, timeout=20)

    def listens_elsewhere(self, port: int, patience: float = 1.5) -> bool:
        """Whether something listens on the other machine within so many seconds."""
        with suppress(LabTimeout):
            return bool(wait_until(f"a listener on {port}", lambda: self.lab.server.run(
                ["ss", "-Hltn", f"sport = :{port}"]).stdout, patience))
        return False

    def _enter_elsewhere(self, script: str, user: str | None) -> list[str]:
        """The other machine has the workstation's files and accounts, and the server's network."""
        words = self.box.enter(["/bin/bash", "-c", script], user=user)
        at = words.index("--all")
        home = f"HOME=/home/{user}" if user else "HOME=/root"
        words[at:at + 1] = ["--mount", "--uts", "--ipc", "--pid", "--cgroup",
                            f"--net=/run/netns/{self.lab.server.namespace}"]
        return ["env", "-i", home, f"PATH={CLEAN_ENV['PATH']}", *words]

    # What was seen

    def reached(self, console: str, patience: float = _PATIENCE, *,
                otherwise: str = "the server saw nothing") -> Seen:
        """Wait for what server and kernel see of an attempt on a console: a request for a
        connection, a refusal, or `otherwise` after `patience` seconds."""
        port = PORTS[console]
        end = time.monotonic() + patience
        refused = None
        while True:
            if port in self._witness.ports():
                return Seen(True, f"the server saw a connection to {console}")
            if refused is None and (refused := self._refusal(port) or self._sudos_refusal()):
                end = time.monotonic() + _NO_MORE
            if time.monotonic() > end:
                return Seen(False, refused or otherwise)
            time.sleep(0.05)

    def viewer_runs(self, argument: str, patience: float = 3.0) -> Seen:
        """Whether a process of the viewer was started with this argument."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if argument in self.box.run(["pgrep", "-a", "-x", "remote-viewer"], check=False).stdout:
                return Seen(True, "the viewer was started with it")
            if refused := self._sudos_refusal():
                return Seen(False, refused)
            time.sleep(0.05)
        return Seen(False, "the viewer was not started")

    def what_is_left(self, console: str) -> Seen:
        """Whether the server still has connections to the console, after a moment for their end."""
        with suppress(LabTimeout):
            self.lab.server.wait_for_channels(console, 0, _MOMENT)
            return Seen(False, "the server had no connection any more")
        return Seen(True, "the server still had the console's connections")

    def asked_for(self, console: str) -> bool:
        """Whether the server saw a request for a connection to this console."""
        return PORTS[console] in self._witness.ports()

    def _refusal(self, port: int) -> str | None:
        if self.setup == NOTHING:
            return None
        prefix = "pam-spice deny " if self.is_ours else article.DENY_PREFIX
        for line in self._log.lines(prefix):
            told = dict(word.partition("=")[::2] for word in line.split())
            # The log is the machine's: other firewalls may write to it.
            if told.get("DPT") == str(port) and ip_address(told["SRC"]) in _OURS:
                if not self.is_ours:
                    return "the firewall dropped it"
                return f"the kernel refused uid {told['UID']}{self._group(told['GID'])}"
        return None

    def _sudos_refusal(self) -> str | None:
        said = self.box.shell("cat /home/*/.started.log", check=False).stdout
        words = ("sudo: ", "Sorry, user ")
        return _SUDO if any(line.startswith(words) for line in said.splitlines()) else None

    def _group(self, gid: str) -> str:
        return " with the viewer's group" if gid == str(self.viewers_gid) else ""

    def exists(self, path: str) -> bool:
        """Whether there is such a file on the workstation."""
        return not self.box.run(["test", "-e", path], check=False).returncode

    def has_channels(self, console: str) -> bool:
        """Whether QEMU has a viewer's connection to the console."""
        return bool(self.lab.server.channels(console))

    # Own code

    def put_own_code(self) -> None:
        """A library in myself's home, which leaves a file named after the ids it runs with."""
        self.box.write_file(own_code.LIBRARY, own_code.library(), mode=0o755,
                            owner="myself:myself")
        self.afterwards("rm -rf /home/myself/ran-as-* /home/myself/own.so /home/myself/kept")

    def own_code_ran(self, patience: float = 5.0) -> Seen:
        """Whether the library was loaded into the viewer, by a file that it made: until the viewer
        has asked for its console and a moment more, or sudo has refused."""
        # Where nothing protects, his viewer may have his own group.
        gid = "*" if self.setup == NOTHING else str(self.viewers_gid)
        look = f"compgen -G '/home/myself/ran-as-{UIDS['myself']}-{gid}'"
        end = time.monotonic() + patience
        is_over = False
        while True:
            if self.box.shell(look, check=False).stdout:
                return Seen(True, "his code ran in the viewer")
            if time.monotonic() > end:
                return Seen(False, self._sudos_refusal() or (
                    "none of his code ran in the viewer" if is_over else "no viewer was started"))
            if not is_over and (self.asked_for("debianx") or self._sudos_refusal()):
                is_over = True
                end = time.monotonic() + _NO_MORE
            time.sleep(0.05)


def uri(console: str) -> str:
    """A console's address, as a word for the shell."""
    return shlex.quote(f"spice://{HOST}?tls-port={PORTS[console]}")
