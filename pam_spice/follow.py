"""After an edit of the policy: compile it, and make guard and sudoers follow."""

import os

from conf.compiling import NO_REVISION, UNUSABLE, VALID, WITH_PROBLEMS, Source, compile_policy
from conf.files import write_atomically
from conf.lookup import CompiledPolicy, Endpoint, Unusable
from pam_spice import journal, paths, sudoers
from pam_spice.firewall import nft
from pam_spice.locking import Lock
from pam_spice.run import CommandFailed
from session.records import read_records

_MOST_PROBLEMS = 100
"""In the journal; `pam-spice check` shows them all."""


def follow_policy(now: int) -> CompiledPolicy:
    """Compile the policy as it stands on the disk and put guard and sudoers right.

    Raises OSError or Unusable where the compiled policy can't be written; then nothing has
    changed.
    """
    with Lock(paths.COMPILE_LOCK):
        before = None
        try:
            compiled = CompiledPolicy(paths.COMPILED)
            if compiled.is_current(now):  # another process was first
                return compiled
            before = compiled.revision
        except Unusable:
            pass
        source = Source(paths.POLICY)
        was_none = not os.path.lexists(paths.GUARD) and before in (None, NO_REVISION)
        never_was = source.is_missing and was_none
        compiled = compile_policy(source, paths.COMPILED, now, guarded=_guarded_at_boot())
        # Before the first one that it is missing is no fault.
        problems = [problem for problem in source.parsed.problems
                    if not (never_was and problem.mark.file == paths.POLICY)]
        for problem in problems[:_MOST_PROBLEMS]:
            journal.log(journal.ERROR, problem.in_a_line(), event="policy-problem",
                        place=problem.mark, revision=source.revision)
        journal.log(*_words(source, before, never_was), event="policy",
                    revision=source.revision, outcome=source.outcome, before=before,
                    problems=len(problems))
        # Nobody who holds this lock waits for the one on compiling.
        with Lock(paths.LOCK):
            if source.outcome == VALID or compiled.endpoints:
                _follow_guard(compiled)
            _follow_sudoers(compiled, was_none)
        return compiled


def _words(source: Source, before: str | None, never_was: bool) -> tuple[int, str]:
    if never_was:
        return journal.INFO, (f"policy: none yet: nothing is enforced before there is "
                              f"{paths.POLICY}")
    if source.is_missing:
        return journal.ERROR, (f"policy: {paths.POLICY} is gone (before: {before or 'unknown'}): "
                               f"no login opens anything, and what was guarded stays so")
    # The same text comes to something else where the zone or the machine's name is another.
    counts = ("was compiled anew, its text is as before" if before == source.revision else
              "counts from now on")
    words = {VALID: f"{counts}, and is valid",
             WITH_PROBLEMS: f"{counts}, but what has an error gives nothing: see pam-spice check",
             UNUSABLE: "can't be used, and nobody gets a console from it: see pam-spice check"}
    return journal.NOTICE, (f"policy: {source.revision} {words[source.outcome]} "
                            f"(before: {before or 'none'})")


def _guarded_at_boot() -> list[Endpoint]:
    """What the file for the boot guards: it is there though the compiled policy may be lost."""
    try:
        with open(paths.GUARD, encoding="utf-8", errors="replace") as file:
            return nft.endpoints_of(file.read())
    except OSError:
        return []


def _follow_guard(compiled: CompiledPolicy) -> None:
    text = nft.render_guard(compiled.endpoints)
    write_atomically(paths.GUARD, text.encode())
    try:
        before = nft.observe()
        is_ours = (before is None
                   or before.guard == (nft.seen_guard() or "").partition(" ")[0])
        nft.apply(text)
        after = nft.observe()
        # If somebody had changed the table before, the next reconcile is to find that out.
        if is_ours and after is not None:
            nft.remember_guard(after, text)
    except CommandFailed as error:
        journal.log(journal.ERROR, f"the guard does not follow the policy: {error}",
                    event="guard-failed", revision=compiled.revision)


def _follow_sudoers(compiled: CompiledPolicy, is_first: bool) -> None:
    try:
        sudoers.bring(compiled, read_records().values(), is_first)
    except (CommandFailed, OSError) as error:
        journal.log(journal.ERROR, f"sudoers do not follow the policy: {error}",
                    event="sudoers-failed", revision=compiled.revision)
