"""What the doctor finds: a piece of pam-spice, or of what it stands on, is not as it should be."""

from dataclasses import dataclass
from enum import StrEnum

FIX = "pam-spice doctor --fix"
"""The remedy of what it mends itself."""


class Code(StrEnum):
    """What is found, by a code that stays; docs/doctor.md explains each."""

    VIEWER_MISSING = "D101"
    VIEWER_OPEN = "D102"
    VIEWER_OVERRIDE = "D103"
    GROUP_MISSING = "D111"
    GROUP_MEMBER = "D112"
    GROUP_FIRST = "D113"
    GROUP_PASSWORD = "D114"  # noqa: S105 - a code
    GROUP_SHARED = "D115"
    SUDOERS_MISSING = "D201"
    SUDOERS_OWNER = "D202"
    SUDOERS_CHANGED = "D203"
    SUDOERS_NOT_INCLUDED = "D204"
    SUDOERS_INVALID = "D205"
    SUDO_RULE = "D206"
    SUDO_DEFAULTS = "D207"
    SUDO_ROOT = "D208"
    SUDO_UNASKED = "D209"
    PAM_MISSING = "D301"
    PAM_SKIPPED = "D302"
    PAM_BEFORE_LOGIND = "D303"
    PAM_USER_ENVIRONMENT = "D304"
    PAM_NO_SERVICE = "D305"
    HOOK_UNSAFE = "D306"
    UNIT_MISSING = "D401"
    UNIT_MASKED = "D402"
    UNIT_DISABLED = "D403"
    UNIT_STOPPED = "D404"
    UNIT_OVERRIDDEN = "D405"
    GUARD_MISSING = "D501"
    GUARD_CHANGED = "D502"
    GUARD_UNREADABLE = "D503"
    GUARD_NOT_LAST = "D504"
    POLICY_UNUSABLE = "D601"
    POLICY_PROBLEMS = "D602"
    POLICY_STALE = "D603"
    CA_UNUSABLE = "D611"
    CA_EXPIRES_SOON = "D612"
    HOST_ELSEWHERE = "D621"
    CLOCK_WRONG = "D701"
    CLOCK_ALONE = "D702"
    ZONE_MISSING = "D703"
    ZONE_OTHER = "D704"
    LOGIND_SILENT = "D711"
    NO_LANDLOCK = "D721"
    NO_CUT = "D722"

    @property
    def short_name(self) -> str:
        """In words: ``viewer-open``."""
        return self.name.lower().replace("_", "-")


NOTES = frozenset((Code.SUDO_ROOT, Code.PAM_NO_SERVICE, Code.CLOCK_ALONE, Code.ZONE_OTHER))
"""What an admin may well want so: said, but no reason for an exit status other than 0."""


class Piece(StrEnum):
    """What ``--fix`` can put right; the word is the journal's, in the field ``what``."""

    GROUP = "group"
    VIEWER = "viewer"
    PAM = "pam"
    SUDOERS = "sudoers"
    UNITS = "units"
    GUARD = "guard"
    POLICY = "policy"


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding: a line of fact, a line of remedy, and what ``--fix`` would put right."""

    code: Code
    fact: str
    remedy: str
    piece: Piece | None = None

    @property
    def is_note(self) -> bool:
        """Whether it is a note only."""
        return self.code in NOTES

    def __str__(self) -> str:
        return f"{self.code} {self.code.short_name}: {self.fact}\n    {self.remedy}"
