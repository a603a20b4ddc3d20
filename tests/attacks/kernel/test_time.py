"""When a window is over, or not yet there, or the clock is not what it was.

The machine's clock is the kernel's, and is not set: windows of some seconds around now do, in zones
whose clock shows noon now.
"""

import math
import os
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.attacks.attempt import Seen, attack
from tests.attacks.kernel.stage import ANNE, FIRST, SERVERS, Stage
from tests.kernel import namespace as ns

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_ZONES = "/usr/share/zoneinfo"


def noon() -> tuple[str, datetime]:
    """A zone whose clock shows something between 12 and 13, and what it shows."""
    now = datetime.now(UTC)
    ahead = 12 - now.hour
    return f"Etc/GMT{-ahead:+d}" if ahead else "UTC", now + timedelta(hours=ahead)


def policy(when: str, zone: str) -> str:
    """anne's console in these windows."""
    return SERVERS.replace("timezone: UTC", f"timezone: {zone}") + (
        f"grants:\n  - {{user: anne, console: first, when: {when}}}\n")


def clock(moment: datetime) -> str:
    return moment.strftime("%H:%M:%S")


def ends_in(stage: Stage, seconds: float = 2.5) -> float:
    """Have anne logged in, in a window that ends at the first full second from then on; its end."""
    zone, now = noon()
    end = math.ceil(time.time() + seconds)
    local = now + timedelta(seconds=end - time.time())
    stage.policy(policy(f'"{clock(now - timedelta(minutes=5))}-{clock(local)}"', zone))
    stage.log_in("anne")
    return end


def opens(stage: Stage, text: str) -> None:
    """What is tried with another policy does go with this one."""
    stage.policy(text)
    session = stage.log_in("anne")
    assert stage.viewer(ANNE, FIRST).through
    stage.log_out(session)


def sleep_until(instant: float) -> None:
    time.sleep(max(0.0, instant - time.time()))


@attack("The user works on in the console when the window has ended", threat=31)
def test_a_busy_console_is_cut_at_its_window_s_end(stage: Stage) -> Seen:
    end = ends_in(stage)
    client = stage.console("anne")
    sleep_until(end + 0.1)
    return stage.still_there(client)


@attack("The user leaves the console open and idle when the window ends", threat=31)
def test_an_idle_console_is_cut_at_its_window_s_end(stage: Stage) -> Seen:
    stage.watch()
    end = ends_in(stage)
    client = stage.console("anne")
    sleep_until(end + 0.5)
    gone = stage.consoles.live(FIRST) == 0
    assert client.pid
    return Seen(not gone, "cut, both halves" if gone else "the server holds the connection")


@attack("Nothing of the protection's programs runs any more when the window ends", threat=31)
def test_the_kernel_closes_a_window_by_itself(stage: Stage) -> Seen:
    end = ends_in(stage)
    assert stage.viewer(ANNE, FIRST).through
    sleep_until(end + 0.1)
    return stage.viewer(ANNE, FIRST)


@attack("The workstation sleeps over the end of the window and wakes with the console open",
        threat=33)
def test_the_first_packet_after_a_suspend_finds_the_window_closed(stage: Stage) -> Seen:
    end = ends_in(stage)
    client = stage.console("anne")
    os.kill(client.pid, signal.SIGSTOP)
    sleep_until(end + 0.1)
    os.kill(client.pid, signal.SIGCONT)
    return stage.still_there(client)


@attack("The user comes before the window begins", threat=31)
def test_before_its_window_a_console_is_closed(stage: Stage) -> Seen:
    zone, now = noon()
    stage.policy(policy(f'"{clock(now + timedelta(minutes=10))}-{clock(now.replace(hour=23))}"',
                        zone))
    stage.log_in("anne")
    return stage.viewer(ANNE, FIRST)


@attack("The user comes at the right time on another day", threat=32)
def test_on_another_day_a_console_is_closed(stage: Stage) -> Seen:
    zone, now = noon()
    today, tomorrow = (DAYS[(now.weekday() + days) % 7] for days in (0, 1))
    opens(stage, policy(f'"{today} 00:00-24:00"', zone))
    stage.policy(policy(f'"{tomorrow} 00:00-24:00"', zone))
    stage.log_in("anne")
    return stage.viewer(ANNE, FIRST)


@attack("The user comes on the morning of the day on which a night's window begins", threat=32)
def test_a_night_belongs_to_the_day_on_which_it_begins(stage: Stage) -> Seen:
    zone, now = noon()
    opens(stage, policy(f'"{DAYS[now.weekday() - 1]} 23:00-14:00"', zone))
    stage.policy(policy(f'"{DAYS[now.weekday()]} 23:00-14:00"', zone))
    stage.log_in("anne")
    return stage.viewer(ANNE, FIRST)


@attack("The clocks go forward over the end of the window", threat=32)
def test_a_window_that_the_clocks_skip_is_over(stage: Stage) -> Seen:
    _, now = noon()
    change = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
    ahead = round((now - datetime.now(UTC)).total_seconds() / 3600)
    a_zone_that_changes(change, ahead)
    stage.policy(policy(f'"{clock(now - timedelta(minutes=5))}-'
                        f'{clock(now + timedelta(minutes=30))}"', "Test/Change"))
    stage.log_in("anne")
    client = stage.console("anne")
    sleep_until(change.timestamp() + 0.1)
    return stage.still_there(client)


def a_zone_that_changes(change: datetime, ahead: int) -> None:
    """Test/Change: so many hours ahead of UTC until that instant, then one more."""
    layers = Path("/run/zones")
    for name in ("upper", "work"):
        (layers / name).mkdir(parents=True)
    ns.mount("overlay", _ZONES, "overlay", 0,
             f"lowerdir={_ZONES},upperdir={layers}/upper,workdir={layers}/work")
    source = layers / "source"
    source.write_text(f"Zone Test/Change {ahead}:00 - OLD {change:%Y %b %d %H:%M:%S}u\n"
                      f"\t\t{ahead + 1}:00 - NEW\n")
    ns.command("zic", "-d", _ZONES, str(source))


@attack("The user's environment gives the login another zone (TZ), in which the window is open",
        threat=32)
def test_the_zone_is_the_policy_s_not_the_user_s(stage: Stage) -> Seen:
    zone, now = noon()
    later = now + timedelta(hours=5)
    stage.policy(policy(f'"{clock(later - timedelta(hours=1))}-{clock(later)}"', zone))
    os.environ["TZ"] = f"X{later.hour - datetime.now(UTC).hour - 1:+d}"
    time.tzset()
    stage.log_in("anne")
    return stage.viewer(ANNE, FIRST)


@attack("The user logs in when the clock has lost its battery and shows 2023", threat=34)
def test_before_2026_nothing_opens(stage: Stage) -> Seen:
    """The clock that is wrong is the one that the hook reads; the kernel's stays."""
    real = time.time
    time.time = lambda: 1_700_000_000.0
    try:
        stage.log_in("anne")
    finally:
        time.time = real
    return stage.viewer(ANNE, FIRST)
