"""What a login imports: measured in a fresh interpreter, as pam_exec starts it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SLOW = ["yaml", "json", "re", "enum", "dataclasses", "typing", "pyroute2", "subprocess", "datetime",
        "zoneinfo", "signal", "collections", "argparse", "pathlib", "logging", "ctypes", "socket",
        "hashlib", "site", "functools", "contextlib"]
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable


def modules_after(code: str) -> set[str]:
    """The modules that are loaded after this code in ``python3 -I -S``."""
    text = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}\nprint(' '.join(sys.modules))"
    result = subprocess.run([PYTHON, "-I", "-S", "-B", "-c", text], capture_output=True, text=True,
                            timeout=30, env={})
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


def test_the_hook_s_import_closure_has_nothing_slow() -> None:
    loaded = modules_after("import pam_spice.hook, pam_spice.reconcile, pam_spice.journal, "
                           "pam_spice.run, pam_spice.policy, pam_spice.sockets")
    assert "pam_spice.reconcile" in loaded
    assert sorted(loaded & set(SLOW)) == []


@pytest.mark.parametrize("module", ["conf.files", "conf.lookup", "conf.grantline", "conf.intervals",
                                    "conf.viewer", "session.logind", "session.records",
                                    "session.eligibility", "session.processes",
                                    "pam_spice.desired", "pam_spice.firewall.netlink"])
def test_each_module_of_the_login_path_alone_has_nothing_slow(module: str) -> None:
    assert sorted(modules_after(f"import {module}") & set(SLOW)) == []


def test_a_whole_login_and_logout_import_nothing_slow() -> None:
    """Not only what is imported at the top: also what is imported on the way."""
    from tests.kernel.workstation import Workstation
    workstation = Workstation()
    workstation.policy()
    workstation.reconcile()
    login = workstation.log_in("3", "anne")
    code = f"""
from pam_spice.reconcile import Reconciliation
Reconciliation({login}, "open").run()
"""
    assert sorted(modules_after(code) & set(SLOW)) == []
    assert workstation.states() == {"3": "open"}
    assert sorted(modules_after(code.replace('"open"', '"close"')) & set(SLOW)) == []
    assert workstation.states() == {"3": "closed"}


def test_the_timer_s_run_imports_no_other_verb_and_nothing_that_parses_policies() -> None:
    from tests.kernel.workstation import Workstation
    workstation = Workstation()
    workstation.policy()
    workstation.reconcile()
    loaded = modules_after("from pam_spice.cli import main\nassert main(['reconcile']) == 0")
    assert {name for name in loaded if name.startswith("pam_spice.verbs.")} == {
        "pam_spice.verbs.reconcile"}
    assert sorted(loaded & {"yaml", "conf.model", "conf.parser", "conf.compiling"}) == []


def test_what_spice_open_imports_before_sudo_is_started_has_nothing_slow() -> None:
    loaded = modules_after("import launcher.spice_open, launcher.parent")
    assert "launcher.viewing" in loaded
    assert sorted(loaded & set(SLOW)) == []


def test_the_hook_takes_under_a_second_in_a_cold_interpreter() -> None:
    before = time.monotonic()
    modules_after("import pam_spice.hook, pam_spice.reconcile")
    assert time.monotonic() - before < 1, json.dumps(sorted(modules_after("pass")))
