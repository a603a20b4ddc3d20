"""What a login and a logout cost, counted instead of timed: modules, processes, files, bytes.

The real hook script is run by its session's leader under strace(1). Each bound is what it takes
today: whoever adds to the login path meets it here, and says why in the same change.
"""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from pam_spice import paths
from session.records import CLOSED, remove_record
from tests.kernel import namespace as ns
from tests.kernel.workstation import OFFICE, Workstation

ROOT = Path(__file__).parents[2]
PYTHON = ("/usr/bin/python3", "-I", "-S")
TRACED = "execve,clone,clone3,fork,vfork,openat,read,pread64,mmap,connect"
PHASES = pytest.mark.parametrize("phase", ["open", "close"])

MODULES = {"open": 38, "close": 39}  # beside a bare interpreter's, which has 18
FILES = {"open": 32, "close": 19}  # times that one is opened, modules not counted
POLICY_BYTES = 45_000  # of a compiled form of 3 MB; 5 bisections of 15 steps, half a kilobyte each


@dataclass(frozen=True)
class Seen:
    """One run of a program."""

    modules: set[str]
    programs: int  # started beside itself, and processes forked
    files: list[str]
    policy_bytes: int
    maps_policy: bool


def watch(*argv: str) -> Seen:
    """Run Python with these arguments and see what it does. Fails where it fails."""
    trace = Path("/run/trace")
    # -D: the hook must be this process's own child, which is the session's leader.
    result = subprocess.run(
        ["strace", "-D", "-f", "-y", "-q", "-s", "0", "-e", f"trace={TRACED}", "-o", str(trace),
         *PYTHON, "-X", "importtime", *argv], capture_output=True, text=True, timeout=30, env={})
    assert result.returncode == 0, result.stderr
    assert ns.until(lambda: "+++ exited" in trace.read_text())
    text = trace.read_text()
    calls = [line for line in text.splitlines() if " = -1 " not in line]
    opened = [re.search(r"openat\(.*= \d+<(.*)>$", call) for call in calls]
    files = [found[1] for found in opened if found]
    compiled = re.escape(paths.COMPILED)
    return Seen(
        set(re.findall(r"^import time: +\d+ \| +\d+ \| *(\S+)$", result.stderr, re.MULTILINE)),
        len([call for call in calls
             if re.search(r"\b(execve|clone3?|v?fork)\(", call)]) - 1,
        files,
        sum(int(size) for size in re.findall(
            rf"p?read(?:64)?\(\d+<{compiled}>.* = (\d+)$", text, re.MULTILINE)),
        bool(re.search(rf"mmap\(.*<{compiled}>", text)))


def hook(phase: str) -> Seen:
    script = (ROOT / "conf/system/bin/hook").read_text()
    assert "/usr/lib/pam-spice" in script
    copy = Path("/run/hook")
    copy.write_text(script.replace("/usr/lib/pam-spice", str(ROOT)))
    return watch(str(copy), phase)


def login_and_logout(grants: int, phase: str) -> Seen:
    """What that phase of anne's takes under a policy with so many grants of others."""
    workstation = Workstation()
    others = "".join(f"  - {{user: u{number}, console: first, when: Mon}}\n"
                     for number in range(grants))
    workstation.policy(OFFICE + others)
    workstation.reconcile()
    for session in ("1", "2"):  # the first one compiles the modules
        workstation.state(session, "anne", os.getpid())
        seen = {each: hook(each) for each in ("open", "close")}
        (Path("/run/systemd/sessions") / session).unlink()
        assert workstation.states() == {session: CLOSED}
        remove_record(session)  # as a run does once the leader is gone, which this process is
    return seen[phase]


def is_counted(file: str) -> bool:
    """Not Python's own start and imports, which are counted as modules."""
    return not file.endswith((".pyc", ".so", "/hook")) and not file.startswith("/usr/lib/python")


@PHASES
def test_the_hook_imports_few_modules_and_each_is_known(phase: str) -> None:
    seen = login_and_logout(0, phase)
    bare = watch("-c", "pass").modules
    assert "pam_spice.reconcile" in seen.modules
    assert "yaml" not in seen.modules and "conf.parser" not in seen.modules
    assert len(seen.modules - bare) <= MODULES[phase], sorted(seen.modules - bare)


@PHASES
def test_the_hook_starts_no_process(phase: str) -> None:
    assert login_and_logout(0, phase).programs == 0


def test_a_program_that_is_started_would_be_counted() -> None:
    Workstation()
    assert watch("-c", "import os; os.system('true')").programs >= 1


@PHASES
def test_the_hook_opens_few_files(phase: str) -> None:
    bare = set(watch("-c", "pass").files)
    files = [file for file in login_and_logout(0, phase).files
             if is_counted(file) and file not in bare]
    assert paths.COMPILED in files
    assert len(files) <= FILES[phase], files


@PHASES
def test_of_a_large_policy_the_hook_reads_a_few_kilobytes(phase: str) -> None:
    seen = login_and_logout(20_000, phase)
    assert os.path.getsize(paths.COMPILED) > 2_000_000
    assert 0 < seen.policy_bytes <= POLICY_BYTES
    assert not seen.maps_policy, "what is mapped is not counted"
    assert paths.POLICY not in seen.files


@PHASES
def test_the_hook_opens_as_many_files_for_a_large_policy_as_for_a_small_one(phase: str) -> None:
    few = [file for file in login_and_logout(0, phase).files if is_counted(file)]
    ns.nft("delete table inet pam_spice")
    many = [file for file in _again(20_000, phase).files if is_counted(file)]
    assert len(many) == len(few)


def _again(grants: int, phase: str) -> Seen:
    (Path("/run/systemd/sessions")).rmdir()
    return login_and_logout(grants, phase)
