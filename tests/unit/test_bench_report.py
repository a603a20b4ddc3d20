"""The benchmark's page and lines, from fixed figures."""

import dataclasses

import pytest

from tests.bench import report
from tests.bench.listings import table
from tests.bench.measuring import Chart, Ratio, Results, Row, Series
from tests.unit.conftest import GOLDEN, Golden

MET = Row("open + close of a session, 2 grants", "a shell hook that only runs `nft -f`", 2.0,
          Ratio(1.2534, 1.2, 1.31, 40))
MISSED = Row("TCP connect to the last user's console, 10,000 open chains", "no firewall", 1.1,
             Ratio(1.1266, 1.1, 1.15, 200),
             "the floor is 1.12x: a table that asks for the uid and nothing else")
SHOWN = Row("the same, the article's rules (iptables legacy | nft)", "no firewall", None,
            Ratio(29.04, 28.0, 30.26, 200), "as fwbuilder writes them")
RESULTS = Results(
    rows=[MET, MISSED, SHOWN],
    charts=[Chart("connect", "TCP connect to a user's console", "open chains",
                  "times no firewall", [Series("pam-spice", [(2, Ratio(1.1, 1, 1.2, 5))])])],
    texts=[("Calls <of the kernel>", "openat  7\n_exit   1")],
    medians=[("hook, open + close", "12.31 ms (12.01 to 12.80)"), ("a | b", "3.00 ms")])
MACHINE = report.Machine("6.1.0", "1.0.6", "3.11.2", "1.9.13p3", 2)


def test_the_page_is_as_the_golden_file_shows_it(golden: Golden) -> None:
    golden(GOLDEN / "benchmarks.md", report.page(RESULTS, MACHINE, "2026-11-24"))


def test_the_page_says_which_modules_failed() -> None:
    assert "failed: hook, growth.\n" in report.page(RESULTS, MACHINE, "2026-11-24",
                                                    ["hook", "growth"])


def test_where_nothing_is_missed_the_page_says_so() -> None:
    text = report.page(Results(rows=[MET, SHOWN]), MACHINE, "2026-11-24")
    assert "All figures are met" in text
    assert "**" not in text


def test_a_row_is_a_line_on_a_terminal() -> None:
    assert report.line(MET) == (
        "met     1.253x  (1.200 to 1.310; 40 rounds)  open + close of a session, 2 grants, "
        "against a shell hook that only runs `nft -f`, at most 2.00x")
    assert report.line(SHOWN) == (
        "shown    29.0x  (28.0 to 30.3; 200 rounds)  the same, the article's rules "
        "(iptables legacy | nft), against no firewall: as fwbuilder writes them")


def test_a_figure_is_met_at_its_bound_and_missed_beyond_it() -> None:
    at_bound = dataclasses.replace(MET, ratio=Ratio(2.0, 1.9, 2.1, 3))
    assert report.verdict(at_bound) == "met"
    beyond = dataclasses.replace(MET, ratio=Ratio(2.001, 1.9, 2.1, 3))
    assert report.verdict(beyond) == "missed"
    assert report.verdict(SHOWN) == "shown"


@pytest.mark.parametrize(("ratio", "text"), [
    (0.9341, "0.934x"), (1.0266, "1.027x"), (2.414, "2.41x"), (29.08, "29.1x"), (207.4, "207x"),
    (12345.6, "12,346x")])
def test_a_ratio_has_the_digits_that_tell_something(ratio: float, text: str) -> None:
    assert report.times(ratio) == text


def test_results_are_joined_in_their_order() -> None:
    joined = report.joined([Results(rows=[MET]), Results(texts=[("a", "b")]),
                            Results(rows=[SHOWN])])
    assert joined == Results(rows=[MET, SHOWN], texts=[("a", "b")])


def test_a_listing_leaves_out_what_the_bare_interpreter_does_as_well() -> None:
    assert table({"open": {"read": 12, "close": 1200, "brk": 3}, "close": {"read": 30, "brk": 3},
                  "python3": {"brk": 3, "read": 10, "mmap": 2}}) == """\
         open  close  python3
close   1,200      -        -
read       12     30       10
in all  1,215     33       15"""
