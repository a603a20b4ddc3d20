"""Who is logged in during a storm, and so who may have a chain: a model of the rule."""

from dataclasses import dataclass

from pam_spice.firewall import Chain
from tests.faults.installed import Leader
from tests.faults.machine import expected_chain
from tests.kernel import namespace as ns
from tests.kernel.workstation import OFFICE

COUNT = 20
STRANGER = 3999
_FIRST_UID = 2001


@dataclass(frozen=True, slots=True)
class Person:
    """A user of the workstation."""

    name: str
    uid: int
    ports: tuple[int, ...]

    @property
    def chain(self) -> Chain:
        """What the policy gives him."""
        return expected_chain(*self.ports)


def people() -> list[Person]:
    """Twenty users: each third has the first console, the second, or both."""
    both = ns.GUARDED_PORT, ns.OTHER_GUARDED_PORT
    return [Person(f"u{number:02}", _FIRST_UID + number, (both[:1], both[1:], both)[number % 3])
            for number in range(COUNT)]


def policy(crowd: list[Person], one_user: bool, more: bool) -> str:
    """The office's policy with a grant for each of these; with ``more`` it guards another port."""
    names = {ns.GUARDED_PORT: "first", ns.OTHER_GUARDED_PORT: "second"}
    text = OFFICE.replace("20001-20010", "20001-20011") if more else OFFICE
    grants = "".join(f"  - {{user: {person.name}, console: {names[port]}}}\n"
                     for person in crowd for port in person.ports)
    return f"{text}{grants}workstation: {{one_user: {str(one_user).lower()}}}\n"


class Login:
    """One login of a person, from the moment at which logind knows of it."""

    def __init__(self, session: str, person: Person, leader: Leader) -> None:
        self.session = session
        self.person = person
        self.leader = leader
        self.may_be_open = True
        self.is_alive = True  # its leader is
        self.is_leaving = False  # its logout has begun
        self.is_forgotten = False  # by logind
        self.over_since: float | None = None  # since when logind or its leader's death says so
        self.client: ns.Client | None = None  # a connection to a console

    def __str__(self) -> str:
        return f"session {self.session} of {self.person.name} (leader {self.leader.pid})"


class Crowd:
    """All logins that may still matter."""

    def __init__(self) -> None:
        self.logins: list[Login] = []

    def add(self, login: Login) -> None:
        """Somebody logs in."""
        self.logins.append(login)

    def who_may_be_open(self) -> set[int]:
        """The uids whose chains may be there at this instant."""
        return {login.person.uid for login in self.logins if login.may_be_open}

    def has_logged_out(self, login: Login) -> list[Login]:
        """His hook said at his logout that all is well; whose connections must be dead now."""
        return self._closed([login])

    def has_run(self, began: float) -> list[Login]:
        """A hook or reconciler that began at this instant has ended well: of all that was over by
        then nothing is open any more; whose connections must be dead now."""
        return self._closed([login for login in self.logins
                             if login.over_since is not None and login.over_since < began])

    def _closed(self, logins: list[Login]) -> list[Login]:
        closed = [login for login in logins if login.may_be_open]
        for login in closed:
            login.may_be_open = False
        open_uids = self.who_may_be_open()
        self.logins = [login for login in self.logins
                       if login.may_be_open or login.is_alive or not login.is_forgotten]
        return [login for login in closed if login.person.uid not in open_uids]
