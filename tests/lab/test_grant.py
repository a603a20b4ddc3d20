"""`pam-spice grant` and its `--end`, while the user's own viewer shows the console."""

from collections.abc import Iterator

import pytest

from lab.door import wait_until
from lab.story import Stage
from lab.story.attempts import REFUSED
from lab.story.stage import MYSELF


@pytest.fixture
def here(stage: Stage) -> Iterator[Stage]:
    stage.reset()
    yield stage
    stage.lab.workstation.run(["rm", "-f", "/etc/pam-spice/policy.d/temporary.yaml"])


def test_a_grant_is_taken_back_while_its_console_is_on_the_screen(here: Stage) -> None:
    box = here.lab.workstation
    here.lab.login("myself", 1)
    desktop = here.lab.desktop("myself", 1)
    box.run(["pam-spice", "grant", "myself", "leaptest", "--for", "1h", "--reason", "deputy"])
    assert len(here.open_console(desktop, "leaptest")) == 4
    said = box.run(["pam-spice", "grant", "myself", "leaptest", "--end"]).stdout
    assert "of myself: has debianx; loses leaptest\n" in said
    wait_until("both sides have nothing left", lambda: here.is_silent("leaptest"), 2)
    assert here.connect(MYSELF, 20004) == REFUSED
    assert here.connect(MYSELF, 20002) == "connected", "what else he has stays"
    assert "myself" not in box.read_file("/etc/pam-spice/policy.d/temporary.yaml")
    assert box.run(["pam-spice", "check"]).stdout.startswith("fine: ")
    log = box.run(["pam-spice", "log", "--since", "-5m", "--console", "leaptest"]).stdout
    assert " end " in log
    again = box.run(["pam-spice", "grant", "myself", "leaptest", "--end"], check=False)
    assert (again.returncode, again.stderr) == (
        1, "pam-spice: myself has no grant of leaptest by pam-spice grant\n")
    here.lab.logout(1)
    here.lab.login("myself", 1)
    assert here.connect(MYSELF, 20004) == REFUSED
