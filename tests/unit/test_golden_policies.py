"""Policies to what nft and sudo are told, word by word; tests/kernel gives both to the tools."""

from pathlib import Path

import pytest

from conf.compiling import grant_lines, guarded_endpoints
from conf.model import Policy, Subject, SubjectKind
from conf.zones import load_zone, offsets_between
from pam_spice import sudoers
from pam_spice.desired import chain_of, horizon
from pam_spice.firewall import nft
from tests.unit.conftest import GOLDEN, Golden
from tests.unit.nft_language import open_text
from tests.unit.support import NOON, policy_of, record

POLICIES = sorted((GOLDEN / "policies").glob("*.yaml"))
GID = 997

policies = pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)


def read(path: Path) -> Policy:
    return policy_of(path.read_text())


@policies
def test_a_policy_s_guard_is_its_golden_file(path: Path, golden: Golden) -> None:
    from conf.compiling import _without_overlaps

    endpoints = _without_overlaps(guarded_endpoints(read(path)))
    golden(path.with_suffix(".guard.nft"), nft.render_guard(endpoints))


@policies
def test_a_policy_s_sudoers_are_its_golden_file(path: Path, golden: Golden) -> None:
    policy = read(path)
    lines = [line for grant in policy.grants for line in grant_lines(grant, *horizon(NOON))]
    golden(path.with_suffix(".sudoers"),
           sudoers.render(lines, policy.workstation.sudo_password))


@policies
def test_each_user_s_chain_is_its_golden_file(path: Path, golden: Golden) -> None:
    """On Monday 2026-11-23 at noon UTC; groups are taken for users of their own."""
    policy = read(path)
    text = ""
    offsets = {policy.timezone: offsets_between(load_zone(policy.timezone), *horizon(NOON))}
    subjects: dict[Subject, None] = dict.fromkeys(grant.subject for grant in policy.grants)
    for number, subject in enumerate(subjects):
        lines = [line for grant in policy.grants if grant.subject == subject
                 for line in grant_lines(grant, *horizon(NOON))]
        chain = chain_of([record(grants=tuple(lines), offsets=offsets)], GID, NOON)
        what = "group" if subject.kind == SubjectKind.GROUP else "user"
        text += f"# {what} {subject.name}\n" + open_text(3000 + number, chain)
    golden(path.with_suffix(".chains.nft"), text)
