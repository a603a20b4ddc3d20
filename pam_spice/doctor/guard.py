"""The guard: loaded, as the policy says, and the last to see where a packet goes."""

import json
from collections.abc import Iterator

from conf.lookup import CompiledPolicy
from pam_spice import paths
from pam_spice.doctor.findings import FIX, Code, Finding, Piece
from pam_spice.firewall import TABLE_NAME, nft
from pam_spice.run import CommandFailed, run

_REWRITES = ("nat", "route")
"""Types of chains that send packets elsewhere: nft(8). An accept of theirs means nothing to us, but
behind us they change a packet whose address we have already looked at."""


def guard_findings(policy: CompiledPolicy | None) -> Iterator[Finding]:
    """What the kernel holds, against the compiled policy."""
    try:
        observed = nft.observe()
    except CommandFailed as error:
        yield Finding(Code.GUARD_UNREADABLE, f"the kernel's table can't be read: {error}",
                      "find out why: nft list table inet pam_spice")
        return
    if observed is None:
        yield Finding(Code.GUARD_MISSING, "the guard is not loaded: nothing is guarded", FIX,
                      Piece.GUARD)
    elif policy is not None and nft.digest(observed, nft.render_guard(
            policy.endpoints)) != nft.seen_guard():
        yield Finding(Code.GUARD_CHANGED, "the guard in the kernel is not the policy's", FIX,
                      Piece.GUARD)
    yield from _later_chains()


def _later_chains() -> Iterator[Finding]:
    try:
        listing = json.loads(run([paths.NFT, "-j", "list", "chains"]).output)["nftables"]
    except (CommandFailed, ValueError, KeyError) as error:
        yield Finding(Code.GUARD_UNREADABLE, f"the kernel's other chains can't be read: {error}",
                      "find out why: nft list chains")
        return
    for entry in listing:
        chain = entry.get("chain", {})
        if (chain.get("hook") == "output" and chain.get("type") in _REWRITES
                and chain.get("prio", 0) >= nft.PRIORITY and chain.get("table") != TABLE_NAME):
            name = f"{chain['family']} {chain['table']} {chain['name']}"
            yield Finding(Code.GUARD_NOT_LAST, f"the chain {name} (type {chain['type']}, priority "
                          f"{chain['prio']}) comes behind the guard and may send packets to a "
                          f"guarded port after it has passed them",
                          f"give it a priority below {nft.PRIORITY}: -100 (dstnat) is usual")
