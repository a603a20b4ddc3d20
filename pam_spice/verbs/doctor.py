"""``pam-spice doctor``: is everything of pam-spice here as it should be? With ``--fix`` it is made
so, as far as that is for pam-spice to do."""

import argparse
import time
from collections.abc import Sequence

from conf.problems import how_many, printable
from pam_spice import journal, pamstack, paths
from pam_spice.doctor import Look
from pam_spice.doctor.findings import Finding, Piece
from pam_spice.doctor.mend import fingerprint, mend, stamp
from pam_spice.policy import is_in_force
from pam_spice.reconcile import Reconciliation
from pam_spice.run import CommandFailed
from pam_spice.takingin import let_the_units_go_first
from pam_spice.told import Told, read_told, write_told
from pam_spice.verbs import NO, YES, mend_lock, need_root, print_json

_BROUGHT = {Piece.POLICY: paths.COMPILED, Piece.SUDOERS: paths.SUDOERS,
            Piece.PAM: str(pamstack.COMMON_SESSION)}
"""What a reconcile brings in line by itself."""

Mended = tuple[str, str | None]
"""A piece, and why it could not be mended."""

# systemd.path(5): while the unit that it starts is active, a path unit sees no change.
_MOST_ROUNDS = 3


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the verb."""
    parser = verbs.add_parser("doctor", help="is everything here as it should be?")
    parser.add_argument("--fix", action="store_true", help="put right what can be")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0: all is well, notes aside; 1: findings; 2: nobody can look."""
    need_root()
    if not is_in_force():
        if arguments.json:
            print_json({"ok": True, "in_force": False, "mended": [], "findings": []})
        else:
            print(f"nothing is enforced yet: write {paths.POLICY}")
        return YES
    mended: list[Mended] = []
    if arguments.fix:
        with mend_lock():
            for _ in range(_MOST_ROUNDS):
                before = fingerprint()
                mended += _round({piece for piece, _ in mended})
                if fingerprint() == before:
                    break
            findings = _findings()
            tell_journal(findings)
    else:
        let_the_units_go_first()
        findings = _findings()
    is_well = all(finding.is_note for finding in findings)
    if arguments.json:
        print_json({"ok": is_well, "in_force": True,
                    "mended": [{"what": piece, "error": error} for piece, error in mended],
                    "findings": list(map(_document, findings))})
    else:
        _print(mended, findings)
    return YES if is_well else NO


def _findings() -> list[Finding]:
    look = Look(int(time.time()))
    return sorted(dict.fromkeys([*look.at_pieces(), *look.at_surroundings()]),
                  key=lambda finding: finding.code)


def _round(tried: set[str]) -> list[Mended]:
    """Close what drift may have opened, mend, open; nothing is tried twice."""
    done = _reconcile()
    found = [finding for finding in Look(int(time.time())).at_pieces()
             if finding.piece and finding.piece not in tried]
    done += mend(found)
    if found:
        done += _reconcile()
    return done


def _reconcile() -> list[Mended]:
    """One full run, and what it has put right by itself."""
    before = {piece: stamp(path) for piece, path in _BROUGHT.items()}
    try:
        plan = Reconciliation().run()
    except (CommandFailed, OSError) as error:
        return [("reconcile", str(error))]
    done: list[Mended] = [(Piece.GUARD, None)] if plan.guard else []
    return done + [(piece, None) for piece, path in _BROUGHT.items()
                   if stamp(path) != before[piece]]


def tell_journal(findings: Sequence[Finding]) -> None:
    """Each finding once, until it is gone: a timer looks all day."""
    known = read_told()
    before = set(known[1]) if known else set()
    told = [Told(finding.code.value, printable(finding.fact), finding.is_note)
            for finding in findings]
    for each, finding in zip(told, findings, strict=True):
        if each not in before:
            journal.log(journal.INFO if finding.is_note else journal.WARNING,
                        f"finding: {finding.code} {finding.fact}; {finding.remedy}",
                        event="finding", code=finding.code, reason=finding.fact)
    try:
        write_told(told)  # also where nothing is new: its time is that of the look
    except OSError as error:  # who looks is to see what was found all the same
        journal.log(journal.ERROR, f"can't write {paths.DOCTOR_TOLD}: {error}",
                    event="write-failed")


def _document(finding: Finding) -> dict[str, object]:
    return {"code": finding.code, "name": finding.code.short_name, "note": finding.is_note,
            "fact": finding.fact, "remedy": finding.remedy, "mendable": finding.piece is not None}


def _print(mended: Sequence[Mended], findings: Sequence[Finding]) -> None:
    for piece, error in mended:
        print(f"mended: {piece}" if error is None else f"not mended: {piece}: {error}")
    for finding in findings:
        print(f"{'note ' if finding.is_note else ''}{finding}")
    count = sum(not finding.is_note for finding in findings)
    if count:
        print(f"{how_many(count, 'finding')}; {paths.PREFIX}/docs/doctor.md explains each code")
    else:
        print("fine")
