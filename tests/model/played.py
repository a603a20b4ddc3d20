"""The workstation that is played around the product: logind's files, leaders, PAM, the clock and
the admin's commands. The product's own code runs in this process; the kernel is real."""

import argparse
import os
import shutil
import signal
import time
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import pam_spice.run
from conf.lookup import Unusable
from pam_spice import hook, journal, paths, policy, reconcile
from pam_spice.errors import NotDone
from pam_spice.firewall import nft
from pam_spice.run import CommandFailed
from pam_spice.verbs import UsageError, apply, grant, revoke
from session.records import DIRECTORY
from tests.kernel import namespace as ns
from tests.kernel.workstation import SESSIONS, Workstation
from tests.model.listing import read_table
from tests.model.policies import SERVERS, Endpoint
from tests.model.rule import Login
from tests.model.windows import BASE

UIDS = {**ns.USERS, "root": 0, "lightdm": 110, "nobody": 65534, "ghost": 4444}
"""``ghost`` has no account."""


class Played:
    """One workstation, used again and again: ``reset`` makes it a new one."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = BASE
        self.told: list[str] = []  # what the journal got from the last run
        self._leaders: set[int] = set()
        for module in (reconcile, revoke, grant):
            patch.setattr(module, "time", self)
        patch.setattr(journal, "log", self._log)
        # Leaders sleep on this pipe, and end with this process, which alone can write to it.
        self._bed, self._awake = os.pipe()
        self._rests: dict[frozenset[Endpoint], dict[str, Any]] = {}
        self.reset()

    def time(self) -> float:
        """In place of ``time.time`` of the modules that ask for the hour."""
        return float(self.now)

    def _log(self, priority: int, message: str, **fields: object) -> None:
        self.told.append(f"{fields.get('event')}: {message}")

    def reset(self) -> None:
        """A workstation that was never set up, with everybody's account."""
        self.power_off()
        for directory in ("/etc/pam-spice", "/var/lib/pam-spice"):
            for path in Path(directory).iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.now = BASE
        self.told = []

    def power_off(self) -> None:
        """End every process and forget what is in memory: /run and the kernel's rules."""
        for leader in list(self._leaders):
            self.end(leader)
        for directory in ("/run/pam-spice", "/run/systemd", "/run/gone", "/run/lost"):
            shutil.rmtree(directory, ignore_errors=True)
        os.mkdir("/run/lost")
        pam_spice.run.run([paths.NFT, "flush", "ruleset"])
        self._workstation = Workstation()

    # Processes and logind

    def start_leader(self) -> int:
        """A process that can hold a session."""
        pid = os.posix_spawn("/bin/cat", ["cat"], {},
                             file_actions=[(os.POSIX_SPAWN_DUP2, self._bed, 0)])
        self._leaders.add(pid)
        return pid

    def end(self, leader: int) -> None:
        """The process is killed."""
        os.kill(leader, signal.SIGKILL)
        os.waitpid(leader, 0)
        self._leaders.remove(leader)

    def write_state(self, login: Login) -> None:
        """logind's file about the session."""
        self._workstation.state(
            login.id, login.user, login.leader, UID=str(login.uid), SERVICE=login.service,
            REMOTE=str(int(login.is_remote)), SEAT="seat0" if login.has_seat else "",
            CLASS=login.class_, STATE="closing" if login.is_ending else "active")

    def set_ending(self, login: Login) -> None:
        """logind says that the session is closing."""
        self._workstation.set_state(login.id, "closing")

    def forget(self, login: Login) -> None:
        """logind's file is gone."""
        (SESSIONS / login.id).unlink()

    def lose(self, login: Login) -> None:
        """logind's file is gone, for a while."""
        (SESSIONS / login.id).rename(f"/run/lost/{login.id}")

    def find(self, login: Login) -> None:
        """It is there again, as it was."""
        Path(f"/run/lost/{login.id}").rename(SESSIONS / login.id)

    def silence(self, is_silent: bool) -> None:
        """logind's directory goes, or is there again."""
        source, target = SESSIONS, Path("/run/gone")
        if not is_silent:
            source, target = target, source
        source.rename(target)

    # The product

    def hook(self, leader: int, phase: str) -> bool:
        """What pam_exec does for the session's leader; whether the hook had to do all anew."""
        self.told = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "getppid", lambda: leader)
            patch.setattr(os, "environ", dict(os.environ))
            try:
                status = hook.main(phase)
            finally:
                _disarm()
        assert status == 0, f"the hook failed: {self.told}"
        return any(line.startswith("hook-again:") for line in self.told)

    def run_whole(self, phase: str | None = None) -> None:
        """The timer's run; with phase ``close`` the watcher's."""
        self.told = []
        reconcile.Reconciliation(phase=phase).run()

    def command(self, verb: ModuleType, **arguments: object) -> str:
        """An admin's command: "done", "not done" or "refused"."""
        self.told = []
        try:
            with redirect_stdout(StringIO()):
                status = verb.run(argparse.Namespace(**arguments))
        except NotDone:
            return "not done"
        except (UsageError, CommandFailed, Unusable, OSError) as error:
            self.told.append(f"refused: {error}")
            return "refused"
        return "done" if status == 0 else f"exit status {status}"

    def revoke(self, user: str, until: int | None) -> str:
        """``pam-spice revoke``."""
        return self.command(revoke, user=user, until=_iso(until) if until else None, lift=False,
                            reason="-")

    def lift(self, user: str) -> str:
        """``pam-spice revoke --lift``."""
        return self.command(revoke, user=user, until=None, lift=True, reason="-")

    def grant(self, user: str, console: str, minutes: int) -> str:
        """``pam-spice grant``."""
        return self.command(grant, user=user, console=console, duration=f"{minutes}m", end=False,
                            reason="a test")

    def end_grant(self, user: str, console: str) -> str:
        """``pam-spice grant --end``."""
        return self.command(grant, user=user, console=console, end=True, reason="a test")

    def apply(self) -> str:
        """``pam-spice apply --now``."""
        return self.command(apply, now=True)

    # Files

    def write_accounts(self, accounts: dict[str, int], staff: frozenset[str]) -> None:
        """Who is who, and who is in the group of the staff."""
        Path("/etc/passwd").write_text("".join(
            f"{name}:x:{uid}:{uid}::/:/bin/sh\n" for name, uid in accounts.items()))
        members = ",".join(sorted(staff))
        Path("/etc/group").write_text(
            f"root:x:0:\nspicegrp:x:{ns.VIEWER_GID}:\nstaff:x:{ns.OTHER_GID}:{members}\n"
            + "".join(f"{name}:x:{uid}:\n" for name, uid in ns.USERS.items()))

    def write_policy(self, text: str | None, mode: int = 0o644, is_link: bool = False) -> None:
        """The main file, replaced as an editor does; None: it is removed."""
        path = Path(paths.POLICY)
        path.unlink(missing_ok=True)
        if text is None:
            return
        other = path.with_suffix(".other")
        other.write_text(text)
        other.chmod(mode)
        if is_link:
            path.symlink_to(other.name)
        else:
            other.rename(path)

    def records(self) -> set[str]:
        """The names that lie in the directory of records."""
        try:
            return set(os.listdir(DIRECTORY))
        except FileNotFoundError:
            return set()

    # The kernel

    def listing(self, table: str = nft.TABLE) -> str | None:
        """What nft lists of a table; None where there is none."""
        try:
            return pam_spice.run.run([paths.NFT, "-j", "-nn", "list", "table",
                                      *table.split()]).output.decode()
        except CommandFailed as error:
            if "No such file or directory" in error.error_output:
                return None
            raise

    def rest_of_guard(self, guarded: frozenset[Endpoint]) -> dict[str, Any]:
        """What a guard consists of beside its elements, where nobody has touched it."""
        if guarded not in self._rests:
            another = "inet pam_spice_untouched"
            endpoints = [(address, server.low, server.high) for server in SERVERS.values()
                         for address in server.addresses if server.endpoints <= guarded]
            self.nft(nft.render_guard(endpoints).replace(nft.TABLE, another))
            listing = self.listing(another)
            self.nft(f"delete table {another}")
            assert listing is not None
            self._rests[guarded] = read_table(listing).rest
        return self._rests[guarded]

    def nft(self, text: str) -> None:
        """What somebody else tells the kernel."""
        pam_spice.run.run([paths.NFT, "-f", "-"], text.encode())

    def load_guard(self) -> None:
        """What the guard's unit does at boot."""
        if os.path.exists(paths.GUARD):
            pam_spice.run.run([paths.NFT, "-f", paths.GUARD])


def _disarm() -> None:
    """The hook sets limits on its own process, which here lives on."""
    signal.alarm(0)
    pam_spice.run._deadline = policy.children_until = None


def _iso(instant: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(instant))

