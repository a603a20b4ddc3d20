"""PAM: the hook's lines are in the stack of each service that counts, and are come to."""

import os
import stat
from collections.abc import Iterator, Sequence

from conf.model import Workstation
from pam_spice import pamstack, paths
from pam_spice.doctor import pamflow
from pam_spice.doctor.findings import FIX, Code, Finding, Piece

HOOK = f"{paths.PREFIX}/hook"


def pam_findings(services: Sequence[str]) -> Iterator[Finding]:
    """``services`` are those of the policy."""
    yield from _hook_findings()
    has_tool = os.path.exists(pamstack.PAM_AUTH_UPDATE)
    are_in_place = not has_tool or pamstack.is_in_place(services)
    if not are_in_place:
        yield Finding(Code.PAM_MISSING, "PAM's session stack does not have pam-spice's lines for "
                      "the policy's services: no login through them opens anything",
                      f"{FIX}; where /etc/pam.d/common-session was edited by hand it stays as it "
                      f"is: pam-auth-update --force", Piece.PAM)
    present = [service for service in services if _read(service) is not None]
    for service in services:
        # One policy is for many workstations, and none has all the login screens that are usual.
        if service not in present and (service not in Workstation().services or not present):
            yield Finding(Code.PAM_NO_SERVICE, f"there is no PAM service {service} here, which "
                          f"the policy counts", "nothing; or take it out of services")
    for service in present:
        if pamstack.lets_users_set_its_environment(service):
            yield Finding(Code.PAM_USER_ENVIRONMENT, f"{service} reads ~/.pam_environment, which "
                          f"would let users run code in the hook: its logins open nothing",
                          f"take user_readenv=1 out of /etc/pam.d/{service}, then {FIX}")
        elif are_in_place:
            yield from _order_findings(service)


def _order_findings(service: str) -> Iterator[Finding]:
    stack = pamflow.session_stack(service, _read)
    if not any(map(_is_hook, pamflow.lines(stack))):
        yield Finding(Code.PAM_MISSING, f"the PAM stack of {service} does not come to pam-spice's "
                      f"lines: it does not include common-session",
                      f"put '@include common-session' into /etc/pam.d/{service}, or pam-spice's "
                      f"lines after pam_systemd's")
        return
    for line in pamflow.skipping(stack, service, _is_hook):
        yield Finding(Code.PAM_SKIPPED, f"in the PAM stack of {service} this line can make a login "
                      f"go past pam-spice's: {line.text} ({line.file})",
                      f"move it behind them, or make it required, in /etc/pam.d/{line.file}")
    if any(map(_is_hook, pamflow.reached(stack, service, _is_systemd))):
        yield Finding(Code.PAM_BEFORE_LOGIND, f"in the PAM stack of {service} pam-spice's lines "
                      f"can be come to before pam_systemd's: logind knows no session then, and "
                      f"nothing opens",
                      "apt install libpam-systemd; where its line was deleted by hand: "
                      "pam-auth-update --package --remove systemd; pam-auth-update --package")


def _is_hook(line: pamflow.Line) -> bool:
    return line.name == "pam_exec.so" and HOOK in line.arguments and line.arguments[-1] == "open"


def _is_systemd(line: pamflow.Line) -> bool:
    return line.name == "pam_systemd.so"


def _read(service: str) -> str | None:
    for directory in pamstack.DIRECTORIES:
        try:
            # libpam lower-cases the names of services.
            path = directory / (service.lower() if (directory / service.lower()).exists()
                                else service)
            return path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
    return None


def _hook_findings() -> Iterator[Finding]:
    """PAM runs it as root, whoever can write it."""
    try:
        found = os.lstat(HOOK)
    except OSError as error:
        yield Finding(Code.HOOK_UNSAFE, f"the hook {HOOK} can't be looked at: {error.strerror}",
                      "install pam-spice anew")
        return
    mode = stat.S_IMODE(found.st_mode)
    if (not stat.S_ISREG(found.st_mode) or found.st_uid != 0 or mode & 0o022
            or not mode & 0o100):
        yield Finding(Code.HOOK_UNSAFE, f"the hook {HOOK} is not a program that root alone can "
                      f"write (uid {found.st_uid}, mode {mode:04o}), and PAM runs it as root",
                      f"chown root:root {HOOK}; chmod 755 {HOOK}; and look what is in it")
