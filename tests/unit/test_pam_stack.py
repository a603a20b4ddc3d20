"""PAM stacks in which users set the environment must be known: the hook may not run there."""

from pathlib import Path

import pytest

from pam_spice import pamstack
from pam_spice.pamstack import lets_users_set_its_environment, lines_of
from pam_spice.run import CommandFailed


def stack(directory: Path, **services: str) -> tuple[Path, ...]:
    for name, text in services.items():
        (directory / name.replace("_", "-")).write_text(text)
    return (directory,)


@pytest.mark.parametrize("line", [
    "session required pam_env.so user_readenv=1",
    "session\trequired\tpam_env.so\tuser_readenv=1",
    "auth required /lib/security/pam_env.so readenv=1 user_readenv=1 envfile=/etc/default/locale",
    "-session optional pam_env.so user_readenv=1",
    "session [success=ok default=ignore] pam_env.so user_readenv=1",
    "session required pam_env.so \\\n  user_readenv=1",
    "session required pam_env.so user_readenv=1 # stock",
    "session required pam_env.so user_readenv=0 user_readenv=1",
])
def test_a_stack_that_reads_the_user_s_environment_is_found(tmp_path: Path, line: str) -> None:
    directories = stack(tmp_path, sshd=f"#%PAM-1.0\n{line}\n")
    assert lets_users_set_its_environment("sshd", directories)


@pytest.mark.parametrize("line", [
    "session required pam_env.so",
    "session required pam_env.so user_readenv=0",
    "# session required pam_env.so user_readenv=1",
    "session required pam_unix.so # pam_env.so user_readenv=1",
])
def test_a_stack_that_does_not_is_not(tmp_path: Path, line: str) -> None:
    assert not lets_users_set_its_environment("login", stack(tmp_path, login=f"{line}\n"))


@pytest.mark.parametrize("include", ["@include common", "session include common",
                                     "session substack common"])
def test_what_a_stack_includes_belongs_to_it(tmp_path: Path, include: str) -> None:
    directories = stack(tmp_path, login=include,
                        common="session required pam_env.so user_readenv=1\n")
    assert lets_users_set_its_environment("login", directories)


def test_an_include_that_goes_in_circles_ends(tmp_path: Path) -> None:
    assert list(lines_of("a", stack(tmp_path, a="@include b\n", b="@include a\n"))) == []


def test_a_service_without_a_file_has_the_lines_of_other(tmp_path: Path) -> None:
    # pam(7): a service that has no file gets the stack of "other".
    directories = stack(tmp_path, other="session required pam_env.so user_readenv=1\n")
    assert lets_users_set_its_environment("sddm", directories)


def test_the_first_directory_that_has_the_service_decides(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "usr").mkdir()
    stack(tmp_path / "usr", login="session required pam_env.so user_readenv=1\n")
    stack(tmp_path / "etc", login="session required pam_unix.so\n")
    assert not lets_users_set_its_environment("login", (tmp_path / "etc", tmp_path / "usr"))


class PamAuthUpdate:
    """Fails with these messages, one a run, then does its work."""

    def __init__(self, *messages: str) -> None:
        self._messages = list(messages)
        self.runs: list[list[str]] = []

    def __call__(self, argv: list[str]) -> None:
        self.runs.append(argv)
        if self._messages:
            raise CommandFailed(argv, "exit status 1", self._messages.pop(0))


LOCKED = ('debconf: DbDriver "config": /var/cache/debconf/config.dat is locked by another process: '
          "Resource temporarily unavailable")


def update(monkeypatch: pytest.MonkeyPatch, program: PamAuthUpdate, patience: float) -> float:
    """Run it; the seconds that were waited, on a clock that moves with the waiting."""
    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    monkeypatch.setattr(pamstack, "run", program)
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    monkeypatch.setattr("time.sleep", sleep)
    pamstack.update("--remove", "pam-spice", patience=patience)
    return clock[0]


def test_pam_auth_update_waits_for_another_package_s_use_of_debconf(
        monkeypatch: pytest.MonkeyPatch) -> None:
    program = PamAuthUpdate(LOCKED, LOCKED)
    assert 0 < update(monkeypatch, program, patience=30) < 30
    assert program.runs == [
        ["/usr/sbin/pam-auth-update", "--package", "--remove", "pam-spice"]] * 3


def test_it_waits_no_longer_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    program = PamAuthUpdate(*[LOCKED] * 1000)
    with pytest.raises(CommandFailed):
        update(monkeypatch, program, patience=30)
    assert 100 < len(program.runs) < 200


@pytest.mark.parametrize(("message", "patience"), [
    (LOCKED, 0.0),  # as in the minutely run, which holds everybody's lock
    ("no such file", 30.0),
])
def test_otherwise_a_failure_is_one_at_once(
        monkeypatch: pytest.MonkeyPatch, message: str, patience: float) -> None:
    program = PamAuthUpdate(message)
    with pytest.raises(CommandFailed):
        update(monkeypatch, program, patience)
    assert len(program.runs) == 1
