"""What is to be done: the difference between what should be and what is. Pure."""

import time

from pam_spice import paths
from pam_spice.firewall import Chain, nft
from session.records import Record


class Plan:
    """The difference between what should be and what is."""

    __slots__ = ("close", "foreign", "guard", "guard_file", "remove", "set", "write")

    def __init__(self) -> None:
        self.guard: str | None = None  # the guard's text, where it must be loaded
        self.guard_file: str | None = None  # the same, where the file for the boot is not it
        self.foreign: list[tuple[str, str]] = []  # what others put into our table
        self.set: dict[int, Chain] = {}
        self.close: list[int] = []
        self.write: list[Record] = []
        self.remove: list[str] = []

    def transaction(self) -> str:
        """What the kernel is told; empty if nothing."""
        return "".join([self.guard + nft.FLUSH_SESSIONS if self.guard else "",
                        *(nft.render_close(uid) for uid in self.close), self._opening(),
                        nft.render_removal(self.foreign)])

    def transaction_from_nothing(self) -> str:
        """The same, with the table deleted first. A packet that is being judged at this very
        moment may be judged by halves, so this is for a table that can't be mended otherwise."""
        return f"{nft.DELETE_TABLE}{self.guard}{self._opening()}"

    def _opening(self) -> str:
        return "".join(nft.render_open(uid, chain) for uid, chain in sorted(self.set.items()))

    def describe(self) -> list[str]:
        """The plan for a person, a line each."""
        lines = [f"write {paths.GUARD}"] if self.guard_file else []
        lines += ["load the guard"] if self.guard else []
        lines += [f"record session {record.session} of {record.user} ({record.uid}) as "
                  f"{record.state}" for record in self.write]
        lines += [f"close chain {nft.chain_name(uid)}" for uid in self.close]
        for uid, chain in sorted(self.set.items()):
            lines.append(f"set chain {nft.chain_name(uid)}")
            lines += [f"    {address} port {port} from {_time(start)} until {_time(end)}"
                      for address, port, _, start, end in chain]
        return lines + [f"forget session {session}" for session in self.remove]


def _time(seconds: int) -> str:
    if not seconds:
        return "-"
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
