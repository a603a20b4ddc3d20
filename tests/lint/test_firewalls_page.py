"""docs/firewalls.md has a row for each deed that the lab's tests do, and for no other."""

from tests.lab.deeds import FIREWALLS
from tests.lab.walls_page import PAGE, ZONE_SET, deeds_of


def test_the_page_has_each_deed_in_order() -> None:
    assert deeds_of(PAGE.read_text()) == [
        (firewall.name, deed.what) for firewall in FIREWALLS for deed in firewall.deeds]
    assert ZONE_SET in PAGE.read_text()
