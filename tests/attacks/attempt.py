"""An attack: what is told of it, how it is declared, and how its outcome is judged.

A test of an attack makes the attempt once, returns what server and kernel saw, and is run on a
workstation of each of SETUPS:

    @attack("Another user connects to a console's port", threat=1)
    def test_another_uid_is_reset(stage: Stage) -> Seen:
        return stage.connect("ralph", 20001)

The page docs/attacks.md is made of the outcomes; see ``page``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

NOTHING, ARTICLE, PAM_SPICE = "nothing", "article", "pam-spice"
SETUPS = (NOTHING, ARTICLE, PAM_SPICE)
"""No protection at all, the article's own setup, and ours."""

Test = Callable[..., "Seen"]


@dataclass(frozen=True)
class Seen:
    """What came of an attempt."""

    through: bool
    """Whether the attack reached its aim."""

    what: str
    """What server or kernel showed, in few words that are the same in each run."""


@dataclass(frozen=True)
class Attack:
    """What is told of an attack beside its outcomes; see ``attack``."""

    sentence: str
    threat: int | None = None
    promised: bool = True
    control: bool = True
    article: bool = True

    @property
    def setups(self) -> tuple[str, ...]:
        """Where the attempt is made, in the order of SETUPS."""
        left_out = {NOTHING: not self.control, ARTICLE: not self.article}
        return tuple(setup for setup in SETUPS if not left_out.get(setup, False))


def attack(sentence: str, threat: int | None = None, *, promised: bool = True,
           control: bool = True, article: bool = True) -> Callable[[Test], Test]:
    """Declare a test, named after the fact that it proves for pam-spice, as an attempt of an
    attack. All that is given here are literals: the page is compared with them as text.

    ``sentence`` says what the person does, and is the attack's alone. ``threat`` is its number in
    the list of threats that the project began with; None for one found since.

    ``promised``: pam-spice must stop it. If not, the page says so and says what happened.

    ``control``: made where nothing protects, the attempt must succeed, which proves that it is a
    real one. Without it either the article's setup lets it through, which proves the same, or the
    test has a control of its own and its docstring says which.

    ``article``: False where the article's setup has nothing that could be attacked so.
    """
    told = Attack(sentence, threat, promised, control, article)

    def mark(test: Test) -> Test:
        return pytest.mark.usefixtures("setup", "runner")(pytest.mark.attack(told)(test))

    return mark


def what_is_wrong(told: Attack, setup: str, seen: Seen, on_page: Seen | None,
                  writes_page: bool) -> str | None:
    """Why a test with this outcome fails, None where it passes. ``on_page`` is what docs/attacks.md
    says of this attack and setup."""
    if setup == NOTHING:
        return None if seen.through else (
            f"nothing protects, and yet it did not get through: no real attempt ({seen.what})")
    if setup == PAM_SPICE and told.promised and seen.through:
        return f"it got through pam-spice: {seen.what}"
    if writes_page or seen == on_page:
        return None
    return f"docs/attacks.md says {on_page}, it was {seen} on {setup}; make attacks writes the page"
