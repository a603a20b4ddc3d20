"""The compiled policy of this workstation, compiled by whoever first meets a changed source.

On the login path; what an edit costs is imported only when there was one.
"""

import os
import time

from conf.lookup import CompiledPolicy, Unusable
from pam_spice import paths

children_until: float | None = None
"""A hook's: an instant of CLOCK_MONOTONIC, after which no program of its own may run."""


def is_in_force() -> bool:
    """Whether anything is to be enforced here: there is a policy, or there was one."""
    return os.path.lexists(paths.POLICY) or os.path.lexists(paths.GUARD)


def current_policy(now: int) -> CompiledPolicy:
    """The policy as it stands on the disk at this instant, in its compiled form.

    If the source was edited, this compiles it and makes guard and sudoers follow.

    Raises Unusable or OSError where there is no compiled policy to be had.
    """
    try:
        compiled = CompiledPolicy(paths.COMPILED)
        if compiled.is_current(now):
            return compiled
    except Unusable:
        pass
    if children_until is not None:
        from pam_spice.run import limit_all

        limit_all(children_until - time.monotonic())
    from pam_spice.libraries import allow_third_party_modules

    allow_third_party_modules()
    from pam_spice.follow import follow_policy

    return follow_policy(now)
