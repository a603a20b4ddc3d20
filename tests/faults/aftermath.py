"""After a storm: one reconcile must have put all right."""

from pam_spice import paths
from session.records import OPEN, WAITING, read_records
from tests.faults.installed import COMMAND
from tests.faults.machine import Machine, files
from tests.faults.parallel import answers
from tests.faults.processes import start
from tests.faults.storm import Storm, hang_up
from tests.faults.tally import Raged

_REST = 60.0
"""Seconds that a storm has to begin and to end."""


def rage(seed: int, seconds: float, one_user: bool) -> Raged:
    """A storm in namespaces of its own, and what it left. Raises RuntimeError."""

    def body() -> Raged:
        storm = Storm(Machine(), seed, one_user)
        storm.run(seconds)
        expect_one_reconcile_to_put_all_right(storm)
        log_everybody_out(storm)
        return Raged(one_user, seconds, seed, storm.tally, tuple(storm.problems))

    return answers([body], seconds + _REST)[0]


def expect_one_reconcile_to_put_all_right(storm: Storm) -> None:
    """Those who are here have what is theirs, the others nothing, and nothing is left over."""
    table = storm.machine.table()
    assert table is not None
    living = {login.session: login for login in storm.crowd.logins if login.is_alive}
    uids = {login.person.uid for login in living.values()}
    open_before = table.jumps & uids
    status = _reconcile()
    storm.expect(status == 0, f"the last reconcile ended with {status}")
    table = storm.machine.table()
    assert table is not None
    storm.expect(table.guard == storm.guards[not storm.has_more],
                 "at the end: not the guard of the policy")
    open_uids = set(table.chains) | table.jumps
    if storm.one_user:
        storm.expect(len(open_uids) == min(1, len(uids)) and open_uids <= uids,
                     f"at the end: {open_uids} are open of {uids}")
        storm.expect(not open_before or open_uids == open_before,
                     f"at the end: open was {open_before}, now {open_uids}")
    else:
        storm.expect(open_uids == uids, f"at the end: {open_uids} are open, not {uids}")
    for person in storm.people:
        if person.uid in open_uids:
            is_open = table.what_is_open(person.uid, person.chain)
            storm.expect(is_open == "whole", f"at the end: {person.name} has {is_open}")
    states = {session: record.state for session, record in read_records().items()}
    storm.expect(states == {session: OPEN if login.person.uid in open_uids else WAITING
                            for session, login in living.items()},
                 f"at the end: records {states}")
    _expect_no_leftovers(storm, {f"{paths.RUN}/sessions/{session}" for session in living})
    for login in storm.crowd.logins:
        if login.client is not None and login.person.uid not in open_uids:
            end = login.client.wait_for_end()
            storm.expect(end not in ("data", "TimeoutError"),
                         f"at the end: {login.person.name} is out, and his connection: {end}")


def log_everybody_out(storm: Storm) -> None:
    """After it nothing of the storm is there any more."""
    for login in storm.crowd.logins:
        if login.is_alive:
            storm.end(login)
        storm.forget(login)
        hang_up(login)
    storm.expect(_reconcile() == 0, "with nobody here: the reconcile failed")
    table = storm.machine.table()
    assert table is not None
    storm.expect(not table.chains and not table.jumps, "with nobody here: something is open")
    _expect_no_leftovers(storm, set())


def _reconcile() -> int | None:
    process = start(COMMAND, "reconcile")
    status = process.status_if_ours()
    process.close()
    return status


def _expect_no_leftovers(storm: Storm, more: set[str]) -> None:
    left = files() ^ (storm.files | more)
    storm.expect(not left, f"left over or missing: {sorted(left)}")
