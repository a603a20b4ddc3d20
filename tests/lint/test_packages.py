"""The packages are built here and are as the distributions' own linters want them.

What they do to a workstation is tests/lab/test_package.py's.
"""

import re
import subprocess
from pathlib import Path

import pytest

from pam_spice import layout, paths

ROOT = Path(__file__).parents[2]
DOC = "/usr/share/doc/pam-spice"


def run(*command: str | Path) -> str:
    """A program's standard output. Fails with all that it printed."""
    done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True,
                          timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def deb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(run("packaging/build-deb", tmp_path_factory.mktemp("deb")).strip())


@pytest.fixture(scope="session")
def rpm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(run("packaging/build-rpm", tmp_path_factory.mktemp("rpm")).strip())


def files_of_deb(deb: Path) -> dict[str, str]:
    """Each file's path as the workstation has it, and its mode as ls shows it."""
    listed = [line.split(maxsplit=5) for line in run("dpkg-deb", "--contents", deb).splitlines()]
    # /lib is a link to /usr/lib.
    return {re.sub(r"^/lib/", "/usr/lib/", words[5].removeprefix(".")): words[0]
            for words in listed if not words[0].startswith("d")}


def files_of_rpm(rpm: Path) -> dict[str, str]:
    listed = run("rpm", "-qp", "--queryformat", "[%{FILEMODES:perms} %{FILENAMES}\\n]", rpm)
    return {name: mode for mode, name in (line.split() for line in listed.splitlines())
            if not mode.startswith("d")}


def test_lintian_finds_nothing(deb: Path) -> None:
    [changes] = deb.parent.glob("*.changes")
    assert run("lintian", "--allow-root", "--fail-on", "error,warning", "-i", changes) == ""


def test_rpmlint_finds_nothing(rpm: Path) -> None:
    said = run("rpmlint", "-c", "packaging/rpmlint.toml", "packaging/pam-spice.spec", rpm)
    assert " 1 packages and 1 specfiles checked; 0 errors, 0 warnings" in said


def test_both_packages_have_the_same_files(deb: Path, rpm: Path) -> None:

    def is_the_packagers(name: str) -> bool:
        return name.startswith(("/usr/share/doc/", "/usr/share/licenses/", "/usr/share/lintian/",
                                # Debian compiles at installation, and again for a new Python.
                                "/usr/share/python3/runtime.d/",
                                # Debian enables units without one.
                                "/usr/lib/systemd/system-preset/")) or "/__pycache__/" in name

    of_deb, of_rpm = ({name.removesuffix(".gz"): mode for name, mode in files.items()
                       if not is_the_packagers(name)}
                      for files in (files_of_deb(deb), files_of_rpm(rpm)))
    assert of_deb == of_rpm


def test_the_pages_that_programs_name_are_where_they_say(deb: Path) -> None:
    files = files_of_deb(deb)
    pages = [page.relative_to(ROOT) for page in (ROOT / "docs").rglob("*") if page.is_file()]
    assert [str(page) for page in pages if f"{paths.PREFIX}/{page}" not in files] == []


def test_a_package_has_what_setup_installs_from_a_checkout(deb: Path) -> None:
    files = {name.removesuffix(".gz"): mode for name, mode in files_of_deb(deb).items()}
    for target in layout.PROGRAMS.values():
        assert files[target] == "-rwxr-xr-x"
    for target in layout.DATA.values():
        assert files[target] == "-rw-r--r--"
    for package in layout.PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            assert f"/usr/lib/pam-spice/{path.relative_to(ROOT)}" in files
    for unit in (ROOT / "conf/system").glob("pam-spice-*.*"):
        assert f"/usr/lib/systemd/system/{unit.name}" in files
    assert f"{DOC}/examples/policy.yaml" in files


def test_the_programs_start_as_they_do_from_a_checkout(deb: Path, tmp_path: Path) -> None:
    run("dpkg-deb", "--extract", deb, tmp_path)
    for name, target in layout.PROGRAMS.items():
        assert (tmp_path / target.lstrip("/")).read_bytes() == (ROOT / name).read_bytes()


def test_all_modules_are_compiled_in_the_package_that_does_not_compile_at_installation(
        rpm: Path) -> None:
    files = files_of_rpm(rpm)
    modules = {name for name in files if name.endswith(".py")}
    assert len(modules) > 100
    compiled = {re.sub(r"__pycache__/(\w+)\.cpython-\d+\.pyc$", r"\1.py", name)
                for name in files if name.endswith(".pyc")}
    assert compiled == modules


# What make deb and make rpm need

FAKE = {"git": "", "sed": 'exec /usr/bin/sed "$@"', "dirname": 'exec /usr/bin/dirname "$@"'}
UNMET = ("echo dpkg-checkbuilddeps: error: Unmet build dependencies: dh-sequence-python3 >&2; "
         "exit 1")
ONCE = f"if test -e $HOME/installed; then exit 0; fi; {UNMET}"
APT = 'echo "$*" >>$HOME/calls; case $* in *build-dep*|*rpm*) : >$HOME/installed ;; esac'


def needs(directory: Path, kind: str, uid: int, **programs: str) -> tuple[int, str, list[str]]:
    """Where only these programs are: the exit status, what was said, and apt-get's arguments."""
    for name, script in {**FAKE, "id": f"echo {uid}", "apt-get": APT, **programs}.items():
        path = directory / name.replace("_", "-")
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    done = subprocess.run([ROOT / "packaging/needs", kind], capture_output=True, text=True,
                          timeout=60, check=False,
                          env={"PATH": str(directory), "HOME": str(directory)})
    calls = directory / "calls"
    return done.returncode, done.stdout + done.stderr, (
        calls.read_text().splitlines() if calls.exists() else [])


@pytest.mark.parametrize("target", ["deb", "rpm"])
def test_for_a_package_make_prepares_no_lab(target: str) -> None:
    said = run("make", "--no-print-directory", "--dry-run", "--always-make", target)
    assert said.splitlines() == [f"packaging/needs {target}",
                                 f"packaging/build-{target} build/{target}"]


def test_where_all_is_here_nothing_is_installed(tmp_path: Path) -> None:
    for uid in (0, 1000):
        assert needs(tmp_path, "deb", uid, dpkg_checkbuilddeps="") == (0, "", [])
        assert needs(tmp_path, "rpm", uid, rpmbuild="") == (0, "", [])


def test_root_gets_what_the_debian_package_is_built_of(tmp_path: Path) -> None:
    status, said, calls = needs(tmp_path, "deb", 0, dpkg_checkbuilddeps=ONCE)
    assert (status, said) == (0, "")
    assert [words.split()[-2:] for words in calls] == [
        ["-qq", "update"], ["install", "git"], ["build-dep", "./"]]


def test_who_is_not_root_is_told_what_is_missing(tmp_path: Path) -> None:
    assert needs(tmp_path, "deb", 1000, dpkg_checkbuilddeps=UNMET) == (
        1, "make deb needs what is not installed here: dh-sequence-python3\n"
           "  as root, here: apt install git && apt build-dep ./\n", [])
    assert needs(tmp_path, "rpm", 1000) == (
        1, "make rpm needs what is not installed here: rpm\n  as root: apt install git rpm\n", [])


def test_what_apt_could_not_bring_is_said(tmp_path: Path) -> None:
    status, said, _ = needs(tmp_path, "deb", 0, dpkg_checkbuilddeps=UNMET)
    assert status == 1
    assert said.startswith("make deb needs what is not installed here: dh-sequence-python3\n")


def test_the_spec_is_sound_for_opensuse_too() -> None:
    wants = ("rpmspec", "--query", "--requires", "packaging/pam-spice.spec", "--define")
    assert "python3-PyYAML" in run(*wants, "suse_version 1600")
    assert "python3-pyyaml" in run(*wants, "fedora 43")


def test_the_desktop_entry_is_valid() -> None:
    assert run("desktop-file-validate", "conf/system/desktop/spice-open.desktop") == ""


def completed(*words: str) -> list[str]:
    """What bash offers in the place of the last word."""
    script = """\
. conf/system/completion/pam-spice
. conf/system/completion/spice-open
compopt() { :; }                     # works in a real completion only
spice-open() { echo 'webdev    mysrv  open'; echo 'analysis  mysrv  closed'; }
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
case $1 in pam-spice) _pam_spice ;; spice-open) _spice_open ;; esac
printf '%s\\n' "${COMPREPLY[@]}"
"""
    return run("bash", "--norc", "-c", script, "-", *words).split()


@pytest.mark.parametrize(("typed", "offered"), [
    ("pam-spice exp", ["explain"]),
    ("pam-spice check --l", ["--lint"]),
    ("pam-spice check --policy pyproj", ["pyproject.toml"]),
    ("pam-spice explain roo", ["root"]),
    ("pam-spice log --user roo", ["root"]),
    ("pam-spice grant root webdev --for --", []),
    ("pam-spice nonsense --", []),
    ("spice-open an", ["analysis"]),
    ("spice-open --l", ["--list"]),
])
def test_completion_offers(typed: str, offered: list[str]) -> None:
    assert completed(*typed.split(" ")) == offered
