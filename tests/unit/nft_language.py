"""A user's chain in nft's language, written independently of what the product tells the kernel:
golden files hold it, and the kernel must list the same of both."""

from pam_spice.firewall import Chain, Rule

TABLE = "inet pam_spice"


def open_text(uid: int, chain: Chain) -> str:
    """Put exactly these rules into the user's chain and send his packets there."""
    name = f"user-{uid}"
    return "\n".join([f"add chain {TABLE} {name}", f"flush chain {TABLE} {name}",
                      *(f"add rule {TABLE} {name} {_rule_text(rule)}" for rule in chain),
                      f"add element {TABLE} sessions {{ {uid} : jump {name} }}", ""])


def _rule_text(rule: Rule) -> str:
    address, port, gid, start, end = rule
    words = [f"{'ip6' if ':' in address else 'ip'} daddr {address} tcp dport {port} "
             f"meta skgid {gid}"]
    # Numbers: nft would read a date in its own time zone.
    words += [f"meta time >= {start}"] if start else []
    words += [f"meta time < {end}"] if end else []
    return " ".join([*words, "counter accept"])
