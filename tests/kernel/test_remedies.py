"""Remedies that are commands, typed as they stand: each mends what it is said of."""

import grp
import os
import shlex
import stat
import subprocess
from pathlib import Path

import pytest

from conf.lint.endpoints import CaFault
from conf.viewer import VIEWER_GROUP
from pam_spice import journal, reconcile, viewerfile
from pam_spice.doctor import policy, units, viewer
from pam_spice.linting import command_on, read_ca
from session.records import OPEN, Record
from tests.kernel import namespace as ns
from tests.unit.test_doctor import UNIT, WATCH
from tests.unit.test_linting import CA_SPAN, DER

ROOT = Path("/run/root")
OURS = f"usr/lib/systemd/system/{WATCH}"


def typed(remedy: str) -> None:
    """systemd's units are those of a directory."""
    command = remedy.replace("systemctl ", f"systemctl --root={ROOT} ")
    subprocess.run(["sh", "-ec", command], check=True, capture_output=True, timeout=30)


def install() -> None:
    for directory in ("etc/systemd/system", "run/systemd/system", "usr/lib/systemd/system"):
        (ROOT / directory).mkdir(parents=True)
    (ROOT / OURS).write_text("[Service]\nExecStart=/bin/true\n")


def below(directory: str) -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for path in (ROOT / directory).rglob("*")
                  if not path.is_dir())


def test_a_ca_file_in_der_form_is_good_then_and_as_readable_as_before() -> None:
    path = Path("/run/ca.pem")
    path.write_bytes(DER)
    path.chmod(0o664)
    os.chown(path, ns.USERS["anne"], 0)
    fault = read_ca(str(path))
    assert isinstance(fault, CaFault)
    typed(fault.remedy)
    assert read_ca(str(path)) == (CA_SPAN,)
    found = path.stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid) == (0o664, ns.USERS["anne"])


@pytest.mark.parametrize("place", ["home/ca.pem", "link.pem", "shared/ca.pem", "tmp/ca.pem"])
@pytest.mark.parametrize(("data", "mode"), [(DER, 0o644), (b"a secret of root's", 0o600)])
def test_no_command_is_told_of_a_place_in_which_a_user_can_put_a_link(
        place: str, data: bytes, mode: int) -> None:
    # chmod would open what his link leads to, openssl overwrite it.
    secret = Path("/run/secret")
    secret.write_bytes(data)
    secret.chmod(mode)
    for name, owner, rights in (("home", ns.USERS["anne"], 0o755), ("shared", 0, 0o777),
                                ("tmp", 0, 0o1777)):
        Path("/run", name).mkdir()
        Path("/run", name).chmod(rights)
        os.chown(f"/run/{name}", owner, 0)
    for name in ("home", "shared", "tmp"):
        Path("/run", name, "ca.pem").symlink_to(secret)
        os.lchown(f"/run/{name}/ca.pem", ns.USERS["anne"], 0)
    Path("/run/link.pem").symlink_to("home/ca.pem")
    fault = read_ca(f"/run/{place}")
    assert isinstance(fault, CaFault)
    assert "/run" not in fault.remedy
    assert fault.remedy.endswith("put a copy into /etc/pam-spice, and name that as ca_file")


def test_a_link_of_root_s_own_is_no_hindrance() -> None:
    Path("/run/tmp").mkdir()
    Path("/run/tmp").chmod(0o1777)
    Path("/run/tmp/ca.pem").write_bytes(DER)
    Path("/run/tmp/ca.pem").chmod(0o600)
    Path("/run/link.pem").symlink_to("../run/./tmp/ca.pem")
    fault = read_ca("/run/link.pem")
    assert isinstance(fault, CaFault)
    assert fault.remedy == "chmod a+r /run/link.pem"


@pytest.mark.parametrize("owner", ["root", "anne"])
def test_a_directory_that_a_user_can_change_for_a_link_is_opened_by_no_command(owner: str) -> None:
    home = Path("/run/home")
    (home / "certs").mkdir(parents=True)
    (home / "certs").chmod(0o700)
    os.chown(home, ns.USERS.get(owner, 0), 0)
    found = policy._closed_directory("/run/home/certs/ca.pem")
    assert found == "/run/home/certs"
    assert command_on(found, "chmod").startswith("chmod") == (owner == "root")


@pytest.mark.parametrize(("option", "state"), [
    ("", "masked"), ("--runtime ", "masked-runtime")])
def test_a_mask_is_gone_then(option: str, state: str) -> None:
    install()
    typed(f"systemctl mask {option}{WATCH}")
    assert len(below("etc") + below("run")) == 1
    found, = units._unit(WATCH, UNIT | {"LoadState": "masked", "UnitFileState": state})
    typed(found.remedy.partition(";")[0])
    assert below("etc") + below("run") == []


@pytest.mark.parametrize("directory", [
    f"etc/systemd/system/{WATCH}.d", f"run/systemd/system/{WATCH}.d",
    f"etc/systemd/system.control/{WATCH}.d", "etc/systemd/system/service.d",
    "etc/systemd/system/pam-.service.d", "run/systemd/system/pam-spice-.service.d",
    f"usr/lib/systemd/system/{WATCH}.d"])
def test_a_drop_in_that_revert_is_said_to_delete_is_gone_then_and_another_is_not(
        directory: str) -> None:
    install()
    path = ROOT / directory / "a.conf"
    path.parent.mkdir(parents=True)
    path.write_text("[Service]\nExecStart=/bin/false\n")
    way = units._way_back(WATCH, f"/{directory}/a.conf")
    typed(f"systemctl revert {WATCH}")
    assert path.exists() == (not way.startswith("systemctl revert "))
    assert OURS in below("usr")


def test_the_unit_that_lies_before_the_package_s_is_gone_then() -> None:
    install()
    path = ROOT / "etc/systemd/system" / WATCH
    path.write_text("[Service]\nExecStart=/bin/false\n")
    typed(units._way_back(WATCH, f"/etc/systemd/system/{WATCH}"))
    assert below("etc") == []


@pytest.mark.parametrize("name", [r"CORP\anne", "domain user", "$(touch /run/done)", "a;b", "a'b"])
def test_an_odd_name_is_one_word_of_the_command(
        monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    group = grp.struct_group((VIEWER_GROUP, "x", ns.VIEWER_GID, [name]))
    monkeypatch.setattr(grp, "getgrnam", lambda _: group)
    monkeypatch.setattr(viewer, "_first_group", lambda *_: {name})
    monkeypatch.setattr(viewerfile, "fault", lambda _: None)
    remedies = [found.remedy for found in viewer.group_findings([])]
    member = Record("3", 1001, name, 1, 1, 1, "", OPEN, {}, [])
    logged: list[str] = []
    monkeypatch.setattr(journal, "log", lambda _level, text, **_: logged.append(text))
    assert reconcile._barred(group, [member], False) == [member]
    commands = [remedies[0].partition("; programs")[0], remedies[1],
                logged[0].rpartition("run ")[2]]
    assert [shlex.split(each) for each in commands] == [
        ["gpasswd", "-d", name, VIEWER_GROUP], ["usermod", "-g", "OTHERGROUP", name],
        ["gpasswd", "-d", name, VIEWER_GROUP]]
    for command in commands:
        typed(f"{command.split(' ')[0]}() {{ :; }}; {command}")
    assert not Path("/run/done").exists()
