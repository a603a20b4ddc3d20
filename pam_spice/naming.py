"""Names for what is told in numbers, as they are known now."""

import grp
import pwd

from conf.lookup import CompiledPolicy, Unusable
from conf.viewer import VIEWER_GROUP
from pam_spice import paths


def user_of(uid: int) -> str | None:
    """The user's name; None where there is no such user."""
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return None


def viewer_gid() -> int | None:
    """The viewer group's number; None where there is no such group."""
    try:
        return grp.getgrnam(VIEWER_GROUP).gr_gid
    except KeyError:
        return None


def granted_consoles() -> dict[tuple[str, int], list[str]]:
    """The consoles that the policy grants anybody, by address and port."""
    found: dict[tuple[str, int], list[str]] = {}
    try:
        grants = CompiledPolicy(paths.COMPILED).all_grants()
    except Unusable:
        return found
    for grant in grants:
        for address in grant.addresses:
            names = found.setdefault((address, grant.port), [])
            if grant.console not in names:
                names.append(grant.console)
    return found
