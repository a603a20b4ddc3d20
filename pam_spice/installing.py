"""Putting pam-spice onto a workstation and taking it off: steps that say what they do.

Each step can be asked whether there is anything to do, so that setup can run at any time.
"""

import grp
import os
import shutil
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from conf.compiling import Source
from conf.files import write_atomically
from conf.lookup import CompiledPolicy, Unusable
from conf.model import Policy, Workstation
from conf.viewer import VIEWER, VIEWER_GROUP
from pam_spice import landlock, layout, menuentry, pamstack, paths, viewerfile
from pam_spice.firewall import nft
from pam_spice.naming import viewer_gid
from pam_spice.policy import is_in_force
from pam_spice.run import CommandFailed, run

_SOURCE = Path(__file__).resolve().parent.parent
_TREES = (*layout.PACKAGES, "man", "docs")
_ICONS = "/usr/share/icons/hicolor"
UNITS = ("pam-spice-guard.service", "pam-spice-reconcile.timer", "pam-spice-reconcile.path",
         "pam-spice-watch.service", "pam-spice-doctor.timer", "pam-spice-doctor.path")
SERVICES = ("pam-spice-reconcile.service", "pam-spice-doctor.service")  # started by the others
_UNIT_DIRECTORY = "/etc/systemd/system"
_PACKAGES_UNITS = "/usr/lib/systemd/system"
_POLICY_D = "/etc/pam-spice/policy.d"
_DPKG_STATOVERRIDE = "/usr/bin/dpkg-statoverride"
_DEBCONF_PATIENCE = 30.0  # seconds, for a package that is being installed


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do: what, whether it is done already, and how."""

    describe: str
    is_done: Callable[[], bool]
    execute: Callable[[], object]


def is_packaged() -> bool:
    """Whether a package brought the files of pam-spice, and looks after them."""
    return _is_there(f"{_PACKAGES_UNITS}/{UNITS[0]}")


def is_checkout() -> bool:
    """Whether this code runs from elsewhere than where it is installed."""
    return str(_SOURCE) != paths.PREFIX


def setup_steps() -> list[Step]:
    """All of an installation, in order. What binds users comes once there is a policy."""
    steps = [] if is_packaged() else _file_steps()
    steps += [
        Step("create the directories in /run and /var/lib", _directories_are_there,
             lambda: run(["/usr/bin/systemd-tmpfiles", "--create", "pam-spice.conf"])),
        Step(f"create {_POLICY_D}", lambda: os.path.isdir(_POLICY_D),
             lambda: os.makedirs(_POLICY_D, 0o755)),
    ]
    if is_in_force():
        steps += piece_steps()
    # The watcher is a running process: new code must be started.
    is_new = any(not step.is_done() for step in steps)
    return [
        *steps,
        units_step(is_new),
        Step("put firewall and sudo as the policy says" if is_in_force() else
             "note that there is no policy yet: PAM, sudo, viewer and firewall stay as they are",
             lambda: False,
             lambda: run(["/usr/sbin/pam-spice", "reconcile"])),
    ]


def piece_steps() -> list[Step]:
    """What lies outside our own files and binds users; reconcile sees to firewall and sudoers."""
    return [group_step(), viewer_step(), menu_step(), *pam_steps()]


def was_never_in_place() -> bool:
    """Whether none of the pieces has ever been put onto this workstation: also without its group
    the viewer keeps the number of it."""
    try:
        is_as_packaged = os.stat(VIEWER).st_gid == 0
    except OSError:
        is_as_packaged = True
    return viewer_gid() is None and not pamstack.PROFILE.exists() and is_as_packaged


def group_step() -> Step:
    """The viewer's group."""
    return Step(f"create the group {VIEWER_GROUP}", lambda: viewer_gid() is not None,
                lambda: run(["/usr/sbin/groupadd", "--system", VIEWER_GROUP]))


def viewer_step() -> Step:
    """The viewer's owner and mode, kept over updates of its package."""
    return Step(f"let only root and {VIEWER_GROUP} execute {VIEWER}", _viewer_is_closed,
                _close_viewer)


def menu_step() -> Step:
    """virt-viewer's own entry out of the menus: it would start what nobody may."""
    return Step(f"take virt-viewer's entry out of the menus ({menuentry.PATH})",
                menuentry.is_there, menuentry.hide)


def units_step(is_new: bool = False) -> Step:
    """The units; with ``is_new`` their code is, and they are started anew."""
    return Step("enable and start the units", lambda: not is_new and _units_are_active(),
                _start_units)


def _file_steps() -> list[Step]:
    steps = []
    if is_checkout():
        steps += [Step(f"copy {package} to {paths.PREFIX}", _tree_is_copied(package),
                       _copy_tree(package)) for package in _TREES]
    for files, mode in ((layout.PROGRAMS, 0o755), (layout.DATA, 0o644)):
        for name, target in files.items():
            step = _file(target, (_SOURCE / name).read_bytes(), mode)
            steps.append(_in_icon_cache(step) if target.startswith(f"{_ICONS}/") else step)
    for unit in (*UNITS, *SERVICES):
        steps.append(_file(f"{_UNIT_DIRECTORY}/{unit}",
                           (_SOURCE / "conf/system" / unit).read_bytes(), 0o644))
    return steps


def uninstall_steps() -> list[Step]:
    """The way back; the policy stays, and so does the guard's table until the end. A package's
    files are left to its package manager."""
    return [
        *([Step("stop the units", lambda: False,
                # One that is at work would put back what goes here.
                lambda: run([paths.SYSTEMCTL, "stop", *UNITS, *SERVICES]))]
          if is_packaged() else _units_go()),
        Step("take the hook out of PAM", lambda: not pamstack.PROFILE.exists(), _remove_pam),
        _remove(paths.SUDOERS),
        Step(f"give {VIEWER} back to everybody", _viewer_is_open, _open_viewer),
        Step(f"remove {menuentry.PATH}", lambda: not menuentry.is_ours(), menuentry.show),
        *([] if is_packaged() else _files_go()),
        *(_remove_tree(path) for path in (paths.STATE, paths.RUN)),
        Step(f"remove the group {VIEWER_GROUP}", lambda: viewer_gid() is None,
             lambda: run(["/usr/sbin/groupdel", VIEWER_GROUP])),
        Step("take the guard out of the kernel", lambda: nft.observe() is None,
             lambda: nft.apply(f"delete table {nft.TABLE}\n")),
    ]


def _units_go() -> list[Step]:
    return [
        Step("stop and disable the units", lambda: not _is_there(f"{_UNIT_DIRECTORY}/{UNITS[0]}"),
             lambda: (run([paths.SYSTEMCTL, "disable", "--now", *UNITS]),
                      run([paths.SYSTEMCTL, "stop", *SERVICES]))),
        *(_remove(f"{_UNIT_DIRECTORY}/{unit}") for unit in (*UNITS, *SERVICES)),
        Step("let systemd forget the units", lambda: False,
             lambda: run([paths.SYSTEMCTL, "daemon-reload"])),
    ]


def _files_go() -> list[Step]:
    files = (*layout.DATA.values(), *layout.PROGRAMS.values())
    return [*(_remove(path) for path in files if not path.startswith(f"{paths.PREFIX}/")),
            _remove_tree(paths.PREFIX)]


def carry_out(steps: list[Step], dry_run: bool) -> int:
    """Do what is not done yet and print it; returns how many steps that were.

    Raises CommandFailed or OSError at the first step that fails.
    """
    count = 0
    for step in steps:
        if step.is_done():
            continue
        count += 1
        print(f"{'would ' if dry_run else ''}{step.describe}")
        if not dry_run:
            step.execute()
    return count


# Files

def _is_there(path: str) -> bool:
    return os.path.lexists(path)


def _file(path: str, content: bytes, mode: int) -> Step:
    def is_done() -> bool:
        try:
            found = os.lstat(path)
            return (stat.S_ISREG(found.st_mode) and stat.S_IMODE(found.st_mode) == mode
                    and found.st_uid == 0 and Path(path).read_bytes() == content)
        except OSError:
            return False

    def execute() -> None:
        os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
        write_atomically(path, content, mode)

    return Step(f"write {path}", is_done, execute)


def _in_icon_cache(step: Step) -> Step:
    def execute() -> None:
        step.execute()
        # Toolkits look only there when they judge whether their cache of icons is still true.
        os.utime(_ICONS)

    return Step(step.describe, step.is_done, execute)


def _remove(path: str) -> Step:
    return Step(f"remove {path}", lambda: not _is_there(path), lambda: os.unlink(path))


def _remove_tree(path: str) -> Step:
    return Step(f"remove {path}", lambda: not _is_there(path), lambda: shutil.rmtree(path))


def _sources(root: Path, package: str) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes()
            for path in sorted((root / package).rglob("*"))
            if path.is_file() and "__pycache__" not in path.parts}


def _tree_is_copied(package: str) -> Callable[[], bool]:
    return lambda: (_sources(_SOURCE, package) == _sources(Path(paths.PREFIX), package))


def _copy_tree(package: str) -> Callable[[], None]:
    def copy() -> None:
        target = Path(paths.PREFIX, package)
        fresh = Path(paths.PREFIX, f".{package}.new")
        for directory in (fresh, Path(paths.PREFIX, f".{package}.old")):
            shutil.rmtree(directory, ignore_errors=True)
        os.makedirs(paths.PREFIX, 0o755, exist_ok=True)
        for name, content in _sources(_SOURCE, package).items():
            path = fresh / Path(name).relative_to(package)
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(0o644)
        # Modules are compiled now: a login must neither compile nor write them. The path inside
        # is the final one, for tracebacks.
        run(["/usr/bin/python3", "-I", "-m", "compileall", "-q", "-s", str(fresh),
             "-p", str(target), str(fresh)])
        if target.exists():
            target.rename(Path(paths.PREFIX, f".{package}.old"))
        fresh.rename(target)
        shutil.rmtree(Path(paths.PREFIX, f".{package}.old"), ignore_errors=True)

    return copy


def _directories_are_there() -> bool:
    return all(map(_is_there, (paths.STATE, paths.WAKE, f"{paths.RUN}/sessions")))


# The viewer

def _viewer_is_closed() -> bool:
    gid = viewer_gid()
    return (gid is not None and viewerfile.fault(gid) is None
            and not lacks_override())


def _viewer_is_open() -> bool:
    return stat.S_IMODE(os.stat(VIEWER).st_mode) == 0o755 and not _override()


def lacks_override() -> bool:
    """Whether dpkg would give the viewer its package's owner and mode at the next update."""
    return (_is_there(_DPKG_STATOVERRIDE)
            and f"root {VIEWER_GROUP} {viewerfile.MODE:o} " not in _override())


def _override() -> str:
    if not _is_there(_DPKG_STATOVERRIDE):
        return ""
    return run([_DPKG_STATOVERRIDE, "--list", VIEWER], ok=(0, 1)).output.decode()


def _close_viewer() -> None:
    if _is_there(_DPKG_STATOVERRIDE):
        if _override():
            run([_DPKG_STATOVERRIDE, "--remove", VIEWER])
        # dpkg then keeps owner and mode over updates of the package.
        run([_DPKG_STATOVERRIDE, "--update", "--add", "root", VIEWER_GROUP, "0750", VIEWER])
    with suppress(OSError):  # it has none, or the file system knows none
        os.removexattr(VIEWER, "system.posix_acl_access")
    os.chown(VIEWER, 0, grp.getgrnam(VIEWER_GROUP).gr_gid)
    os.chmod(VIEWER, viewerfile.MODE)


def _open_viewer() -> None:
    if _override():
        run([_DPKG_STATOVERRIDE, "--remove", VIEWER])
    os.chown(VIEWER, 0, 0)
    os.chmod(VIEWER, 0o755)  # noqa: S103 - as the package ships it


# PAM

def services(policy: Policy | None) -> tuple[str, ...]:
    """Those that count: where the policy is unusable, as for a reconcile, what counted before."""
    if policy is not None:
        return policy.workstation.services
    try:
        return CompiledPolicy(paths.COMPILED).settings.services
    except Unusable:
        return Workstation().services


def pam_steps() -> list[Step]:
    """The lines of the hook; none where there is no pam-auth-update(8)."""
    if not _is_there(pamstack.PAM_AUTH_UPDATE):
        return []
    count = services(Source(paths.POLICY).parsed.policy)
    return [Step("put the hook into PAM's session stack, after pam_systemd",
                 lambda: pamstack.is_in_place(count),
                 lambda: pamstack.install(count, _DEBCONF_PATIENCE))]


def setup_notes() -> list[str]:
    """What setup leaves to the admin, each with its reason."""
    parsed = Source(paths.POLICY).parsed
    count = services(parsed.policy)
    notes = [f"{service} is left out: its PAM stack reads ~/.pam_environment, which would let "
             f"users run code in the hook. Drop user_readenv from /etc/pam.d/{service} and run "
             f"setup again." for service in pamstack.split_services(count)[1]]
    if not landlock.is_there():
        notes.append(f"The viewer will not be confined: {landlock.NO_LANDLOCK}.")
    if not _is_there(pamstack.PAM_AUTH_UPDATE):
        lines = "".join(f"    session {line.strip()}\n"
                        for line in pamstack.stack_lines(pamstack.profile(count)))
        notes.append("There is no pam-auth-update here: put these lines after pam_systemd's into "
                     "the session stack of the services that count:\n" + lines.rstrip())
    if os.path.exists(paths.POLICY) and parsed.policy is None:
        notes.append("The policy can't be used, so nobody gets a console: see pam-spice check.")
    elif parsed.policy is not None and parsed.problems:
        notes.append("An entry of the policy has an error and grants nothing: see pam-spice check.")
    for server in parsed.policy.servers.values() if parsed.policy else ():
        if not os.path.exists(server.ca_file):
            notes.append(f"The CA file {server.ca_file} is missing: no console of {server.name} "
                         f"can be opened. Copy it from the server.")
    if not os.path.exists(paths.POLICY):
        notes.append(f"Write your office into a copy of {paths.PREFIX}/conf/policy.yaml, try it "
                     f"with pam-spice check --online --policy FILE, and copy it to {paths.POLICY}: "
                     f"from then on it is in force.")
    return notes


def _remove_pam() -> None:
    pamstack.update("--remove", "pam-spice", patience=_DEBCONF_PATIENCE)
    os.unlink(pamstack.PROFILE)


# Units

def _units_are_active() -> bool:
    for verb in ("is-enabled", "is-active"):
        for unit in UNITS:
            # Without a policy the guard has nothing to load and its condition fails.
            if verb == "is-active" and unit == UNITS[0]:
                continue
            try:
                run([paths.SYSTEMCTL, "--quiet", verb, unit])
            except CommandFailed:
                return False
    return True


def _start_units() -> None:
    run([paths.SYSTEMCTL, "daemon-reload"])
    run([paths.SYSTEMCTL, "enable", *UNITS])
    run([paths.SYSTEMCTL, "restart", *UNITS])
