"""The kernel's table as ``nft -j list table`` shows it, read without the product's own reader."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.kernel import namespace as ns
from tests.model.policies import Endpoint
from tests.model.windows import EVER

GUARDED = ("guarded4", "guarded6")


class NotOurs(AssertionError):
    """Something in the table is not as pam-spice makes it."""


@dataclass(frozen=True)
class Table:
    """What the guard covers, what is open for whom, and all the rest."""

    guarded: frozenset[Endpoint]
    ports: frozenset[int]
    chains: dict[int, dict[Endpoint, list[tuple[int, int]]]]
    """Of each uid with a chain: the intervals of each endpoint."""
    jumps: dict[int, Any]
    """The verdict of each uid in the map."""
    rest: dict[str, Any]
    """The guard's own sets, chains and rules."""

    def allows(self, uid: int, endpoint: Endpoint, instant: int) -> bool:
        """Whether a packet of that user's viewer would pass at that instant."""
        return uid in self.jumps and any(
            start <= instant < end
            for start, end in self.chains.get(uid, {}).get(endpoint, ()))

    def edges(self, uid: int) -> set[int]:
        """Every instant at which one of the user's rules begins or ends to count."""
        return {edge for intervals in self.chains.get(uid, {}).values()
                for interval in intervals for edge in interval}


def read_table(listing: str, is_strict: bool = True) -> Table:
    """The table of a listing; raises NotOurs. Unless ``is_strict``, rules of users' chains that
    are not of pam-spice's form are passed over."""
    guarded: set[Endpoint] = set()
    ports: set[int] = set()
    chains: dict[int, dict[Endpoint, list[tuple[int, int]]]] = {}
    jumps: dict[int, Any] = {}
    rest: dict[str, Any] = {}
    for entry in json.loads(listing)["nftables"]:
        (kind, value), = entry.items()
        if kind == "metainfo":
            continue
        for what in ("handle", "table"):
            value.pop(what, None)
        name = str(value.get("chain") if kind == "rule" else value["name"])
        if kind == "table":
            del value["name"]
        uid = int(name[5:]) if name.startswith("user-") and kind in ("chain", "rule") else None
        if uid is not None and kind == "chain":
            if is_strict and value.keys() != {"family", "name"}:
                raise NotOurs(f"{value}")
            chains.setdefault(uid, {})
        elif uid is not None:
            try:
                endpoint, interval = _accepted(value["expr"])
            except (NotOurs, KeyError, TypeError, IndexError):
                if is_strict:
                    raise NotOurs(f"{name}: {json.dumps(value['expr'])}") from None
                continue
            chains.setdefault(uid, {}).setdefault(endpoint, []).append(interval)
        elif kind == "rule":
            for expression in value["expr"]:
                if "counter" in expression:
                    expression["counter"] = None
            rest.setdefault(f"rules of {name}", []).append(value["expr"])
        else:
            elements = value.pop("elem", [])
            if name in GUARDED:
                guarded |= {(address, port) for each in elements
                            for address, span in [each["concat"]] for port in _span(span)}
            elif name == "ports":
                ports |= {port for each in elements for port in _span(each)}
            elif name == "sessions":
                jumps = dict(elements)
            elif elements:
                raise NotOurs(f"elements of {kind} {name}: {elements}")
            rest["table" if kind == "table" else f"{kind} {name}"] = value
    return Table(frozenset(guarded), frozenset(ports), chains, jumps, rest)


def _span(element: Any) -> range:
    if isinstance(element, dict):
        low, high = element["range"]
        return range(low, high + 1)
    return range(element, element + 1)


def _accepted(expressions: list[dict[str, Any]]) -> tuple[Endpoint, tuple[int, int]]:
    """What a rule of a user's chain accepts: nothing but the viewer's group at one endpoint within
    one interval. Raises NotOurs, KeyError, TypeError or IndexError for any other rule."""
    matches = [each["match"] for each in expressions[:-2]]
    address, port = matches[0]["right"], matches[1]["right"]
    family = "ip6" if ":" in address else "ip"
    wanted = [_match({"payload": {"protocol": family, "field": "daddr"}}, address),
              _match({"payload": {"protocol": "tcp", "field": "dport"}}, port),
              _match({"meta": {"key": "skgid"}}, ns.VIEWER_GID)]
    start, end = 0, EVER
    for match in matches[3:]:
        wanted.append(_match({"meta": {"key": "time"}}, match["right"], match["op"]))
        moment = int(datetime.fromisoformat(match["right"]).replace(tzinfo=UTC).timestamp())
        if match["op"] == ">=":
            start = moment
        elif match["op"] == "<":
            end = moment
        else:
            raise NotOurs(match["op"])
    if (matches != wanted or len(matches) > 5 or "counter" not in expressions[-2]
            or expressions[-1] != {"accept": None} or not isinstance(port, int)):
        raise NotOurs("another rule")
    return (address, port), (start, end)


def _match(left: Any, right: Any, operator: str = "==") -> dict[str, Any]:
    return {"op": operator, "left": left, "right": right}
