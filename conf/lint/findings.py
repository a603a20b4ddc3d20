"""What lint finds: nothing that makes an entry bad, but probably not what was meant."""

from dataclasses import dataclass
from enum import StrEnum

from conf.problems import Mark, Problem


class Code(StrEnum):
    """What is found, by a code that stays; docs/lint.md explains each."""

    OVERLAP = "L101"
    NEVER_OPENS = "L201"
    NO_SUCH_DAY = "L202"
    DST_SKIPPED = "L203"
    EXPIRED = "L301"
    NEVER_COUNTS = "L302"
    DUPLICATE = "L303"
    CONTAINED = "L304"
    UNUSED_WINDOW = "L401"
    UNUSED_CALENDAR = "L402"
    UNUSED_SERVER = "L403"
    CLOSED_CONSOLE = "L404"
    DOUBLED = "L405"
    UNKNOWN_USER = "L501"
    UNKNOWN_GROUP = "L502"
    NOT_A_PERSON = "L503"
    SAME_PORT = "L601"
    SHARED_ADDRESS = "L602"
    CA_MISSING = "L701"
    CA_UNREADABLE = "L702"
    CA_UNUSABLE = "L703"
    CA_EXPIRED = "L704"
    CA_EXPIRES_SOON = "L705"
    CA_NOT_YET_VALID = "L706"
    UNRESOLVED = "L801"
    ADDRESS_UNGUARDED = "L802"
    ADDRESS_NOT_RESOLVED = "L803"
    UNLISTED_WORKSTATION = "L901"
    IDLE_WORKSTATION = "L902"

    @property
    def short_name(self) -> str:
        """In words: ``dst-skipped``."""
        return self.name.lower().replace("_", "-")


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding: a line of fact and a line of remedy."""

    code: Code
    mark: Mark
    fact: str
    remedy: str

    def as_problem(self, source_line: str) -> Problem:
        """In the form that a problem has on the terminal, with the line it is about."""
        return Problem(self.mark, f"{self.code} {self.code.short_name}: {self.fact}",
                       self.remedy, source_line)
