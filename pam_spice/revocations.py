"""Consoles that an admin took back for a time, by ``pam-spice revoke --until``.

On the login path. One line each, fields joined by tabs: uid, until (seconds since the epoch), user,
who did it, why.
"""

import os

from conf.files import write_atomically
from pam_spice import paths


class Revocation:
    """One user's consoles are closed until an instant."""

    __slots__ = ("by", "reason", "uid", "until", "user")

    def __init__(self, uid: int, until: int, user: str, by: str, reason: str) -> None:
        self.uid = uid
        self.until = until
        self.user = user
        self.by = by
        self.reason = reason


def read_revocations(now: int) -> dict[int, Revocation]:
    """Those that have not expired, by uid.

    Raises OSError or ValueError where the file can't be read: then nobody knows who is revoked.
    """
    try:
        with open(paths.REVOKED, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        return {}
    found = {}
    for line in lines:
        uid, until, user, by, reason = line.split("\t")
        if int(until) > now:
            found[int(uid)] = Revocation(int(uid), int(until), user, by, reason)
    return found


def write_revocations(revocations: dict[int, Revocation]) -> None:
    """Replace them all. Raises OSError."""
    text = "".join(f"{each.uid}\t{each.until}\t{each.user}\t{each.by}\t{each.reason}\n"
                   for _, each in sorted(revocations.items()))
    if text:
        write_atomically(paths.REVOKED, text.encode())
    elif os.path.exists(paths.REVOKED):
        os.unlink(paths.REVOKED)
