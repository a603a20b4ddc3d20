"""Whom the policy names: its users, and who is in its groups."""

import grp
import os
import pwd

from conf.model import Policy, SubjectKind


class People:
    """The accounts that there are of them, by name, each once."""

    def __init__(self, policy: Policy | None) -> None:
        subjects = sorted({grant.subject for grant in policy.grants} if policy else (),
                          key=lambda subject: (subject.kind, subject.name))
        names = {subject.name for subject in subjects if subject.kind is SubjectKind.USER}
        for subject in subjects:
            if subject.kind is SubjectKind.GROUP:
                try:
                    names.update(grp.getgrnam(subject.name).gr_mem)
                except KeyError:
                    continue
        self._accounts = {name: account for name in sorted(names)
                          if (account := _account(name)) is not None}
        self.names = list(self._accounts)

    def subjects(self, user: str) -> list[str]:
        """What grants may call him: himself and his groups."""
        account = self._accounts[user]
        found = [f"user:{user}"]
        for gid in os.getgrouplist(user, account.pw_gid):
            try:
                found.append(f"group:{grp.getgrgid(gid).gr_name}")
            except KeyError:
                continue
        return found


def _account(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None
