"""Policies of any size: an office in which myself and mybro have one console each."""

from __future__ import annotations

from collections.abc import Sequence

USERS = 20_000
CONSOLES = 1_000

_WHEN = ("", ", when: evenings", ", when: [Mon, Tue]",
         ', when: ["Wed,Thu 08:00-12:00", "Wed,Thu 12:30-17:00"]')


def office(grants: int, services: Sequence[str] = ("login",), require_seat: bool = True) -> str:
    """A policy of that many grants, two at least: the first is myself's, the second mybro's, the
    others are of as many users as there are grants, up to 20,000, and of up to 1,000 consoles.

    The server, its guarded ports and what the two have are the same at all sizes.
    """
    users = ["myself", "mybro", *(f"user{number}" for number in range(2, USERS))]
    lines = ["timezone: Europe/Berlin", "servers:", "  mysrv:", "    host: mysrv",
             '    addresses: [192.168.2.2, "fd00::2"]', "    guarded_ports: [20001-21000]",
             "    ca_file: /etc/pam-spice/mysrv-ca.pem", "consoles:"]
    lines += [f"  c{number}: {{server: mysrv, tls_port: {20001 + number}}}"
              for number in range(min(grants, CONSOLES))]
    lines += ["windows:", "  evenings: [Mon-Fri 18:00-22:00]", "grants:"]
    others = [users[2 + number % (USERS - 2)] for number in range(grants - 2)]
    lines += [f"  - {{user: {user}, console: c{number % CONSOLES}"
              f"{_WHEN[number % len(_WHEN)] if number > 1 else ''}}}"
              for number, user in enumerate([*users[:2], *others])]
    lines += ["workstation:", f"  services: [{', '.join(services)}]",
              f"  require_seat: {str(require_seat).lower()}", "  sudo_password: false"]
    return "\n".join([*lines, ""])
