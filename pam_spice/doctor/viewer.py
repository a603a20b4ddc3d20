"""The viewer's file and its group."""

import grp
import os
import pwd
from collections.abc import Iterable, Iterator

from conf.viewer import VIEWER, VIEWER_GROUP
from pam_spice import installing, viewerfile
from pam_spice.doctor.findings import FIX, Code, Finding, Piece
from pam_spice.naming import viewer_gid
from pam_spice.reconcile import has_password
from pam_spice.run import paste

_PASSWD, _GROUP = "/etc/passwd", "/etc/group"
_CLOSED = "until then nothing is open for anybody"


def viewer_findings() -> Iterator[Finding]:
    """Owner and mode, now and after the next update of the package."""
    if not os.path.lexists(VIEWER):
        yield Finding(Code.VIEWER_MISSING, f"there is no {VIEWER}", "install virt-viewer")
        return
    gid = viewer_gid()
    if gid is None:
        return
    fault = viewerfile.fault(gid)
    if fault is not None:
        yield Finding(Code.VIEWER_OPEN, f"{VIEWER}: {fault}", f"{FIX}; {_CLOSED}", Piece.VIEWER)
    if installing.lacks_override():
        yield Finding(Code.VIEWER_OVERRIDE, f"dpkg-statoverride does not keep {VIEWER} "
                      f"root:{VIEWER_GROUP} {viewerfile.MODE:04o}: the next update of its package "
                      f"opens it to everybody", FIX, Piece.VIEWER)


def group_findings(users: Iterable[str]) -> Iterator[Finding]:
    """Whether the group is there, and nobody can have it but by sudo's rules. ``users`` are looked
    up beside those of /etc/passwd."""
    try:
        group = grp.getgrnam(VIEWER_GROUP)
    except KeyError:
        yield Finding(Code.GROUP_MISSING, f"there is no group {VIEWER_GROUP}: nothing opens",
                      FIX, Piece.GROUP)
        return
    for member in group.gr_mem:
        yield Finding(Code.GROUP_MEMBER, f"{member} is a member of {VIEWER_GROUP}, so that any "
                      f"program of his can have it: nothing opens for him",
                      paste(["gpasswd", "-d", member, VIEWER_GROUP])
                      + "; programs that he has started keep it until he logs out")
    for user in sorted(_first_group(group.gr_gid, users)):
        yield Finding(Code.GROUP_FIRST, f"{VIEWER_GROUP} is the first group of {user}, and so that "
                      f"of all his programs: nothing opens for him",
                      paste(["usermod", "-g", "OTHERGROUP", user]))
    try:
        if has_password(group):
            yield Finding(Code.GROUP_PASSWORD, f"the group {VIEWER_GROUP} has a password, which "
                          f"opens it to all who know it: nothing opens for anybody",
                          f"gpasswd -r {VIEWER_GROUP}")
    except OSError as error:
        yield Finding(Code.GROUP_PASSWORD, f"whether the group {VIEWER_GROUP} has a password can't "
                      f"be told: {error}", "make /etc/gshadow a file that root can read")
    for name in sorted(_with_gid(group)):
        yield Finding(Code.GROUP_SHARED, f"the group {name} has the gid of {VIEWER_GROUP} "
                      f"({group.gr_gid}): who is in it has that of the viewer",
                      f"groupdel {name}, or groupmod -g OTHERGID {name}")


def _first_group(gid: int, users: Iterable[str]) -> set[str]:
    found = {fields[0] for fields in _fields(_PASSWD) if fields[3:4] == [str(gid)]}
    for user in users:
        try:
            if pwd.getpwnam(user).pw_gid == gid:
                found.add(user)
        except KeyError:
            continue
    return found


def _with_gid(group: grp.struct_group) -> set[str]:
    return {fields[0] for fields in _fields(_GROUP)
            if fields[2:3] == [str(group.gr_gid)] and fields[0] != group.gr_name}


def _fields(path: str) -> Iterator[list[str]]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            yield from (line.rstrip("\n").split(":") for line in file)
    except OSError:  # then accounts come from elsewhere alone
        return
