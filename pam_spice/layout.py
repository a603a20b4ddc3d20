"""What of a checkout belongs where on a workstation, for setup and for packages alike. Pure."""

from conf.viewer import CONFINER
from pam_spice import paths

PACKAGES = ("conf", "session", "pam_spice", "launcher")
"""The Python packages; they go to the prefix."""

PROGRAMS = {
    "conf/system/bin/hook": f"{paths.PREFIX}/hook",
    "conf/system/bin/watch": f"{paths.PREFIX}/watch",
    "conf/system/bin/viewer": CONFINER,
    "conf/system/bin/window": f"{paths.PREFIX}/window",
    "conf/system/bin/askpass": f"{paths.PREFIX}/askpass",
    "conf/system/bin/pam-spice": "/usr/sbin/pam-spice",
    "conf/system/bin/spice-open": "/usr/bin/spice-open",
}

DATA = {
    "man/pam-spice-policy.5": "/usr/share/man/man5/pam-spice-policy.5",
    "man/pam-spice.8": "/usr/share/man/man8/pam-spice.8",
    "man/spice-open.1": "/usr/share/man/man1/spice-open.1",
    "conf/system/pam-spice.tmpfiles": "/usr/lib/tmpfiles.d/pam-spice.conf",
    "conf/system/completion/pam-spice": "/usr/share/bash-completion/completions/pam-spice",
    "conf/system/completion/spice-open": "/usr/share/bash-completion/completions/spice-open",
    "conf/system/desktop/spice-open.desktop": "/usr/share/applications/spice-open.desktop",
    "conf/system/desktop/spice-open.svg":
        "/usr/share/icons/hicolor/scalable/apps/spice-open.svg",
}
