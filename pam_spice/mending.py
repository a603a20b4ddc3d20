"""A chain that is not what it should be: time has passed, or somebody was at it? Pure."""

from collections.abc import Collection, Mapping

from conf.grantline import FOREVER
from conf.intervals import DAY, Interval, merged
from pam_spice.desired import horizon
from pam_spice.firewall import Chain

EXTEND, MEND = "extend", "mend"
MISSING = "it was missing"

_Spans = dict[tuple[str, int, int], list[Interval]]


def found(chains: Mapping[int, Chain | None], jumps: Collection[int], desired: Mapping[int, Chain],
          now: int) -> dict[int, tuple[str, str]]:
    """For each user whose chain in the kernel says other than the desired one: EXTEND where only
    what is yet to come has come nearer, or MEND; and the reason.

    ``chains`` and ``jumps`` are the kernel's, see ``firewall.Observed``.
    """
    events = {}
    for uid in set(chains) | set(jumps) | set(desired):
        event = _event(chains.get(uid, ()), desired.get(uid, ()), now)
        if uid not in desired and event is not None:
            event = MEND, "no session that counts had it"
        elif uid in chains and uid in desired and uid not in jumps:
            event = MEND, "nothing led to it"
        elif uid not in chains and event is not None and event[0] == MEND:
            event = MEND, MISSING
        if event is not None:
            events[uid] = event
    return events


def _event(before: Chain | None, after: Chain, now: int) -> tuple[str, str] | None:
    if before is None:
        return MEND, "it held what is not ours"
    was, shall = _from(now, before), _from(now, after)
    if was == shall:
        return None
    # Chains are told up to a midnight some days ahead, which moves on; a run can come late.
    end = horizon(now)[1]
    for midnight in range(end, now, -DAY):
        if all(was.get(key, []) == _until(midnight, shall.get(key, []))
               for key in was.keys() | shall.keys() if was.get(key) != shall.get(key)):
            return EXTEND, "what is to come is told for some days ahead"
    return MEND, "it was changed"


def _from(now: int, chain: Chain) -> _Spans:
    """What the chain lets through from now on: expired rules say nothing any more."""
    spans: _Spans = {}
    for address, port, gid, start, end in chain:
        spans.setdefault((address, port, gid), []).append((max(start, now), end or FOREVER))
    whole = {key: merged(intervals) for key, intervals in spans.items()}
    return {key: intervals for key, intervals in whole.items() if intervals}


def _until(end: int, spans: list[Interval]) -> list[Interval]:
    return merged([(start, min(end, closes)) for start, closes in spans])
