"""The compiled policy: says what the policy says, to the last grant, or nothing."""

import os
import sys
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import conf.parser
from conf import calendars
from conf.compiling import MISSING, UNUSABLE, VALID, WITH_PROBLEMS, Source, compile_policy
from conf.deciding import windows_of
from conf.grantline import (
    FOREVER,
    DamagedLine,
    GrantLine,
    ZonedWindows,
    format_grant,
    parse_grant,
)
from conf.intervals import DAY, EVERY_DATE, Interval, merged
from conf.lookup import CompiledPolicy, Unusable
from conf.model import Policy
from tests.unit.support import NOON, SERVER, compile_text, grant, policy_of, within, zoned

ME = os.getuid()
EXAMPLE = (Path(__file__).parents[2] / "conf" / "policy.yaml").read_text()

USERS = ("anne", "ann", "anne2", "Anne", "DOM\\anne", "anne@corp", "domain users", "z", "_x", "0")
GROUPS = ("staff", "staff2", "anne", "DOM\\staff", "Z")
WINDOWS = ("Mon", "Mon-Fri 08:00-18:00", "22:00-06:00", "Fri-Sat 23:30-02:30", "Sun 02:00-03:00",
           "00:00-24:00", "12:00:01-12:00")
ZONES = ("Europe/Berlin", "UTC", "Australia/Lord_Howe", "America/St_Johns", "Pacific/Chatham")


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


def quoted(text: str) -> str:
    return "'" + text + "'"


@st.composite
def policies(draw: st.DrawFn) -> str:
    """Policy texts without problems."""
    lines = [f"timezone: {draw(st.sampled_from(ZONES))}", "servers:"]
    for server in ("a", "b"):
        addresses = draw(st.lists(st.sampled_from(
            ["192.168.2.2", "192.168.2.3", '"fd00::2"', '"fd00::3"']), min_size=1, max_size=3))
        lines.append(f"  {server}: {{host: {server}.example, addresses: [{', '.join(addresses)}], "
                     f"guarded_ports: [20001-20005, 30000], ca_file: /ca.pem}}")
    lines.append("consoles:")
    for number in range(4):
        lines.append(f"  c{number}: {{server: {draw(st.sampled_from('ab'))}, "
                     f"tls_port: {draw(st.sampled_from([20001, 20002, 30000]))}}}")
    lines.append("grants:")
    for _ in range(draw(st.integers(0, 12))):
        who = draw(st.one_of(st.sampled_from(USERS).map(lambda name: f"user: {quoted(name)}"),
                             st.sampled_from(GROUPS).map(lambda name: f"group: {quoted(name)}")))
        consoles = draw(st.lists(st.sampled_from(["c0", "c1", "c2", "c3"]), min_size=1, max_size=3))
        windows = draw(st.lists(st.sampled_from(WINDOWS).map(quoted), max_size=3))
        when = f", when: [{', '.join(windows)}]" if windows else ""
        lines.append(f"  - {{{who}, console: [{', '.join(consoles)}]{when}}}")
    if lines[-1] == "grants:":
        lines[-1] = "grants: []"
    return "\n".join([*lines, ""])


def opened(compiled: CompiledPolicy, grants: list[GrantLine], start: int,
           end: int) -> list[tuple[str, int, int]]:
    """What grant lines open, as windows_of tells it."""
    by_console: dict[str, list[tuple[int, int]]] = {}
    for line in grants:
        by_console.setdefault(line.console, []).extend(line.open_in(compiled.offsets, start, end))
    return sorted(((name, opens, closes) for name, found in by_console.items()
                   for opens, closes in merged(found)),
                  key=lambda entry: (entry[1], entry[2], entry[0]))


def decided(policy: Policy, user: str, groups: frozenset[str], start: int,
            end: int) -> list[tuple[str, int, int]]:
    return windows_of(policy, user, groups, start, end)


def subjects(user: str, groups: frozenset[str]) -> list[str]:
    return [f"user:{user}", *(f"group:{group}" for group in sorted(groups))]


@settings(max_examples=15, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(policies(), st.sampled_from([NOON, NOON + 30 * DAY, NOON + 150 * DAY]))
def test_every_user_finds_exactly_what_deciding_says(tmp_path: Path, text: str,
                                                     start: int) -> None:
    policy = policy_of(text)
    compiled = compile_text(tmp_path, text)
    assert compiled.outcome == VALID
    for user in (*USERS, "nobody", "ann\u00e9"):
        for groups in (frozenset[str](), frozenset(("staff", "DOM\\staff"))):
            found, damaged = compiled.grants_of(subjects(user, groups))
            assert damaged == []
            assert (opened(compiled, found, start, start + 8 * DAY)
                    == decided(policy, user, groups, start, start + 8 * DAY))


@settings(max_examples=25, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(policies())
def test_a_policy_comes_back_whole(tmp_path: Path, text: str) -> None:
    policy = policy_of(text)
    compiled = compile_text(tmp_path, text)
    said = [(line.subject, line.console, line.server, line.host, line.port, line.addresses,
             line.ca_file, line.windows, line.source) for line in compiled.all_grants()]
    path = str(tmp_path / "policy.yaml")
    assert sorted(said, key=repr) == sorted(
        ((str(one.subject), console.name, console.server.name, console.server.host,
          console.tls_port, console.server.addresses, console.server.ca_file,
          None if one.schedules is None else tuple(
              (schedule.timezone, schedule.windows, ()) for schedule in one.schedules),
          f"{path}:{one.mark.line}")
         for one in policy.grants for console in one.consoles), key=repr)
    assert compiled.has_group_grants() == any(one.subject.kind == "group" for one in policy.grants)
    covered = {(address, port) for address, low, high in compiled.endpoints
               for port in range(low, high + 1)}
    assert covered == {(address, port) for server in policy.servers.values()
                       for address in server.addresses for low, high in server.guarded_ports
                       for port in range(low, high + 1)}
    assert sum(high - low + 1 for _, low, high in compiled.endpoints) == len(covered), "overlap"


def test_the_workstation_s_settings_come_back(tmp_path: Path) -> None:
    compiled = compile_text(tmp_path, SERVER + "workstation: {one_user: false, services: "
                            "[login, sddm], require_seat: false, sudo_password: false}\n")
    assert (compiled.settings.one_user, compiled.settings.require_seat,
            compiled.settings.services, compiled.sudo_password) == (
                False, False, ("login", "sddm"), False)


def test_no_service_at_all_comes_back_as_none(tmp_path: Path) -> None:
    compiled = compile_text(tmp_path, SERVER + "workstation: {services: []}\n")
    assert compiled.settings.services == ()


def test_a_name_does_not_find_the_grants_of_a_longer_name(tmp_path: Path) -> None:
    compiled = compile_text(tmp_path, EXAMPLE)
    for name in ("charli", "charlie2", "", "c", "user:charlie", "group:auditors", "Charlie", "\n",
                 "check", "*"):
        assert compiled.grants_of([f"user:{name}"]) == ([], [])
    found, _ = compiled.grants_of(["user:charlie"])
    assert [line.console for line in found] == ["bookkeeping"]


@pytest.mark.parametrize("name", ["charlie\t", "charlie\tbookkeeping",
                                  "charlie\tbookkeeping\tmysrv", "charlie\n"])
def test_a_name_that_goes_on_like_a_line_finds_no_grants(tmp_path: Path, name: str) -> None:
    compiled = compile_text(tmp_path, EXAMPLE)
    assert compiled.grants_of([f"user:{name}"])[0] == []


def test_a_subject_asked_for_twice_changes_no_interval(tmp_path: Path) -> None:
    compiled = compile_text(tmp_path, EXAMPLE)
    once, _ = compiled.grants_of(["user:anne"])
    twice, _ = compiled.grants_of(["user:anne", "user:anne"])
    assert (opened(compiled, once, NOON, NOON + 9 * DAY)
            == opened(compiled, twice, NOON, NOON + 9 * DAY))


# Damage

def damage(data: bytes, draw: st.DrawFn) -> bytes:
    """Cut off, overwrite, remove or insert a few bytes."""
    changed = bytearray(data)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(changed)))
        how = draw(st.sampled_from(["cut", "overwrite", "flip", "remove", "insert", "newline"]))
        if how == "cut":
            del changed[at:]
        elif how == "overwrite":
            some = draw(st.binary(min_size=1, max_size=8))
            changed[at:at + len(some)] = some
        elif how == "flip" and at < len(changed):
            changed[at] ^= 1 << draw(st.integers(0, 7))
        elif how == "remove":
            del changed[at:at + draw(st.integers(1, 40))]
        elif how == "insert":
            changed[at:at] = draw(st.binary(min_size=1, max_size=8))
        elif how == "newline" and b"\n" in changed[at:]:
            changed[changed.index(b"\n", at)] = draw(st.integers(0, 255))
    return bytes(changed)


damaged_examples = st.composite(lambda draw, data: damage(data, draw))


@pytest.fixture(scope="module")
def compiled_example(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    directory = tmp_path_factory.mktemp("compiled")
    compile_text(directory, EXAMPLE)
    return (directory / "policy.compiled").read_bytes()


@settings(max_examples=300, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_file_grants_nothing_that_the_policy_does_not_and_raises_only_unusable(
        tmp_path: Path, compiled_example: bytes, data: st.DataObject) -> None:
    good = set(compiled_example.decode().split("\n"))
    path = tmp_path / "damaged"
    path.write_bytes(data.draw(damaged_examples(compiled_example)))
    path.chmod(0o600)
    with within(3):
        try:
            compiled = CompiledPolicy(str(path), ME)
        except Unusable:
            return
        compiled.has_group_grants()
        found = compiled.all_grants()
        for user in ("charlie", "boss", "maggie", "anne", "ralph", "zoe", "aaron"):
            some, _ = compiled.grants_of([f"user:{user}", "group:auditors"])
            assert all(line.subject in (f"user:{user}", "group:auditors") for line in some)
            found += some
    assert {format_grant(line) for line in found} <= good


def body_of(data: bytes) -> int:
    return data.index(b"\n", data.index(b"\ncheck ") + 1) + 1


def test_a_damaged_line_is_reported_and_left_out(tmp_path: Path, compiled_example: bytes) -> None:
    at = compiled_example.index(b"user:charlie") + 30
    path = tmp_path / "damaged"
    path.write_bytes(compiled_example[:at] + b"#" + compiled_example[at + 1:])
    path.chmod(0o600)
    compiled = CompiledPolicy(str(path), ME)
    found, damaged = compiled.grants_of(["user:charlie"])
    assert (found, len(damaged)) == ([], 1)
    assert [line.console for line in compiled.grants_of(["user:ralph"])[0]] == ["analysis"]


@pytest.mark.parametrize("key", ["user:aaron", "user:zoe", "group:z"])
def test_a_lookup_ends_where_the_last_newline_was_overwritten(
        tmp_path: Path, compiled_example: bytes, key: str) -> None:
    path = tmp_path / "damaged"
    path.write_bytes(compiled_example[:-1] + b"x")
    path.chmod(0o600)
    with within(1):
        CompiledPolicy(str(path), ME).grants_of([key])


@pytest.mark.parametrize("key", ["user:charlie", "group:a"])
def test_a_lookup_ends_where_the_body_has_no_newline(
        tmp_path: Path, compiled_example: bytes, key: str) -> None:
    body = body_of(compiled_example)
    path = tmp_path / "damaged"
    path.write_bytes(compiled_example[:body] + compiled_example[body:].replace(b"\n", b"x"))
    path.chmod(0o600)
    with within(1):
        CompiledPolicy(str(path), ME).grants_of([key])


def test_every_truncation_is_unusable(tmp_path: Path, compiled_example: bytes) -> None:
    path = tmp_path / "truncated"
    for length in range(0, len(compiled_example), 7):
        path.write_bytes(compiled_example[:length])
        path.chmod(0o600)
        with pytest.raises(Unusable):
            CompiledPolicy(str(path), ME)


@pytest.mark.parametrize("data", [
    b"", b"\n", b"check 00000000\n", b"\ncheck 00000000\n", b"pam-spice-compiled 1\n",
    b"\xff" * 100, b"\ncheck " * 100])
def test_what_is_no_compiled_policy_is_unusable(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "compiled"
    path.write_bytes(data)
    path.chmod(0o600)
    with pytest.raises(Unusable):
        CompiledPolicy(str(path), ME)


@pytest.mark.parametrize("header", [
    b"pam-spice-compiled 3\nrevision x\n", b"pam-spice-compiled 1\n", b"\n", b"\xff\n",
    b"pam-spice-compiled 3\nguarded a b c d e\n", b"pam-spice-compiled 3\nzone X y\n"])
def test_a_header_of_another_kind_is_unusable_though_its_checksum_holds(
        tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "compiled"
    path.write_bytes(header + b"check %08x\n" % crc32(header))
    path.chmod(0o600)
    with pytest.raises(Unusable):
        CompiledPolicy(str(path), ME)


def test_a_missing_a_foreign_and_a_linked_file_are_unusable(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="does not exist"):
        CompiledPolicy(str(tmp_path / "compiled"), ME)
    compile_text(tmp_path, EXAMPLE)
    (tmp_path / "link").symlink_to("policy.compiled")
    with pytest.raises(Unusable, match="symbolic link"):
        CompiledPolicy(str(tmp_path / "link"), ME)
    (tmp_path / "policy.compiled").chmod(0o666)
    with pytest.raises(Unusable, match="written by others"):
        CompiledPolicy(str(tmp_path / "policy.compiled"), ME)


_DATES = st.tuples(st.integers(0, 999), st.integers(0, 99999))
_FIELD = st.text(st.characters(exclude_characters="\t\n", exclude_categories=["Cs"]))


@settings(max_examples=100)
@given(_FIELD, _FIELD, st.integers(1, 65535),
       st.lists(st.sampled_from(["192.168.2.2", "fd00::2"]), min_size=1, max_size=3),
       st.one_of(st.none(), st.lists(st.tuples(
           st.sampled_from(ZONES), st.lists(st.tuples(
               st.integers(1, 127), st.integers(0, 86399), st.integers(1, 172800),
               st.just(EVERY_DATE) | _DATES),
               min_size=1, max_size=3).map(tuple), st.lists(_DATES, max_size=3).map(tuple)),
           min_size=1, max_size=2).map(tuple)),
       st.tuples(st.integers(0, 1 << 40), st.sampled_from([FOREVER, 1 << 41])))
def test_a_grant_line_reads_back_as_it_was_written(
        subject: str, console: str, port: int, addresses: list[str],
        windows: ZonedWindows | None, valid: Interval) -> None:
    line = format_grant(GrantLine(subject, console, "s", "h", port, tuple(addresses), "/ca",
                                  windows, "f:1", valid))
    back = parse_grant(line)
    assert (back.subject, back.console, back.port, back.addresses, back.windows, back.valid) == (
        subject, console, port, tuple(addresses), windows, valid)
    assert format_grant(back) == line


@given(st.integers(0, 200), st.integers(0, 255))
def test_a_grant_line_with_one_byte_changed_is_damaged(at: int, byte: int) -> None:
    line = format_grant(grant(windows=zoned("Europe/Berlin", (31, 0, 86400)))).encode()
    at %= len(line)
    changed = line[:at] + bytes([byte]) + line[at + 1:]
    if changed != line:
        with pytest.raises(DamagedLine):
            parse_grant(changed.decode("utf-8", "replace"))


# Staleness

def test_a_compiled_policy_is_current_until_its_source_changes(tmp_path: Path) -> None:
    compiled = compile_text(tmp_path, EXAMPLE)
    assert compiled.is_current(NOON)
    (tmp_path / "policy.yaml").write_text(EXAMPLE + "\n")
    assert not compiled.is_current(NOON)


def test_the_same_text_in_a_new_file_is_stale(tmp_path: Path) -> None:
    compiled = compile_text(tmp_path, EXAMPLE)
    (tmp_path / "policy.yaml").rename(tmp_path / "old.yaml")
    (tmp_path / "policy.yaml").write_text(EXAMPLE)
    assert not compiled.is_current(NOON)


def test_a_change_of_mode_alone_makes_it_stale(tmp_path: Path) -> None:
    compiled = compile_text(tmp_path, EXAMPLE)
    (tmp_path / "policy.yaml").chmod(0o666)
    assert not compiled.is_current(NOON)


def test_a_removed_source_makes_it_stale_and_a_missing_one_stays_current(tmp_path: Path) -> None:
    compiled = compile_text(tmp_path, EXAMPLE)
    (tmp_path / "policy.yaml").unlink()
    assert not compiled.is_current(NOON)
    again = compile_policy(Source(str(tmp_path / "policy.yaml"), ME),
                           str(tmp_path / "policy.compiled"), NOON, ME)
    assert again.outcome == MISSING
    assert again.is_current(NOON)


def test_it_expires_before_its_time_zone_s_offsets_end(tmp_path: Path) -> None:
    compiled = compile_text(tmp_path, EXAMPLE)
    assert compiled.is_current(NOON + 179 * DAY)
    assert not compiled.is_current(NOON + 181 * DAY)


def test_a_new_zone_database_makes_it_stale(tmp_path: Path) -> None:
    compiled = compile_text(tmp_path, EXAMPLE)
    assert any(path.endswith("/Europe/Berlin") for path, _ in compiled.sources)


def test_without_a_timezone_a_change_of_the_workstation_s_zone_makes_it_stale(
        tmp_path: Path) -> None:
    compiled = compile_text(tmp_path, SERVER)
    assert "/etc/localtime" in [path for path, _ in compiled.sources]


@pytest.mark.parametrize("name", ["Nowhere/Land", "", "../../../etc/passwd"])
def test_a_workstation_with_an_odd_zone_of_its_own_gets_a_problem_and_no_crash(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(conf.parser, "local_zone_name", lambda: name)
    compiled = compile_text(tmp_path, SERVER)
    assert compiled.outcome in (UNUSABLE, WITH_PROBLEMS)


def test_an_edit_while_it_is_read_is_noticed_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(EXAMPLE)
    path.chmod(0o644)
    source = Source(str(path), ME)
    path.write_text(EXAMPLE + "\n")
    compiled = compile_policy(source, str(tmp_path / "policy.compiled"), NOON, ME)
    assert not compiled.is_current(NOON)


# What stays guarded

OLD = SERVER
NEW = SERVER.replace("192.168.2.2", "192.168.2.9").replace("20001-20010", "20005-20020")
OLD_ENDPOINTS = [("192.168.2.2", 20001, 20010), ("fd00::2", 20001, 20010)]


@pytest.mark.parametrize(("text", "outcome"), [
    ("", UNUSABLE),
    ("servers: [", UNUSABLE),
    ("servers: {}\nnonsense: 1\n", UNUSABLE),
    ("servers: {mysrv: {}}\n", WITH_PROBLEMS),
    ("servers: {}\ngrants: [x]\n", WITH_PROBLEMS),
])
def test_what_was_guarded_stays_guarded_while_the_policy_has_problems(
        tmp_path: Path, text: str, outcome: str) -> None:
    compile_text(tmp_path, OLD)
    compiled = compile_text(tmp_path, text)
    assert compiled.outcome == outcome
    assert compiled.endpoints == OLD_ENDPOINTS
    assert compile_text(tmp_path, text + "\n").endpoints == OLD_ENDPOINTS, "and a second time"


def test_what_was_guarded_stays_guarded_when_the_policy_is_gone_or_refused(tmp_path: Path) -> None:
    compile_text(tmp_path, OLD)
    path = tmp_path / "policy.yaml"
    for is_there in (True, False):
        if is_there:
            path.chmod(0o666)
        else:
            path.unlink()
        compiled = compile_policy(Source(str(path), ME), str(tmp_path / "policy.compiled"), NOON,
                                  ME)
        assert compiled.endpoints == OLD_ENDPOINTS
        assert compiled.all_grants() == []


def test_old_and_new_endpoints_of_a_policy_with_problems_are_joined_without_overlap(
        tmp_path: Path) -> None:
    compile_text(tmp_path, OLD)
    compiled = compile_text(tmp_path, NEW + "grants: [x]\n")
    assert compiled.endpoints == [("192.168.2.2", 20001, 20010), ("192.168.2.9", 20005, 20020),
                                  ("fd00::2", 20001, 20020)]


def test_a_valid_policy_drops_what_it_no_longer_guards(tmp_path: Path) -> None:
    compile_text(tmp_path, OLD)
    compile_text(tmp_path, NEW + "grants: [x]\n")
    assert compile_text(tmp_path, NEW).endpoints == [
        ("192.168.2.9", 20005, 20020), ("fd00::2", 20005, 20020)]


def test_a_compiled_policy_that_is_not_to_be_written_leaves_the_old_one(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compile_text(tmp_path, OLD)
    before = (tmp_path / "policy.compiled").read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", full)
        with pytest.raises(OSError, match="No space left"):
            compile_text(tmp_path, NEW)
    assert (tmp_path / "policy.compiled").read_bytes() == before


# What belongs to one workstation, and what is skipped

ONE_CONSOLE = SERVER + "consoles: {webdev: {server: mysrv, tls_port: 20002}}\n"


def named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Give the machine a host name."""
    uname = os.uname()
    monkeypatch.setattr(os, "uname", lambda: os.uname_result((uname[0], name, *uname[2:])))


@pytest.mark.parametrize(("pattern", "host", "counts"), [
    ("pc7", "pc7", True), ("pc7", "PC7", True), ("PC7", "pc7.office.example", True),
    ("pc7", "pc70", False), ("pc*", "pc70", True), ("pc?", "pc70", False), ("*", "x", True),
    ("pc7.office.example", "pc7.office.example", True), ("pc7.office.example", "pc7", False),
    ("*.office.example", "pc7.office.example", True), ("office.example", "pc7.office.example",
                                                       False)])
def test_a_grant_is_compiled_only_for_its_workstations(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str, host: str,
        counts: bool) -> None:
    named(monkeypatch, host)
    compiled = compile_text(tmp_path, ONE_CONSOLE + "grants:\n  - {user: anne, console: webdev, "
                            f"workstations: [nowhere, \"{pattern}\"]}}\n")
    assert compiled.outcome == VALID
    assert bool(compiled.grants_of(["user:anne"])[0]) == counts


def test_another_host_name_makes_it_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = compile_text(tmp_path, EXAMPLE)
    assert compiled.is_current(NOON)
    named(monkeypatch, "another-name")
    assert not compiled.is_current(NOON)


def test_a_grant_that_is_skipped_is_told_to_its_own_subject_alone(tmp_path: Path) -> None:
    compiled = compile_text(tmp_path, ONE_CONSOLE + """\
grants:
  - {user: anne, console: webdev}
  - {user: anne, console: webdev, when: Mo}
  - {group: staff, console: webdev, except: [2026-02-30]}
  - {user: ralph, console: nix}
  - {user: "x: y", console: webdev}
  - nonsense
""")
    assert len(compiled.all_grants()) == 1
    path = tmp_path / "policy.yaml"
    first = compiled.grants_of(["user:anne"])[0][0].source
    line = int(first.rpartition(":")[2])
    assert compiled.skipped_of(["user:anne", "group:staff"]) == [
        (f"{path}:{line + 1}", "'Mo' is not a day"),
        (f"{path}:{line + 2}", "there is no 2026-02-30")]
    assert compiled.skipped_of(["user:ralph"]) == [(f"{path}:{line + 3}",
                                                    "there is no console 'nix'")]
    assert compiled.skipped_of(["user:ann", "user:zoe", "group:anne"]) == []


def test_public_holidays_are_days_when_it_is_compiled(tmp_path: Path) -> None:
    compiled = compile_text(tmp_path, ONE_CONSOLE + "timezone: Europe/Berlin\ngrants:\n"
                            "  - {user: anne, console: webdev, except: [DE-BY, 2026-12-24]}\n")
    [line], _ = compiled.grants_of(["user:anne"])
    epiphany = 1799190000  # 2027-01-06T00:00 in Berlin: a holiday in Bavaria, not in all of DE
    intervals = line.open_in(compiled.offsets, epiphany - DAY, epiphany + 2 * DAY)
    assert intervals == [(epiphany - DAY, epiphany), (epiphany + DAY, epiphany + 2 * DAY)]
    eve = epiphany - 13 * DAY
    assert line.open_in(compiled.offsets, eve - DAY, eve + 4 * DAY) == [
        (eve - DAY, eve), (eve + 3 * DAY, eve + 4 * DAY)]


def test_without_the_library_an_entry_with_holidays_is_skipped_and_looked_at_again_later(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tmp_path / "site-packages"
    directory.mkdir()
    monkeypatch.setattr(sys, "path", [*sys.path, str(directory)])
    monkeypatch.setitem(sys.modules, "holidays", None)
    calendars.check_code.cache_clear()
    calendars._year_of.cache_clear()
    compiled = compile_text(tmp_path, ONE_CONSOLE + "grants:\n"
                            "  - {user: anne, console: webdev, except: DE-BY}\n"
                            "  - {user: ralph, console: webdev}\n")
    assert compiled.outcome == WITH_PROBLEMS
    assert [line.subject for line in compiled.all_grants()] == ["user:ralph"]
    [(_, fact)] = compiled.skipped_of(["user:anne"])
    assert "the Python library holidays is not installed" in fact
    assert compiled.is_current(NOON)
    (directory / "holidays").mkdir()
    assert not compiled.is_current(NOON)


def test_a_zone_of_a_window_s_own_has_its_offsets_and_its_source(tmp_path: Path) -> None:
    compiled = compile_text(tmp_path, ONE_CONSOLE + """\
timezone: Europe/Berlin
windows: {there: {when: "09:00-17:00", timezone: Australia/Lord_Howe}}
grants: [{user: anne, console: webdev, when: there}]
""")
    assert set(compiled.offsets) == {"Europe/Berlin", "Australia/Lord_Howe"}
    assert any(path.endswith("/Australia/Lord_Howe") for path, _ in compiled.sources)


def test_the_policy_s_own_zone_is_the_first(tmp_path: Path) -> None:
    compiled = compile_text(tmp_path, ONE_CONSOLE + """\
timezone: Europe/Berlin
windows: {there: {when: "09:00-17:00", timezone: Africa/Cairo}}
grants: [{user: anne, console: webdev, when: there}]
""")
    assert list(compiled.offsets) == ["Europe/Berlin", "Africa/Cairo"]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "UTC"])
def test_a_window_is_closed_from_where_its_zone_and_holidays_are_not_known_any_more(
        tmp_path: Path, zone: str) -> None:
    """A session keeps what was compiled for as long as it lives, and that may be for years."""
    compiled = compile_text(tmp_path, ONE_CONSOLE + f"timezone: {zone}\ngrants:\n"
                            "  - {user: anne, console: webdev, when: Mon-Sun, except: DE}\n"
                            "  - {user: ralph, console: webdev}\n")
    [line], _ = compiled.grants_of(["user:anne"])
    reach = NOON + 400 * DAY
    assert line.open_in(compiled.offsets, reach - 5, reach + 800 * DAY) == [(reach - 5, reach)]
    [always], _ = compiled.grants_of(["user:ralph"])
    assert always.open_in(compiled.offsets, reach, reach + DAY) == [(reach, reach + DAY)]
