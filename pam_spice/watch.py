"""The watcher: does at once, for who is here, what the timer would do within a minute.

The kernel alone opens and closes at a window's edges. What needs a process is to cut a connection
that is idle, to notice a login process that was killed, and to let the next user in; this one
sleeps until a window's edge, a word from a hook, the death of a session's leader, or the kernel's
word that somebody has changed the table, as a restart of nftables.service does, which flushes the
whole ruleset, or has set the clock, or that the machine wakes from suspend.

It never compiles an edited policy: a process that lives for months has old time zones and public
holidays in its memory, and no edge may wait for a compilation. Logins, the path unit and the timer
do that, each in a process of its own; until then what was compiled last counts here.
"""

import os
import select
import time

from pam_spice import journal, paths
from pam_spice.clocksteps import ClockSteps
from pam_spice.desired import next_edge
from pam_spice.firewall.notices import Notices
from pam_spice.reconcile import Reconciliation

_LONGEST_SLEEP = 60.0  # seconds
_AFTER_EDGE = 0.05  # seconds: the kernel's clock is as good as ours, but not in step to the ms
_LONGEST_WORK = 0.2
"""Seconds; one change of the table takes a tenth of it, and while this process rests another one
would stand."""


def watch() -> None:
    """Reconcile and sleep, until the FIFO that hooks write to is another one: systemd, which then
    starts this anew, makes lost directories and shows them to it. Raises OSError where the FIFO
    can't be made, or the kernel has no nf_tables."""
    notices = Notices()
    steps = ClockSteps()
    if not os.path.exists(paths.WAKE):
        os.makedirs(paths.RUN, 0o711, exist_ok=True)
        os.mkfifo(paths.WAKE, 0o600)
    # Opened for writing too: else the last hook to close it would leave it at end of file.
    fifo = os.open(paths.WAKE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    was_told = False
    unrested = 0.0
    longest = _LONGEST_SLEEP
    while _is_there(fifo):
        began = time.monotonic()
        # As at a logout: nobody is admitted, and the policy is taken as it was compiled.
        run = Reconciliation(phase="close")
        try:
            run.run()
            longest = _LONGEST_SLEEP
        except Exception as error:  # whatever it was, the next round may succeed
            # It may not know who is here, nor the next edge.
            longest = 1.0 if longest == _LONGEST_SLEEP else min(2 * longest, _LONGEST_SLEEP / 2)
            journal.log(journal.ERROR, f"can't put things right: {error!r}",
                        event="watch-failed")
        done = time.monotonic()
        unrested += done - began
        if was_told and unrested > _LONGEST_WORK:
            # Half of a processor at most is for somebody who changes it again and again.
            time.sleep(unrested)
        was_told = _sleep(fifo, notices, steps, run, longest)
        unrested = max(0.0, unrested - (time.monotonic() - done))


def _is_there(fifo: int) -> bool:
    try:
        return os.path.samestat(os.stat(paths.WAKE), os.fstat(fifo))
    except OSError:
        return False


def _sleep(fifo: int, notices: Notices, steps: ClockSteps, run: Reconciliation,
           longest: float) -> bool:
    """Whether it ended because somebody has changed the table."""
    poll = select.poll()
    for source in (fifo, notices, steps):
        poll.register(source, select.POLLIN)
    leaders = []
    try:
        for record in run.records.values():
            try:
                leaders.append(os.pidfd_open(record.leader))
            except OSError:  # dead since: look again soon
                time.sleep(0.2)
                return False
            poll.register(leaders[-1], select.POLLIN)
        now = time.time()
        edge = next_edge(run.chains.values(), now)
        limit = longest if edge is None else min(edge - now + _AFTER_EDGE, longest)
        end = time.monotonic() + limit
        while True:
            ready = [each for each, _ in poll.poll(max(end - time.monotonic(), 0) * 1000)]
            if notices.fileno() in ready and notices.read():
                return True
            if ready != [notices.fileno()]:
                break
        steps.read()
        try:
            os.read(fifo, 65536)
        except BlockingIOError:
            pass
        return False
    finally:
        for leader in leaders:
            os.close(leader)
