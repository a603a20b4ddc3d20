"""What ``sudo -ll -U USER`` says, and which of its rules open the viewer. Pure.

The form is that of sudo 1.9 in the C locale, written to a pipe (else it breaks long lines): of
each entry ``RunAsUsers``, ``RunAsGroups``, ``Options`` and one command a line. What is read there
are words of sudoers(5): backslashes are still in them.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

_ENTRY = "Sudoers entry:"
_DEFAULTS = re.compile(r"(?:^|\s{2,})(?=Defaults[!>@:])")
_DIGEST = re.compile(r"^(?:sha(?:224|256|384|512):\S+(?:, | ))+")
_ESCAPED = re.compile(r"\\(.)")

_WEAKENING = re.compile(
    r"^(?:!env_reset|setenv|env_(?:keep|check|delete|file)|restricted_env_file|runchroot"
    r"|noexec|intercept|(?:target|root|runas)pw)\b")
"""Settings that, made for our command again, undo what our own line says of it."""

_EVERYWHERE = re.compile(r"^(?:(?:restricted_)?env_file|runchroot)=")
"""Settings that hold for our command though our own line does not speak of them: variables from a
file, and a root directory of the caller's choice with his own programs in it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One rule: who may be become, and what run."""

    users: tuple[str, ...]
    groups: tuple[str, ...]
    options: tuple[str, ...]
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """All that sudo says of one user. ``defaults`` hold for all his commands, ``bound`` for one
    command or one target user: (of what, the settings)."""

    entries: tuple[Entry, ...]
    defaults: tuple[str, ...]
    bound: tuple[tuple[str, tuple[str, ...]], ...]


def parse_listing(text: str) -> Listing:
    """Read sudo's output; what is not known is left out."""
    head, *entries = text.split(f"\n{_ENTRY}\n")
    matching = bound = ""
    where = ""
    for line in head.split("\n"):
        if line.startswith("Matching Defaults entries for "):
            where = "matching"
        elif line.startswith("Runas and Command-specific defaults for "):
            where = "bound"
        elif line.startswith("User "):
            break
        elif where == "matching":
            matching += f"{line}\n"
        elif where == "bound":
            bound += f"{line}\n"
    return Listing(
        tuple(map(_entry, entries)), tuple(_settings(matching)),
        tuple(_bound(part) for line in bound.split("\n")
              for part in _DEFAULTS.split(line.strip()) if part))


def _entry(text: str) -> Entry:
    fields: dict[str, tuple[str, ...]] = {}
    commands: list[str] = []
    for line in text.split("\n"):
        if line.startswith("\t"):
            commands.append(line.strip())
        else:
            name, _, value = line.strip().partition(": ")
            fields[name] = tuple(value.split(", "))
    return Entry(fields.get("RunAsUsers", ()), fields.get("RunAsGroups", ()),
                 fields.get("Options", ()), tuple(commands))


def _settings(text: str) -> list[str]:
    """Split at commas that are not quoted or escaped."""
    return [part.strip() for part in re.findall(r'(?:[^,"\\]|\\.|"[^"]*")+', text) if part.strip()]


def _bound(text: str) -> tuple[str, tuple[str, ...]]:
    """``Defaults!COMMAND SETTINGS``: the settings begin at the first word that can be one; a
    command's arguments are names, not settings, where it is ours."""
    rest = text.removeprefix("Defaults")
    kind, rest = rest[:1], rest[1:]
    match = re.search(r"\s(?=!?[a-z_]+(?:[+-]?=|,|\s*$))", rest)
    if match is None:
        return kind + rest, ()
    return kind + rest[:match.start()], tuple(_settings(rest[match.end():]))


def is_root_in_effect(entry: Entry) -> bool:
    """Whether it lets him run whatever he wants as root."""
    return "ALL" in entry.commands and any(user in ("ALL", "root", "#0") for user in entry.users)


def opening_command(entry: Entry, group: Collection[str], programs: Collection[str],
                    own: Collection[str]) -> str | None:
    """The command of the entry by which the viewer's group, or the viewer itself, could be had by
    another way than ours; None if there is none.

    ``group`` are the viewer group's names in sudo's words, ``programs`` the viewer and what
    becomes it, ``own`` the exact commands that our own rules give this user.
    """
    has_group = any(word in group for word in entry.groups)
    is_root = any(word in ("ALL", "root", "#0") for word in entry.users)
    opens: dict[str, str] = {}
    for command in entry.commands:
        is_negated = command.startswith("!")
        bare = _DIGEST.sub("", command.removeprefix("!"))
        if is_negated:
            # The last match counts, and what is excepted by its path alone is excepted.
            opens = {program: by for program, by in opens.items()
                     if bare != "ALL" and not (" " not in bare and _covers(bare, program))}
            continue
        if bare in own and entry.groups and not is_root:
            continue
        if has_group and bare != "list":
            return command
        if is_root:
            opens |= {program: command for program in programs if _covers(bare, program)}
    return next(iter(opens.values()), None)


def word_of(entry: Entry, command: str, group: Collection[str]) -> str:
    """A word by which such a rule is found in sudo's files: the group where the rule names it, else
    what it lets run."""
    named = [word for word in entry.groups if word in group and word != "ALL"]
    return named[0] if named else _DIGEST.sub("", command).split(" ")[0]


def _covers(command: str, program: str) -> bool:
    """Whether the command, as sudoers(5) writes it, can be that program with some arguments."""
    if command == "ALL":
        return True
    if command.startswith("^"):
        try:
            return re.match(command.split(" ")[0], program) is not None
        except re.error:
            return True  # nobody can tell
    path = command.split(" ")[0]
    if path.endswith("/"):
        return program.rpartition("/")[0] + "/" == path
    # A wildcard in a path matches no slash: fnmatch(3), FNM_PATHNAME.
    parts, own = path.split("/"), program.split("/")
    return len(parts) == len(own) and all(
        fnmatchcase(mine, _ESCAPED.sub(r"[\1]", pattern))
        for mine, pattern in zip(own, parts, strict=True))


def weakening(listing: Listing, programs: Iterable[str],
              ours: Collection[str]) -> list[tuple[str, str]]:
    """Settings that undo what our own line sets for the viewer's command: (of what, setting).

    ``ours`` are the settings of our own line, word by word.
    """
    found = [("everything", setting) for setting in listing.defaults if _EVERYWHERE.match(setting)]
    for what, settings in listing.bound:
        if not what.startswith("!") or not any(_covers(what[1:], each) for each in programs):
            continue
        if set(settings) == set(ours):
            continue
        found += [(what[1:], setting) for setting in settings if _WEAKENING.match(setting)]
    return found
