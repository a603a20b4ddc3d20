"""``pam-spice status``: who is here, what is open."""

import argparse
import time
from datetime import datetime

from conf.grantline import FOREVER
from conf.intervals import DAY, merged
from conf.lookup import CompiledPolicy, Unusable
from pam_spice import landlock, paths, sockets
from pam_spice.desired import allows
from pam_spice.firewall import Chain, nft
from pam_spice.revocations import read_revocations
from pam_spice.verbs import NO, YES, iso, need_root, need_set_up, print_json
from session.records import Record, read_records

_AHEAD = 60 * DAY


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the verb."""
    parser = verbs.add_parser("status", help="show sessions, open consoles and the guard")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0: the guard stands and the policy has no problem; 1: not."""
    need_root()
    need_set_up()
    now = int(time.time())
    observed = nft.observe()
    chains = observed.chains if observed else {}
    try:
        policy = CompiledPolicy(paths.COMPILED)
        revision, outcome, endpoints = policy.revision, policy.outcome, policy.endpoints
        is_current = policy.is_current(now)
    except Unusable as error:
        revision, outcome, endpoints, is_current = "none", str(error), [], False
    connections = sockets.guarded_connections(endpoints)
    document: dict[str, object] = {
        "guard": {"loaded": observed is not None,
                  "endpoints": [f"{address} {low}-{high}" for address, low, high in endpoints]},
        "policy": {"revision": revision, "outcome": outcome, "current": is_current},
        "viewer": {"confined": landlock.is_there()},
        "sessions": [session_status(record, chains.get(record.uid) or (), now)
                     for record in read_records().values()],
        "chains": sorted(chains),
        "revoked": _revoked(now),
        "connections": [{"uid": c.uid, "address": c.address, "port": c.port}
                        for c in connections for _ in c.sockets],
    }
    is_well = (observed is not None and outcome == "valid"
               and document["revoked"] is not None)
    if arguments.json:
        print_json(document)
    else:
        _print(document)
    return YES if is_well else NO


def _revoked(now: int) -> list[dict[str, object]] | None:
    """None: the list is damaged, and nobody new gets a console."""
    try:
        return [{"user": each.user, "uid": each.uid, "until": iso(each.until), "by": each.by,
                 "reason": each.reason} for each in read_revocations(now).values()]
    except (OSError, ValueError):
        return None


def session_status(record: Record, chain: Chain, now: int) -> dict[str, object]:
    """A session and its consoles, as ``status --json`` shows them."""
    consoles = []
    for name in sorted({grant.console for grant in record.grants}):
        grants = [grant for grant in record.grants if grant.console == name]
        # What the kernel does now; until and next by the grants, for the chain ends earlier.
        is_open = all(allows(chain, address, grants[0].port, now)
                      for address in grants[0].addresses)
        # Windows are looked up so far ahead; of what has none all is known.
        coming = merged([interval for grant in grants for interval in grant.open_in(
            record.offsets, now, FOREVER if grant.windows is None else now + _AHEAD)])
        until = next((end for start, end in coming if start == now), None)
        if until in (now + _AHEAD, FOREVER):
            until = None
        following = next((start for start, _ in coming if start > now), None)
        consoles.append({"console": name, "open": is_open,
                         "until": iso(until) if is_open else None, "next": iso(following)})
    return {"session": record.session, "user": record.user, "uid": record.uid,
            "state": record.state, "revision": record.revision, "consoles": consoles}


def _print(document: dict[str, object]) -> None:
    guard, policy, sessions = document["guard"], document["policy"], document["sessions"]
    assert isinstance(guard, dict) and isinstance(policy, dict) and isinstance(sessions, list)
    if not guard["loaded"] and policy["outcome"] == "missing":
        print(f"guard: nothing is guarded before there is a policy: write {paths.POLICY}")
    elif not guard["loaded"] and not guard["endpoints"]:
        print("guard: nothing is guarded before there is a usable policy: see pam-spice check")
    else:
        print(f"guard: {'loaded' if guard['loaded'] else 'NOT LOADED: run pam-spice reconcile'}")
    for endpoint in guard["endpoints"]:
        print(f"  {endpoint}")
    print(f"policy: {policy['outcome']}, revision {policy['revision']}"
          + ("" if policy["outcome"] == "valid" else "; see pam-spice check")
          + ("" if policy["current"] else "; edited since, the next login takes it in"))
    if document["viewer"] == {"confined": False}:
        print(f"viewer: NOT CONFINED: {landlock.NO_LANDLOCK}")
    _print_revoked(document["revoked"])
    print("sessions:" if sessions else "sessions: none")
    for session in sessions:
        print(f"  {session['session']} {session['user']} ({session['uid']}): {session['state']}"
              + ("" if session["consoles"] else ", no console was granted at this login"))
        for console in session["consoles"]:
            print(f"    {console['console']}: {'open' if console['open'] else 'closed'}"
                  + (f" until {_local(console['until'])}" if console["until"] else "")
                  + (f", next {_local(console['next'])}" if console["next"] else ""))


def _print_revoked(revoked: object) -> None:
    if revoked is None:
        print(f"revoked: {paths.REVOKED} IS DAMAGED, no login opens anything: delete it, and "
              f"revoke anew who is to be revoked")
    assert revoked is None or isinstance(revoked, list)
    for each in revoked or ():
        print(f"revoked: {each['user']} until {_local(each['until'])}, by {each['by']}: "
              f"{each['reason']}")


def _local(text: str) -> str:
    """An instant for a person, in the workstation's zone."""
    return datetime.fromisoformat(text).astimezone().strftime("%a %F %T %Z")
