"""/etc/sudoers.d/pam-spice: one exact command per console, for exactly its subjects.

The form is sudoers(5). In a command's arguments ``? * [ ]`` are wildcards and ``, : = \\`` and
space are syntax, so everything but letters, digits and ``/ _ . + @ -`` gets a backslash. In names
all but letters, digits, ``_ .`` and ``-`` is written as ``\\xHH``, and so is the first character:
a bare ALL would mean everybody, a word in capitals one of the site's aliases, and ``sudoedit``,
``sha256`` and IP addresses are words of the language.
"""

import hashlib
import os
import stat
from collections.abc import Iterable

from conf.files import write_atomically
from conf.grantline import GrantLine, format_grant
from conf.lookup import CompiledPolicy
from conf.viewer import VIEWER_GROUP, viewer_command
from pam_spice import journal, paths
from pam_spice.run import run
from session.records import OPEN, Record

_HEAD = "# pam-spice "
_RENDERING = "3"  # to be raised when render() writes other lines
_NAMES_PER_LINE = 50
_MODE = 0o440

# What a window needs on X11 and Wayland. Set with "=", not "+=": a site's own env_keep must not
# reach the viewer, where GTK_MODULES and its like load code.
_ENV_KEEP = "DISPLAY XAUTHORITY WAYLAND_DISPLAY XDG_RUNTIME_DIR"
# Kept only without "/" and "%", which would make them names of files: sudoers(5), env_check.
_ENV_CHECK = "LANG LANGUAGE LC_ALL LC_CTYPE LC_MESSAGES LC_TIME"


def render(grants: Iterable[GrantLine], password: bool) -> str:
    """The lines that let each grant's subject start the viewer for its console."""
    consoles: dict[tuple[str, ...], tuple[str, set[str]]] = {}
    for grant in grants:
        command = tuple(_command(grant))
        consoles.setdefault(command, (grant.console, set()))[1].add(grant.subject)
    lines = []
    for command, (console, subjects) in sorted(consoles.items()):
        alias = f"PAM_SPICE_{hashlib.sha256(' '.join(command).encode()).hexdigest()[:16].upper()}"
        lines += [
            f"# {console}",
            f"Cmnd_Alias {alias} = {command[0]} {' '.join(map(_escape_argument, command[1:]))}",
            # What a site may have set is undone; noexec would stop the confiner before the viewer.
            f'Defaults!{alias} env_reset, !setenv, env_keep = "{_ENV_KEEP}", '
            f'env_check = "{_ENV_CHECK}", !targetpw, !rootpw, !runaspw, !noexec',
        ]
        names = sorted(map(_escape_subject, subjects))
        for at in range(0, len(names), _NAMES_PER_LINE):
            lines.append(f"{', '.join(names[at:at + _NAMES_PER_LINE])} ALL = (:{VIEWER_GROUP}) "
                         f"{'PASSWD' if password else 'NOPASSWD'}: {alias}")
    return "\n".join([*lines, ""])


def _escape_argument(argument: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "/_.+@-") else f"\\{c}"
                   for c in argument)


def _escape_subject(subject: str) -> str:
    kind, _, name = subject.partition(":")
    escaped = "".join(
        c if at and c.isascii() and (c.isalnum() or c in "_.-")
        else "".join(f"\\x{byte:02x}" for byte in c.encode())
        for at, c in enumerate(name))
    return f"%{escaped}" if kind == "group" else escaped


def bring(compiled: CompiledPolicy, records: Iterable[Record], is_first: bool = False) -> bool:
    """Put the drop-in in place if it is not what it should be; tell whether it was changed.
    ``is_first``: there was no policy before.

    Open sessions keep what they were opened with, so what the policy has dropped stays for them
    until they end. Before there was a policy there is no drop-in.

    Raises OSError, and CommandFailed where visudo finds fault; then the old file stays.
    """
    if not any(map(os.path.lexists, (paths.POLICY, paths.GUARD, paths.SUDOERS))):
        return False
    kept = _kept(compiled, records)
    key = _key(compiled, kept)
    before = _content(paths.SUDOERS)
    if _is_whole(before, key):
        return False
    rules = render([*compiled.all_grants(), *kept], compiled.sudo_password)
    text = (f"{_HEAD}{key} {_digest(rules)}\n"
            f"# Made by pam-spice from {paths.POLICY}; edits here are overwritten.\n{rules}")
    # sudo reads no file in sudoers.d whose name has a dot, so this one is never live.
    candidate = f"{paths.SUDOERS}.{os.getpid()}"
    write_atomically(candidate, text.encode(), _MODE)
    try:
        run([paths.VISUDO, "-cf", candidate])
        os.rename(candidate, paths.SUDOERS)
    except BaseException:
        os.unlink(candidate)
        raise
    # What an edit or the end of a session asks for is no mending.
    if is_first and not before:
        journal.placed("sudoers", "sudo's rules")
    elif not _is_whole(before, before.partition("\n")[0].removeprefix(_HEAD).partition(" ")[0]):
        reason = "they were missing or changed"
        journal.log(journal.WARNING, f"mend: sudo's rules were written ({reason})", event="mend",
                    what="sudoers", reason=reason)
    return True


def is_in_place(compiled: CompiledPolicy, records: Iterable[Record]) -> bool:
    """Whether the drop-in is what the policy and the open sessions ask for, and root's alone."""
    return _is_whole(_content(paths.SUDOERS), _key(compiled, _kept(compiled, records)))


def command_of(grant: GrantLine) -> str:
    """The command that the grant's subject may run, as sudoers(5) writes it."""
    command = _command(grant)
    return " ".join([command[0], *map(_escape_argument, command[1:])])


def settings() -> tuple[str, ...]:
    """What our lines set for these commands, word by word."""
    return ("env_reset", "!setenv", f'env_keep="{_ENV_KEEP}"', f'env_check="{_ENV_CHECK}"',
            "!targetpw", "!rootpw", "!runaspw", "!noexec")


def _key(compiled: CompiledPolicy, kept: Iterable[GrantLine]) -> str:
    # Not the revision: what a text comes to changes with the host name and the holidays known.
    return _digest("\n".join([_RENDERING, hashlib.sha256(compiled.body()).hexdigest(),
                              str(compiled.sudo_password), *sorted(map(format_grant, kept))]))


def _kept(compiled: CompiledPolicy, records: Iterable[Record]) -> list[GrantLine]:
    """What open sessions may start and the policy does not give any more."""
    opened = [grant for record in records if record.state == OPEN for grant in record.grants]
    given, _ = compiled.grants_of(sorted({grant.subject for grant in opened}))
    rights = set(map(_right, given))
    return [grant for grant in opened if _right(grant) not in rights]


def _right(grant: GrantLine) -> tuple[str, ...]:
    return grant.subject, *_command(grant)


def _command(grant: GrantLine) -> list[str]:
    return viewer_command(grant.console, grant.host, grant.port, grant.ca_file)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _is_whole(content: str, key: str) -> bool:
    """Whether the drop-in was made for ``key`` and nobody changed it since.

    So that a large policy is rendered anew only after an edit.
    """
    head, _, rest = content.partition("\n")
    _, _, rules = rest.partition("\n")
    return head == f"{_HEAD}{key} {_digest(rules)}"


def _content(path: str) -> str:
    """The text of a file that is root's alone; any other counts as empty."""
    try:
        with open(path, encoding="utf-8") as file:
            found = os.fstat(file.fileno())
            if stat.S_IMODE(found.st_mode) != _MODE or found.st_uid or found.st_gid:
                return ""
            return file.read()
    except (OSError, ValueError):
        return ""
