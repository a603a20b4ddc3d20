"""Lint: what is found in a policy, and what is rightly not found."""

import pytest

from conf.lint import lint
from conf.lint.endpoints import CaFault, CaSpans, Resolved
from conf.lint.findings import Code, Finding
from conf.lint.overlaps import MAX_PAIRS
from conf.lint.times import literal_of
from conf.lint.written import look_through
from conf.parser import parse_files
from conf.sources import is_temporary
from conf.times import parse_window
from pam_spice import paths
from tests.unit.support import NOON, SERVER, within

DAY = 86400
CONSOLES = """consoles:
  webdev: {server: mysrv, tls_port: 20002}
"""


class Accounts:
    """Everybody exists; ralph is an auditor."""

    def has_user(self, user: str) -> bool:
        return True

    def is_person(self, user: str) -> bool:
        return True

    def has_group(self, group: str) -> bool:
        return True

    def is_member(self, user: str, group: str) -> bool:
        return (user, group) == ("ralph", "auditors")


def found_in(text: str, *more: str, now: int = NOON, ca: CaFault | CaSpans | None = None,
             resolved: Resolved | None = None, zone: str = "Europe/Berlin",
             with_problems: bool = False, name: str = "") -> list[Finding]:
    """All findings in a policy of one server and ``text``, and of further files, which are called
    by numbers or by that name."""
    files: list[tuple[str, bytes]] = [("policy.yaml", f"timezone: {zone}\n{SERVER}{text}".encode())]
    files += [(f"policy.d/{name or number}.yaml", each.encode())
              for number, each in enumerate(more)]
    parsed = parse_files(files)
    assert parsed.policy is not None
    assert bool(parsed.problems) == with_problems, parsed.problems
    return lint(parsed.policy, look_through(files), now, Accounts(),
                lambda _: ca or ((0, now + 1000 * DAY),), resolved or {})


def of_grants(*grants: str, **more: bool) -> list[Finding]:
    """All findings in a policy of one console and these grants."""
    return found_in(CONSOLES + "grants:\n" + "".join(f"  - {{{grant}}}\n" for grant in grants)
                    + ("workstation: {one_user: false}\n" if more.get("many_users") else ""))


def codes(findings: list[Finding]) -> list[Code]:
    return [finding.code for finding in findings]


# Overlaps

def test_an_overlap_says_its_first_instant_in_the_policy_s_zone() -> None:
    [finding] = of_grants('user: anne, console: webdev, when: "Wed 08:00-12:00"',
                          'user: ralph, console: webdev, when: "Wed 11:30-13:00"')
    assert finding.code == Code.OVERLAP
    assert "user ralph and user anne" in finding.fact
    assert "first at Wed 2026-11-25 11:30:00 CET; the other grant: policy.yaml:11" in finding.fact
    assert finding.mark.line == 12


TEMPORARY = """\
grants:
  - {user: ralph, console: webdev, valid: {from: 2026-11-23T11:00:00Z, until: 2026-11-23T14:00:00Z},
     reason: deputy}
  - {user: anne, console: webdev, valid: {from: 2026-11-23T11:00:00Z, until: 2026-11-23T14:00:00Z}}
  - {user: anne, console: webdev, valid: {from: 2026-11-20T11:00:00Z, until: 2026-11-20T14:00:00Z}}
"""


def test_what_was_granted_for_a_time_was_meant_so() -> None:
    text = CONSOLES + "grants:\n  - {user: anne, console: webdev}\n"
    assert found_in(text, name="temporary") == []
    assert found_in(text, TEMPORARY, name="temporary") == []
    assert set(codes(found_in(text, TEMPORARY, name="deputies"))) == {
        Code.OVERLAP, Code.EXPIRED, Code.CONTAINED}
    both = text + "  - {user: ralph, console: webdev}\n"
    assert codes(found_in(both, TEMPORARY, name="temporary")) == [Code.OVERLAP], "without it, too"
    unused = CONSOLES + "grants: []\n"
    assert codes(found_in(unused)) == [Code.CLOSED_CONSOLE]
    assert found_in(unused, TEMPORARY, name="temporary") == [], "it does count"


def test_the_file_for_a_time_is_the_one_that_grant_writes() -> None:
    assert is_temporary(paths.TEMPORARY, paths.POLICY)
    assert not is_temporary("/etc/pam-spice/temporary.yaml", paths.POLICY)


def test_windows_that_touch_do_not_overlap() -> None:
    assert of_grants('user: anne, console: webdev, when: "Wed 08:00-12:00"',
                     'user: ralph, console: webdev, when: "Wed 12:00-13:00"') == []


def test_windows_in_two_zones_are_compared_in_absolute_time() -> None:
    text = """windows:
  there: {when: "Wed 08:00-09:00", timezone: America/New_York}
grants:
  - {user: anne, console: webdev, when: "Wed 13:00-14:00"}
  - {user: ralph, console: webdev, when: there}
"""
    # Six hours apart but in the weeks in which only one of the two has changed its clock.
    [finding] = found_in(CONSOLES + text)
    assert "first at Wed 2027-03-17 13:00:00 CET" in finding.fact


@pytest.mark.parametrize(("one", "other"), [
    ("user: anne, console: webdev", "user: anne, console: webdev, when: Wed"),
    ("user: anne, console: webdev", "user: ralph, console: webdev, valid: {until: 2026-11-01}"),
    ("user: anne, console: webdev, valid: {until: 2026-12-01}",
     "user: ralph, console: webdev, valid: {from: 2026-12-02}"),
    ("group: auditors, console: webdev", "user: ralph, console: webdev")])
def test_who_cannot_meet_or_is_one_and_the_same_is_no_overlap(one: str, other: str) -> None:
    assert Code.OVERLAP not in codes(of_grants(one, other))


@pytest.mark.parametrize("other", ["user: maggie", "group: staff"])
def test_a_group_overlaps_with_who_is_not_in_it(other: str) -> None:
    assert codes(of_grants("group: auditors, console: webdev",
                           f"{other}, console: webdev")) == [Code.OVERLAP]


def test_two_at_different_workstations_meet_at_the_console() -> None:
    assert codes(of_grants("user: anne, console: webdev, workstations: pc1",
                           "user: ralph, console: webdev, workstations: pc2")) == [Code.OVERLAP]


@pytest.mark.parametrize(("globs", "is_found"), [
    (("pc7", "PC7"), False), (("pc7", "[pc7, pc8]"), True), (('"pc*"', '"pc*"'), True)])
def test_two_bound_to_one_workstation_of_one_user_do_not_meet(
        globs: tuple[str, str], is_found: bool) -> None:
    grants = [f"user: {user}, console: webdev, workstations: {glob}"
              for user, glob in zip(("anne", "ralph"), globs, strict=True)]
    assert bool(of_grants(*grants)) == is_found
    assert codes(of_grants(*grants, many_users=True)) == [Code.OVERLAP]


def test_two_subjects_are_told_once_however_many_grants_they_have() -> None:
    found = of_grants(*(f'user: {user}, console: webdev, when: "{day} 08:00-09:00"'
                        for user in ("anne", "ralph") for day in ("Mon", "Tue", "Wed")))
    assert len(found) == 1
    assert "first at Tue 2026-11-24" in found[0].fact


def test_an_overlap_that_is_more_than_a_year_off_is_told() -> None:
    [finding] = of_grants("user: anne, console: webdev",
                          "user: ralph, console: webdev, when: 2027-12-20")
    assert "first at Mon 2027-12-20 00:00:00 CET" in finding.fact


def test_of_a_thousand_who_overlap_a_few_are_told_and_that_there_are_more() -> None:
    with within(20):
        found = of_grants(*(f"user: u{number}, console: webdev" for number in range(1000)))
    assert codes(found) == [Code.OVERLAP] * (MAX_PAIRS + 1)
    assert "there are more" in found[0].fact and "1000 users and groups" in found[0].fact


def test_exactly_as_many_overlaps_as_are_told_are_told_without_a_rest() -> None:
    found = of_grants("group: auditors, console: webdev", *(
        f'user: u{number}, console: webdev, when: "Wed 10:{number:02}-10:{number + 1:02}"'
        for number in range(MAX_PAIRS)))
    assert len(found) == MAX_PAIRS
    assert not any("more overlaps" in finding.fact for finding in found)


# Windows and grants in time

@pytest.mark.parametrize(("window", "code", "why"), [
    ("[2025-12-24]", Code.NEVER_OPENS, ": its last date is 2025-12-24"),
    ("[2028-12-24]", Code.NEVER_OPENS, ": its first date is 2028-12-24"),
    ("{when: [2026-12-24, Mon], except: 2026-01-01..2030-01-01}", Code.NEVER_OPENS,
     ": all its days are excepted"),
    ("[2026-12-24 Wed]", Code.NO_SUCH_DAY, "'2026-12-24 Wed'"),
    ('["2027-03-28 02:15-02:45"]', Code.DST_SKIPPED, "2027-03-28"),
    ("[2025-12-24, Mon]", None, ""),
    ("[2026-12-21..2026-12-27 Sun]", None, ""),
    ('["Sun 02:15-03:15"]', None, ""),
    ('["Sun 01:00-02:00"]', None, ""),
    ('{when: "Sun 02:15-02:45", timezone: UTC}', None, ""),
    ('{when: "Sun 02:15-02:45", except: 2027-03-28}', None, ""),
    ('["2027-03-01..2027-03-27 02:15-02:45"]', None, ""),
    ('["Sat 02:15-02:45"]', None, "")])
def test_a_window_that_stays_closed_is_told_once_with_its_cause(
        window: str, code: Code | None, why: str) -> None:
    found = found_in(f"{CONSOLES}windows: {{odd: {window}}}\n"
                     "grants: [{user: anne, console: webdev, when: odd}]\n")
    assert codes(found) == ([code] if code else [])
    assert all(why in finding.fact and "window 'odd'" in finding.fact for finding in found)


def test_a_window_that_is_exactly_the_hour_that_the_clock_skips_is_skipped() -> None:
    [finding] = of_grants('user: anne, console: webdev, when: "Sun 02:00-03:00"')
    assert finding.code == Code.DST_SKIPPED
    assert "2027-03-28" in finding.fact


@pytest.mark.parametrize(("grant", "why"), [
    ("when: Wed, valid: {from: 2026-12-05, until: 2026-12-06}", "closed while it is valid"),
    ("when: 2025-12-24", "its last date is 2025-12-24"),
    ("when: Wed, except: 2026-01-01..2030-01-01", "all its days are excepted"),
    ("except: 2026-01-01..2030-01-01", "all its days are excepted")])
def test_a_grant_that_never_counts_is_told_with_its_cause(grant: str, why: str) -> None:
    [finding] = of_grants(f"user: anne, console: webdev, {grant}")
    assert finding.code == Code.NEVER_COUNTS
    assert finding.fact.endswith(why)


def test_a_grant_that_is_valid_from_years_ahead_counts_then() -> None:
    assert of_grants("user: anne, console: webdev, when: Wed, valid: {from: 2035-01-01}") == []


def test_a_grant_ends_with_the_instant_until_which_it_is_valid() -> None:
    valid = "user: anne, console: webdev, valid: {until: "
    assert codes(of_grants(valid + '"2026-11-23T12:00:01Z"}')) == []
    assert codes(of_grants(valid + '"2026-11-23T12:00:00Z"}')) == [Code.CLOSED_CONSOLE,
                                                                    Code.EXPIRED]


def test_a_clock_change_outside_a_grant_s_validity_is_not_told() -> None:
    grant = 'user: anne, console: webdev, when: "Sun 02:15-02:45", valid: {until: '
    assert codes(of_grants(grant + "2027-03-27}")) == []
    assert codes(of_grants(grant + "2027-03-28}")) == [Code.DST_SKIPPED]


@pytest.mark.parametrize("text", [
    "Mon", "Mon-Fri 08:00-12:00", "22:00-06:00", "2026-12-24", "2026-12-24..2026-12-31 Mon,Wed",
    "Mon,Tue,Thu-Sun 08:00:30-24:00", "00:00-24:00"])
def test_a_window_is_shown_as_it_is_written(text: str) -> None:
    [window] = parse_window(text)
    assert literal_of(window) == text


# Twice and unused

@pytest.mark.parametrize(("one", "other", "code"), [
    ("console: webdev, when: Wed", 'console: webdev, when: "Wed 00:00-24:00"', Code.DUPLICATE),
    ("console: webdev", 'console: webdev, reason: "because"', Code.DUPLICATE),
    ("console: webdev", "console: webdev, when: Wed", Code.CONTAINED),
    ("console: webdev, when: Wed", "console: webdev", Code.CONTAINED),
    ("console: webdev", "console: webdev, workstations: pc7", Code.CONTAINED),
    ("console: webdev", "console: webdev, valid: {until: 2027-01-01}", Code.CONTAINED),
    ("console: webdev, when: Mon", "console: webdev, when: Mon, except: 2026-12-28",
     Code.CONTAINED),
    ("console: webdev, when: Mon", "console: webdev, when: [Mon, Tue]", Code.CONTAINED),
    ("console: webdev, when: Mon", "console: webdev, when: Tue", None),
    ("console: webdev, workstations: pc7", "console: webdev, workstations: pc8", None),
    ('console: webdev, when: "22:00-06:00"', 'console: webdev, when: "05:00-06:00"', None),
    ("console: webdev, when: Mon, except: 2026-12-28",
     "console: webdev, when: 2026-12-28", None),
    ("console: webdev, valid: {until: 2027-01-01}",
     "console: webdev, when: Mon", None)])
def test_a_grant_is_needless_only_if_another_one_gives_all_of_it(
        one: str, other: str, code: Code | None) -> None:
    assert codes(of_grants(f"user: anne, {one}", f"user: anne, {other}")) == (
        [code] if code else [])


def test_a_user_and_a_group_of_one_name_are_two_subjects() -> None:
    assert codes(of_grants("user: staff, console: webdev, when: Mon",
                           "group: staff, console: webdev, when: Tue")) == []


def test_what_only_a_skipped_grant_names_is_not_unused() -> None:
    text = """windows: {office: [Wed]}
calendars: {closed: [2026-12-24]}
grants: [{user: anne, console: webdev, when: office, except: closed, valid: never}]
"""
    assert found_in(CONSOLES + text, with_problems=True) == []


def test_a_calendar_that_only_a_window_excepts_is_used() -> None:
    text = """windows: {office: {when: Wed, except: [closed]}}
calendars: {closed: [2026-12-24]}
grants: [{user: anne, console: webdev, when: office}]
"""
    assert found_in(CONSOLES + text) == []


def test_names_count_over_all_files_and_the_main_one_comes_first() -> None:
    found = found_in(CONSOLES + "windows: {mornings: [Mon]}\n",
                     "grants: [{user: anne, console: webdev, when: [Wed, Thu, Wed]}]\n")
    assert [(finding.code, finding.mark.file) for finding in found] == [
        (Code.UNUSED_WINDOW, "policy.yaml"), (Code.DOUBLED, "policy.d/0.yaml")]


@pytest.mark.parametrize("text", [
    "grants: [{user: anne, console: [webdev, webdev]}]",
    "grants: [{user: anne, console: webdev, when: [Wed 08:00-09:00, Wed  08:00-09:00]}]",
    "grants: [{user: anne, console: webdev, workstations: [pc7, pc7]}]",
    "grants: [{user: anne, console: webdev, except: [2026-12-24, 2026-12-24]}]"])
def test_what_stands_in_a_list_twice_is_told_at_its_second_place(text: str) -> None:
    [finding] = found_in(CONSOLES + text)
    assert finding.code == Code.DOUBLED
    assert finding.mark.column > text.index("[", 9)


# Servers

def other_server(addresses: str, port: int) -> str:
    return f"""servers:
  other: {{host: other.example, addresses: {addresses}, guarded_ports: [20001-20010],
          ca_file: /etc/pam-spice/mysrv-ca.pem}}
consoles: {{twin: {{server: other, tls_port: {port}}}}}
grants:
  - {{user: anne, console: [twin, webdev]}}
"""


@pytest.mark.parametrize(("addresses", "port", "is_found"), [
    ("[192.168.2.2]", 20002, True), ('["FD00:0::2"]', 20002, True),
    ("[192.168.2.2]", 20003, False), ("[192.168.2.3]", 20002, False)])
def test_servers_with_one_address_matter_where_a_console_has_two_names(
        addresses: str, port: int, is_found: bool) -> None:
    found = found_in(CONSOLES, other_server(addresses, port))
    assert codes(found) == ([Code.SHARED_ADDRESS] if is_found else [])


@pytest.mark.parametrize(("spans", "code"), [
    (((-10, 31),), None), (((-10, 30),), Code.CA_EXPIRES_SOON), (((-10, 0),), Code.CA_EXPIRED),
    (((1, 100),), Code.CA_NOT_YET_VALID), (((-10, -1), (-5, 100)), None),
    (((-10, 100), (1, 900)), None), (((-10, 5), (1, 900)), Code.CA_EXPIRES_SOON),
    (((-10, -1), (-9, -2)), Code.CA_EXPIRED)])
def test_a_ca_file_is_as_good_as_the_certificate_in_it_that_is_good_longest(
        spans: tuple[tuple[int, int], ...], code: Code | None) -> None:
    found = found_in(CONSOLES + "grants: [{user: anne, console: webdev}]",
                     ca=tuple((NOON + start * DAY, NOON + end * DAY) for start, end in spans))
    assert codes(found) == ([code] if code else [])


def test_a_ca_file_of_two_servers_is_told_once_at_the_first() -> None:
    [finding] = found_in(CONSOLES, other_server("[192.168.2.3]", 20001), ca=((0, NOON),))
    assert (finding.code, finding.mark.file) == (Code.CA_EXPIRED, "policy.yaml")


@pytest.mark.parametrize(("resolved", "expected"), [
    ({"192.168.2.2", "fd00::2"}, []), ({"192.168.2.2"}, [Code.ADDRESS_NOT_RESOLVED]),
    ({"192.168.2.2", "fd00::2", "fd00::3"}, [Code.ADDRESS_UNGUARDED]),
    ({"10.0.0.1"}, [Code.ADDRESS_UNGUARDED, Code.ADDRESS_NOT_RESOLVED])])
def test_missing_and_extra_addresses_of_a_host_are_told_apart(
        resolved: set[str], expected: list[Code]) -> None:
    found = found_in(CONSOLES + "grants: [{user: anne, console: webdev}]",
                     resolved={"mysrv.example": frozenset(resolved)})
    assert codes(found) == expected


# Workstations

@pytest.mark.parametrize(("listed", "grants", "expected"), [
    ("", ["front-*"], []),
    ("front-1: 192.0.2.1", ["front-*"], []),
    ("Front-1.office.example: 192.0.2.1", ["fRONT-?"], []),
    ("front-1: 192.0.2.1", ["pc7"], [Code.UNLISTED_WORKSTATION, Code.IDLE_WORKSTATION]),
    ("front-1: 192.0.2.1, pc7: 192.0.2.7", ["pc7"], [Code.IDLE_WORKSTATION]),
    ("front-1: 192.0.2.1, pc7: 192.0.2.7", ["pc7", ""], []),
    ("front-1: 192.0.2.1", ["[front-1, pc7, pc7-*]"], [Code.UNLISTED_WORKSTATION] * 2)])
def test_patterns_and_listed_workstations_that_miss_each_other_are_told(
        listed: str, grants: list[str], expected: list[Code]) -> None:
    text = f"workstations: {{{listed}}}\n{CONSOLES}grants:\n" + "".join(
        f"  - {{user: anne, console: webdev, when: 2026-12-0{day}"
        + (f', workstations: {glob if "[" in glob else repr(glob)}' if glob else "") + "}\n"
        for day, glob in enumerate(grants, 1))
    assert sorted(codes(found_in(text))) == sorted(expected)


def test_an_entry_with_an_error_is_neither_unlisted_nor_idle() -> None:
    text = CONSOLES + """workstations: {front-1: nowhere, pc7: 192.0.2.7}
grants:
  - {user: anne, console: webdev, workstations: front-1}
  - {user: anne, console: nosuch, workstations: pc7}
"""
    assert found_in(text, with_problems=True) == []


def test_an_address_twice_in_a_workstation_s_list_is_told() -> None:
    text = (f"{CONSOLES}workstations: {{pc7: [192.0.2.7, 192.0.2.7]}}\n"
            "grants: [{user: anne, console: webdev}]\n")
    assert codes(found_in(text)) == [Code.DOUBLED]
