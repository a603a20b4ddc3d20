"""The workstation: a systemd container with the machine's virtual terminals."""

from __future__ import annotations

import base64
import io
import os
import subprocess
import tarfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from lab import seat
from lab.door import CLEAN_ENV, call, log, spawn, wait_until
from lab.errors import LabError, LabTimeout
from lab.files import FILES
from lab.ledger import Ledger, Process
from lab.rootfs import HOSTNAME, USERS, rootfs

TTYS = range(0, 10)
# systemd-nspawn leaves with this status when its container wants to boot again.
_REBOOT = 133


def runtime_directory(user: str) -> str:
    """Where a user's bus and the sockets of his desktop are, while he is logged in."""
    return f"/run/user/{USERS[user]}"


class Workstation:
    """The container: booting, running programs in it, files in and out, switching off.

    `on_boot` is called before each boot and has to leave a network namespace of the name
    `namespace`. Use Lab to make one.
    """

    def __init__(
        self, ledger: Ledger, directory: Path, namespace: str, on_boot: Callable[[], None]
    ) -> None:
        self._ledger = ledger
        self._directory = directory
        self._namespace = namespace
        self._on_boot = on_boot
        self._nspawn: Process | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._leader: Process | None = None

    @property
    def root(self) -> Path:
        """The container's root file system as the machine sees it; the container may be off."""
        return self._directory / "root"

    @property
    def pid(self) -> int:
        """The container's PID 1, as the machine counts. Raises LabError when it is off."""
        if self._leader is None or not self._leader.alive():
            raise LabError("the workstation is off")
        return self._leader.pid

    def is_up(self) -> bool:
        """Whether the container runs."""
        return self._leader is not None and self._leader.alive()

    def start(self, *, fresh: bool = True, timeout: float = 60) -> None:
        """Boot, and wait until systemd says `running` or `degraded`.

        With `fresh` everything that was ever written in it is gone first. Raises LabTimeout.
        """
        if self.is_up():
            raise LabError("the workstation is on already")
        if fresh:
            self._new_root()
        for tty in TTYS[1:]:
            if seat.screen(tty):
                seat.wipe(tty)
        self._on_boot()
        with open(self._directory / "boot.log", "ab") as output:
            self._child = spawn(
                self._argv(), output=output, env={"SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"}
            )
        self._nspawn = nspawn = self._ledger.add_process(self._child.pid)
        try:
            what = "the container's PID 1"
            leader = wait_until(what, lambda: self._find_leader(nspawn), 20, 0.01)
            assert leader is not None  # noqa: S101
            self._leader = leader
            wait_until("the workstation is up", self._is_running, timeout)
        except LabTimeout as late:
            raise LabTimeout(f"{late}\n{self.boot_log()[-2000:]}") from late
        facts = self._ledger.records.facts
        facts["nspawn"] = [nspawn.pid, nspawn.started]
        facts["leader"] = [leader.pid, leader.started]
        self._ledger.save()

    def attach(self, leader: Process, nspawn: Process) -> None:
        """Use a container that another process booted."""
        self._leader, self._nspawn = leader, nspawn

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        user: str | None = None,
        env: Mapping[str, str] | None = None,
        check: bool = True,
        stdin: str | bytes | None = None,
        timeout: float = 60,
        group: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in the container, as root or as `user`, and wait for its end.

        It belongs to no login: no PAM, no logind session, no controlling terminal. `group` is a
        primary group other than the user's own. `timeout` is in seconds. Raises LabError when it
        fails and `check` is on, LabTimeout.
        """
        return call(
            self.enter(argv, user=user, group=group),
            env=self._user_env(user) | dict(env or {}),
            check=check,
            stdin=stdin,
            timeout=timeout,
        )

    def shell(
        self,
        script: str,
        *,
        user: str | None = None,
        env: Mapping[str, str] | None = None,
        check: bool = True,
        stdin: str | bytes | None = None,
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        """Like run, for a bash script."""
        argv = ["/bin/bash", "-c", script]
        return self.run(argv, user=user, env=env, check=check, stdin=stdin, timeout=timeout)

    def popen(
        self, argv: Sequence[str | Path], *, user: str | None = None, group: str | None = None
    ) -> subprocess.Popen[str]:
        """Start a program in the container and leave it running, with pipes to its three files.

        It ends with a `kill` of what is returned, unless it went through sudo or the like.
        """
        # What is returned is nsenter, outside of the container; the program is its child.
        argv = ["setpriv", "--pdeathsig", "KILL", "--", *argv]
        return subprocess.Popen(  # noqa: S603
            self.enter(argv, user=user, group=group),
            env=CLEAN_ENV | self._user_env(user),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def enter(
        self, argv: Sequence[str | Path], *, user: str | None = None, group: str | None = None
    ) -> list[str]:
        """The command line that runs `argv` in the container, started on the machine."""
        words = ["nsenter", f"--target={self.pid}", "--all", "--"]
        if user is not None:
            words += ["setpriv", f"--reuid={user}", "--init-groups", "--inh-caps=-all"]
            words += [f"--regid={group or user}", "--"]
        return words + [str(word) for word in argv]

    def run_on_bus(self, argv: Sequence[str | Path], user: str, *,
                   env: Mapping[str, str] | None = None,
                   check: bool = True) -> subprocess.CompletedProcess[str]:
        """Like run, with the user's own bus and runtime directory, which a login has made."""
        directory = runtime_directory(user)
        bus = {"XDG_RUNTIME_DIR": directory,
               "DBUS_SESSION_BUS_ADDRESS": f"unix:path={directory}/bus"}  # fmt: skip
        return self.run(argv, user=user, env=dict(env or {}) | bus, check=check)

    def read_file(self, path: str | Path) -> str:
        """The text of a file in the container. Raises LabError when it can't be read."""
        return self.run(["cat", "--", path]).stdout

    def write_file(
        self, path: str | Path, text: str | bytes, *, mode: int = 0o644, owner: str = "root:root"
    ) -> None:
        """Write a file in the container, in one step, with the directories that lead to it: those
        that are missing are the owner's, too."""
        script = (
            'set -eu; owner=$3; '
            'lead() { [ -d "$1" ] || { lead "$(dirname -- "$1")"; mkdir -- "$1"; '
            'chown -- "$owner" "$1"; }; }; '
            'lead "$(dirname -- "$1")"; new=$(mktemp -- "$1.XXXXXX"); '
            'cat >"$new"; chown -- "$owner" "$new"; chmod -- "$2" "$new"; mv -fT -- "$new" "$1"'
        )
        argv = ["/bin/bash", "-c", script, "-", str(path), f"{mode:o}", owner]
        self.run(argv, stdin=text)

    def copy_in(self, src: str | Path, dst: str | Path) -> None:
        """Copy a file or a directory tree of the machine into the container, owned by root."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.add(src, arcname=Path(dst).name)
        self.unpack(packed.getvalue(), Path(dst).parent)

    def copy_out(self, src: str | Path, dst: str | Path) -> None:
        """Copy a file of the container to the machine."""
        encoded = self.run(["base64", "--wrap=0", "--", src]).stdout
        Path(dst).write_bytes(base64.b64decode(encoded))

    def unpack(self, tar: bytes, into: str | Path) -> None:
        """Unpack a tar archive below a directory of the container, owned by root."""
        self.run(["mkdir", "--parents", "--", into])
        self.run(["tar", "--extract", "--no-same-owner", "--directory", into], stdin=tar)

    def reboot(self, *, timeout: float = 60) -> None:
        """Reboot: everything in memory goes, and the files stay. Wait until it is up again."""
        status = self._leave("reboot", timeout)
        if status not in (None, _REBOOT):
            raise LabError(f"no reboot: systemd-nspawn ended with {status}\n{self.boot_log()}")
        self.start(fresh=False, timeout=timeout)

    def poweroff(self, *, timeout: float = 60) -> None:
        """Switch off. What doesn't end in time is killed."""
        if not self.is_up():
            return
        try:
            self._leave("poweroff", timeout)
        except LabTimeout as late:
            log.warning("the workstation is killed: %s", late)
            self.cut_power()

    def cut_power(self) -> None:
        """End it as a power cut does: nothing in it gets a word in."""
        if self._nspawn:
            if self._leader:
                self._leader.kill()
            self._ended()

    def boot_log(self) -> str:
        """What systemd-nspawn and PID 1 have printed."""
        return (self._directory / "boot.log").read_text(errors="replace")

    def _leave(self, verb: str, timeout: float) -> int | None:
        # The answer can get lost: the bus goes down while systemctl waits for it.
        with suppress(LabTimeout):
            self.run(["systemctl", "--no-block", verb], check=False, timeout=10)
        return self._ended(timeout)

    def _ended(self, timeout: float = 20) -> int | None:
        """Wait for systemd-nspawn's end and return its status; None if it isn't our child."""
        nspawn, child = self._nspawn, self._child
        if nspawn is None:
            return None

        def gone() -> bool:
            return child.poll() is not None if child else not nspawn.alive()

        wait_until("the container's end", gone, timeout)
        self._leader = self._nspawn = self._child = None
        return child.returncode if child else None

    def _argv(self) -> list[str]:
        return [
            "systemd-nspawn",
            f"--directory={self.root}",
            "--boot",
            "--register=no",
            "--keep-unit",
            f"--machine={self._ledger.records.machine}",
            f"--hostname={HOSTNAME}",
            "--console=pipe",
            f"--network-namespace-path=/run/netns/{self._namespace}",
            # systemd-nspawn gives this one by itself only to a namespace that it made.
            "--capability=CAP_NET_ADMIN",
            # A workstation's kernel has it; systemd-nspawn's own filter forbids it.
            "--system-call-filter=landlock_create_ruleset landlock_add_rule landlock_restrict_self",
            *(f"--bind=/dev/tty{number}" for number in TTYS),
        ]

    def _new_root(self) -> None:
        base = rootfs()
        mounts = self._ledger.records.mounts
        if os.path.ismount(self.root):
            call(["umount", self.root])
        for name in ("upper", "work"):
            call(["rm", "--recursive", "--force", self._directory / name])
        for name in ("upper", "work", "root"):
            (self._directory / name).mkdir(exist_ok=True)
            (self._directory / name).chmod(0o755)
        if str(self.root) not in mounts:
            mounts.append(str(self.root))
            self._ledger.save()
        layers = f"lowerdir={base},upperdir={self._directory}/upper,workdir={self._directory}/work"
        call(["mount", "-t", "overlay", "-o", layers, "pam-spice-lab", self.root])
        for name, text in FILES.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o755 if "bin/" in name else 0o644)

    def _find_leader(self, nspawn: Process) -> Process | None:
        if self._child is not None and self._child.poll() is not None:
            status = self._child.returncode
            raise LabError(f"systemd-nspawn ended with {status}:\n{self.boot_log()}")
        with suppress(OSError):
            for child in Path(f"/proc/{nspawn.pid}/task/{nspawn.pid}/children").read_text().split():
                # Before it is PID 1 of the container, the child is a stub outside of it.
                if Path(f"/proc/{child}/comm").read_text() == "systemd\n":
                    return Process.of(int(child))
        return None

    def _is_running(self) -> bool:
        said = self.run(["systemctl", "is-system-running"], check=False, timeout=20)
        return said.stdout.strip() in ("running", "degraded")

    def _user_env(self, user: str | None) -> dict[str, str]:
        if user is None:
            return {}
        return {"HOME": f"/home/{user}", "USER": user, "LOGNAME": user, "SHELL": "/bin/bash"}
