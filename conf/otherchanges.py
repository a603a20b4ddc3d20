"""What differs between two policies beside the grants: servers, consoles, settings. Pure."""

from collections.abc import Iterable

from conf.intervals import Interval, joined_ranges
from conf.model import Console, ListedWorkstation, Network, Policy, Server


def other_changes(old: Policy, new: Policy, has_problems: bool) -> tuple[list[str], list[str]]:
    """One line a change, and apart from them the loud ones: what is open to everybody by it.

    ``has_problems``: the new policy has errors, so that nothing guarded opens yet.
    """
    since = " once the policy has no error left" if has_problems else ""
    loud = [f"NO LONGER GUARDED{since}: {what}: open to everybody on the workstation"
            for what in _guarded_less(new, old)]
    lines = [f"guarded now: {what}: closed to everybody without a grant"
             for what in _guarded_less(old, new)]
    lines += [line for name in _names(old.servers, new.servers)
              for line in _server(old.servers.get(name), new.servers.get(name))]
    lines += [line for name in _names(old.consoles, new.consoles)
              for line in _console(old.consoles.get(name), new.consoles.get(name))]
    lines += [line for name in _names(old.workstations, new.workstations)
              for line in _workstation(old.workstations.get(name), new.workstations.get(name))]
    return lines + _settings(old, new), loud


def _names(old: Iterable[str], new: Iterable[str]) -> list[str]:
    return list(dict.fromkeys([*old, *new]))


def _guarded_less(policy: Policy, than: Policy) -> list[str]:
    """What ``than`` guards and the policy doesn't: ``port 8080 of mysrv (192.168.2.2)``."""
    ours, theirs = _guarded(policy), _guarded(than)
    owners: dict[str, list[str]] = {}
    for server in than.servers.values():
        for address in server.addresses:
            owners.setdefault(address, []).append(server.name)
    addresses: dict[tuple[str, tuple[Interval, ...]], list[str]] = {}
    for address, ranges in theirs.items():
        left = tuple(_less(ranges, ours.get(address, [])))
        if left:
            key = " and ".join(owners[address]), left
            addresses.setdefault(key, []).append(address)
    return [f"{_ports(ranges)} of {names} ({', '.join(where)})"
            for (names, ranges), where in addresses.items()]


def _guarded(policy: Policy) -> dict[str, list[Interval]]:
    found: dict[str, list[Interval]] = {}
    for server in policy.servers.values():
        for address in server.addresses:
            found[address] = joined_ranges([*found.get(address, []), *server.guarded_ports])
    return found


def _less(ranges: list[Interval], taken: list[Interval]) -> list[Interval]:
    """Ranges of ports, both ends within, less others."""
    edges = sorted({edge for low, high in (*ranges, *taken) for edge in (low, high + 1)})
    return joined_ranges([
        (low, following - 1) for low, following in zip(edges, edges[1:], strict=False)
        if any(first <= low <= last for first, last in ranges)
        and not any(first <= low <= last for first, last in taken)])


def _ports(ranges: Iterable[Interval]) -> str:
    texts = [str(low) if low == high else f"{low}-{high}" for low, high in ranges]
    is_one = len(texts) == 1 and "-" not in texts[0]
    return f"{'port' if is_one else 'ports'} {', '.join(texts)}"


def _server(old: Server | None, new: Server | None) -> list[str]:
    if old is None or new is None:
        server = new or old
        assert server is not None
        return [f"server {server.name} is {'new' if new else 'gone'} "
                f"({server.host}, {', '.join(server.addresses)})"]
    lines = []
    if old.host != new.host:
        lines.append(f"server {new.name}: the name in its certificate must be {new.host} now, "
                     f"it was {old.host}")
    if set(old.addresses) != set(new.addresses):
        lines.append(f"server {new.name}: {_addresses_moved(old.addresses, new.addresses)}")
    if old.ca_file != new.ca_file:
        lines.append(f"server {new.name}: its CA is in {new.ca_file} now, it was in {old.ca_file}")
    return lines


def _console(old: Console | None, new: Console | None) -> list[str]:
    if old is None or new is None:
        console = new or old
        assert console is not None
        return [f"console {console.name} is {'new' if new else 'gone'} ({_endpoint(console)})"]
    if _endpoint(old) == _endpoint(new):
        return []
    return [f"console {new.name} is at {_endpoint(new)} now, it was at {_endpoint(old)}: "
            f"who is logged in must log in again to reach it"]


def _workstation(old: ListedWorkstation | None, new: ListedWorkstation | None) -> list[str]:
    workstation = new or old
    assert workstation is not None
    later = "once the servers have their rules anew (pam-spice server-rules)"
    if old is None or new is None:
        return [f"workstation {workstation.name} is {'new' if new else 'gone'} "
                f"({_addresses(workstation)}) {later}"]
    if set(old.networks) == set(new.networks):
        return []
    return [f"workstation {new.name}: "
            f"{_addresses_moved(_texts(old.networks), _texts(new.networks))}, {later}"]


def _addresses(workstation: ListedWorkstation) -> str:
    return ", ".join(_texts(workstation.networks))


def _texts(networks: Iterable[Network]) -> list[str]:
    return [network.with_prefixlen if network.num_addresses > 1 else str(network.network_address)
            for network in networks]


def _addresses_moved(old: Iterable[str], new: Iterable[str]) -> str:
    """``address A is gone, B is new``."""
    parts: list[str] = []
    for texts, word in (([each for each in old if each not in new], "gone"),
                        ([each for each in new if each not in old], "new")):
        if texts:
            is_one = len(texts) == 1
            what = "" if parts else "address " if is_one else "addresses "
            parts.append(f"{what}{', '.join(texts)} {'is' if is_one else 'are'} {word}")
    return ", ".join(parts)


def _endpoint(console: Console) -> str:
    return f"{console.server.name}:{console.tls_port}"


def _settings(old: Policy, new: Policy) -> list[str]:
    was, becomes = old.workstation, new.workstation
    lines = []
    if old.timezone != new.timezone:
        lines.append(f"the time zone is {new.timezone} now, it was {old.timezone}: times "
                     f"without a zone of their own are meant in it")
    for key, yes, no in (
            ("one_user", "one user at a time has consoles",
             "several users at a time have consoles"),
            ("require_seat", "only logins at the workstation's own screen count",
             "logins from elsewhere count too"),
            ("sudo_password", "sudo asks for the password before it opens a console",
             "sudo opens a console without asking for a password")):
        if getattr(was, key) != getattr(becomes, key):
            lines.append(f"{key}: {yes if getattr(becomes, key) else no} from now on")
    for services, word in ((set(becomes.services) - set(was.services), "count"),
                           (set(was.services) - set(becomes.services), "no longer count")):
        if services:
            lines.append(f"services: logins by {', '.join(sorted(services))} {word}")
    return lines
