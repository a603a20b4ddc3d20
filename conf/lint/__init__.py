"""What in a policy is allowed but probably not meant. Pure: accounts, certificates, addresses and
the present instant are passed in. docs/lint.md explains each code."""

from dataclasses import replace

from conf.lint.coming import Coming
from conf.lint.endpoints import ReadCa, Resolved, ca_files, host_names, same_endpoints
from conf.lint.findings import Finding
from conf.lint.grants import needless_grants
from conf.lint.names import (
    Accounts,
    closed_consoles,
    unknown_accounts,
    unused_entries,
    workstation_names,
)
from conf.lint.overlaps import overlaps
from conf.lint.times import grants_in_time, windows_in_time
from conf.lint.written import Written
from conf.model import Policy
from conf.sources import is_temporary


def lint(policy: Policy, written: Written, now: int, accounts: Accounts, read_ca: ReadCa,
         resolved: Resolved) -> list[Finding]:
    """All findings, in the order of the places they are about.

    ``now`` is in seconds since the epoch; ``resolved`` is empty where no names were asked for.
    """
    coming = Coming(now, policy.timezone)
    # What was granted for a time was meant as it is, nobody can give it other times, and it goes
    # by itself: told, it would hide what is to be mended.
    lasting = replace(policy, grants=tuple(
        grant for grant in policy.grants if not is_temporary(grant.mark.file, written.files[0])))
    return sorted([
        *overlaps(lasting, coming, accounts.is_member),
        *windows_in_time(policy, coming),
        *grants_in_time(lasting, coming),
        *needless_grants(lasting),
        *unused_entries(policy, written),
        *closed_consoles(policy, now),
        *unknown_accounts(policy, accounts),
        *workstation_names(policy, written),
        *same_endpoints(policy),
        *ca_files(policy, coming, read_ca),
        *host_names(policy, resolved),
    ], key=lambda finding: (written.files.index(finding.mark.file), finding.mark.line,
                            finding.mark.column, finding.code, finding.fact))
