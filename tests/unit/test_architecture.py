"""Imports run one way, conf <- session <- pam_spice and launcher, and the folders stay apart."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("conf", "session", "pam_spice", "launcher", "lab", "tests")
MAY_IMPORT = {
    "conf": {"conf"},
    "session": {"conf", "session"},
    "pam_spice": {"conf", "session", "pam_spice"},
    "launcher": {"conf", "session", "launcher"},
}
SOURCES = sorted(path for room in MAY_IMPORT for path in (ROOT / room).rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Every module that a source names in an import, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            assert node.module is not None
            found.add(node.module)
    return found


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_a_module_imports_of_ours_only_from_its_own_room_and_those_before(path: Path) -> None:
    room = relative(path).split("/")[0]
    ours = {name for name in imports(path) if name.split(".")[0] in ROOMS}
    assert {name for name in ours if name.split(".")[0] not in MAY_IMPORT[room]} == set()


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_only_the_one_door_starts_programs(path: Path) -> None:
    if relative(path) == "pam_spice/run.py" or relative(path).startswith("launcher/"):
        return
    assert not imports(path) & {"subprocess", "multiprocessing", "pty", "popen2"}
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert (node.value.id, node.attr) not in {
                ("os", name) for name in ("system", "popen", "posix_spawn", "posix_spawnp", "fork",
                                          "execv", "execve", "execvp", "execvpe", "spawnv")}


def test_the_pure_modules_ask_neither_clock_nor_accounts_nor_files() -> None:
    for name in (*(str(path.relative_to(ROOT)) for folder in ("conf/lint", "pam_spice/report")
                   for path in (ROOT / folder).glob("*.py")),
                 "conf/changes.py", "conf/otherchanges.py", "conf/timewords.py",
                 "conf/intervals.py", "conf/times.py", "conf/deciding.py", "conf/grantline.py",
                 "conf/model.py", "conf/problems.py", "conf/reading.py", "conf/when.py",
                 "pam_spice/doctor/findings.py", "pam_spice/doctor/pamflow.py",
                 "pam_spice/doctor/sudolist.py",
                 "pam_spice/calendar_html.py", "pam_spice/calendar_svg.py", "pam_spice/chart.py",
                 "pam_spice/chartwords.py", "pam_spice/desired.py", "pam_spice/layout.py"):
        assert not imports(ROOT / name) & {"os", "time", "pwd", "grp", "pathlib", "io", "socket"}


def test_no_folder_of_tests_is_a_package_that_shadows_ours() -> None:
    assert not (ROOT / "tests/__init__.py").exists()
    assert not (ROOT / "tests/session").exists()
    for room in MAY_IMPORT:
        assert not (ROOT / "tests" / room / "__init__.py").exists()


def test_every_module_says_what_it_is_for() -> None:
    for path in SOURCES:
        assert ast.get_docstring(ast.parse(path.read_bytes())), relative(path)


def test_the_entry_scripts_are_isolated_and_name_their_prefix() -> None:
    scripts = sorted((ROOT / "conf/system/bin").iterdir())
    assert scripts
    for script in scripts:
        first, *rest = script.read_text().splitlines()
        first = first.replace("env -S -u PYTHONEXECUTABLE -u __PYVENV_LAUNCHER__ /usr/bin/", "")
        first = first.removesuffix("Xutf8")
        assert first in ("#!/usr/bin/python3 -I", "#!/usr/bin/python3 -IB",
                         "#!/usr/bin/python3 -IS", "#!/usr/bin/python3 -IBS"), script.name
        assert any('sys.path.insert(0, "/usr/lib/pam-spice")' in line for line in rest)
