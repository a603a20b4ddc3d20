"""What the kernel is told, in terms that any firewall can express; ``nft`` and ``netlink`` are how
it is said."""

Rule = tuple[str, int, int, int, int]
"""(address, port, gid, start, end): accept what goes there from a socket of that group, from
``start`` until ``end`` in seconds since the epoch; 0 is no bound on that side."""

Chain = tuple[Rule, ...]

TABLE_NAME = "pam_spice"  # of the family inet
SESSIONS = "sessions"
"""The map that sends a user's packets to his chain."""


class KernelRefused(OSError):
    """The kernel did not take a transaction: nothing of it is done."""


class Observed:
    """What the kernel's table holds."""

    __slots__ = ("chains", "foreign", "guard", "jumps")

    def __init__(self, guard: str, chains: dict[int, Chain | None], jumps: set[int],
                 foreign: list[tuple[str, str]]) -> None:
        self.guard = guard  # a digest of all that is not a user's
        self.chains = chains  # None: something in it is not ours
        self.jumps = jumps  # the uids that are sent to their chain
        # (kind, name) of what others put into our table, elements of ``sessions`` too
        self.foreign = foreign


def chain_name(uid: int) -> str:
    """The chain of a user, named by number: names are the user's to choose."""
    return f"user-{uid:d}"
