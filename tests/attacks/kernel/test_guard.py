"""What others do to the firewall: admins, other firewalls' scripts, other tables, a flood."""

import re
import socket
import time
from pathlib import Path

from pam_spice import paths
from tests.attacks.attempt import ARTICLE, Seen, attack
from tests.attacks.kernel.stage import ANNE, FIRST, IPTABLES, RALPH, Stage, outcome
from tests.kernel import namespace as ns
from tests.kernel.namespace import V4, VIEWER_GID

TABLE = "inet pam_spice"


def watched(stage: Stage) -> None:
    """A user is logged in and the watcher has long seen it."""
    stage.log_in("anne")
    stage.watch()
    time.sleep(0.5)


def later(stage: Stage) -> Seen:
    """Another user tries a second after it happened."""
    time.sleep(1.0)
    return stage.connect(RALPH, FIRST)


@attack("The firewall is flushed by its own tool (nft flush ruleset, iptables -F)", threat=36)
def test_a_flushed_guard_is_back_within_a_second(stage: Stage) -> Seen:
    watched(stage)
    stage.stop_protection()
    return later(stage)


@attack("Another user connects in the gap after a flush and keeps the connection", threat=36)
def test_what_was_connected_in_a_gap_is_cut_when_the_guard_is_back(stage: Stage) -> Seen:
    """The gap is that of the timer; a firewall without one is started again by hand."""
    stage.stop_protection()
    client = ns.Client(RALPH, RALPH, V4, FIRST)
    assert client.state == "connected"
    assert client.say() == "yes"
    if stage.setup == ARTICLE:
        stage.protect()
    stage.minute()
    return stage.still_there(client)


@attack("The table is made dormant", threat=36, article=False)
def test_a_dormant_guard_is_awake_within_a_second(stage: Stage) -> Seen:
    """iptables knows no dormant tables."""
    watched(stage)
    if stage.is_ours:
        ns.nft(f"add table {TABLE} {{ flags dormant; }}\n")
    return later(stage)


@attack("A script inserts an accept before all other rules", threat=36)
def test_an_accept_in_the_guard_s_own_chain_is_gone_within_a_second(stage: Stage) -> Seen:
    watched(stage)
    if stage.is_ours:
        ns.nft(f"insert rule {TABLE} output accept\n")
    if stage.setup == ARTICLE:
        ns.command(IPTABLES, "-I", "OUTPUT", "-j", "ACCEPT")
    return later(stage)


@attack("A script sends a user to another user's chain", threat=36)
def test_a_jump_that_somebody_added_is_gone_within_a_second(stage: Stage) -> Seen:
    watched(stage)
    if stage.is_ours:
        ns.nft(f"add element {TABLE} sessions {{ {RALPH} : jump user-{ANNE} }}\n")
    if stage.setup == ARTICLE:
        ns.command(IPTABLES, "-I", "OUTPUT", "-m", "owner", "--uid-owner", str(RALPH), "-j",
                   "Spice_VM_1")
    time.sleep(1.0)
    return stage.viewer(RALPH, FIRST)


@attack("Another firewall's script loads its own rules in place of all (iptables-restore)",
        threat=37)
def test_another_firewall_s_script_takes_nothing_away(stage: Stage) -> Seen:
    ns.command(f"{IPTABLES}-restore", data="*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n"
                                           ":OUTPUT ACCEPT\n-A OUTPUT -p tcp -j ACCEPT\nCOMMIT\n")
    return stage.connect(RALPH, FIRST)


@attack("The same by the newer iptables (iptables-nft-restore)", threat=37)
def test_another_firewall_s_newer_script_takes_nothing_away(stage: Stage) -> Seen:
    ns.command("iptables-nft-restore", data="*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n"
                                            ":OUTPUT ACCEPT\n-A OUTPUT -p tcp -j ACCEPT\nCOMMIT\n")
    return stage.connect(RALPH, FIRST)


@attack("Another firewall deletes all rules and chains as it stops (iptables -F, -X, -P ACCEPT)",
        threat=37)
def test_another_firewall_that_stops_takes_nothing_away(stage: Stage) -> Seen:
    for command in ("-P OUTPUT ACCEPT", "-P INPUT ACCEPT", "-F", "-X"):
        ns.command(IPTABLES, *command.split())
    return stage.connect(RALPH, FIRST)


@attack("A program that was started before the firewall keeps its connection", threat=38)
def test_what_was_connected_before_the_guard_is_cut(stage: Stage) -> Seen:
    if stage.is_ours:
        ns.nft("flush ruleset\n")
    if stage.setup == ARTICLE:
        for command in ("-P OUTPUT ACCEPT", "-P INPUT ACCEPT", "-F", "-X"):
            ns.command(IPTABLES, *command.split())
    client = ns.Client(RALPH, RALPH, V4, FIRST)
    assert client.say() == "yes"
    if stage.is_ours:
        ns.nft(Path(paths.GUARD).read_text())
    if stage.setup == ARTICLE:
        stage.protect()
    return stage.still_there(client)


@attack("Another table accepts the packets before the guard sees them", threat=20)
def test_an_accept_in_an_earlier_chain_opens_nothing(stage: Stage) -> Seen:
    accept_at(-300)
    return stage.connect(RALPH, FIRST)


@attack("Another table accepts the packets after all others", threat=20)
def test_an_accept_in_a_later_chain_opens_nothing(stage: Stage) -> Seen:
    accept_at(300)
    return stage.connect(RALPH, FIRST)


def accept_at(priority: int) -> None:
    ns.nft("table inet other { chain output { type filter hook output priority "
           f"{priority}; policy accept; tcp dport {FIRST} accept; }}; }}\n")


@attack("Another table rewrites the destination of a harmless connection (DNAT)", threat=20)
def test_a_destination_is_judged_after_it_was_rewritten(stage: Stage) -> Seen:
    ns.nft("table ip nat { chain output { type nat hook output priority -100; "
           f"ip daddr 10.77.0.7 tcp dport 53 dnat to {V4}:{FIRST}; }}; }}\n")
    return stage.send(as_ralph, 53, "10.77.0.7", FIRST)


@attack("Another table rewrites it with a priority behind the guard's", threat=20, promised=False)
def test_what_is_rewritten_after_the_guard_has_seen_it_is_not_seen_again(stage: Stage) -> Seen:
    # Without the article's own firewall there is nothing that drops port 53.
    ns.nft("table ip mangle { chain output { type filter hook output priority 100; "
           f"ip daddr {V4} tcp dport 53 tcp dport set {FIRST}; }}; "
           "chain input { type filter hook input priority -200; "
           f"ip saddr {V4} tcp sport {FIRST} tcp sport set 53; }}; }}\n")
    return stage.send(as_ralph, 53, V4, FIRST)


@attack("Another table exempts the packets from connection tracking (notrack)", threat=20)
def test_packets_that_are_not_tracked_are_judged_too(stage: Stage) -> Seen:
    ns.nft("table inet raw { chain output { type filter hook output priority -300; "
           f"tcp dport {FIRST} notrack; }}; chain input {{ type filter hook prerouting priority "
           f"-300; tcp sport {FIRST} notrack; }}; }}\n")
    return stage.connect(RALPH, FIRST)


@attack("Another table marks the packets, and a routing rule sends them by another way", threat=20)
def test_packets_that_are_routed_anew_are_judged_too(stage: Stage) -> Seen:
    ns.link(stage.server.pid, "wlan", ["10.79.0.1/24"], ["10.79.0.22/24"])
    ns.ip("rule", "add", "fwmark", "7", "lookup", "77")
    ns.ip("route", "add", "default", "via", "10.79.0.1", "table", "77")
    Path("/proc/sys/net/ipv4/conf/all/rp_filter").write_text("0")
    Path("/proc/sys/net/ipv4/conf/wlan0/rp_filter").write_text("0")
    ns.nft("table ip mangle { chain output { type route hook output priority -150; "
           f"tcp dport {FIRST} meta mark set 7; }}; }}\n")
    return stage.connect(RALPH, FIRST)


def as_ralph() -> socket.socket:
    ns.become(RALPH, RALPH)
    return socket.socket()


# The log

@attack("A user connects 1,000 times, to fill the kernel's log", threat=41, control=False)
def test_the_log_of_denials_is_limited(stage: Stage) -> Seen:
    """Without a control: where nothing protects there is no log. The control is that all of the
    attempts were denied, by the kernel's own count."""
    logged = Logged(stage)

    def attempts() -> str:
        ns.become(RALPH, RALPH)
        clients = []
        for _ in range(1000):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex((V4, FIRST))
            clients.append(client)
        return "sent"

    assert outcome(attempts) == "sent"
    logs, denials = logged.count()
    assert denials >= 1000, denials
    few = logs < 100
    return Seen(not few, "under 100 records of 1,000" if few else "a record of each")


class Logged:
    """Counts what a LOG rule lets through to the log.

    iptables counts it at the rule. nft does not, so a copy of its limit counts beside it: the rule
    gets a counter in the place of its log.
    """

    def __init__(self, stage: Stage) -> None:
        self._is_ours = stage.is_ours
        if self._is_ours:
            listing = ns.command("nft", "-a", "list", "chain", *TABLE.split(), "deny")
            found = re.search(r"limit rate (.*?) log prefix .*# handle (\d+)", listing)
            assert found is not None, listing
            ns.nft(f"replace rule {TABLE} deny handle {found[2]} limit rate {found[1]} "
                   "counter comment \"log\"\n")

    def count(self) -> tuple[int, int]:
        """(records, denials)."""
        if not self._is_ours:
            listing = ns.command(IPTABLES, "-nvxL", "RULE_6")
            log, drop = (int(line.split()[0]) for line in listing.splitlines()[2:])
            return log, drop
        listing = ns.command("nft", "list", "chain", *TABLE.split(), "deny")
        log, rejected = (int(number) for number in re.findall(r"packets (\d+) bytes", listing))
        return log, rejected


@attack("The viewer closes its connections cleanly, again and again", threat=40, control=False)
def test_clean_closes_are_no_denials_and_leave_nothing_half_open(stage: Stage) -> Seen:
    """Bad luck, no attack: through means false alarms or sockets that the server keeps. The control
    is that the server has had all of these connections."""
    stage.log_in("anne")
    for _ in range(20):
        client = ns.Client(ANNE, VIEWER_GID, V4, FIRST)
        assert client.say() == "yes"
        client.close()
    assert stage.consoles.accepted(FIRST) == 20
    gone = ns.until(lambda: stage.consoles.live(FIRST) == 0, 1.0)
    time.sleep(0.3)
    if stage.is_ours:
        alarms = ns.denied()
    else:
        alarms = Logged(stage).count()[1]
    return Seen(not gone or alarms > 0, "no alarm, nothing half open" if gone and not alarms
                else "false alarms" if gone else "sockets stay at the server")
