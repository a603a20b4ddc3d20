"""The small files that make the bare root file system this workstation."""

from __future__ import annotations

from lab.rootfs import HOSTNAME

# A display manager gives its X server arguments that are about a VT; Xvfb knows none of them.
_X_SERVER = """\
#!/bin/sh
set -- "$@" --
while [ "$1" != -- ]; do
    case $1 in
    -seat|-layout) shift 2 ;;
    vt*|-novtswitch|-keeptty|-sharevts) shift ;;
    *) set -- "$@" "$1"; shift ;;
    esac
done
shift
exec /usr/bin/Xvfb "$@" -screen 0 1024x768x24
"""

_NETWORK = """\
[Match]
Name=eth0

[Network]
LinkLocalAddressing=ipv6
IPv6AcceptRA=no
ConfigureWithoutCarrier=yes

[Address]
Address=192.168.2.22/24

[Address]
Address=fd00::22/64
DuplicateAddressDetection=none
"""

_HOSTS = f"""\
127.0.0.1 localhost
127.0.1.1 {HOSTNAME}
::1 localhost ip6-localhost
192.168.2.2 mysrv
fd00::2 mysrv
"""

# A pager would wait for a key that nobody presses.
_PROFILE = "export PAGER=cat SYSTEMD_PAGER=cat\n"

# Not use-ssh-agent: it outlives the session by up to ten seconds, and holds it in `closing`.
_XSESSION_OPTIONS = "allow-failsafe\nallow-user-resources\nallow-user-xsession\nuse-session-dbus\n"

# A process that ignores SIGTERM would hold a shutdown for a minute and a half.
_MANAGER = "[Manager]\nDefaultTimeoutStopSec=5s\n"

FILES = {
    "etc/X11/Xsession.options": _XSESSION_OPTIONS,
    "etc/hostname": f"{HOSTNAME}\n",
    "etc/hosts": _HOSTS,
    "etc/systemd/system.conf.d/lab.conf": _MANAGER,
    "etc/systemd/user.conf.d/lab.conf": _MANAGER,
    "etc/systemd/network/eth0.network": _NETWORK,
    "etc/profile.d/lab.sh": _PROFILE,
    "usr/local/sbin/lab-xserver": _X_SERVER,
}
"""What is written below its root before its first boot; what lies in a bin directory runs."""
