"""systemd's units: there, enabled, running, and nobody's changes in them that stop them."""

import re
from collections.abc import Iterator

from pam_spice import installing, paths
from pam_spice.doctor.findings import FIX, Code, Finding, Piece
from pam_spice.run import CommandFailed, run

_PROPERTIES = "Id,LoadState,UnitFileState,ActiveState,FragmentPath,DropInPaths,ConditionResult"
_ADMINS = ("/etc/systemd/system", "/run/systemd/system", "/etc/systemd/system.control",
           "/run/systemd/system.control")
_CHANGES_WHAT_IT_DOES = re.compile(
    r"^\s*(Exec\w+|Condition\w+|Assert\w+|Type|User|DynamicUser|RootDirectory|RootImage|Unit"
    r"|On\w+Sec|OnCalendar|OnClockChange|OnTimezoneChange|Path\w+|DirectoryNotEmpty|Restart)\s*=",
    re.MULTILINE)
"""Settings of systemd.unit(5), .service, .timer and .path by which a unit does not do its work any
more; limits, and what confines it, may be a site's own."""


def unit_findings() -> Iterator[Finding]:
    """What systemd says of each of our units."""
    names = (*installing.UNITS, *installing.SERVICES)
    try:
        said = run([paths.SYSTEMCTL, "show", f"--property={_PROPERTIES}", *names],
                   timeout=10).output.decode("utf-8", "replace")
    except CommandFailed as error:
        yield Finding(Code.UNIT_STOPPED, f"systemd does not say how pam-spice's units are: "
                      f"{error.what}", "find out why: systemctl status")
        return
    for block in said.strip().split("\n\n"):
        unit = dict(line.partition("=")[::2] for line in block.split("\n"))
        yield from _unit(unit.get("Id", ""), unit)


def _unit(name: str, unit: dict[str, str]) -> Iterator[Finding]:
    if unit["LoadState"] == "masked" or unit["UnitFileState"].startswith("masked"):
        where = " --runtime" if unit["UnitFileState"] == "masked-runtime" else ""
        yield Finding(Code.UNIT_MASKED, f"{name} is masked: it never runs",
                      f"systemctl unmask{where} {name}; {FIX}")
        return
    if unit["LoadState"] != "loaded":
        yield Finding(Code.UNIT_MISSING, f"systemd can't use {name}: {unit['LoadState']}",
                      "install pam-spice anew: apt install --reinstall ./pam-spice_*_all.deb, or "
                      "in its checkout python3 -m pam_spice setup")
        return
    if name in installing.UNITS:
        if unit["UnitFileState"] != "enabled":
            yield Finding(Code.UNIT_DISABLED, f"{name} is {unit['UnitFileState'] or 'not enabled'}:"
                          f" it does not start at boot", FIX, Piece.UNITS)
        # A guard whose condition failed had nothing to load: that is looked at elsewhere.
        if (unit["ActiveState"] not in ("active", "activating", "reloading")
                and not (name == installing.UNITS[0] and unit["ActiveState"] == "inactive"
                         and unit["ConditionResult"] == "no")):
            yield Finding(Code.UNIT_STOPPED, f"{name} is {unit['ActiveState']}", FIX, Piece.UNITS)
    elif unit["ActiveState"] == "failed":
        yield Finding(Code.UNIT_STOPPED, f"the last run of {name} failed",
                      f"see why: journalctl -u {name}")
    changed = [path for path in unit["DropInPaths"].split() if _changes_it(path)]
    if installing.is_packaged() and unit["FragmentPath"].startswith("/etc/"):
        changed.append(unit["FragmentPath"])
    for path in changed:
        yield Finding(Code.UNIT_OVERRIDDEN, f"{path} changes what {name} does",
                      f"look at it: systemctl cat {name}; back to ours: {_way_back(name, path)}"
                      # Of the guard's nothing runs: it has loaded its file at boot.
                      + ("" if name == installing.UNITS[0] else f"; systemctl try-restart {name}"))


def _way_back(name: str, path: str) -> str:
    """systemctl(1): revert deletes what is the admin's and of that unit alone. Not what is for
    several units, as in service.d, and nothing of /usr."""
    directory, _, last = path.rpartition("/")
    if last == name or directory in {f"{each}/{name}.d" for each in _ADMINS}:
        return f"systemctl revert {name}"
    return f"take it out of {path}; systemctl daemon-reload"


def _changes_it(path: str) -> bool:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return bool(_CHANGES_WHAT_IT_DOES.search(file.read()))
    except OSError:
        return True
