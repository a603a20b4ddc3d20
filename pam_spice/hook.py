"""What pam_exec runs at login and logout: ``hook open`` and ``hook close``.

Nothing of the environment is used, not even PAM's own variables: with pam_env's user_readenv a
user's file can forge them all. Which session this is about follows from who called: the process
that holds the PAM session is logind's leader of the session.
"""

# ``signal`` costs 8 ms, for its enums; this is the built-in module beneath it.
import _signal  # type: ignore[import-not-found]
import os
import time

_TIME_LIMIT = 8
"""Seconds; a login must never wait longer, whatever hangs: NSS, nft, a lock."""

_CHILDREN_LIMIT = 6.0
"""Seconds; less, so that no nft outlives its hook and opens what a later hook has closed."""

_NICE = -10


def main(phase: str) -> int:
    """Reconcile for the session whose PAM stack called; 0, or 1 if something failed."""
    # A caller may have left them ignored or blocked. SIGALRM's default action ends the process;
    # with SIGCHLD ignored a child's end could not be waited for.
    for number in (_signal.SIGALRM, _signal.SIGCHLD):
        _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
    _signal.alarm(_TIME_LIMIT)
    if os.geteuid() == 0:
        # Under su and sudo the real uid is the caller's, and he could stop this process while all
        # others wait for its lock: kill(2).
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
    try:
        # Who holds everybody's lock must not wait for a processor behind one user's processes.
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        os.setpriority(os.PRIO_PROCESS, 0, _NICE)
    except OSError:  # a container may forbid it
        pass
    os.chdir("/")
    os.umask(0o022)  # users must be able to pass the directories in /run
    os.environ.clear()

    from pam_spice import journal, policy
    from pam_spice.reconcile import Reconciliation

    leader = os.getppid()
    policy.children_until = time.monotonic() + _CHILDREN_LIMIT
    try:
        try:
            Reconciliation(leader, phase).run()
        except Exception as error:
            # The table may have been flushed; the whole workstation is put right then.
            journal.log(journal.WARNING, f"{phase}: {error!r}; now everything is looked at",
                        event="hook-again", phase=phase)
            from pam_spice.run import limit_all

            limit_all(policy.children_until - time.monotonic())
            Reconciliation(leader, phase, full=True).run()
    except Exception as error:  # a defect of ours too must be heard of, and never end a login
        journal.log(journal.ERROR, f"{phase}: {error!r}", event="hook-failed", phase=phase)
        return 1
    return 0
