"""The viewer's file: whether it is as only sudo's rules for it may start it.

On the login path: imports nothing slow.
"""

import os
import stat

from conf.viewer import VIEWER, VIEWER_GROUP

MODE = 0o750


def fault(gid: int) -> str | None:
    """What is wrong with owner, group, mode or access list of the viewer; None if nothing is.

    ``gid`` is the viewer group's. A viewer that is not there can't be started by anybody, so that
    is no fault here. Raises OSError where nobody can tell.
    """
    try:
        found = os.stat(VIEWER)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return "it is not a file"
    if found.st_uid != 0:
        return f"it belongs to uid {found.st_uid}, not to root"
    if found.st_gid != gid:
        return f"its group is {found.st_gid}, not {VIEWER_GROUP} ({gid})"
    if stat.S_IMODE(found.st_mode) != MODE:
        return f"its mode is {stat.S_IMODE(found.st_mode):04o}, not {MODE:04o}"
    try:
        attributes = os.listxattr(VIEWER)
    except OSError as error:
        from errno import EOPNOTSUPP

        if error.errno == EOPNOTSUPP:
            return None
        raise
    if "system.posix_acl_access" in attributes:  # acl(5)
        return "it has an access list, which may let others in"
    return None
