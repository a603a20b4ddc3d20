"""A policy of several files: one policy, each error in its own file, and nothing opened by it."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import conf.sources
from conf.compiling import MISSING, UNUSABLE, VALID, WITH_PROBLEMS, Source, compile_policy
from conf.files import write_atomically
from conf.lookup import CompiledPolicy
from conf.model import ParsedPolicy
from conf.parser import parse_files
from conf.problems import Problem
from conf.sources import MAX_FILES, directory_of, read_any, read_trusted, with_file
from pam_spice.cli import main
from tests.unit.support import NOON, SERVER, within

ME = os.getuid()

CONSOLES = "consoles: {webdev: {server: mysrv, tls_port: 20002}}\n"
ANNE = "grants: [{user: anne, console: webdev}]\n"
MAIN = f"timezone: UTC\n{SERVER}{CONSOLES}"


def parsed(main_file: str, **fragments: str) -> ParsedPolicy:
    """policy.yaml and policy.d/NAME.yaml, in the order given."""
    return parse_files([("policy.yaml", main_file.encode()),
                        *((f"policy.d/{name}.yaml", text.encode())
                          for name, text in fragments.items())])


def users(result: ParsedPolicy) -> list[str]:
    assert result.policy is not None
    return [grant.subject.name for grant in result.policy.grants]


def facts(result: ParsedPolicy) -> list[str]:
    """FILE:LINE: FACT of each problem."""
    return [f"{problem.mark.file}:{problem.mark.line}: {problem.fact}"
            for problem in result.problems]


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A directory with a policy of one file, written by root alone as far as ME is root."""
    tmp_path.chmod(0o755)
    write(tmp_path, "policy.yaml", MAIN)
    (tmp_path / "policy.d").mkdir(mode=0o755)
    return tmp_path


def write(directory: Path, name: str, text: str | bytes) -> Path:
    path = directory / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(0o644)
    return path


def read(room: Path) -> Source:
    return Source(str(room / "policy.yaml"), ME)


# One policy

@pytest.mark.parametrize("section", ["servers", "consoles", "calendars", "windows",
                                     "workstations"])
def test_a_name_in_two_files_means_neither_of_the_two(section: str) -> None:
    entries = {"servers": "{host: h, addresses: 192.0.2.1, guarded_ports: 1-99, ca_file: /ca}",
               "consoles": "{server: mysrv, tls_port: 20002}", "calendars": "2026-12-24",
               "windows": "Mon", "workstations": "192.0.2.7"}
    entry = entries[section]
    result = parsed(f"{section}: {{twice: {entry}, first: {entry}}}\n",
                    a=f"{section}: {{twice: {entry}, second: {entry}}}\n", b=SERVER)
    assert facts(result) == [
        f"policy.d/a.yaml:1: 'twice' is in {section} of another file already"]
    assert result.policy is not None
    assert sorted(set(getattr(result.policy, section)) - {"mysrv"}) == ["first", "second"]


@pytest.mark.parametrize(("section", "grant"), [
    ("calendars: {odd: 2026-12-24}", "except: odd"), ("windows: {odd: Mon}", "when: odd")])
def test_what_refers_to_a_name_that_is_there_twice_is_skipped_in_every_file(
        section: str, grant: str) -> None:
    entry = f"grants: [{{user: anne, console: webdev, {grant}}}]\n"
    result = parsed(f"{MAIN}{section}\n{entry}", a=entry.replace("anne", "ralph"),
                    b=f"{section}\n{entry.replace('anne', 'boss')}")
    assert users(result) == []
    assert len(result.problems) == 4


def test_entries_refer_to_entries_of_other_files_in_both_directions() -> None:
    result = parsed(
        f"{CONSOLES}windows: {{office: {{when: Mon, except: closed}}}}\n"
        "grants: [{user: anne, console: [webdev, analysis], when: [office, late]}]\n",
        a=f"{SERVER}grants: [{{user: ralph, console: analysis, when: office, except: closed}}]\n",
        b="consoles: {analysis: {server: mysrv, tls_port: 20003}}\n"
          "calendars: {closed: 2026-12-24}\nwindows: {late: '18:00-22:00'}\n")
    assert facts(result) == []
    assert users(result) == ["anne", "ralph"]


def test_a_window_of_another_file_is_in_the_main_file_s_zone() -> None:
    result = parsed(f"timezone: Asia/Tokyo\n{SERVER}{CONSOLES}",
                    a=f"windows: {{office: '08:00-12:00'}}\n{ANNE[:-3]}, when: office}}]\n")
    assert facts(result) == []
    assert result.policy is not None
    [grant] = result.policy.grants
    assert grant.schedules is not None
    assert [schedule.timezone for schedule in grant.schedules] == ["Asia/Tokyo"]


def test_grants_come_in_the_order_of_the_files_and_problems_too() -> None:
    result = parsed(f"{MAIN}grants: [{{user: one, console: webdev}}, 1]\n",
                    b="grants: [{user: two, console: webdev}, 2]\n",
                    a="grants: [{user: three, console: webdev}, 3]\n")
    assert users(result) == ["one", "two", "three"]
    assert [problem.mark.file for problem in result.problems] == [
        "policy.yaml", "policy.d/b.yaml", "policy.d/a.yaml"]


def test_an_entry_knows_the_file_that_it_is_in() -> None:
    result = parsed(MAIN, a=ANNE)
    assert result.policy is not None
    assert str(result.policy.grants[0].mark) == "policy.d/a.yaml:1:10"
    assert str(result.policy.consoles["webdev"].mark).startswith("policy.yaml:")


def test_a_problem_shows_the_line_of_its_own_file() -> None:
    [problem] = parsed(MAIN, a="# a comment\ngrants:\n  - {user: anne, console: wbdev}\n").problems
    assert str(problem).splitlines() == [
        "policy.d/a.yaml:3:27: there is no console 'wbdev'",
        "      - {user: anne, console: wbdev}",
        "                              ^",
        "  did you mean 'webdev'?"]


# A bad file of policy.d

REFERRING = ("grants:\n  - {user: anne, console: webdev}\n"
             "  - {user: ralph, console: webdev, when: late}\n"
             "  - {user: maggie, console: webdev, except: closed}\n"
             "  - {user: boss, console: analysis}\n")
GIVING = ("consoles: {analysis: {server: mysrv, tls_port: 20003}}\n"
          "windows: {late: '18:00-22:00'}\ncalendars: {closed: 2026-12-24}\n"
          "grants: [{user: charlie, console: webdev}]\n")


@pytest.mark.parametrize(("bad", "fact"), [
    ("timezone: UTC\n", "a file of policy.d has no key 'timezone'"),
    ("workstation: {}\n", "a file of policy.d has no key 'workstation'"),
    ("workstation: {require_seat: false}\n", "a file of policy.d has no key 'workstation'"),
    ("grant: []\n", "a file of policy.d has no key 'grant'"),
    ("grants: []\n", "'grants' is there already, on line 4"),
])
def test_a_file_with_a_wrong_key_is_spoilt_whole_and_so_is_what_refers_to_it(
        bad: str, fact: str) -> None:
    result = parsed(f"{MAIN}{REFERRING}", a=GIVING + bad)
    assert facts(result)[-1] == f"policy.d/a.yaml:5: {fact}"
    assert users(result) == ["anne"]
    assert result.policy is not None
    assert result.policy.workstation.require_seat
    assert [skipped.subject and skipped.subject.name for skipped in result.policy.skipped] == [
        "ralph", "maggie", "boss", "charlie"]
    assert (list(result.policy.consoles), result.policy.windows, result.policy.calendars) == (
        ["webdev"], {}, {})


def test_without_the_wrong_key_the_same_files_grant_all_of_it() -> None:
    result = parsed(f"{MAIN}{REFERRING}", a=GIVING)
    assert facts(result) == []
    assert users(result) == ["anne", "ralph", "maggie", "boss", "charlie"]


@pytest.mark.parametrize("bad", ["grants: [", "", "- a list\n", "# nothing\n", "\tx: 1\n",
                                 "a: &x 1\nb: *x\n", "--- {}\n--- {}\n", "\0"])
def test_a_file_that_is_not_a_mapping_in_yaml_takes_only_itself_along(bad: str) -> None:
    result = parsed(f"{MAIN}{REFERRING}", bad=bad,
                    good="grants: [{user: charlie, console: webdev}]\n")
    assert users(result) == ["anne", "charlie"]
    assert {problem.mark.file for problem in result.problems} == {
        "policy.yaml", "policy.d/bad.yaml"}


def test_a_spoilt_file_s_own_names_are_taken_all_the_same() -> None:
    """Its author meant one of them, and nobody knows which."""
    result = parsed(f"{MAIN}windows: {{late: Mon}}\n{REFERRING}",
                    a="windows: {late: '18:00-22:00'}\nnonsense: 1\n")
    assert "ralph" not in users(result)


def test_a_bad_entry_of_one_file_denies_only_itself_and_what_refers_to_it() -> None:
    result = parsed(f"{MAIN}{ANNE}", a="windows: {late: Mo}\n",
                    b="grants: [{user: ralph, console: webdev, when: late},"
                      " {user: boss, console: webdev}]\n")
    assert users(result) == ["anne", "boss"]
    assert facts(result) == ["policy.d/a.yaml:1: 'Mo' is not a day",
                             "policy.d/b.yaml:1: window 'late' has an error itself"]


# A bad main file

@pytest.mark.parametrize("bad", ["grants: [", "", "- a list\n", "nonsense: 1\n", "timezone: Mars\n",
                                 "workstation: {one_user: 1}\n", "grants: []\ngrants: []\n"])
def test_without_a_good_main_file_the_others_grant_nothing(bad: str) -> None:
    result = parsed(bad, a=f"{SERVER}{CONSOLES}{ANNE}")
    assert result.policy is None
    assert {problem.mark.file for problem in result.problems} == {"policy.yaml"}


def test_with_a_bad_main_file_the_errors_of_the_others_are_told_too() -> None:
    result = parsed("nonsense: 1\n", a="grants: [1]\n")
    assert facts(result) == ["policy.yaml:1: the policy has no key 'nonsense'",
                             "policy.d/a.yaml:1: a grant must be a mapping, this is a number"]


def test_a_missing_main_file_grants_nothing_whatever_lies_beside_it(room: Path) -> None:
    write(room, "policy.d/a.yaml", f"{SERVER}{CONSOLES}{ANNE}")
    (room / "policy.yaml").unlink()
    source = read(room)
    assert (source.outcome, source.revision, source.parsed.policy) == (MISSING, "none", None)
    assert source.parsed.problems[0].fact == "does not exist"


# Which files

def test_files_are_read_by_name_and_only_those_that_end_in_yaml_and_begin_without_a_dot(
        room: Path) -> None:
    for name in ("b.yaml", "a.yaml", "10.yaml", "9.yaml", ".hidden.yaml", "a.yaml~", "a.yml",
                 "b.yaml.bak", "README", ".yaml", "a.yaml.dpkg-new", "B.yaml", "a\nb.yaml"):
        write(room / "policy.d", name, "grants: [x]\n")
    assert [problem.mark.file.removeprefix(f"{room}/policy.d/")
            for problem in read(room).parsed.problems] == [
        "10.yaml", "9.yaml", "B.yaml", "a.yaml", "b.yaml", f"{room}/policy.d", "a.yml"]
    assert str(read(room).parsed.problems[-1]).endswith(
        "is not read: only files that end in .yaml are\n  rename it to a.yaml")
    assert read(room).parsed.problems[-2].fact == (
        r"holds a file with an odd name: 'a\nb.yaml'")


def test_a_directory_within_policy_d_is_no_file_of_it_but_is_told(room: Path) -> None:
    (room / "policy.d" / "more.yaml").mkdir()
    write(room, "policy.d/ok.yaml", ANNE)
    result = read(room).parsed
    assert users(result) == ["anne"]
    assert facts(result) == [f"{room}/policy.d/more.yaml:1: is not a regular file"]


@pytest.mark.parametrize(("path", "directory"), [
    ("/etc/pam-spice/policy.yaml", "/etc/pam-spice/policy.d"), ("my.yaml", "my.d"),
    ("policy", "policy.d"), ("a.yaml.yaml", "a.yaml.d")])
def test_the_directory_is_named_like_the_file(path: str, directory: str) -> None:
    assert directory_of(path) == directory


def test_a_file_asked_with_policy_is_read_with_its_directory_whoever_owns_them(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "draft.yaml", MAIN)
    (tmp_path / "draft.d").mkdir(mode=0o777)
    write(tmp_path, "draft.d/anne.yaml", ANNE).chmod(0o666)
    (tmp_path / "policy.d").mkdir()
    write(tmp_path, "policy.d/ralph.yaml", ANNE.replace("anne", "ralph"))
    for user, status in (("anne", 0), ("ralph", 1)):
        assert main(["explain", user, "webdev", "--at", "2026-11-23T12:00", "--groups", "",
                     "--policy", str(tmp_path / "draft.yaml")]) == status
    write(tmp_path, "draft.d/bad.yaml", "grants: [x]\n")
    assert main(["check", "--policy", str(tmp_path / "draft.yaml")]) == 1
    assert f"{tmp_path}/draft.d/bad.yaml:1:10: a grant must be a mapping" in (
        capsys.readouterr().err)


def test_a_policy_without_the_directory_is_good(room: Path) -> None:
    (room / "policy.d").rmdir()
    assert read(room).outcome == VALID


def test_a_file_in_the_directory_s_place_is_told(room: Path) -> None:
    (room / "policy.d").rmdir()
    write(room, "policy.d", ANNE)
    result = read(room).parsed
    assert users(result) == []
    assert facts(result) == [f"{room}/policy.d:1: can't be read: Not a directory"]


# Limits

def test_as_many_files_as_allowed_are_read_and_one_more_grants_nothing(room: Path) -> None:
    for number in range(MAX_FILES - 1):
        write(room, f"policy.d/{number:03}.yaml",
              f"grants: [{{user: user{number}, console: webdev}}]\n")
    assert len(users(read(room).parsed)) == MAX_FILES - 1
    write(room, "policy.d/last.yaml", ANNE)
    source = read(room)
    assert source.outcome == WITH_PROBLEMS
    assert users(source.parsed) == []
    assert facts(source.parsed) == [f"{room}/policy.d:1: holds {MAX_FILES} files"]


def test_the_size_counts_over_all_files_and_the_one_that_goes_over_it_grants_nothing(
        room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(room, "policy.d/a.yaml", ANNE)
    write(room, "policy.d/b.yaml", ANNE.replace("anne", "ralph"))
    monkeypatch.setattr(conf.sources, "MAX_POLICY_BYTES", len(MAIN) + 2 * len(ANNE) + 1)
    assert users(read(room).parsed) == ["anne", "ralph"]
    monkeypatch.setattr(conf.sources, "MAX_POLICY_BYTES", len(MAIN) + len(ANNE) + 1)
    result = read(room).parsed
    assert users(result) == ["anne"]
    assert [problem.mark.file for problem in result.problems] == [f"{room}/policy.d/b.yaml"]
    monkeypatch.setattr(conf.sources, "MAX_POLICY_BYTES", len(MAIN) - 1)
    assert read(room).outcome == UNUSABLE


# Who can have written them

def test_a_file_of_the_directory_that_others_can_write_grants_nothing_itself(room: Path) -> None:
    write(room, "policy.d/a.yaml", ANNE).chmod(0o664)
    write(room, "policy.d/b.yaml", ANNE.replace("anne", "ralph"))
    source = read(room)
    assert source.outcome == WITH_PROBLEMS
    assert users(source.parsed) == ["ralph"]
    assert facts(source.parsed) == [
        f"{room}/policy.d/a.yaml:1: can be written by others than root (mode 0664)"]
    assert source.parsed.problems[0].remedy == f"chmod go-w {room}/policy.d/a.yaml"


@pytest.mark.skipif(ME != 0, reason="only root can give a file away")
def test_a_stranger_s_file_in_the_directory_grants_nothing(room: Path) -> None:
    os.chown(write(room, "policy.d/a.yaml", ANNE), 1021, 1021)
    assert facts(read(room).parsed) == [
        f"{room}/policy.d/a.yaml:1: belongs to uid 1021, not to root"]
    assert users(read(room).parsed) == []


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777])
def test_no_file_of_a_directory_that_others_can_write_grants_anything(room: Path,
                                                                      mode: int) -> None:
    write(room, "policy.d/a.yaml", ANNE)
    (room / "policy.d").chmod(mode)
    write(room, "policy.yaml", MAIN + ANNE.replace("anne", "ralph"))
    result = read(room).parsed
    assert users(result) == ["ralph"]
    assert [problem.remedy for problem in result.problems] == [f"chmod go-w {room}/policy.d"]


@pytest.mark.skipif(ME != 0, reason="only root can give a directory away")
def test_no_file_of_a_stranger_s_directory_grants_anything(room: Path) -> None:
    write(room, "policy.d/a.yaml", ANNE)
    os.chown(room / "policy.d", 1021, 1021)
    assert users(read(room).parsed) == []


def test_links_in_the_directory_s_or_a_file_s_place_are_refused(room: Path) -> None:
    (room / "elsewhere").mkdir(mode=0o755)
    write(room, "elsewhere/a.yaml", ANNE)
    os.symlink(room / "elsewhere" / "a.yaml", room / "policy.d" / "link.yaml")
    assert facts(read(room).parsed) == [f"{room}/policy.d/link.yaml:1: is a symbolic link"]
    (room / "policy.d" / "link.yaml").unlink()
    (room / "policy.d").rmdir()
    os.symlink(room / "elsewhere", room / "policy.d")
    assert users(read(room).parsed) == []
    assert facts(read(room).parsed) == [f"{room}/policy.d/a.yaml:1: is a symbolic link"]


def test_a_fifo_in_the_directory_is_refused_and_does_not_hang(room: Path) -> None:
    os.mkfifo(room / "policy.d" / "a.yaml", 0o644)
    assert facts(read(room).parsed) == [f"{room}/policy.d/a.yaml:1: is not a regular file"]


@pytest.mark.skipif(ME != 0, reason="root can read what nobody may")
def test_a_main_file_that_is_refused_makes_all_unusable(room: Path) -> None:
    write(room, "policy.d/a.yaml", f"{SERVER}{CONSOLES}{ANNE}")
    (room / "policy.yaml").chmod(0o666)
    assert read(room).outcome == UNUSABLE


def test_policy_files_that_anybody_can_write_are_read_where_nothing_follows_from_it(
        room: Path) -> None:
    write(room, "policy.d/a.yaml", ANNE).chmod(0o666)
    (room / "policy.d").chmod(0o777)
    assert users(parse_files(read_any(str(room / "policy.yaml")))) == ["anne"]


@pytest.mark.parametrize("name", ["policy.yaml", "policy.d/a.yaml"])
@pytest.mark.parametrize("is_linked", [False, True])
def test_a_fifo_is_not_waited_for_wherever_it_lies(name: str, is_linked: bool, room: Path,
                                                   capsys: pytest.CaptureFixture[str]) -> None:
    (room / name).unlink(missing_ok=True)
    os.mkfifo(room / ("fifo" if is_linked else name))
    if is_linked:
        (room / name).symlink_to(room / "fifo")
    with within(5):
        status = main(["check", "--policy", str(room / "policy.yaml")])
    assert status == (2 if name == "policy.yaml" else 1)
    printed = capsys.readouterr().err
    assert "is not a regular file\n" in printed
    assert f"{room / name}:" in printed


def test_a_device_is_not_even_opened(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some act when they are opened, as a watchdog's."""
    (room / "policy.d" / "a.yaml").symlink_to("/dev/zero")
    opened = os.open
    seen = []

    def noted(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if not flags & os.O_PATH:
            seen.append(os.path.realpath(path))
        return opened(path, flags, mode, dir_fd=dir_fd)

    with monkeypatch.context() as patched, within(5):
        patched.setattr(os, "open", noted)
        contents = read_any(str(room / "policy.yaml"))
    assert facts(parse_files(contents)) == [f"{room}/policy.d/a.yaml:1: is not a regular file"]
    assert str(room / "policy.yaml") in seen
    assert "/dev/zero" not in seen


def test_links_to_plain_files_are_followed_where_nothing_follows_from_it(room: Path) -> None:
    write(room, "elsewhere", ANNE)
    (room / "policy.d" / "a.yaml").symlink_to("../elsewhere")
    (room / "main.yaml").symlink_to("policy.yaml")
    (room / "main.d").symlink_to("policy.d")
    assert users(parse_files(read_any(str(room / "main.yaml")))) == ["anne"]


def test_no_descriptor_is_left_open(room: Path) -> None:
    os.mkfifo(room / "policy.d" / "a.yaml")
    before = os.listdir("/proc/self/fd")
    with within(5):
        read_any(str(room / "policy.yaml"))
    assert os.listdir("/proc/self/fd") == before


# The files that there would be

def test_a_file_in_the_place_of_another_or_one_more_is_read_as_if_it_lay_there(
        room: Path) -> None:
    main_file = str(room / "policy.yaml")
    for name in ("a", "c"):
        write(room, f"policy.d/{name}.yaml", ANNE)
    for name, text in (("policy.yaml", f"{MAIN}{ANNE}"), ("policy.d/a.yaml", ""),
                       ("policy.d/b.yaml", ANNE), ("policy.d/d.yaml", ANNE)):
        would_be = with_file(read_trusted(main_file, ME), str(room / name), text.encode())
        write(room, name, text)
        assert would_be == read_trusted(main_file, ME)


def test_one_file_too_many_or_too_much_text_grants_nothing_more(
        room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = read_trusted(str(room / "policy.yaml"), ME)
    path = str(room / "policy.d" / "a.yaml")
    monkeypatch.setattr(conf.sources, "MAX_FILES", 2)
    assert not parse_files(with_file(contents, path, ANNE.encode())).problems
    monkeypatch.setattr(conf.sources, "MAX_FILES", 1)
    assert facts(parse_files(with_file(contents, path, ANNE.encode()))) == [
        f"{room}/policy.yaml:1: the policy has more than 1 files"]
    monkeypatch.undo()
    monkeypatch.setattr(conf.sources, "MAX_POLICY_BYTES", len(MAIN) + len(ANNE))
    assert not parse_files(with_file(contents, path, ANNE.encode())).problems
    too_much = parse_files(with_file(contents, path, f"{ANNE}\n".encode()))
    assert [problem.mark.file for problem in too_much.problems] == [path]
    assert users(too_much) == []


# Writing one

@pytest.mark.skipif(ME != 0, reason="only root gives files away")
def test_a_file_has_its_owner_group_and_mode_when_it_takes_the_old_one_s_place(
        room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    rename = os.rename

    def noted(source: str, target: str) -> None:
        found = os.stat(source)
        seen.append((found.st_uid, found.st_gid, found.st_mode & 0o7777))
        rename(source, target)

    monkeypatch.setattr(os, "rename", noted)
    path = str(room / "policy.yaml")
    write_atomically(path, b"new", 0o640, owner=1021, group=1022)
    write_atomically(path, b"new", 0o2640, group=1022)
    write_atomically(path, b"new", 0o640)
    assert seen == [(1021, 1022, 0o640), (0, 1022, 0o2640), (0, os.getegid(), 0o640)]


def test_a_file_that_can_not_be_given_away_is_not_written(
        room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", refused)
    with pytest.raises(PermissionError):
        write_atomically(str(room / "policy.yaml"), b"new", group=4)
    assert (room / "policy.yaml").read_text() == MAIN
    assert sorted(os.listdir(room)) == ["policy.d", "policy.yaml"]


# What was compiled

def compiled(room: Path) -> CompiledPolicy:
    """Compiled now, and current."""
    found = compile_policy(read(room), str(room / "compiled"), NOON, ME)
    assert found.is_current(NOON)
    time.sleep(0.02)  # the kernel stamps files with a clock that ticks 100 to 1000 times a second
    return found


def allowed(policy: CompiledPolicy) -> set[str]:
    return {line.subject for line in policy.all_grants()}


def test_a_file_added_changed_or_removed_makes_the_compiled_policy_stale(room: Path) -> None:
    first = compiled(room)
    assert allowed(first) == set()
    path = write(room, "policy.d/a.yaml", ANNE)
    assert not first.is_current(NOON)

    second = compiled(room)
    assert allowed(second) == {"user:anne"}
    write(room, "policy.d/a.yaml", ANNE.replace("anne", "ralph"))
    assert not second.is_current(NOON)

    third = compiled(room)
    assert allowed(third) == {"user:ralph"}
    path.rename(room / "policy.d" / "b.yaml")
    assert not third.is_current(NOON)

    fourth = compiled(room)
    (room / "policy.d" / "b.yaml").unlink()
    assert not fourth.is_current(NOON)
    assert allowed(compiled(room)) == set()


@pytest.mark.parametrize("change", [
    lambda room: (room / "policy.d" / "a.yaml").chmod(0o666),
    lambda room: (room / "policy.d").chmod(0o777),
    lambda room: os.rename(room / "policy.d", room / "away"),
])
def test_a_change_of_who_may_write_or_of_the_directory_makes_it_stale(
        room: Path, change: Callable[[Path], object]) -> None:
    write(room, "policy.d/a.yaml", ANNE)
    before = compiled(room)
    assert allowed(before) == {"user:anne"}
    change(room)
    assert not before.is_current(NOON)
    assert allowed(compiled(room)) == set()


def test_a_directory_that_comes_later_makes_it_stale(room: Path) -> None:
    (room / "policy.d").rmdir()
    before = compiled(room)
    (room / "policy.d").mkdir(mode=0o755)
    write(room, "policy.d/a.yaml", ANNE)
    assert not before.is_current(NOON)
    assert allowed(compiled(room)) == {"user:anne"}


def test_a_file_added_while_the_policy_is_read_is_noticed_afterwards(
        room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = conf.sources.paths_of
    os.utime(room / "policy.d", (0, 0))  # it was not made in the tick in which it is read

    def listed(path: str) -> tuple[list[str], list[Problem]]:
        found = real(path)
        write(room, "policy.d/late.yaml", ANNE)
        return found

    monkeypatch.setattr(conf.sources, "paths_of", listed)
    source = read(room)
    monkeypatch.undo()
    assert not compile_policy(source, str(room / "compiled"), NOON, ME).is_current(NOON)


def test_the_revision_is_of_all_files_with_their_names(room: Path) -> None:
    revisions = [read(room).revision]
    path = write(room, "policy.d/a.yaml", ANNE)
    revisions.append(read(room).revision)
    path.rename(room / "policy.d" / "b.yaml")
    revisions.append(read(room).revision)
    write(room, "policy.d/b.yaml", ANNE + "\n")
    revisions.append(read(room).revision)
    assert len(set(revisions)) == 4


def test_what_a_file_of_the_directory_guarded_stays_guarded_while_it_is_bad(room: Path) -> None:
    other = SERVER.replace("mysrv:", "other:").replace("192.168.2.2", "192.168.2.9")
    write(room, "policy.d/other.yaml", other.replace(', "fd00::2"', ""))
    assert ("192.168.2.9", 20001, 20010) in compiled(room).endpoints
    write(room, "policy.d/other.yaml", "servers: [")
    assert ("192.168.2.9", 20001, 20010) in compiled(room).endpoints
    (room / "policy.d" / "other.yaml").unlink()
    assert [address for address, _, _ in compiled(room).endpoints] == ["192.168.2.2", "fd00::2"]


def test_a_grant_s_place_is_that_of_its_own_file_in_the_compiled_policy(room: Path) -> None:
    write(room, "policy.d/a.yaml", f"\n{ANNE}")
    [line] = compiled(room).all_grants()
    assert line.source == f"{room}/policy.d/a.yaml:2"
