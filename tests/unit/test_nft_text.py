"""What nft is told, and what of its listing is ours."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pam_spice.firewall import Observed, nft

RECORDED = Path(__file__).parent / "recorded" / "listing.json"
"""``nft -j -nn list table inet pam_spice`` of nft 1.0.6 in a namespace where CHAINS were open."""

CHAINS: dict[int, tuple[tuple[str, int, int, int, int], ...]] = {
    1021: (("192.168.2.2", 20002, 997, 0, 0),
           ("192.168.2.3", 20001, 997, 1795435200, 1795438800),
           ("fd00::2", 20002, 997, 1795435200, 0)),
    1022: (("192.168.2.2", 20004, 997, 0, 1795438800),),
}

Entries = list[dict[str, Any]]


def listing() -> Entries:
    entries: Entries = json.loads(RECORDED.read_text())["nftables"]
    return entries


def parsed(entries: Entries) -> Observed:
    return nft.parse_listing(json.dumps({"nftables": entries}).encode())


def test_a_recorded_listing_is_read_as_the_chains_that_were_rendered() -> None:
    observed = nft.parse_listing(RECORDED.read_bytes())
    assert observed.chains == CHAINS
    assert observed.jumps == {1021, 1022}


def user_rules(entries: Entries, uid: int) -> Entries:
    return [entry["rule"] for entry in entries
            if entry.get("rule", {}).get("chain") == f"user-{uid}"]


def drop_gid(rule: dict[str, Any]) -> None:
    rule["expr"] = [one for one in rule["expr"]
                    if one.get("match", {}).get("left") != {"meta": {"key": "skgid"}}]


def only_accept(rule: dict[str, Any]) -> None:
    rule["expr"] = [{"accept": None}]


def drop_instead(rule: dict[str, Any]) -> None:
    rule["expr"][-1] = {"drop": None}


def negate_gid(rule: dict[str, Any]) -> None:
    rule["expr"][2]["match"]["op"] = "!="


def another_match(rule: dict[str, Any]) -> None:
    rule["expr"].insert(3, {"match": {"op": "==", "left": {"meta": {"key": "skuid"}}, "right": 0}})


def address_set(rule: dict[str, Any]) -> None:
    rule["expr"][0]["match"]["right"] = {"set": ["192.168.2.2", "192.168.2.3"]}


def address_prefix(rule: dict[str, Any]) -> None:
    rule["expr"][0]["match"]["right"] = {"prefix": {"addr": "192.168.2.0", "len": 24}}


def port_range(rule: dict[str, Any]) -> None:
    rule["expr"][1]["match"]["right"] = {"range": [1, 65535]}


def udp_instead(rule: dict[str, Any]) -> None:
    rule["expr"][1]["match"]["left"]["payload"]["protocol"] = "udp"


def jump_instead(rule: dict[str, Any]) -> None:
    rule["expr"][-1] = {"jump": {"target": "other"}}


def log_before(rule: dict[str, Any]) -> None:
    rule["expr"].insert(3, {"log": {"prefix": "x"}})


def odd_time(rule: dict[str, Any]) -> None:
    rule["expr"].insert(3, {"match": {"op": "<", "left": {"meta": {"key": "time"}},
                                      "right": 1795438800000000000}})


def odd_expression(rule: dict[str, Any]) -> None:
    rule["expr"] = [{"xt": None}]


def a_bare_word(rule: dict[str, Any]) -> None:
    rule["expr"].insert(0, {"match": {"op": "in", "left": {"ct": {"key": "state"}},
                                      "right": ["established", "related"]}})


@pytest.mark.parametrize("change", [
    drop_gid, only_accept, drop_instead, negate_gid, another_match, address_set, address_prefix,
    port_range, udp_instead, jump_instead, log_before, odd_time, odd_expression, a_bare_word])
def test_a_rule_that_someone_changed_makes_its_user_s_chain_not_ours(
        change: Callable[[dict[str, Any]], None]) -> None:
    entries = listing()
    change(user_rules(entries, 1021)[0])
    observed = parsed(entries)
    assert observed.chains[1021] is None
    assert observed.chains[1022] == CHAINS[1022]


@pytest.mark.parametrize("key", ["address", "port", "gid", "end"])
def test_a_rule_with_another_value_is_another_chain(key: str) -> None:
    entries = listing()
    rule = user_rules(entries, 1022)[0]["expr"]
    at, value = {"address": (0, "192.168.2.9"), "port": (1, 20005), "gid": (2, 0),
                 "end": (3, "2027-01-01 00:00:00")}[key]
    rule[at]["match"]["right"] = value
    assert parsed(entries).chains[1022] not in (CHAINS[1022], ())


def test_a_chain_whose_rules_were_deleted_is_empty_and_one_deleted_is_gone() -> None:
    entries = [entry for entry in listing() if entry.get("rule", {}).get("chain") != "user-1021"]
    assert parsed(entries).chains[1021] == ()
    entries = [entry for entry in entries if entry.get("chain", {}).get("name") != "user-1021"]
    assert 1021 not in parsed(entries).chains


def test_a_rule_twice_is_not_the_chain_that_was_rendered() -> None:
    entries = listing()
    entries.append(copy.deepcopy({"rule": user_rules(entries, 1022)[0]}))
    assert parsed(entries).chains[1022] != CHAINS[1022]


def sessions_map(entries: Entries) -> Entries:
    found: Entries = [entry["map"] for entry in entries if "map" in entry][0]["elem"]
    return found


@pytest.mark.parametrize("verdict", [
    {"accept": None}, {"jump": {"target": "user-1022"}}, {"goto": {"target": "user-1021"}},
    {"drop": None}])
def test_a_jump_that_someone_changed_is_not_ours_and_changes_the_guard(
        verdict: dict[str, Any]) -> None:
    entries = listing()
    sessions_map(entries)[0][1] = verdict  # type: ignore[index]
    observed = parsed(entries)
    assert observed.jumps == {1022}
    assert observed.guard != parsed(listing()).guard


def test_users_coming_and_going_leave_the_guard_s_digest_as_it_is() -> None:
    entries = [entry for entry in listing()
               if not (entry.get("rule", {}).get("chain") or entry.get("chain", {}).get(
                   "name", "")).startswith("user-")]
    sessions_map(entries).clear()
    assert parsed(entries).guard == parsed(listing()).guard


def test_counters_and_handles_leave_the_guard_s_digest_as_it_is() -> None:
    entries = listing()
    for entry in entries:
        for value in entry.values():
            value["handle"] = value.get("handle", 0) + 1000
        for expression in entry.get("rule", {}).get("expr", []):
            if "counter" in expression:
                expression["counter"] = {"packets": 99, "bytes": 9999}
    assert parsed(entries).guard == parsed(listing()).guard


def test_any_entry_of_the_guard_that_is_missing_changes_its_digest() -> None:
    whole = parsed(listing()).guard
    for at, entry in enumerate(listing()):
        (kind, value), = entry.items()
        name = value.get("chain") or value.get("name")
        if kind != "metainfo" and not str(name).startswith("user-"):
            entries = listing()
            del entries[at]
            assert parsed(entries).guard != whole, entry


def test_rules_of_the_guard_in_another_order_change_its_digest() -> None:
    entries = listing()
    denies = [at for at, entry in enumerate(entries)
              if entry.get("rule", {}).get("chain") == "refuse"]
    entries[denies[0]], entries[denies[-1]] = entries[denies[-1]], entries[denies[0]]
    assert parsed(entries).guard != parsed(listing()).guard


def test_another_flag_of_the_table_changes_the_digest() -> None:
    entries = listing()
    entries[1]["table"]["flags"] = "dormant"
    assert parsed(entries).guard != parsed(listing()).guard


# Rendering

def test_a_guard_without_endpoints_guards_nothing_and_still_flushes_what_was() -> None:
    text = nft.render_guard([])
    assert "add element" not in text
    assert "flush set inet pam_spice guarded4" in text
    assert "flush set inet pam_spice guarded6" in text


def test_a_guard_never_flushes_the_ruleset_deletes_or_touches_sessions() -> None:
    text = nft.render_guard([("192.168.2.2", 1, 65535)])
    assert "flush ruleset" not in text
    assert "delete" not in text
    assert "flush map" not in text
    assert "user-" not in text
    assert "established" not in text
