"""Drift: what of pam-spice on this workstation, or of what it stands on, is not as it should be.

A module for each group of findings; docs/doctor.md explains each code. Looking writes nothing.
"""

from conf.compiling import Source
from conf.lookup import CompiledPolicy, Unusable
from pam_spice import installing, paths
from pam_spice.doctor.findings import Finding
from pam_spice.doctor.guard import guard_findings
from pam_spice.doctor.machine import (
    clock_findings,
    kernel_findings,
    logind_findings,
    zone_findings,
)
from pam_spice.doctor.pam import pam_findings
from pam_spice.doctor.people import People
from pam_spice.doctor.policy import policy_findings, server_findings
from pam_spice.doctor.sudo import drop_in_findings, rule_findings
from pam_spice.doctor.units import unit_findings
from pam_spice.doctor.viewer import group_findings, viewer_findings
from pam_spice.naming import viewer_gid

_read: Source | None = None


def _source() -> Source:
    """The policy as it stands on the disk; a repair looks several times, and a large one takes
    seconds to parse."""
    global _read
    if _read is None or not _read.is_current():
        _read = Source(paths.POLICY)
    return _read


class Look:
    """One look at the workstation: what its policy says, and what is found. Raises OSError."""

    def __init__(self, now: int) -> None:
        self._now = now  # seconds since the epoch
        self._policy = _source().parsed.policy
        self._compiled: CompiledPolicy | None
        try:
            self._compiled = CompiledPolicy(paths.COMPILED)
        except Unusable:
            self._compiled = None
        self._people = People(self._policy)

    def at_pieces(self) -> list[Finding]:
        """What pam-spice has put onto the workstation: all that can be mended is among it."""
        return [
            *viewer_findings(),
            *group_findings(self._people.names),
            *drop_in_findings(self._compiled),
            *pam_findings(installing.services(self._policy)),
            *unit_findings(),
            *guard_findings(self._compiled),
            *policy_findings(self._compiled, self._now),
        ]

    def at_surroundings(self) -> list[Finding]:
        """What it stands on; this may wait for directory and name servers."""
        return [
            *rule_findings(self._compiled, self._people, viewer_gid()),
            *server_findings(self._policy, self._now),
            *clock_findings(self._now),
            *zone_findings(self._policy, self._compiled.offsets if self._compiled else ()),
            *logind_findings(),
            *kernel_findings(),
        ]
