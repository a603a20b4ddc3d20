"""What should be: from sessions, records and the clock to records and chains. Pure."""

from conf.grantline import FOREVER
from conf.intervals import DAY, Interval, merged
from pam_spice.firewall import Chain, Rule
from session.logind import LogindSession
from session.records import CLOSED, OPEN, SHUT, WAITING, Record

TYPE_CHECKING = False  # typing and collections are slow to import, and a login needs neither
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

FIRST_SANE_SECOND = 1767225600
"""2026-01-01T00:00:00Z, before this was written: a clock that says less has lost its battery."""

_HORIZON = 8 * DAY
"""How far ahead a chain holds intervals: with every process of ours stopped, windows go on opening
and closing this long; each reconcile moves it on, at most once a day, so that chains seldom
change."""


def horizon(now: int) -> Interval:
    """The span of time whose intervals a chain holds."""
    today = now - now % DAY
    return today - DAY, today + _HORIZON


def chain_of(records: "Iterable[Record]", gid: int, now: int) -> Chain:
    """The rules that one user's records ask for, in a fixed order."""
    if now < FIRST_SANE_SECOND:
        return ()
    start, end = horizon(now)
    open_in: dict[tuple[str, int], list[Interval]] = {}
    for record in records:
        for grant in record.grants:
            for address in grant.addresses:
                intervals = open_in.setdefault((address, grant.port), [])
                if grant.windows is None:  # no calendar is needed, so no horizon either
                    intervals.append(grant.valid)
                else:
                    intervals += grant.open_in(record.offsets, start, end)
    rules: list[Rule] = []
    for (address, port), intervals in sorted(open_in.items()):
        rules += [(address, port, gid, opens, 0 if closes == FOREVER else closes)
                  for opens, closes in merged(intervals) if closes > now]
    return tuple(rules)


def allows(chain: Chain, address: str, port: int, now: float) -> bool:
    """Whether the chain lets the viewer reach that endpoint at this instant."""
    return any(rule[0] == address and rule[1] == port and rule[3] <= now
               and (now < rule[4] or not rule[4]) for rule in chain)


def next_edge(chains: "Iterable[Chain]", now: float) -> int | None:
    """The next instant at which a rule begins or ends to count."""
    return min((edge for chain in chains for rule in chain for edge in rule[3:] if edge > now),
               default=None)


def desired_records(sessions: list[LogindSession], records: dict[str, Record],
                    one_user: bool | None,
                    admitted: "Callable[[LogindSession], Record | None]",
                    ) -> dict[str, Record]:
    """The record that each session should have.

    ``sessions`` are those that count and whose leader lives. ``admitted`` gives a new session's
    record, or None where it can't be had now. With ``one_user`` the user who has consoles keeps
    them until his last session ends; then the one who has waited longest gets his. Where nobody
    knows whether there may be but one (None), each session stays as it is.
    """
    result: dict[str, Record] = {}
    shut: dict[str, Record] = {}
    for session in sessions:
        known = records.get(session.id)
        if known is not None and known.is_of(session.uid, session.leader):
            if known.state == CLOSED:  # logged out; logind has not noticed yet
                continue
            (shut if known.state == SHUT else result)[session.id] = known
        else:
            new = admitted(session)
            if new is not None:
                result[session.id] = new
    if one_user is None:
        return shut | result
    # Eldest first; a session that was open before comes before all that waited.
    eldest = sorted(result.values(), key=lambda record: (
        not (record.state == OPEN and record.session in records), record.since, record.session))
    return shut | {record.session: record.in_state(
                       OPEN if not one_user or record.uid == eldest[0].uid else WAITING)
                   for record in eldest}


def desired_chains(records: dict[str, Record], gid: int, now: int) -> dict[int, Chain]:
    """The chain of each user who has an open session; a user without rules has none."""
    by_user: dict[int, list[Record]] = {}
    for record in records.values():
        if record.state == OPEN:
            by_user.setdefault(record.uid, []).append(record)
    chains = {uid: chain_of(own, gid, now) for uid, own in by_user.items()}
    return {uid: chain for uid, chain in chains.items() if chain}
