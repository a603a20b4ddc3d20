"""Policies that are not to be trusted, and what fails at the worst moment.

Through means that something opens that should not, or that a login is held up. The article has
nothing of the kind, so its column is empty; each test has its control in its body: without the
fault the same opens.
"""

import os
import random
import resource
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pam_spice import hook, paths
from pam_spice.firewall import nft
from session.records import DIRECTORY
from tests.attacks.attempt import Seen, attack
from tests.attacks.kernel.stage import (
    ANNE,
    FIRST,
    GRANTS,
    OWN_CONSOLE,
    POLICY,
    RALPH,
    SECOND,
    SECOND_V4,
    SERVERS,
    TWO_USERS,
    Stage,
)
from tests.kernel import namespace as ns
from tests.kernel.test_reconcile import fill

MORE = SERVERS + "grants:\n  - {user: zoe, console: first}\n" + GRANTS.removeprefix("grants:\n")
"""What zoe, who has no console, wishes for."""
ZOE = ns.USERS["zoe"]
OWN = {(address, FIRST) for address in (ns.V4, SECOND_V4, ns.V6)}
"""Where anne's console is."""
_LOGIN_LIMIT = 3.0
"""Seconds that a login may take in these tests, which set the hook's own limit to two."""


# The policy. Its admin's mistake is what another user can make use of.

def with_wishes(stage: Stage, put: Callable[[Path], None]) -> Seen:
    """zoe's wishes are in the policy's place, in a way that is not to be trusted; she logs in."""
    stage.policy(MORE)
    session = stage.log_in("zoe")
    assert stage.viewer(ZOE, FIRST).through, "without the fault it opens"
    stage.log_out(session)
    stage.policy(POLICY)
    put(Path(paths.POLICY))
    stage.minute()
    stage.log_in("zoe")
    return both(stage.viewer(ZOE, FIRST), stage.connect(RALPH, FIRST))


def both(one: Seen, other: Seen) -> Seen:
    """The worse of two outcomes."""
    return one if one.through else other


@attack("A user writes himself a grant into a policy that anybody can write", threat=43,
        control=False, article=False)
def test_a_policy_that_others_can_write_grants_nothing(stage: Stage) -> Seen:
    """The article has no policy. The control: by root's hand the same grant opens."""
    def put(policy: Path) -> None:
        policy.chmod(0o666)
        as_user(ZOE, lambda: policy.write_text(MORE))

    return with_wishes(stage, put)


@attack("A user owns the policy", threat=43, control=False, article=False)
def test_a_policy_that_belongs_to_a_user_grants_nothing(stage: Stage) -> Seen:
    """The article has no policy. The control: by root's hand the same grant opens."""
    def put(policy: Path) -> None:
        os.chown(policy, ZOE, ZOE)
        as_user(ZOE, lambda: policy.write_text(MORE))

    return with_wishes(stage, put)


@attack("The policy is a symbolic link to a file of a user", threat=43, control=False,
        article=False)
def test_a_policy_that_is_a_link_grants_nothing(stage: Stage) -> Seen:
    """The article has no policy. The control: by root's hand the same grant opens."""
    def put(policy: Path) -> None:
        home = Path("/run/zoe")
        home.mkdir()
        os.chown(home, ZOE, ZOE)
        as_user(ZOE, lambda: (home / "policy.yaml").write_text(MORE))
        policy.unlink()
        policy.symlink_to(home / "policy.yaml")

    return with_wishes(stage, put)


@attack("A user replaces the policy in a directory that anybody can write", threat=43,
        control=False, article=False)
def test_a_policy_below_a_directory_of_others_grants_nothing(stage: Stage) -> Seen:
    """The article has no policy. The control: by root's hand the same grant opens."""
    def put(policy: Path) -> None:
        policy.parent.chmod(0o777)
        text = policy.with_suffix(".new")
        as_user(ZOE, lambda: text.write_text(MORE))
        as_user(ZOE, lambda: text.rename(policy))

    return with_wishes(stage, put)


@attack("A user adds a file to the policy's directory of files that anybody can write", threat=43,
        control=False, article=False)
def test_a_file_beside_the_policy_that_is_a_user_s_grants_nothing(stage: Stage) -> Seen:
    """The article has no policy. The control: by root's hand the same grant opens."""
    def put(policy: Path) -> None:
        directory = policy.with_suffix(".d")
        directory.mkdir(exist_ok=True)
        directory.chmod(0o777)
        as_user(ZOE, lambda: (directory / "mine.yaml").write_text(
            "grants:\n  - {user: zoe, console: first}\n"))

    return with_wishes(stage, put)


def as_user(uid: int, what: Callable[[], object]) -> None:
    """Do something as that user; it must succeed."""
    def done() -> str:
        ns.become(uid, uid)
        what()
        return "done"

    assert ns.answer_of(done) == "done"


@attack("The policy is deleted", threat=43, control=False, article=False)
def test_without_a_policy_nothing_opens_and_the_guard_stands(stage: Stage) -> Seen:
    """The article has no policy. The control: with it anne's console opens."""
    return without(stage, lambda policy: policy.unlink())


@attack("The policy is empty", threat=43, control=False, article=False)
def test_an_empty_policy_opens_nothing_and_the_guard_stands(stage: Stage) -> Seen:
    """The article has no policy. The control: with it anne's console opens."""
    return without(stage, lambda policy: policy.write_text(""))


@attack("The policy is a YAML alias bomb", threat=44, control=False, article=False)
def test_an_alias_bomb_opens_nothing_in_bounded_time(stage: Stage) -> Seen:
    """The article has no policy. The control: with a proper one anne's console opens."""
    bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{name}: &{name} [{', '.join(f'*{before}' for _ in range(10))}]\n"
        for before, name in zip("abcdefghi", "bcdefghij", strict=True))
    return without(stage, lambda policy: policy.write_text(bomb + POLICY))


@attack("The policy is 20,000 brackets deep", threat=44, control=False, article=False)
def test_a_deep_policy_opens_nothing_in_bounded_time(stage: Stage) -> Seen:
    """The article has no policy. The control: with a proper one anne's console opens."""
    return without(stage, lambda policy: policy.write_text(POLICY + "x: " + "[" * 20_000))


@attack("The policy has the same key twice, the second one with more", threat=44, control=False,
        article=False)
def test_of_two_keys_that_are_the_same_none_counts(stage: Stage) -> Seen:
    """The article has no policy. The control: with one of them anne's console opens."""
    stage.policy(POLICY)
    Path(paths.POLICY).write_text(POLICY + "grants:\n  - {user: zoe, console: first}\n")
    stage.minute()
    stage.log_in("zoe")
    return stage.viewer(ZOE, FIRST)


def without(stage: Stage, spoil: Callable[[Path], object]) -> Seen:
    """anne, who had a console, logs in after this was done to the policy."""
    session = stage.log_in("anne")
    assert stage.viewer(ANNE, FIRST).through, "without the fault it opens"
    stage.log_out(session)
    spoil(Path(paths.POLICY))
    began = time.monotonic()
    stage.log_in("anne")
    stage.minute()
    if time.monotonic() - began > _LOGIN_LIMIT:
        return Seen(True, "the login is held up")
    return both(stage.viewer(ANNE, FIRST), stage.connect(RALPH, FIRST))


# The compiled policy

@attack("A bit of the compiled policy has turned over", threat=52, control=False, article=False)
def test_a_damaged_compiled_policy_opens_no_other_console(stage: Stage) -> Seen:
    """The article compiles nothing. The control: whole, it opens anne's console and no other;
    each of its grants' bytes is damaged in turn."""
    whole = Path(paths.COMPILED).read_bytes()
    at = whole.index(b"user:anne")
    worst = Seen(False, "reset")
    for index in range(at, whole.index(b"\n", at), 4):
        damaged = bytearray(whole)
        damaged[index] ^= 1
        Path(paths.COMPILED).write_bytes(damaged)
        session = stage.log_in("anne")
        chain = stage.chain("anne")
        if any((rule[0], rule[1]) not in OWN for rule in chain):
            worst = Seen(True, "another console opened")
        stage.log_out(session)
    assert stage.viewer(ANNE, SECOND).through is False
    return worst


@attack("The compiled policy is one of another version", threat=52, control=False, article=False)
def test_a_compiled_policy_of_another_version_is_not_read(stage: Stage) -> Seen:
    """The article compiles nothing. The control: a zoe with the same grant by this version gets
    in, by the same bytes but for the version not."""
    stage.policy(MORE)
    with_zoe = Path(paths.COMPILED).read_bytes()
    session = stage.log_in("zoe")
    assert stage.viewer(ZOE, FIRST).through
    stage.log_out(session)
    stage.policy(POLICY)
    first_line = with_zoe.index(b"\n")
    Path(paths.COMPILED).write_bytes(b"pam-spice-compiled 1" + with_zoe[first_line:])
    stage.log_in("zoe")
    return stage.viewer(ZOE, FIRST)


# Login and logout

@attack("The directory of users does not answer while somebody logs in", threat=45, control=False,
        article=False)
def test_a_directory_that_hangs_holds_no_login_and_opens_nothing(stage: Stage) -> Seen:
    """The article asks no directory. The control: when it answers, the console opens."""
    hook._TIME_LIMIT = 2  # instead of eight, so that the test need not wait
    passwd = Path("/etc/passwd")
    kept = passwd.read_text()
    passwd.unlink()
    os.mkfifo(passwd)  # who opens it waits for a writer that never comes
    session, began = "9", time.monotonic()
    stage.workstation.log_in(session, "anne")
    stage.workstation.hook(session, "open")
    took = time.monotonic() - began
    passwd.unlink()
    passwd.write_text(kept)
    if took > _LOGIN_LIMIT:
        return Seen(True, "the login is held up")
    seen = stage.viewer(ANNE, FIRST)
    stage.minute()
    assert stage.viewer(ANNE, FIRST).through
    return seen


@attack("The hook is killed at 20 moments of a logout", threat=46, control=False, article=False)
def test_a_logout_s_hook_that_is_killed_is_made_good_within_a_minute(stage: Stage) -> Seen:
    """The article has no hook. The control: before each logout the console is open."""
    chance = random.Random(46)
    for number in range(20):
        session = f"s{number}"
        leader = stage.workstation.log_in(session, "anne", hint=True)
        assert stage.chain("anne")
        kill_within(leader, chance.uniform(0, 0.03), partial(
            stage.workstation.hook, session, "close"))
        stage.workstation.log_out(session, hint=False)
        stage.minute()
        if stage.chain("anne"):
            return Seen(True, "a chain is left over")
    return stage.viewer(ANNE, FIRST)


@attack("The hook is killed at 20 moments of a login", threat=46, control=False, article=False)
def test_a_login_s_hook_that_is_killed_leaves_all_or_nothing(stage: Stage) -> Seen:
    """The article has no hook. The control: a minute later the console is open."""
    chance = random.Random(64)
    for number in range(20):
        session = f"s{number}"
        leader = stage.workstation.log_in(session, "anne")
        kill_within(leader, chance.uniform(0, 0.03), partial(
            stage.workstation.hook, session, "open"))
        if stage.chain("anne") and session not in stage.workstation.states():
            return Seen(True, "open, and nobody knows of it")
        stage.minute()
        assert stage.chain("anne")
        stage.workstation.log_out(session)
        if stage.chain("anne"):
            return Seen(True, "a chain is left over")
    return stage.viewer(ANNE, FIRST)


def kill_within(leader: int, seconds: float, run: Callable[[], object]) -> None:
    """Run a hook, whose leader starts it as a child, and kill it after some seconds."""
    killer = os.fork()
    if killer == 0:
        try:
            ns.die_with_parent()
            children = Path(f"/proc/{leader}/task/{leader}/children")
            while not children.read_text():
                pass
            time.sleep(seconds)
            for pid in children.read_text().split():
                os.kill(int(pid), signal.SIGKILL)
        finally:
            os._exit(0)
    run()
    os.kill(killer, signal.SIGKILL)
    os.waitpid(killer, 0)


@attack("Forty users log in at once while the policy is replaced", threat=47, control=False,
        article=False)
def test_each_of_forty_logins_is_decided_on_one_policy(stage: Stage) -> Seen:
    """The article has no logins. The control: each of the forty has a chain in the end."""
    users = {f"user{number}": 3000 + number for number in range(40)}
    with open("/etc/passwd", "a") as passwd:
        passwd.writelines(f"{name}:x:{uid}:{uid}::/:/bin/sh\n" for name, uid in users.items())
    ns.USERS.update(users)
    # In each version a user has two consoles, and in none one of each.
    one, two = (SERVERS + TWO_USERS + "grants:\n" + "".join(
        f"  - {{user: {name}, console: [{pair}]}}\n" for name in users)
        for pair in ("first", "second, own"))
    stage.policy(one)
    for number, name in enumerate(users):
        if os.fork() == 0:
            try:
                ns.die_with_parent()
                stage.workstation.log_in(f"s{number}", name, hint=True)
                signal.pause()
            finally:
                os._exit(0)
        if number == 20:
            assert ns.until(lambda: len(stage.workstation.chains()) >= 10)
            replaced = Path(paths.POLICY).with_suffix(".new")
            replaced.write_text(two)
            replaced.rename(paths.POLICY)
    assert ns.until(lambda: len(stage.workstation.chains()) == 40, 10), stage.workstation.chains()
    observed = nft.observe()
    assert observed is not None
    ports = {frozenset(rule[1] for rule in chain or ()) for chain in observed.chains.values()}
    assert len(ports) > 1, "both policies counted"
    mixed = bool(ports - {frozenset({FIRST}), frozenset({SECOND, OWN_CONSOLE})})
    return Seen(mixed, "a login has of both" if mixed else "each has of one alone")


# What runs out

@attack("/run has no room left when somebody logs in", threat=49, control=False, article=False)
def test_without_room_nothing_opens(stage: Stage) -> Seen:
    """The article writes nothing. The control: with room the console opens."""
    return with_scarce(stage, lambda: fill(DIRECTORY))


@attack("/run is read-only when somebody logs in", threat=49, control=False, article=False)
def test_where_nothing_can_be_recorded_nothing_opens(stage: Stage) -> Seen:
    """The article writes nothing. The control: else the console opens."""
    return with_scarce(stage, lambda: ns.mount("tmpfs", DIRECTORY, "tmpfs", 1, "mode=0711"))


@attack("The login program has used up its descriptors", threat=49, control=False, article=False)
def test_without_descriptors_nothing_opens(stage: Stage) -> Seen:
    """The article needs none. The control: with descriptors the console opens."""
    return with_scarce(stage, lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3)))


@attack("The login program has no memory left", threat=49, control=False, article=False)
def test_without_memory_all_or_nothing_opens(stage: Stage) -> Seen:
    """The article needs none. The control: of these logins the last one, with memory, opens, and
    the first one, without, does not."""
    worst = Seen(False, "all or nothing")
    opened = []
    for kilobytes in (0, 64, 256, 512, 1024, 2048, 4096, 1 << 20):
        session = f"m{kilobytes}"
        scarce_login(stage, partial(leave, kilobytes), session)
        opened.append(bool(stage.chain("anne")))
        if opened[-1] and session not in stage.workstation.states():
            worst = Seen(True, "open, and nobody knows of it")
        stage.workstation.log_out(session, hint=False)
        stage.minute()
    assert (opened[0], opened[-1]) == (False, True)
    return worst


_HOARD: list[object] = []


def leave(kilobytes: int) -> None:
    """Use up this process's memory but for so much."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + 8 * 2**20
    kept = [bytes(1024) for _ in range(min(kilobytes, 8192))]
    if kilobytes <= 4096:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        for size in (65536, 4096, 300, 64):
            try:
                while True:
                    _HOARD.append(bytes(size))
            except MemoryError:
                pass
    kept.clear()


def with_scarce(stage: Stage, take_away: Callable[[], object]) -> Seen:
    """anne logs in, in a process from which this was taken away; a login goes on whatever the hook
    says, so it must only end in time."""
    session = stage.log_in("anne")
    assert stage.viewer(ANNE, FIRST).through, "without the fault it opens"
    stage.log_out(session)
    if scarce_login(stage, take_away, "scarce") > _LOGIN_LIMIT:
        return Seen(True, "the login is held up")
    return both(stage.viewer(ANNE, FIRST), stage.connect(RALPH, FIRST))


def scarce_login(stage: Stage, take_away: Callable[[], object], session: str) -> float:
    """The seconds that such a login took."""
    main = hook.main

    def scarce(phase: str) -> int:
        take_away()
        return main(phase)

    hook.main = scarce
    began = time.monotonic()
    stage.workstation.log_in(session, "anne")
    stage.workstation.hook(session, "open")
    hook.main = main
    return time.monotonic() - began


@attack("nft is missing when somebody logs in and out", threat=48, control=False, article=False)
def test_without_nft_a_logout_closes_all_the_same(stage: Stage) -> Seen:
    """The article uses iptables, once at boot. The control: before the logout the console is
    open."""
    paths.NFT = "/no/such/nft"
    session = stage.log_in("anne")
    assert stage.viewer(ANNE, FIRST).through
    stage.log_out(session)
    return stage.viewer(ANNE, FIRST)


@attack("nft is missing when the flushed firewall has to be loaded again", threat=48,
        control=False, article=False, promised=False)
def test_without_nft_a_flushed_guard_stays_away(stage: Stage) -> Seen:
    """The article's firewall is never loaded again. The control: with nft it is back."""
    ns.nft("flush ruleset\n")
    program, paths.NFT = paths.NFT, "/no/such/nft"
    try:
        stage.minute()
    except Exception:
        pass
    seen = stage.connect(RALPH, FIRST)
    paths.NFT = program
    stage.minute()
    assert not stage.connect(RALPH, FIRST).through
    return seen
