"""What in a policy is allowed but probably not meant. Pure: accounts, certificates, addresses and
the present instant are passed in. docs/lint.md explains each code."""

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


def lint(policy: Policy, written: Written, now: int, accounts: Accounts, read_ca: ReadCa,
         resolved: Resolved) -> list[Finding]:
    """All findings, in the order of the places they are about.

    ``now`` is in seconds since the epoch; ``resolved`` is empty where no names were asked for.
    """
    coming = Coming(now, policy.timezone)
    return sorted([
        *overlaps(policy, coming, accounts.is_member),
        *windows_in_time(policy, coming),
        *grants_in_time(policy, coming),
        *needless_grants(policy),
        *unused_entries(policy, written),
        *closed_consoles(policy, now),
        *unknown_accounts(policy, accounts),
        *workstation_names(policy, written),
        *same_endpoints(policy),
        *ca_files(policy, coming, read_ca),
        *host_names(policy, resolved),
    ], key=lambda finding: (written.files.index(finding.mark.file), finding.mark.line,
                            finding.mark.column, finding.code, finding.fact))
