"""A policy just saved, which systemd's path units take in within a second or two."""

import os
import sys
import time
from contextlib import suppress

from conf.lookup import CompiledPolicy, Unusable
from conf.sources import directory_of, paths_of
from pam_spice import paths

_TAKING_IN = 10.0  # seconds that the units have for it
_SYSTEMD = "/run/systemd/system"  # sd_booted(3)


def let_the_units_go_first() -> None:
    """Wait until it is taken in: what is seen meanwhile is neither the old state nor the new, and
    mends itself."""
    is_told = False
    files = directory_of(paths.POLICY), *paths_of(paths.POLICY)[0]
    while (os.path.isdir(_SYSTEMD) and 0 <= time.time() - _changed(*files) < _TAKING_IN
           and not _is_taken_in()):
        if not is_told:
            print("the policy was saved just now: waiting until it is taken in", file=sys.stderr)
            is_told = True
        time.sleep(0.1)


def _is_taken_in() -> bool:
    try:
        is_compiled = CompiledPolicy(paths.COMPILED).is_current(int(time.time()))
    except Unusable:
        return False
    return is_compiled and _changed(paths.DOCTOR_TOLD) >= _changed(paths.POLICY)


def _changed(*files: str) -> float:
    """When the youngest of the files was written, or came to its place."""
    times = [0.0]
    for file in files:
        with suppress(OSError):
            times.append(os.stat(file).st_ctime)
    return max(times)
