"""What is to be done: the difference between what should be and what is. Pure."""

from pam_spice import paths
from pam_spice.firewall import Chain, chain_name
from session.records import Record

TYPE_CHECKING = False  # typing and collections are slow to import, and a login needs neither
if TYPE_CHECKING:
    from collections.abc import Callable


class Plan:
    """The difference between what should be and what is."""

    __slots__ = ("close", "foreign", "guard", "guard_file", "is_table_missing", "remove", "set",
                 "write")

    def __init__(self) -> None:
        self.guard: str | None = None  # the guard's text, where it must be loaded
        self.guard_file: str | None = None  # the same, where the file for the boot is not it
        self.is_table_missing = False
        self.foreign: list[tuple[str, str]] = []  # what others put into our table
        self.set: dict[int, Chain] = {}
        self.close: list[int] = []
        self.write: list[Record] = []
        self.remove: list[str] = []

    def describe(self, told: "Callable[[int], str]") -> list[str]:
        """The plan for a person, a line each; ``told`` has an instant in words."""
        lines = [f"write {paths.GUARD}"] if self.guard_file else []
        lines += ["load the guard"] if self.guard else []
        lines += [f"record session {record.session} of {record.user} ({record.uid}) as "
                  f"{record.state}" for record in self.write]
        lines += [f"close chain {chain_name(uid)}" for uid in self.close]
        for uid, chain in sorted(self.set.items()):
            lines.append(f"set chain {chain_name(uid)}")
            lines += [f"    {address} port {port} from {told(start) if start else '-'} until "
                      f"{told(end) if end else '-'}"
                      for address, port, _, start, end in chain]
        return lines + [f"forget session {session}" for session in self.remove]
