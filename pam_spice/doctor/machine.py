"""What pam-spice stands on: the clock, zones, logind and the kernel."""

from collections.abc import Iterable, Iterator

from conf.model import Policy
from conf.zones import LOCALTIME, UnknownZone, load_zone, local_zone_name, zone_file
from pam_spice import landlock, sockets
from pam_spice.desired import FIRST_SANE_SECOND
from pam_spice.doctor.findings import Code, Finding
from pam_spice.run import CommandFailed, run
from session.logind import LogindSilent, read_sessions

_TIMEDATECTL = "/usr/bin/timedatectl"
_LOGINCTL = "/usr/bin/loginctl"
_SECONDS = 10.0


def clock_findings(now: int) -> Iterator[Finding]:
    """Windows count by it, and no user can set it."""
    if now < FIRST_SANE_SECOND:
        yield Finding(Code.CLOCK_WRONG, "the clock says that it is before 2026: nothing opens",
                      "timedatectl set-ntp true, or timedatectl set-time 'YYYY-MM-DD HH:MM:SS'")
        return
    try:
        said = run([_TIMEDATECTL, "show", "--property=NTPSynchronized", "--value"],
                   timeout=_SECONDS).output.strip()
    except CommandFailed as error:
        yield Finding(Code.CLOCK_ALONE, f"whether anything keeps the clock right can't be told: "
                      f"{error.what}", "find out why: timedatectl")
        return
    if said != b"yes":
        yield Finding(Code.CLOCK_ALONE, "nothing keeps the clock right: windows open and close by "
                      "it", "timedatectl set-ntp true; where it says that NTP is not supported, "
                      "before it: apt install systemd-timesyncd")


def zone_findings(policy: Policy | None, compiled: Iterable[str]) -> Iterator[Finding]:
    """The zones that the policy counts in; ``compiled`` are those of its grants."""
    own = [policy.timezone] if policy else []
    for zone in dict.fromkeys([*own, *compiled]):
        try:
            load_zone(zone)
        except UnknownZone:
            yield Finding(Code.ZONE_MISSING, f"the system has no time zone {zone} any more, which "
                          f"the policy counts in",
                          "apt install --reinstall tzdata; an old name: apt install tzdata-legacy")
    if policy is not None and not _is_same_zone(policy.timezone, local_zone_name()):
        yield Finding(Code.ZONE_OTHER, f"the policy counts in {policy.timezone}, this "
                      f"workstation's clock ({LOCALTIME}) shows {local_zone_name()}",
                      f"nothing; or timedatectl set-timezone {policy.timezone}")


def _is_same_zone(one: str, other: str) -> bool:
    """Also by another name, as UTC and Etc/UTC are."""
    texts = []
    for name in (one, other):
        path = zone_file(name)
        if path is None:
            return one == other
        with open(path, "rb") as file:
            texts.append(file.read())
    return texts[0] == texts[1]


def logind_findings() -> Iterator[Finding]:
    """Whether it is there, by its files and by its own word."""
    try:
        read_sessions()
        run([_LOGINCTL, "--no-legend", "list-sessions"], timeout=_SECONDS)
    except LogindSilent as error:
        yield Finding(Code.LOGIND_SILENT, f"logind's sessions can't be read: {error}: nothing new "
                      f"opens", "systemctl restart systemd-logind")
    except CommandFailed as error:
        yield Finding(Code.LOGIND_SILENT, f"logind does not answer: {error.what}: nothing new "
                      f"opens", "systemctl restart systemd-logind")


def kernel_findings() -> Iterator[Finding]:
    """What it must be able to do."""
    if not landlock.is_there():
        yield Finding(Code.NO_LANDLOCK, f"the viewer is not confined: {landlock.NO_LANDLOCK}",
                      "use Debian's own kernel, or put landlock into lsm= on its command line")
    try:
        can_destroy = sockets.can_destroy()
    except OSError as error:
        yield Finding(Code.NO_CUT, f"the kernel does not tell of connections ({error.strerror}): "
                      f"they are refused in time, but idle ones stay on the server",
                      "use a kernel with CONFIG_INET_DIAG")
        return
    if not can_destroy:
        yield Finding(Code.NO_CUT, "the kernel can't end connections: they are refused in time, "
                      "but idle ones stay on the server",
                      "use a kernel with CONFIG_INET_DIAG_DESTROY")
