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

# A user's service manager ends with his last session, and not ten seconds later.
_LOGIND = "[Login]\nUserStopDelaySec=0\n"

# So people who come and go as quickly as tests have them start it, or a prompt, more often than the
# five times in ten seconds at which systemd gives a service up.
_OFTEN = "[Unit]\nStartLimitIntervalSec=0\n"

# Programs that are to be in a graphical session have to be started by something that is. It ends
# with the session's screen, or the session would stay in logind's state `closing`.
_RUN = """\
#!/bin/bash
rm -f ~/.lab-run
mkfifo -m 600 ~/.lab-run
while :; do
    while read -r line; do
        eval "$line" >>~/.program.log 2>&1 &
    done <~/.lab-run
done &
runner=$!
if [ "$SWAYSOCK" ]; then
    swaymsg --type subscribe --monitor '["shutdown"]'
else
    xprop -root -spy
fi >/dev/null 2>&1
rm -f ~/.lab-run
kill $runner
"""

# Not the desktop's autostart: Xfce comes to that only when it has waited for eight seconds for
# programs that aren't installed.
_XSESSION_RUN = "[ -z \"$DISPLAY\" ] || /usr/local/bin/lab-run &\n"

_SWAY = """\
#!/bin/sh
export WLR_BACKENDS=headless WLR_RENDERER=pixman WLR_LIBINPUT_NO_DEVICES=1
exec /usr/bin/sway
"""

_SWAY_SESSION = """\
[Desktop Entry]
Name=Sway
Exec=/usr/local/bin/lab-sway
Type=Application
DesktopNames=sway
"""

_SWAY_CONFIG = """\
output HEADLESS-1 resolution 1024x768 bg #2e4a62 solid_color
font pango:DejaVu Sans 10
bindsym Mod4+d exec wofi --show drun --insensitive --allow-images
bindsym Mod4+q exec swaymsg exit
bar {
    position top
    status_command while date +'%a %F %H:%M'; do sleep 20; done
}
exec dbus-update-activation-environment --systemd WAYLAND_DISPLAY SWAYSOCK XDG_CURRENT_DESKTOP
exec dunst
exec wayvnc --unix-socket "$XDG_RUNTIME_DIR/wayvnc"
exec /usr/local/bin/lab-run
"""

# What was open at a logout would be there again at the next login.
_XFCE_KIOSK = """\
[xfce4-session]
SaveSession=NONE
"""

# A plain background, on which one can see what matters.
_XFCE_DESKTOP = """\
<?xml version="1.0" encoding="UTF-8"?>
<channel name="xfce4-desktop" version="1.0">
  <property name="backdrop" type="empty"><property name="screen0" type="empty">
    <property name="monitorscreen" type="empty"><property name="workspace0" type="empty">
      <property name="color-style" type="int" value="0"/>
      <property name="image-style" type="int" value="0"/>
      <property name="rgba1" type="array">
        <value type="double" value="0.18"/><value type="double" value="0.29"/>
        <value type="double" value="0.38"/><value type="double" value="1"/>
      </property>
    </property></property>
  </property></property>
</channel>
"""

FILES = {
    "etc/X11/Xsession.d/96lab-run": _XSESSION_RUN,
    "etc/X11/Xsession.options": _XSESSION_OPTIONS,
    "etc/hostname": f"{HOSTNAME}\n",
    "etc/hosts": _HOSTS,
    "etc/systemd/logind.conf.d/lab.conf": _LOGIND,
    "etc/systemd/system.conf.d/lab.conf": _MANAGER,
    "etc/systemd/system/getty@.service.d/lab.conf": _OFTEN,
    "etc/systemd/system/user-runtime-dir@.service.d/lab.conf": _OFTEN,
    "etc/systemd/system/user@.service.d/lab.conf": _OFTEN,
    "etc/systemd/user.conf.d/lab.conf": _MANAGER,
    "etc/systemd/network/eth0.network": _NETWORK,
    "etc/profile.d/lab.sh": _PROFILE,
    "etc/sway/config": _SWAY_CONFIG,
    "etc/xdg/xfce4/kiosk/kioskrc": _XFCE_KIOSK,
    "etc/xdg/xfce4/xfconf/xfce-perchannel-xml/xfce4-desktop.xml": _XFCE_DESKTOP,
    "usr/local/bin/lab-run": _RUN,
    "usr/local/bin/lab-sway": _SWAY,
    "usr/local/sbin/lab-xserver": _X_SERVER,
    "usr/share/wayland-sessions/sway.desktop": _SWAY_SESSION,
}
"""What is written below its root before its first boot; what lies in a bin directory runs."""
