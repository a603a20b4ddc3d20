"""grant: a console for a time, at once or not at all, and back; and a file that loses nothing of
others."""

import errno
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pam_spice import paths
from pam_spice.cli import main
from pam_spice.reconcile import Admissions, Reconciliation
from pam_spice.revocations import Revocation, write_revocations
from pam_spice.temporary import write_file
from pam_spice.verbs import need_valid_policy
from session.records import read_records
from tests.kernel import namespace as ns
from tests.kernel.namespace import GUARDED_PORT, OTHER_GUARDED_PORT, USERS, V4, VIEWER_GID
from tests.kernel.workstation import OFFICE, REFUSED, Workstation, office

ANNE, RALPH = USERS["anne"], USERS["ralph"]
FILE = Path(paths.TEMPORARY)
GRANT = ["grant", "ralph", "first", "--for", "2h", "--reason", "deputy"]
HEAD = """\
# Made by pam-spice grant: each entry expires by itself, and goes when the next one is made.
# To take one back at once: pam-spice grant USER CONSOLE --end
grants:
"""
END = ["grant", "ralph", "first", "--end"]


def entry(end: float, reason: str = "by hand") -> str:
    """Anne's, as the command writes it, from an hour before until so many seconds from now."""
    begin, until = (datetime.fromtimestamp(int(time.time() + seconds), UTC).strftime(
        "%Y-%m-%dT%H:%M:%SZ") for seconds in (-3600, end))
    return (f'  - {{user: "anne", console: "second", valid: {{from: {begin}, until: {until}}}, '
            f'reason: "{reason}"}}\n')


def put(text: str) -> None:
    FILE.parent.mkdir(mode=0o755, exist_ok=True)
    FILE.write_text(text)
    FILE.chmod(0o644)


def guests(*users: str) -> None:
    """Add accounts of persons."""
    with Path("/etc/passwd").open("a", encoding="utf-8") as file:
        for uid, user in enumerate(users, 1031):
            file.write(f"{user}:x:{uid}:{uid}::/:/bin/sh\n")


def counting() -> list[str]:
    """The policy's grants of the file, as WHO WHAT (WHY)."""
    return [f"{grant.subject.name} {','.join(each.name for each in grant.consoles)} "
            f"({grant.reason})" for grant in need_valid_policy().grants
            if grant.mark.file == paths.TEMPORARY]


# What it does

def test_grant_opens_for_the_live_session_at_once_and_for_the_next_one() -> None:
    workstation = office()
    workstation.log_in("3", "ralph", hint=True)
    assert workstation.reaches("ralph", GUARDED_PORT) == REFUSED
    assert main(["grant", "ralph", "first", "--for", "2h", "--reason", "deputy"]) == 0
    assert workstation.reaches("ralph", GUARDED_PORT) == "yes"
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == "yes", "and keeps what he had"
    workstation.log_out("3")
    assert workstation.reaches("ralph", GUARDED_PORT) == REFUSED
    workstation.log_in("4", "ralph", hint=True)
    assert workstation.reaches("ralph", GUARDED_PORT) == "yes"


def test_grant_lets_sudo_start_the_viewer_too() -> None:
    workstation = office()
    workstation.log_in("3", "ralph", hint=True)
    before = Path(paths.SUDOERS).read_text()
    assert main(["grant", "ralph", "first", "--for", "2h", "--reason", "deputy"]) == 0
    ns.command("visudo", "-cf", paths.SUDOERS)
    after = Path(paths.SUDOERS).read_text()
    assert before.count("\\x72alph") == 1
    assert after.count("\\x72alph") == 2


def test_a_grant_ends_by_itself_and_cuts_what_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    from pam_spice.verbs import grant

    monkeypatch.setattr(grant, "parse_duration", lambda _text: 3)
    workstation = office()
    workstation.log_in("3", "ralph", hint=True)
    assert main(["grant", "ralph", "first", "--for", "3s", "--reason", "deputy"]) == 0
    live = ns.Client(RALPH, VIEWER_GID, V4, GUARDED_PORT)
    assert live.say() == "yes"
    time.sleep(3.2)
    assert live.say() != "yes", "the kernel alone"
    assert workstation.reaches("ralph", GUARDED_PORT) == REFUSED
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == "yes"


def test_grants_that_have_not_expired_are_kept_when_another_is_made() -> None:
    office()
    reasons = ['say "so" \\ #1: {x}', "é über 😀", "x"]
    for user, console, reason in zip(("anne", "anne", "ralph"), ("second", "first", "first"),
                                     reasons, strict=True):
        assert main(["grant", user, console, "--for", "1h", "--reason", reason]) == 0
    assert counting() == [f"{who} ({reason} (by root))" for who, reason in zip(
        ("anne second", "anne first", "ralph first"), reasons, strict=True)]
    assert main(["check"]) == 0


def test_a_grant_that_was_made_before_the_policy_broke_is_refused_until_it_is_mended() -> None:
    workstation = office()
    workstation.policy(OFFICE.replace("console: second", "console: nix"))
    assert main(["grant", "anne", "first", "--for", "1h", "--reason", "x"]) == 2
    assert not Path(paths.TEMPORARY).exists()


# Its file

def test_entries_that_have_not_expired_stay_as_they_are_written_to_the_byte() -> None:
    office()
    living, dead = entry(3600), entry(-1, "expired")
    put(HEAD + living + dead)
    assert main(GRANT) == 0
    text = FILE.read_text()
    assert text.startswith(HEAD + living)
    assert "expired" not in text
    assert counting() == ["anne second (by hand)", "ralph first (deputy (by root))"]


def test_an_entry_that_was_taken_out_by_hand_stays_out() -> None:
    office()
    put(HEAD + entry(60, "one") + entry(60, "two"))
    put("".join(line for line in FILE.read_text().splitlines(keepends=True) if "one" not in line))
    assert main(GRANT) == 0
    assert counting() == ["anne second (two)", "ralph first (deputy (by root))"]


@pytest.mark.parametrize("by_hand", [
    "  - {user: anne, console: second}\n",
    "  - {user: anne, console: second, valid: {until: 2390-01-01}}\n",
    "  - {user: anne, console: second, valid: {from: 2020-01-01}}\n",
    "  - {user: anne, console: second, valid: {until: 2390-01-01}, when: Mon 08:00-12:00}\n",
    "  - {user: anne, console: second, valid: {until: 2390-01-01}, except: 2026-12-24}\n",
    "  - {user: anne, console: second, valid: {until: 2390-01-01}, workstations: pc7}\n",
    "  - {group: staff, console: [first, second], valid: {until: 2390-01-01}}\n",
    "# asked for by Olga\n", "\n", "windows: {late: '18:00-22:00'}\n",
    entry(3600).replace("}\n", "}  # asked for by Olga\n"),
    entry(3600).replace(', reason: "by hand"', ""),
    entry(3600).replace("}, reason", "}, when: Mon, reason"),
    entry(3600).replace('"by hand"', r'"\x62y hand"'),
    entry(3600).replace("Z,", "+00:00,"),
    entry(3600).replace('"anne", c', '"anne",  c')])
def test_a_file_that_holds_anything_by_hand_is_not_touched(
        by_hand: str, capsys: pytest.CaptureFixture[str]) -> None:
    office()
    put(HEAD + entry(3600) + by_hand)
    before = FILE.read_bytes()
    need_valid_policy()
    assert main(GRANT) == 2
    assert FILE.read_bytes() == before
    assert capsys.readouterr().err == (
        f"pam-spice: {FILE}:5: this line is not as pam-spice grant writes it, and would be lost; "
        f"nothing is changed\n  move it to a file of its own name in {FILE.parent}\n")


def test_mode_and_group_of_the_file_stay() -> None:
    office()
    put(HEAD + entry(60))
    FILE.chmod(0o640)
    os.chown(FILE, 0, ns.OTHER_GID)
    assert main(GRANT) == 0
    found = FILE.stat()
    assert (found.st_mode & 0o777, found.st_uid, found.st_gid) == (0o640, 0, ns.OTHER_GID)


# Whole or not at all

@pytest.mark.parametrize("user", ["müller", "a+b", ".x", "x\x1b[2J"])
def test_a_user_whose_name_the_language_has_no_words_for_gets_nothing(
        user: str, capsys: pytest.CaptureFixture[str]) -> None:
    office()
    guests(user)
    put(HEAD + entry(60))
    before = FILE.read_bytes()
    assert main(["grant", *GRANT[3:], "--", user, "first"]) == 2
    printed = capsys.readouterr().err
    assert "is not a user name" in printed
    assert "nothing is changed" in printed
    assert "\x1b" not in printed
    assert FILE.read_bytes() == before
    assert main(["check"]) == 0


def test_the_file_that_would_be_one_too_many_is_not_written(
        capsys: pytest.CaptureFixture[str]) -> None:
    office()
    FILE.parent.mkdir(mode=0o755)
    for number in range(127):
        path = FILE.parent / f"{number}.yaml"
        path.write_text("windows: {}\n")
        path.chmod(0o644)
    assert main(["check"]) == 0
    assert main(GRANT) == 2
    assert "more than 128 files" in capsys.readouterr().err
    assert not FILE.exists()
    assert main(["check"]) == 0


def filled(directory: str) -> Path:
    """Fill that file system; the file that does it."""
    path = Path(directory, "full")
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError as error:
                assert error.errno == errno.ENOSPC
    return path


@pytest.mark.parametrize("there_was_a_file", [False, True])
def test_a_full_var_lib_takes_the_grant_back(there_was_a_file: bool,
                                             capsys: pytest.CaptureFixture[str]) -> None:
    workstation = office()
    workstation.log_in("3", "ralph", hint=True)
    before = None
    if there_was_a_file:
        put(HEAD + entry(3600))
        workstation.reconcile()
        before = FILE.read_bytes()
    full = filled(paths.STATE)
    assert main(GRANT) == 2
    assert capsys.readouterr().err.endswith(
        f"\n  nothing is granted, {FILE} is as it was\n")
    assert (FILE.read_bytes() if FILE.exists() else None) == before
    full.unlink()
    workstation.reconcile()
    assert workstation.reaches("ralph", GUARDED_PORT) == REFUSED
    assert main(["explain", "ralph", "first"]) == 1
    assert main(["check"]) == 0


def test_a_full_etc_leaves_the_file_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    office()
    put(HEAD + entry(3600))
    before = FILE.read_bytes()
    filled("/etc/pam-spice")
    assert main(GRANT) == 2
    assert f"nothing is granted, {FILE} is as it was\n" in capsys.readouterr().err
    assert FILE.read_bytes() == before
    assert sorted(os.listdir(FILE.parent)) == [FILE.name]


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_a_file_that_can_not_be_put_back_is_named(error: BaseException,
                                                  monkeypatch: pytest.MonkeyPatch,
                                                  capsys: pytest.CaptureFixture[str]) -> None:
    from pam_spice.verbs import grant

    office()
    put(HEAD + entry(3600))
    monkeypatch.setattr(grant, "current_policy", failing(error))
    monkeypatch.setattr(grant, "put_back", failing(OSError(30, "Read-only file system")))
    assert main(GRANT) == 2
    assert (f"\nand {FILE} can't be put back ([Errno 30] Read-only file system): the grant will "
            f"count\n  take it out of {FILE}:5\n") in capsys.readouterr().err


def failing(error: BaseException) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def test_an_interrupt_before_it_is_taken_in_leaves_the_file_as_it_was(
        monkeypatch: pytest.MonkeyPatch) -> None:
    from pam_spice.verbs import grant

    office()
    monkeypatch.setattr(grant, "current_policy", failing(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        main(GRANT)
    assert not FILE.exists()


def test_a_policy_that_breaks_in_the_same_moment_takes_the_grant_back(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from pam_spice.verbs import grant

    workstation = office()

    def broken(path: str, data: bytes) -> None:
        workstation.policy(OFFICE + "nonsense: 1\n")
        write_file(path, data)

    monkeypatch.setattr(grant, "write_file", broken)
    assert main(GRANT) == 2
    assert "the policy was changed in this moment; try again" in capsys.readouterr().err
    assert not FILE.exists()


def test_a_live_session_that_can_not_get_it_is_told_with_where_the_grant_stands(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from pam_spice.verbs import grant

    office()
    monkeypatch.setattr(grant, "grant_now", failing(OSError(28, "No space left on device")))
    assert main(GRANT) == 1
    printed = capsys.readouterr().err
    assert f"the grant itself stands at {FILE}:4 until " in printed
    assert printed.endswith("if it is not to count: pam-spice grant ralph first --end\n")
    assert counting() == ["ralph first (deputy (by root))"]


# Who is revoked

def test_who_is_revoked_is_granted_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    workstation = office()
    workstation.log_in("3", "ralph", hint=True)
    until = int(time.time()) + 600
    write_revocations({RALPH: Revocation(RALPH, until, "ralph", "olga", "exam")})
    assert main(GRANT) == 2
    shown = datetime.fromtimestamp(until, UTC).strftime("%a %F %T UTC")
    assert capsys.readouterr().err == (
        f"pam-spice: ralph is revoked until {shown} by olga; pam-spice revoke ralph --lift ends "
        f"it\n")
    assert not FILE.exists()
    assert len(read_records()["3"].grants) == 1


def test_others_and_who_was_revoked_before_are_granted_it() -> None:
    office()
    now = int(time.time())
    write_revocations({ANNE: Revocation(ANNE, now + 600, "anne", "root", "-"),
                       RALPH: Revocation(RALPH, now - 1, "ralph", "root", "-")})
    assert main(GRANT) == 0
    assert counting() == ["ralph first (deputy (by root))"]


def test_with_a_damaged_list_of_revocations_nobody_is_granted_anything(
        capsys: pytest.CaptureFixture[str]) -> None:
    office()
    Path(paths.REVOKED).write_text("x")
    assert main(GRANT) == 2
    assert f"nobody can tell who is revoked: {paths.REVOKED}" in capsys.readouterr().err
    assert not FILE.exists()


# And back

def granted() -> Workstation:
    """Ralph is logged in and was granted the first console; the second is his by the policy."""
    workstation = office()
    workstation.log_in("3", "ralph", hint=True)
    assert main(GRANT) == 0
    assert workstation.reaches("ralph", GUARDED_PORT) == "yes"
    return workstation


def assert_taken_back(workstation: Workstation) -> None:
    assert workstation.reaches("ralph", GUARDED_PORT) == REFUSED
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == "yes", "what else he has stays"


def test_end_takes_it_back_at_once_and_cuts_what_is_open(
        capsys: pytest.CaptureFixture[str]) -> None:
    workstation = granted()
    live = ns.Client(RALPH, VIEWER_GID, V4, GUARDED_PORT)
    other = ns.Client(RALPH, VIEWER_GID, V4, OTHER_GUARDED_PORT)
    assert (live.say(), other.say()) == ("yes", "yes")
    capsys.readouterr()
    assert main(END) == 0
    assert capsys.readouterr().out == "session 3 of ralph: has second; loses first\n"
    assert live.say() != "yes"
    assert other.say() == "yes"
    assert_taken_back(workstation)
    assert counting() == []
    assert Path(paths.SUDOERS).read_text().count("\\x72alph") == 1
    workstation.log_out("3")
    workstation.log_in("4", "ralph", hint=True)
    assert_taken_back(workstation)
    assert main(["check"]) == 0
    assert main(GRANT) == 0, "and it can be given again"
    assert workstation.reaches("ralph", GUARDED_PORT) == "yes"


def test_end_leaves_others_entries_as_they_are_written_to_the_byte() -> None:
    office()
    old = HEAD.replace(HEAD.splitlines()[1], "# An entry can be taken out here by hand; live "
                       "sessions keep theirs, see pam-spice revoke.")
    kept = [entry(3600, "one"), entry(3600, 'say \\"so\\" #1 é'),
            entry(3600, "three").replace('"anne"', '"ralph"')]
    ended = [entry(left, "ended").replace('"anne"', '"ralph"').replace('"second"', '"first"')
             for left in (60, 3600)]
    put(old + kept[0] + ended[0] + kept[1] + ended[1] + kept[2] + entry(-1, "expired"))
    FILE.chmod(0o640)
    assert main(END) == 0
    assert FILE.read_text() == HEAD + "".join(kept)
    assert FILE.stat().st_mode & 0o777 == 0o640


def test_what_else_gives_it_to_him_stays_and_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    workstation = office()
    workstation.policy(OFFICE + "  - {user: ralph, console: first, valid: {until: 2390-01-01}}\n")
    workstation.log_in("3", "ralph", hint=True)
    assert main(GRANT) == 0
    capsys.readouterr()
    assert main(END) == 0
    assert workstation.reaches("ralph", GUARDED_PORT) == "yes"
    assert capsys.readouterr().out == (
        f"session 3 of ralph: has first, second\n"
        f"the policy itself gives ralph first, at {paths.POLICY}:12: that stays, see pam-spice "
        f"explain ralph first\n")


def test_of_who_is_not_logged_in_it_is_not_said_that_he_has_nothing_where_the_policy_gives_it(
        capsys: pytest.CaptureFixture[str]) -> None:
    workstation = office()
    workstation.policy(OFFICE + "  - {user: ralph, console: first, valid: {until: 2390-01-01}}\n")
    assert main(GRANT) == 0
    capsys.readouterr()
    assert main(END) == 0
    assert capsys.readouterr().out == (
        f"the temporary grant is ended\n"
        f"the policy itself gives ralph first, at {paths.POLICY}:12: that stays, see pam-spice "
        f"explain ralph first\n")


def test_of_who_is_not_logged_in_the_next_login_lacks_it(
        capsys: pytest.CaptureFixture[str]) -> None:
    workstation = office()
    assert main(GRANT) == 0
    capsys.readouterr()
    assert main(END) == 0
    assert capsys.readouterr().out == (
        "ralph does not have it now; his next login won't have it either\n")
    workstation.log_in("3", "ralph", hint=True)
    assert_taken_back(workstation)


@pytest.mark.parametrize("text", ["", HEAD + "  - {user: anne, console: second}\n"])
def test_where_there_is_none_end_says_so_and_changes_nothing(
        text: str, capsys: pytest.CaptureFixture[str]) -> None:
    workstation = office()
    if text:
        put(text)
    workstation.policy(OFFICE + "  - {user: ralph, console: first}\n")
    workstation.log_in("3", "ralph", hint=True)
    assert main(END) == 1
    assert capsys.readouterr().err.startswith(
        "pam-spice: ralph has no grant of first by pam-spice grant\n")
    assert workstation.reaches("ralph", GUARDED_PORT) == "yes"
    assert (FILE.read_text() if FILE.exists() else "") == text
    assert main(["grant", "root", "first", "--end"]) == 2


def test_an_entry_that_was_taken_out_by_hand_is_taken_from_the_session_too() -> None:
    workstation = granted()
    FILE.unlink()
    workstation.reconcile()
    assert workstation.reaches("ralph", GUARDED_PORT) == "yes"
    assert main(END) == 0
    assert_taken_back(workstation)
    assert not FILE.exists()


def test_a_file_with_a_line_by_hand_is_left_and_named_and_the_session_closed(
        capsys: pytest.CaptureFixture[str]) -> None:
    workstation = granted()
    with FILE.open("a") as file:
        file.write("# asked for by Olga\n")
    before = FILE.read_bytes()
    capsys.readouterr()
    assert main(END) == 1
    assert capsys.readouterr().err == (
        f"pam-spice: not all is taken back\n{FILE}:5: this line is not as pam-spice grant writes "
        f"it, and would be lost: take the grant out of the file by hand, if it is in it\n"
        f"session 3 of ralph: has second; loses first\n")
    assert FILE.read_bytes() == before
    assert_taken_back(workstation)


def test_a_file_that_is_left_out_of_the_policy_is_named_for_it_may_count_again(
        capsys: pytest.CaptureFixture[str]) -> None:
    workstation = granted()
    others = [FILE.parent / f"{number}.yaml" for number in range(127)]
    for path in others:
        path.write_text("windows: {}\n")
        path.chmod(0o644)
    capsys.readouterr()
    assert main(END) == 1
    assert capsys.readouterr().err == (
        f"pam-spice: not all is taken back\n{FILE} is not read at present, see pam-spice check: "
        f"once it is, his next login may have it again\n"
        f"session 3 of ralph: has second; loses first\n")
    assert_taken_back(workstation)
    for path in others:
        path.unlink()
    assert main(END) == 0, "and the rest can be done later"
    assert counting() == []


def test_a_clock_that_is_ahead_leaves_no_entry_that_counts_when_it_is_put_back(
        monkeypatch: pytest.MonkeyPatch) -> None:
    workstation = granted()
    now = time.time()
    with monkeypatch.context() as patched:
        patched.setattr(time, "time", lambda: now + 3 * 3600)
        assert main(END) == 0
    workstation.log_out("3")
    workstation.log_in("4", "ralph", hint=True)
    assert_taken_back(workstation)


def test_a_policy_that_has_an_error_keeps_nothing_open() -> None:
    workstation = granted()
    workstation.policy(OFFICE.replace("console: second", "console: nix"))
    assert main(END) == 0
    assert workstation.reaches("ralph", GUARDED_PORT) == REFUSED
    workstation.policy()
    assert main(GRANT) == 0
    workstation.policy("[")
    assert main(END) == 0
    assert workstation.reaches("ralph", GUARDED_PORT) == REFUSED


def test_who_is_killed_before_the_file_is_written_has_closed_the_session_for_good(
        monkeypatch: pytest.MonkeyPatch) -> None:
    from pam_spice.verbs import grant

    workstation = granted()
    with monkeypatch.context() as patched:
        patched.setattr(grant, "write_file", failing(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            main(END)
    workstation.reconcile()
    assert_taken_back(workstation)
    assert main(END) == 0, "and the rest can be done later"
    assert counting() == []


def test_who_is_killed_before_the_policy_is_compiled_has_closed_it_for_the_next_login_too(
        monkeypatch: pytest.MonkeyPatch) -> None:
    from pam_spice.verbs import grant

    workstation = granted()
    with monkeypatch.context() as patched:
        patched.setattr(grant, "current_policy", failing(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            main(END)
    assert_taken_back(workstation)
    workstation.log_out("3")
    workstation.log_in("4", "ralph", hint=True)
    assert_taken_back(workstation)


@pytest.mark.parametrize("directory", ["/etc/pam-spice", paths.STATE, paths.RUN])
def test_on_a_full_disk_the_session_is_closed_all_the_same(
        directory: str, capsys: pytest.CaptureFixture[str]) -> None:
    workstation = granted()
    capsys.readouterr()
    full = filled(directory)
    status = main(END)
    told = capsys.readouterr()
    assert_taken_back(workstation)
    assert status == (0 if directory == paths.RUN else 1), told
    if directory == "/etc/pam-spice":
        assert (f"not all is taken back\nhis next login has it again: {FILE} can't be written: "
                f"[Errno 28] No space left on device") in told.err
        assert counting() == ["ralph first (deputy (by root))"]
    else:
        assert counting() == []
    full.unlink()
    workstation.reconcile()
    assert_taken_back(workstation)
    assert main(END) == (0 if directory == "/etc/pam-spice" else 1)
    workstation.log_in("4", "ralph", hint=True)
    assert_taken_back(workstation)


def test_on_a_full_run_it_is_taken_from_who_is_revoked_too_for_good(
        capsys: pytest.CaptureFixture[str]) -> None:
    workstation = granted()
    full = filled(paths.RUN)
    until = int(time.time()) + 2
    write_revocations({RALPH: Revocation(RALPH, until, "ralph", "olga", "exam")})
    workstation.reconcile()
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == REFUSED
    assert main(END) == 0
    assert "not" not in capsys.readouterr().err
    full.unlink()
    time.sleep(until + 0.1 - time.time())
    workstation.reconcile()
    assert_taken_back(workstation)


def test_on_a_full_run_it_is_taken_from_who_was_revoked_too() -> None:
    workstation = granted()
    until = int(time.time()) + 2
    write_revocations({RALPH: Revocation(RALPH, until, "ralph", "olga", "exam")})
    workstation.reconcile()
    filled(paths.RUN)
    time.sleep(until + 0.1 - time.time())
    workstation.reconcile()
    assert workstation.reaches("ralph", GUARDED_PORT) == "yes"
    assert main(END) == 0
    assert_taken_back(workstation)


def test_a_record_of_who_is_revoked_that_can_not_be_written_is_told(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from pam_spice import reconcile

    workstation = granted()
    until = int(time.time()) + 600
    write_revocations({RALPH: Revocation(RALPH, until, "ralph", "olga", "exam")})
    for name in ("write_record", "overwrite_record"):
        monkeypatch.setattr(reconcile, name, failing(OSError(5, "Input/output error")))
    assert main(END) == 1
    assert "not done for session 3 of ralph: it can't be recorded" in capsys.readouterr().err
    assert workstation.reaches("ralph", GUARDED_PORT) == REFUSED, "he is revoked all the same"
    assert workstation.reaches("ralph", OTHER_GUARDED_PORT) == REFUSED


def test_a_login_that_looked_it_up_before_the_end_does_not_slip_through(
        monkeypatch: pytest.MonkeyPatch) -> None:
    workstation = office()
    assert main(GRANT) == 0
    assert main(["grant", "ralph", "second", "--for", "3h", "--reason", "more"]) == 0
    admissions = Reconciliation._admissions

    def slow(run: Reconciliation) -> Admissions:
        found = admissions(run)
        if run.phase == "open":
            assert main(END) == 0
        return found

    monkeypatch.setattr(Reconciliation, "_admissions", slow)
    workstation.log_in("3", "ralph", hint=True)
    assert_taken_back(workstation)
    assert len(read_records()["3"].grants) == 2, "his other one he has"


@pytest.mark.parametrize("arguments", [
    [], ["--for", "2h"], ["--for", "2h", "--end"], ["--for", "2h", "--end", "--reason", "x"]])
def test_grant_wants_an_end_or_a_time_and_a_reason(arguments: list[str]) -> None:
    office()
    try:
        status: object = main(["grant", "ralph", "first", *arguments])
    except SystemExit as error:  # of argparse
        status = error.code
    assert status == 2
    assert not FILE.exists()
