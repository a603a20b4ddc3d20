"""``doctor --fix``: the steps of setup, for what was found.

First all is closed that drift may have opened, then it is mended, then opened again: a reconcile
before and after. It sees to guard, sudoers and policy itself, and to their records in the journal.
"""

import os
from collections.abc import Iterator, Sequence

from conf.viewer import VIEWER, VIEWER_GROUP
from pam_spice import installing, journal, menuentry, paths
from pam_spice.doctor.findings import Finding, Piece
from pam_spice.installing import Step
from pam_spice.run import CommandFailed

WATCHED = (VIEWER, "/etc/pam.d", "/etc/sudoers", "/etc/sudoers.d", "/etc/group", "/etc/gshadow",
           paths.POLICY)
"""What pam-spice-doctor.path watches."""


def mend(findings: Sequence[Finding]) -> Iterator[tuple[Piece, str | None]]:
    """Put the pieces right that lie outside firewall and sudoers; each that was, or that could not
    be, and with what it failed."""
    wanted = {finding.piece for finding in findings}
    is_first = installing.was_never_in_place()
    binding = wanted & {Piece.GROUP, Piece.VIEWER, Piece.PAM}
    if binding:
        yield from _carry_out(Piece.GROUP, installing.group_step(), findings, is_first)
        if os.path.lexists(VIEWER):
            yield from _carry_out(Piece.VIEWER, installing.viewer_step(), findings, is_first)
        for step in installing.pam_steps():
            yield from _carry_out(Piece.PAM, step, findings, is_first)
    if Piece.UNITS in wanted:
        yield from _carry_out(Piece.UNITS, installing.units_step(), findings)
    if binding:  # last: /usr/local may be a server's that is gone, and nothing waits behind it
        menuentry.hide()


def _carry_out(piece: Piece, step: Step, findings: Sequence[Finding],
               is_first: bool = False) -> Iterator[tuple[Piece, str | None]]:
    try:
        if step.is_done():
            return
        step.execute()
        if not step.is_done():
            yield piece, "it is as it was"
            return
    except (CommandFailed, OSError) as error:
        yield piece, str(error)
        return
    if is_first:  # it is the first policy's, and nothing was wrong
        journal.placed(piece, _PLACED[piece])
    else:
        facts = [finding.fact for finding in findings if finding.piece is piece]
        reason = f"found: {'; '.join(facts)}" if facts else "it was not as it should be"
        journal.log(journal.WARNING, f"mend: {_WORDS[piece]} ({reason})", event="mend",
                    what=piece, reason=reason)
    yield piece, None


_PLACED = {
    Piece.GROUP: f"the viewer's group {VIEWER_GROUP}",
    Piece.VIEWER: "the viewer is for sudo's rules alone",
    Piece.PAM: "PAM's session stack calls pam-spice",
}
_WORDS = {
    Piece.GROUP: "the viewer's group was made",
    Piece.VIEWER: "the viewer was closed to all but sudo's rules",
    Piece.PAM: "PAM's session stack was written",
    Piece.UNITS: "the units were enabled and started",
}


def fingerprint() -> list[tuple[str, ...]]:
    """What the watched files look like: two are equal where nothing has been written between."""
    seen = []
    for path in WATCHED:
        seen.append(stamp(path))
        if os.path.isdir(path):
            seen += [stamp(os.path.join(path, name)) for name in sorted(os.listdir(path))]
    return seen


def stamp(path: str) -> tuple[str, ...]:
    """The same of one file."""
    try:
        found = os.lstat(path)
    except OSError:
        return (path,)
    return (path, str(found.st_mode), str(found.st_uid), str(found.st_gid), str(found.st_ino),
            str(found.st_size), str(found.st_ctime_ns))
