"""PAM's session stack: which services may carry the hook, and the lines that call it."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from conf.files import write_atomically
from pam_spice import journal
from pam_spice.run import CommandFailed, run

PROFILE = Path("/usr/share/pam-configs/pam-spice")
"""Where pam-auth-update(8) finds our lines."""

PAM_AUTH_UPDATE = "/usr/sbin/pam-auth-update"
_LOCKED = "is locked by another process"  # debconf's word
_PAUSE = 0.2  # seconds between two tries
_TEMPLATE = Path(__file__).resolve().parent.parent / "conf/system/pam-config"
COMMON_SESSION = Path("/etc/pam.d/common-session")

DIRECTORIES = (Path("/etc/pam.d"), Path("/usr/lib/pam.d"))
"""Where libpam looks for a service's file, in this order."""


def lines_of(service: str, directories: tuple[Path, ...] = DIRECTORIES,
             depth: int = 0) -> Iterator[str]:
    """A service's lines with what it includes (pam.d(5): @include, include, substack)."""
    if depth > 32:
        return
    for directory in directories:
        try:
            text = (directory / service).read_text(encoding="utf-8", errors="replace")
            break
        except OSError:
            continue
    else:
        return
    for line in text.replace("\\\n", " ").splitlines():
        words = line.partition("#")[0].split()
        if len(words) == 2 and words[0] == "@include":
            yield from lines_of(words[1], directories, depth + 1)
        elif len(words) >= 3 and words[1] in ("include", "substack"):
            yield from lines_of(words[2], directories, depth + 1)
        elif words:
            yield " ".join(words)


def lets_users_set_its_environment(service: str,
                                   directories: tuple[Path, ...] = DIRECTORIES) -> bool:
    """Whether the service's stack reads ~/.pam_environment.

    The hook inherits that environment, LD_PRELOAD included, before a line of it has run: in such
    a stack it must not be started at all. Stock sshd is one.
    """
    if not any((directory / service).exists() for directory in directories):
        service = "other"  # pam(7): what has no file of its own
    return any("pam_env" in line and "user_readenv=" in line
               # Of several the last counts.
               and not line.rpartition("user_readenv=")[2].startswith("0")
               for line in lines_of(service, directories))


def split_services(services: Sequence[str]) -> tuple[list[str], list[str]]:
    """The services that can carry the hook, and those whose stack makes that unsafe."""
    refused = [service for service in services if lets_users_set_its_environment(service)]
    return [service for service in services if service not in refused], refused


def profile(services: Sequence[str]) -> str:
    """The profile for pam-auth-update; its lines are skipped for services not named in it."""
    carried, _ = split_services(services)
    # An empty list matches no service, like one that does not exist.
    return _TEMPLATE.read_text(encoding="utf-8").replace("@SERVICES@", ":".join(carried) or "none")


def stack_lines(text: str) -> list[str]:
    """A profile's lines for the session stack, without the word ``session``."""
    return text.partition("Session:\n")[2].splitlines()


def is_in_place(services: Sequence[str]) -> bool:
    """Whether the session stack has the lines that the policy asks for."""
    wanted = profile(services)
    try:
        present = [line.split()[1:] for line in
                   COMMON_SESSION.read_text(encoding="utf-8").splitlines()
                   if line.startswith("session")]
        return PROFILE.read_text(encoding="utf-8") == wanted and all(
            line.split() in present for line in stack_lines(wanted))
    except OSError:
        return False


def update(*words: str, patience: float = 0.0) -> None:
    """Run pam-auth-update(8). It asks debconf's database, which one process at a time may use: for
    so many seconds wait for another's end. Raises CommandFailed."""
    end = time.monotonic() + patience
    while True:
        try:
            run([PAM_AUTH_UPDATE, "--package", *words])
            return
        except CommandFailed as error:
            if _LOCKED not in error.error_output or time.monotonic() >= end:
                raise
        time.sleep(_PAUSE)


def install(services: Sequence[str], patience: float = 0.0) -> None:
    """Put the lines into the session stack; ``patience`` is update's. Raises OSError or
    CommandFailed."""
    for again in (False, True):
        if again:
            # It takes a line that was changed by hand for the admin's own wish, carries it into
            # ours and mixes up our two of the same module. Taken out and put in they are new; what
            # was changed in others' lines stays.
            update("--remove", "pam-spice", patience=patience)
        write_atomically(str(PROFILE), profile(services).encode(), 0o644)
        update(patience=patience)
        if is_in_place(services):
            return
    raise OSError(f"{COMMON_SESSION} was edited by hand where pam-auth-update writes: run "
                  f"pam-auth-update --force, which drops that")


def bring(services: Sequence[str]) -> None:
    """After an edit: make the lines name the policy's services, where setup has put them.

    Raises OSError or CommandFailed.
    """
    if PROFILE.exists() and not is_in_place(services):
        install(services)
        reason = "it did not name the policy's services, or lines were missing"
        journal.log(journal.WARNING, f"mend: PAM's session stack was written ({reason})",
                    event="mend", what="pam", reason=reason)
