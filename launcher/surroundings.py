"""What ``parent`` needs to have around it. For type checkers: nothing imports it at run time."""

from typing import Protocol

from launcher.consoles import Console
from launcher.diagnosis import Diagnosis


class Surroundings(Protocol):
    """What is around the viewer; tests have their own."""

    def now(self) -> float:
        """Seconds since the epoch."""

    def console(self) -> tuple[bool, Console | None]:
        """Whether the login has its consoles still, and the console as it is now, if granted."""

    def has_started(self) -> bool:
        """Whether sudo has let the viewer start."""

    def status(self) -> int | None:
        """How sudo and the viewer ended: a status, -N by signal N, None: not yet."""

    def wait(self, seconds: float) -> bool:
        """Until something happens or the time is over; whether the person wants an end."""

    def stop(self) -> None:
        """End the viewer."""

    def heard(self) -> Diagnosis:
        """What sudo and the viewer have said so far."""

    def password_notes(self) -> str:
        """How the windows went in which sudo asked for the password: see ``desktop``."""

    def tell(self, text: str) -> None:
        """Say it on the terminal."""

    def announce(self, text: str) -> None:
        """Say it on the terminal and in a notification."""

    def explain(self, text: str) -> None:
        """Say what the person has to know whenever he looks: on the desktop in a window that
        stays."""
