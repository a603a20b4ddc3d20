"""The watcher: does at once, for who is here, what the timer would do within a minute.

The kernel alone opens and closes at a window's edges. What needs a process is to cut a connection
that is idle, to notice a login process that was killed, and to let the next user in; this one
sleeps until a window's edge, a word from a hook, or the death of a session's leader.

It never compiles an edited policy: a process that lives for months has old time zones and public
holidays in its memory, and no edge may wait for a compilation. Logins, the path unit and the timer
do that, each in a process of its own; until then what was compiled last counts here.
"""

import os
import select
import time

from pam_spice import journal, paths
from pam_spice.desired import next_edge
from pam_spice.reconcile import Reconciliation

_LONGEST_SLEEP = 60.0  # seconds: a stepped clock moves every edge
_AFTER_EDGE = 0.05  # seconds: the kernel's clock is as good as ours, but not in step to the ms


def watch() -> None:
    """Reconcile and sleep, for ever. Raises OSError where the FIFO can't be made."""
    if not os.path.exists(paths.WAKE):
        os.makedirs(paths.RUN, 0o711, exist_ok=True)
        os.mkfifo(paths.WAKE, 0o600)
    # Opened for writing too: else the last hook to close it would leave it at end of file.
    fifo = os.open(paths.WAKE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    while True:
        # As at a logout: nobody is admitted, and the policy is taken as it was compiled.
        run = Reconciliation(phase="close")
        try:
            run.run()
        except Exception as error:  # whatever it was, the next round may succeed
            journal.log(journal.ERROR, f"can't put things right: {error!r}",
                        event="watch-failed")
        _sleep(fifo, run)


def _sleep(fifo: int, run: Reconciliation) -> None:
    poll = select.poll()
    poll.register(fifo, select.POLLIN)
    leaders = []
    try:
        for record in run.records.values():
            try:
                leaders.append(os.pidfd_open(record.leader))
            except OSError:  # dead since: look again soon
                time.sleep(0.2)
                return
            poll.register(leaders[-1], select.POLLIN)
        now = time.time()
        edge = next_edge(run.chains.values(), now)
        limit = _LONGEST_SLEEP if edge is None else min(edge - now + _AFTER_EDGE, _LONGEST_SLEEP)
        poll.poll(limit * 1000)
        try:
            os.read(fifo, 65536)
        except BlockingIOError:
            pass
    finally:
        for leader in leaders:
            os.close(leader)
