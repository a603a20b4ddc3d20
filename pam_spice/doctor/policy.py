"""The policy as it counts, and what its servers need here: CA files and host names."""

import os
import stat
from collections.abc import Iterator

from conf.compiling import MISSING, UNUSABLE, WITH_PROBLEMS
from conf.lint.coming import Coming
from conf.lint.endpoints import ca_files, host_names
from conf.lint.findings import Code as LintCode
from conf.lookup import CompiledPolicy
from conf.model import Policy
from pam_spice import paths
from pam_spice.doctor.findings import FIX, Code, Finding, Piece
from pam_spice.linting import command_on, read_ca, resolve

RESOLVE_SECONDS = 5.0


def policy_findings(compiled: CompiledPolicy | None, now: int) -> Iterator[Finding]:
    """Whether it is usable, whole, and the one on the disk."""
    if compiled is None or not compiled.is_current(now):
        yield Finding(Code.POLICY_STALE, f"{paths.COMPILED} is not the policy of {paths.POLICY}",
                      FIX, Piece.POLICY)
        return
    if compiled.outcome in (MISSING, UNUSABLE):
        yield Finding(Code.POLICY_UNUSABLE, f"the policy is {compiled.outcome}: nobody gets a "
                      f"console, and what was guarded stays so",
                      "pam-spice check" if compiled.outcome == UNUSABLE
                      else f"write {paths.POLICY}; to be rid of it: remove the package, or "
                           f"pam-spice uninstall where it came from a checkout")
    elif compiled.outcome == WITH_PROBLEMS:
        yield Finding(Code.POLICY_PROBLEMS, "entries of the policy have an error and grant "
                      "nothing", "pam-spice check")


def server_findings(policy: Policy | None, now: int) -> Iterator[Finding]:
    """The files and names by which consoles are reached."""
    if policy is None:
        return
    for finding in ca_files(policy, Coming(now, policy.timezone), read_ca):
        yield Finding(Code.CA_EXPIRES_SOON if finding.code is LintCode.CA_EXPIRES_SOON
                      else Code.CA_UNUSABLE, finding.fact, finding.remedy)
    for path in dict.fromkeys(server.ca_file for server in policy.servers.values()):
        directory = _closed_directory(path)
        if directory is not None:
            yield Finding(Code.CA_UNUSABLE, f"CA file {path} can't be read by users: {directory} "
                          f"lets none of them through",
                          command_on(directory, f"chmod a+x {directory}"))
    hosts = [server.host for server in policy.servers.values()]
    for finding in host_names(policy, resolve(hosts, RESOLVE_SECONDS)):
        yield Finding(Code.HOST_ELSEWHERE, finding.fact, finding.remedy)


def _closed_directory(path: str) -> str | None:
    """The first directory on the way that users can't pass; the viewer runs as one of them."""
    directory = ""
    for part in os.path.dirname(path).split("/"):
        directory = os.path.join(directory or "/", part)
        try:
            found = os.stat(directory)
        except OSError:
            return None  # the file is missing, which is said already
        if not stat.S_IMODE(found.st_mode) & stat.S_IXOTH and not _has_access_list(directory):
            return directory
    return None


def _has_access_list(path: str) -> bool:
    """Whether acl(5) may let in whom the mode doesn't."""
    try:
        return "system.posix_acl_access" in os.listxattr(path)
    except OSError:  # a file system that knows none
        return False
