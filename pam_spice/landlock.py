"""Whether this kernel can confine the viewer: ``launcher.confine`` does, with Landlock."""

import ctypes

_CREATE_RULESET, _VERSION = 444, 1  # linux/landlock.h; the number is the same everywhere

NO_LANDLOCK = ("this kernel has no Landlock (before 5.13, or not in its lsm= list): code that a "
               "user gets loaded into the viewer runs with the viewer's group")


def is_there() -> bool:
    """By landlock_create_ruleset(2), asked for its version, as any process may."""
    libc = ctypes.CDLL(None, use_errno=True)
    return int(libc.syscall(ctypes.c_long(_CREATE_RULESET), None, ctypes.c_size_t(0),
                            ctypes.c_uint(_VERSION))) > 0
