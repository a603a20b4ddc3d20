"""Editing a file of a policy as visudo edits sudoers: one at a time, on a draft, checked, shown
what would change for whom, and put in place whole or not at all."""

import fcntl
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from enum import StrEnum

from conf.changes import Changes, compare
from conf.files import (
    MAX_POLICY_BYTES,
    FileMissing,
    FileRefused,
    open_trusted,
    read_all,
    write_atomically,
)
from conf.lint.names import Accounts, unknown_accounts
from conf.lookup import stamp
from conf.model import ParsedPolicy, Policy
from conf.parser import parse_files
from conf.problems import counted_errors, how_many
from conf.sources import Content, directory_of, read_trusted, with_file
from pam_spice import paths

_DRAFTS = "/var/tmp"  # noqa: S108  mkdtemp makes a directory of our own in it; outlives a reboot
_ACL = "system.posix_acl_access"
_SPAN = 28 * 86400  # seconds; the words, which alone are shown, reach further
_MOST_LINES = 40
_WAYS_OUT = ("q", "quit", "x", "exit")
"""As small letters alone: x is visudo's word for this, and its Q saves."""

_NEW_FILE = b"# servers, consoles, calendars, windows and grants, as in policy.yaml\n"

Editor = Callable[[str], int]
"""Lets a person edit the file of that path; the exit status."""


class EditorFailed(Exception):
    """The editor ended with an error or was killed."""


class Outcome(StrEnum):
    """How an edit ended."""

    SAVED = "saved"
    UNCHANGED = "unchanged"
    DROPPED = "dropped"


class _Answer(StrEnum):
    EDIT = "edit"
    DROP = "drop"
    SAVE = "save"


@dataclass(frozen=True, slots=True)
class Target:
    """The file to edit, and the main file of the policy that it is of."""

    path: str
    policy: str


def target_of(file: str | None) -> Target:
    """What a path on the command line means; None is the workstation's policy.

    Raises FileRefused for a file that no policy would read.
    """
    path = os.path.abspath(file or paths.POLICY)
    directory, name = os.path.split(path)
    policy = f"{directory.removesuffix('.d')}.yaml"
    if directory_of(policy) != directory or not (os.path.lexists(policy)
                                                 or policy == paths.POLICY):
        return Target(path, path)
    if not name.endswith(".yaml") or name.startswith(".") or not name.isprintable():
        raise FileRefused(path, "would not be read by the policy", "name it like sales.yaml")
    return Target(path, policy)


@dataclass(frozen=True, slots=True)
class _OnDisk:
    """A file as it was found; ``data`` is None where there is none yet."""

    stamp: str
    data: bytes | None
    mode: int = 0o644
    uid: int = -1  # of whoever writes it
    gid: int = -1
    acl: bytes | None = None


class Editing:
    """One edit by one person."""

    def __init__(self, target: Target, editor: Editor, ask: Callable[[str], str],
                 say: Callable[[str], None], now: int, workstation: str, owner: int = 0,
                 drafts: str = _DRAFTS, accounts: Accounts | None = None) -> None:
        """``ask`` shows a question and gives the answer; ``owner``: see
        ``conf.files.open_trusted``; ``drafts`` is where the draft's own directory is made;
        ``accounts`` are those of the workstation for which the policy is, if it is this one."""
        self.target = target
        self._editor = editor
        self._ask = ask
        self._say = say
        self._now = now
        self._workstation = workstation
        self._owner = owner
        self._drafts = drafts
        self._accounts = accounts
        self._draft = ""
        self._began = _OnDisk("-", None)
        self._parsed: tuple[list[Content], ParsedPolicy] | None = None

    def run(self) -> Outcome:
        """Edit until it is saved or dropped. Whatever else ends it, the file stays as it was and
        a draft that somebody wrote in is kept.

        Raises FileRefused where the file can't be edited, EditorFailed, OSError, and what ``ask``
        raises.
        """
        with _locked(self.target.policy):
            self._began = self._found()
            text = _NEW_FILE if self._began.data is None else self._began.data
            directory = tempfile.mkdtemp(prefix="pam-spice-edit-", dir=self._drafts)
            self._draft = os.path.join(directory, os.path.basename(self.target.path))
            try:
                write_atomically(self._draft, text)
                outcome = self._rounds(text)
            except BaseException:
                # Also what an editor saved for itself when it was killed (vim's .swp) is kept.
                left = os.listdir(directory)
                if not left or (left == [os.path.basename(self._draft)]
                                and _content(self._draft) == text):
                    shutil.rmtree(directory)
                else:
                    with suppress(OSError):  # the terminal may be gone
                        self._say(f"nothing is saved; your text is kept in {self._draft}")
                raise
            shutil.rmtree(directory)
            return outcome

    def _rounds(self, before: bytes) -> Outcome:
        while True:
            status = self._editor(self._draft)
            if status:
                raise EditorFailed("the editor ended with " + (
                    f"status {status}" if status > 0 else f"signal {-status}"))
            text = _content(self._draft)
            if text is None:
                raise EditorFailed(f"the editor left no file of at most {MAX_POLICY_BYTES} bytes")
            if text == before:
                self._say(f"{self.target.path}: no change")
                return Outcome.UNCHANGED
            answer = self._reviewed(text)
            if answer == _Answer.SAVE:
                return Outcome.SAVED
            if answer == _Answer.DROP:
                self._say(f"dropped; {self.target.path} is as it was")
                return Outcome.DROPPED

    # Looking

    def _found(self) -> _OnDisk:
        """The file on the disk; for one that is new, what its mode is to be."""
        for path in (self.target.policy, self.target.path):
            directory = os.path.dirname(path)
            # open_trusted takes /tmp, but a new name in it can be somebody else's.
            if os.path.isdir(directory) and os.stat(directory).st_mode & 0o022:
                raise FileRefused(path, f"lies in {directory}, where others can write",
                                  "move it into a directory of your own")
        then = stamp(self.target.path)
        try:
            return _read(self.target.path, then, self._owner)
        except FileMissing:
            try:
                like = _read(self.target.policy, then, self._owner)
            except FileMissing:
                return _OnDisk(then, None)
            return replace(like, data=None)

    def _contents(self, text: bytes) -> tuple[list[Content], list[Content]]:
        """The policy's files as they are, and with the draft in its place."""
        contents = read_trusted(self.target.policy, self._owner)
        return contents, with_file(contents, self.target.path, text)

    def _parse(self, contents: list[Content]) -> ParsedPolicy:
        """What is on the disk is parsed once, as long as it stays so."""
        if self._parsed is None or self._parsed[0] != contents:
            self._parsed = contents, parse_files(contents)
        return self._parsed[1]

    def _reviewed(self, text: bytes) -> _Answer:
        """Show what is wrong and what would change, ask, and save if that is the answer."""
        while True:
            disk = self._found()
            contents, edited = self._contents(text)
            old, new = self._parse(contents), parse_files(edited)
            is_risky = self._show_problems(old, new)
            self._show_changes(old, new)
            self._show_unknown(old, new)
            if disk.stamp != self._began.stamp:
                is_risky = True
                self._show_foreign(disk)
            answer = self._answer(is_risky)
            if answer != _Answer.SAVE:
                return answer
            if stamp(self.target.path) == disk.stamp:
                self._save(text, disk)
                return answer
            self._say(f"{self.target.path} has changed while you were asked; so once more:")

    def _show_problems(self, old: ParsedPolicy, new: ParsedPolicy) -> bool:
        """Whether there is anything wrong that was not so in other files before."""
        known = set(old.problems)
        ours = [problem for problem in new.problems
                if problem.mark.file == self.target.path or problem not in known]
        self._say_some([str(problem) for problem in ours])
        if len(ours) < len(new.problems):
            self._say(f"{how_many(len(new.problems) - len(ours), 'error')} in other files, as "
                      f"before: see pam-spice check")
        if new.policy is None:
            self._say("SO NOTHING OF THE POLICY CAN BE USED: whoever logs in from now on gets no "
                      "console, until that is mended; what is guarded stays guarded")
        elif ours:
            self._say(counted_errors(len(ours)))
        return bool(ours)

    def _show_changes(self, old: ParsedPolicy, new: ParsedPolicy) -> None:
        if new.policy is None:
            return
        if old.policy is None:
            self._say("so far nothing of the policy could be used, and nobody was granted anything")
        before = old.policy or Policy(new.policy.timezone, {}, {}, {}, {}, (), (),
                                      new.policy.workstation)
        changes: Changes = compare(before, new.policy, self._now, self._now + _SPAN,
                                   self._workstation, has_problems=bool(new.problems))
        if not changes:
            self._say("nothing changes for anybody")
        self._say_some(list(changes.loud))
        granted = [change.text for change in changes.here + changes.elsewhere]
        if granted:
            self._say("from the next login on:")
            self._say_some([f"  {line}" for line in granted])
            self._say_some([changes.clock] if changes.clock else [])
        self._say_some(list(changes.other))

    def _show_unknown(self, old: ParsedPolicy, new: ParsedPolicy) -> None:
        """Whom nobody knows here, and this edit names: a mistyped name is no error of the text."""
        if self._accounts is None or new.policy is None:
            return
        known = {found.fact for found in unknown_accounts(old.policy, self._accounts)
                 } if old.policy else set()
        self._say_some([f"{found.fact}\n  {found.remedy}"
                        for found in unknown_accounts(new.policy, self._accounts)
                        if found.fact not in known])

    def _show_foreign(self, disk: _OnDisk) -> None:
        self._say(f"{self.target.path} was changed by somebody else while you edited it. What you "
                  f"see is the difference from that: saving your text undoes his.")
        if disk.data is not None:
            theirs = f"{self._draft}.now"
            write_atomically(theirs, disk.data)
            self._say(f"  to take his changes over, edit again; his text is in {theirs}")

    def _say_some(self, lines: list[str]) -> None:
        for line in lines[:_MOST_LINES]:
            self._say(line)
        if len(lines) > _MOST_LINES:
            self._say(f"and {len(lines) - _MOST_LINES} more")

    # Deciding

    def _answer(self, is_risky: bool) -> _Answer:
        """With a risk only a capital S saves, so that no habit does."""
        save = "(S)ave anyway, with a capital S" if is_risky else "(s)ave"
        while True:
            given = self._ask(f"What now? (e)dit again, (d)rop, {save}: ").strip()
            if given in ("S", "save") or (given == "s" and not is_risky):
                return _Answer.SAVE
            if given.lower() in ("e", "edit"):
                return _Answer.EDIT
            if given.lower() in ("d", "drop") or given in _WAYS_OUT:
                return _Answer.DROP
            self._say("  e  edit the text again")
            self._say(f"  d  drop the edit: {self.target.path} stays as it is; q and x do so too")
            self._say("  S  save it anyway, with what is said above; s does not" if is_risky else
                      "  s  save it")

    def _save(self, text: bytes, disk: _OnDisk) -> None:
        path = self.target.path
        if not os.path.isdir(os.path.dirname(path)):
            os.mkdir(os.path.dirname(path), 0o755)
        write_atomically(path, text, disk.mode, disk.acl, disk.uid, disk.gid)
        self._say(f"saved {path}")
        if self.target.policy == paths.POLICY:
            self._say("guard and sudo follow at once, users at their next login; "
                      "`pam-spice apply --now` is for those who are logged in")


def _read(path: str, then: str, owner: int) -> _OnDisk:
    """Raises FileMissing or FileRefused."""
    descriptor = open_trusted(path, owner)
    try:
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid():
            raise FileRefused(path, f"belongs to uid {found.st_uid}, not to you",
                              "put sudo before it")
        acl = os.getxattr(descriptor, _ACL) if _ACL in os.listxattr(descriptor) else None
        return _OnDisk(then, read_all(descriptor), stat.S_IMODE(found.st_mode) & ~0o022,
                       found.st_uid, found.st_gid, acl)
    except ValueError as error:
        raise FileRefused(path, str(error), "shorten it") from None
    finally:
        os.close(descriptor)


def _content(path: str) -> bytes | None:
    """A draft's text; None where there is no plain file, or one that is too large."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return read_all(descriptor)
    except ValueError:
        return None
    finally:
        os.close(descriptor)


# The lock

@contextmanager
def _locked(policy: str) -> Iterator[None]:
    """One edit of a policy at a time. The lock is on its directory: a file of the policy is
    another file after each edit. The kernel frees it when its holder dies."""
    directory = os.path.dirname(policy)
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise FileRefused(directory, "does not exist", f"mkdir {directory}") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FileRefused(policy, f"is being edited already{_holder(descriptor)}",
                              "wait until that is done") from None
        yield
    finally:
        os.close(descriptor)


def _holder(descriptor: int) -> str:
    """Who has the lock, as far as the kernel tells: proc_locks(5)."""
    inode = str(os.fstat(descriptor).st_ino)
    try:
        with open("/proc/locks", encoding="ascii") as file:
            pids = [fields[4] for fields in map(str.split, file)
                    if fields[1] == "FLOCK" and fields[5].rpartition(":")[2] == inode]
        with open(f"/proc/{pids[0]}/loginuid", encoding="ascii") as file:
            uid = int(file.read())
    except (OSError, IndexError, ValueError):
        return ""
    try:
        return f", by process {pids[0]} of {pwd.getpwuid(uid).pw_name}"
    except KeyError:  # no login: 4294967295
        return f", by process {pids[0]}"
