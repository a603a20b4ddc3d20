"""Every place that pam-spice owns or reads, in one list."""

POLICY = "/etc/pam-spice/policy.yaml"
STATE = "/var/lib/pam-spice"
COMPILED = f"{STATE}/policy.compiled"
GUARD = f"{STATE}/guard.nft"
RUN = "/run/pam-spice"
LOCK = f"{RUN}/lock"
COMPILE_LOCK = f"{RUN}/compile.lock"
GUARD_SEEN = f"{RUN}/guard.seen"
WAKE = f"{RUN}/wake"
SUDOERS = "/etc/sudoers.d/pam-spice"
PREFIX = "/usr/lib/pam-spice"


NFT = "/usr/sbin/nft"
VISUDO = "/usr/sbin/visudo"
