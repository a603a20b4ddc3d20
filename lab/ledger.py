"""What a lab made on this machine, written down before it is made, so that all of it can be undone.

The ledger is a file: a lab whose process was killed is undone by the next one that starts.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lab import seat
from lab.door import call, log, reap, wait_until
from lab.errors import LabBusy, LabTimeout

RUN = Path("/run/pam-spice-lab")


@dataclass(frozen=True)
class Process:
    """A process that is told apart from a later one with the same pid by its start time."""

    pid: int
    started: int
    """In clock ticks since the machine's boot."""

    @classmethod
    def of(cls, pid: int) -> Process:
        """The process that has this pid now. Raises ProcessLookupError when there is none."""
        started = start_time(pid)
        if started is None:
            raise ProcessLookupError(pid)
        return cls(pid, started)

    def alive(self) -> bool:
        """Whether it still runs; a zombie doesn't."""
        return start_time(self.pid) == self.started

    def kill(self, timeout: float = 10) -> None:
        """Kill it and wait until it is gone."""
        with suppress(ProcessLookupError):
            if self.alive():
                os.kill(self.pid, signal.SIGKILL)
        # A process of many threads is a zombie already while the last of them are still going.
        what = f"end of process {self.pid}"
        wait_until(what, lambda: not self.alive() and self.pid not in reap(), timeout, 0.01)


def start_time(pid: int) -> int | None:
    """When the process with this pid started, in clock ticks; None if there is none alive."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name of the program, in parentheses, may itself hold blanks and parentheses.
    words = stat[stat.rindex(")") + 2 :].split()
    return None if words[0] in "ZX" else int(words[19])


@dataclass
class Records:
    """Everything that is written down; `facts` are what another process needs to join the lab."""

    owner: Process | None = None
    detached: bool = False
    machine: str = ""
    processes: list[Process] = field(default_factory=list)
    mounts: list[str] = field(default_factory=list)
    namespaces: list[str] = field(default_factory=list)
    directories: list[str] = field(default_factory=list)
    sysctls: dict[str, str] = field(default_factory=dict)
    nodes: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    """Device nodes with the uid, gid and mode that they had."""

    terminal: int = 0
    """The virtual terminal that was in front; 0 if it is to stay as it is."""

    facts: dict[str, Any] = field(default_factory=dict)


class Ledger:
    """The records on disk, and the lock that says whose they are."""

    def __init__(self, lock: int | None, records: Records) -> None:
        self._lock = lock
        self.records = records

    @classmethod
    def claim(cls) -> Ledger:
        """Take the machine's one lab, undoing first what a dead one left.

        Raises LabBusy when another lab is up.
        """
        lock = _lock()
        try:
            old = _load()
            if old is not None:
                if old.detached and any(process.alive() for process in old.processes):
                    raise LabBusy("a lab is up already; take it down with: python3 -m lab down")
                log.info("undoing what an earlier lab left")
                cls(lock, old).undo(release=False)
            ledger = cls(lock, Records(owner=Process.of(os.getpid())))
            ledger.save()
            return ledger
        except BaseException:
            os.close(lock)
            raise

    @classmethod
    def join(cls, *, claim: bool = False) -> Ledger | None:
        """The ledger of the lab that is up or was left by a crash; None if there is none.

        With `claim` the caller gets the lock too, to undo it. Raises LabBusy when a living process
        holds it.
        """
        lock = _lock() if claim else None
        records = _load()
        if records is None:
            if lock is not None:
                os.close(lock)
            return None
        if claim:
            records.owner = Process.of(os.getpid())
        return cls(lock, records)

    def is_ours(self) -> bool:
        """Whether this process may undo it: it holds the lock, and isn't a fork of who took it."""
        owner = self.records.owner
        return self._lock is not None and owner is not None and owner.pid == os.getpid()

    def save(self) -> None:
        """Write the records down. To be called before the thing itself is made."""
        new = RUN / "state.json.new"
        new.touch(0o600)
        new.write_text(json.dumps(asdict(self.records), indent=1))
        new.rename(RUN / "state.json")

    def set_sysctl(self, name: str, value: str) -> None:
        """Set a kernel parameter (`net/netfilter/...`) for the life of the lab.

        Raises OSError when the kernel hasn't got it or refuses the value.
        """
        path = Path("/proc/sys", name)
        was = path.read_text().strip()
        if was != value:
            self.records.sysctls.setdefault(name, was)
            self.save()
            path.write_text(value)

    def add_process(self, pid: int) -> Process:
        """Write down a process that has just been started."""
        process = Process.of(pid)
        self.records.processes.append(process)
        self.save()
        return process

    def detach(self) -> None:
        """Leave the lab up after the end of this process."""
        self.records.detached = True
        self.save()
        self.release()

    def release(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def undo(self, *, release: bool = True) -> None:
        """End, unmount, delete and restore everything that is written down."""
        records = self.records
        for process in [*records.processes, *_nspawns(records.machine)]:
            process.kill()
        for name in records.namespaces:
            for process in namespace_processes(name):
                process.kill()
        for mount in reversed(records.mounts):
            while os.path.ismount(mount):
                call(["umount", "--lazy", mount])
        for name in records.namespaces:
            if Path("/run/netns", name).exists():
                call(["ip", "netns", "delete", name])
        for directory in records.directories:
            shutil.rmtree(directory, ignore_errors=True)
        for name, value in records.sysctls.items():
            Path("/proc/sys", name).write_text(value)
        for node, (uid, gid, mode) in records.nodes.items():
            with suppress(FileNotFoundError):
                os.chown(node, uid, gid)
                os.chmod(node, mode)
        if records.terminal:
            with suppress(LabTimeout):
                seat.switch_to(records.terminal)
        (RUN / "state.json").unlink(missing_ok=True)
        if release:
            self.release()


def namespace_processes(name: str) -> list[Process]:
    """The processes whose network namespace is the one of this name."""
    try:
        wanted = os.stat(f"/run/netns/{name}").st_ino
    except FileNotFoundError:
        return []
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if (entry / "ns/net").stat().st_ino == wanted:
                    found.append(Process.of(int(entry.name)))
    return found


def _nspawns(machine: str) -> list[Process]:
    """A container that was started but not yet written down when its lab was killed."""
    found = []
    wanted = f"--machine={machine}".encode()
    for entry in Path("/proc").iterdir():
        if machine and entry.name.isdigit():
            with suppress(OSError):
                if wanted in (entry / "cmdline").read_bytes().split(b"\0"):
                    found.append(Process.of(int(entry.name)))
    return found


def _lock() -> int:
    RUN.mkdir(mode=0o700, exist_ok=True)
    lock = os.open(RUN / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def taken() -> bool:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    try:
        # A lab that is going down just now may take this long.
        wait_until("the lab's lock", taken, 2)
    except LabTimeout:
        os.close(lock)
        old = _load()
        who = f"process {old.owner.pid}" if old and old.owner else "another process"
        raise LabBusy(f"a lab of {who} is up on this machine: its end must come first") from None
    return lock


def _load() -> Records | None:
    try:
        raw = json.loads((RUN / "state.json").read_text())
    except FileNotFoundError:
        return None
    raw["owner"] = Process(**raw["owner"]) if raw["owner"] else None
    raw["processes"] = [Process(**each) for each in raw["processes"]]
    raw["nodes"] = {node: tuple(was) for node, was in raw["nodes"].items()}
    return Records(**raw)
