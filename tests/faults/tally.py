"""What a storm was made of, in numbers."""

from dataclasses import dataclass, field


def _count(title: str) -> int:
    number: int = field(default=0, metadata={"title": title})
    return number


@dataclass
class Tally:
    """What a storm was made of."""

    logins: int = _count("logins")
    logouts: int = _count("logouts")
    deaths: int = _count("login processes killed")
    hooks_done: int = _count("hooks that ended well")
    hooks_failed: int = _count("hooks that failed")
    hooks_late: int = _count("hooks that their own limit of time ended")
    hooks_killed: int = _count("hooks killed")
    reconcilers_done: int = _count("reconcilers that ended well")
    reconcilers_failed: int = _count("reconcilers that failed")
    reconcilers_killed: int = _count("reconcilers killed")
    nfts_killed: int = _count("nfts killed")
    edits: int = _count("edits of the policy")
    looks: int = _count("times that all was looked at")
    most_open: int = _count("most users with a chain at once")
    knocks: int = _count("times that a stranger tried to get in")
    longest_hook: float = field(default=0.0, metadata={"title": "slowest hook not killed, s"})


@dataclass(frozen=True, slots=True)
class Raged:
    """A storm that is over."""

    one_user: bool
    seconds: float
    seed: int
    tally: Tally
    problems: tuple[str, ...]
