"""The workstation's root file system: built once, kept in a cache, never written to again."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.door import call, log
from lab.errors import LabError

# To be raised when the steps below change: it is a part of the name in the cache.
_VERSION = 1

SUITE = "bookworm"
MIRROR = os.environ.get("PAM_SPICE_LAB_MIRROR", "http://deb.debian.org/debian")
SECURITY_MIRROR = os.environ.get(
    "PAM_SPICE_LAB_SECURITY_MIRROR", "http://deb.debian.org/debian-security"
)
USERS = {"myself": 1021, "mybro": 1022, "guest": 1030}
HOSTNAME = "workstation"

PACKAGES = """
    systemd systemd-sysv dbus dbus-user-session libpam-systemd login passwd sudo openssh-server
    openssh-client cron at nftables iproute2 iptables procps util-linux tzdata
    python3 python3-yaml python3-holidays python3-rich python3-defusedxml python3-pampy
    virt-viewer spice-client-gtk xvfb xdotool imagemagick x11-utils x11-xserver-utils xauth
    python3-gi gir1.2-gtk-3.0 libgtk-3-bin librsvg2-common dunst
    libnotify-bin lightdm lightdm-gtk-greeter openbox fonts-dejavu-core
    xfce4-session xfce4-panel xfdesktop4 xfwm4 xfce4-settings adwaita-icon-theme
    sway swaybg grim wayvnc wofi at-spi2-core gir1.2-atspi-2.0
    pamtester netcat-openbsd strace tmux iputils-ping socat
    firewalld ufw docker.io
""".split()

_PROXIES = {name: os.environ[name] for name in ("http_proxy", "https_proxy", "no_proxy")
            if name in os.environ}  # fmt: skip

_SOURCES = f"""\
deb {MIRROR} {SUITE} main
deb {MIRROR} {SUITE}-updates main
deb {SECURITY_MIRROR} {SUITE}-security main
"""

# The lab's machine may have a clock that is off, and then apt refuses its signed indexes.
_APT_CONF = """\
Acquire::Check-Valid-Until "false";
Acquire::Check-Date "false";
Acquire::Languages "none";
APT::Install-Recommends "false";
Dpkg::Use-Pty "false";
"""

_DPKG_CONF = """\
force-unsafe-io
path-exclude=/usr/share/doc/*
path-exclude=/usr/share/man/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/info/*
"""

# Units that make no sense in a container, or that wait for something the lab hasn't got; and other
# firewalls, which are there to be started beside ours.
_DISABLED = ["lightdm.service", "apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer",
             "firewalld.service", "ufw.service", "docker.service", "docker.socket",
             "containerd.service"]
_ENABLED = ["getty@tty2.service", "getty@tty3.service", "systemd-networkd.service"]


def recipe_hash() -> str:
    """What names a root file system in the cache: a digest of everything that shapes it."""
    texts = [SUITE, _SOURCES, _APT_CONF, _DPKG_CONF]
    recipe = [_VERSION, texts, PACKAGES, _DISABLED, _ENABLED, USERS]
    return hashlib.sha256(repr(recipe).encode()).hexdigest()[:16]


def cache_dir() -> Path:
    """Where root file systems and downloaded packages are kept; PAM_SPICE_LAB_CACHE overrides."""
    return Path(os.environ.get("PAM_SPICE_LAB_CACHE", "/var/cache/pam-spice-lab"))


def rootfs() -> Path:
    """The directory of the workstation's root file system, built now if it isn't there.

    Nobody may write to it: put an overlay over it. The first call takes minutes and needs a
    Debian mirror. Raises LabError, with the builder's output, when the build fails.
    """
    cache = cache_dir()
    done = cache / recipe_hash()
    if done.is_dir():
        return done
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "build.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if done.is_dir():
            return done
        for leftover in cache.glob("building-*"):
            _discard(leftover)
        log.info("building the workstation's root file system in %s, which takes minutes", cache)
        building = Path(tempfile.mkdtemp(prefix="building-", dir=cache))
        building.chmod(0o755)
        try:
            _build(building, cache / "debs")
            building.rename(done)
        except BaseException:
            _discard(building)
            raise
    return done


def _build(root: Path, debs: Path) -> None:
    if os.geteuid():
        raise LabError("building the root file system needs root")
    debs.mkdir(exist_ok=True)
    call(
        ["debootstrap", "--variant=minbase", f"--cache-dir={debs}", SUITE, root, MIRROR],
        env=_PROXIES,
        timeout=900,
    )
    _write(root, "etc/apt/sources.list", _SOURCES)
    _write(root, "etc/apt/apt.conf.d/90lab", _APT_CONF)
    _write(root, "etc/dpkg/dpkg.cfg.d/lab", _DPKG_CONF)
    # Without this apt would start every daemon that it installs.
    _write(root, "usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    with _mounted(root, debs):
        _chroot(root, "apt-get", "update")
        _chroot(root, "apt-get", "install", "-y", *PACKAGES)
    _write(root, "etc/default/locale", "LANG=C.UTF-8\n")
    _chroot(root, "systemctl", "disable", *_DISABLED)
    _chroot(root, "systemctl", "enable", *_ENABLED)
    _chroot(root, "systemctl", "mask", "systemd-networkd-wait-online.service")
    for user, uid in USERS.items():
        _chroot(root, "groupadd", "-g", str(uid), user)
        _chroot(root, "useradd", "-m", "-u", str(uid), "-g", user, "-s", "/bin/bash", user)
    _chroot(root, "systemd-machine-id-setup")
    (root / "usr/sbin/policy-rc.d").unlink()
    (root / "etc/resolv.conf").unlink()
    shutil.rmtree(root / "var/lib/apt/lists")


def _discard(root: Path) -> None:
    """Delete an unfinished root, but nothing that a killed builder left mounted below it."""
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for target in reversed(mounted):
        if target.startswith(f"{root}/"):
            call(["umount", "--lazy", target])
    shutil.rmtree(root)


def _write(root: Path, name: str, text: str, mode: int = 0o644) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def _chroot(root: Path, *argv: str) -> None:
    env = _PROXIES | {"DEBIAN_FRONTEND": "noninteractive"}
    call(["chroot", root, *argv], env=env, timeout=1200)


@contextmanager
def _mounted(root: Path, debs: Path) -> Iterator[None]:
    archives = root / "var/cache/apt/archives"
    mounts: list[list[str | Path]] = [
        ["-t", "proc", "proc", root / "proc"],
        ["--bind", debs, archives],
    ]
    made: list[Path] = []
    try:
        for words in mounts:
            call(["mount", *words])
            made.append(Path(words[-1]))
        yield
    finally:
        for target in reversed(made):
            call(["umount", "--lazy", target])
