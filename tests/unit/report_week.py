"""A week in a small office as the journal has it, for the report's tests and its picture."""

import json
from datetime import UTC, datetime
from pathlib import Path

from conf.model import Policy
from pam_spice.auditlog import Reader
from pam_spice.chart import chart_of, week_at
from pam_spice.report.facts import Facts, facts_of
from pam_spice.report.sudolog import SudoLog
from tests.unit.support import SERVER, policy_of

VIEWER_GID = 997
UIDS = {"maggie": 1021, "anne": 1022, "boss": 1023, "ralph": 1024}
ADDRESSES = "192.168.2.2,fd00::2"
PORTS = {"bookkeeping": 20001, "webdev": 20002, "analysis": 20003}
BOOT, NEXT_BOOT = "b1" * 16, "b2" * 16
POLICY = f"""\
timezone: Europe/Berlin
{SERVER}consoles:
  bookkeeping: {{server: mysrv, tls_port: 20001}}
  webdev:      {{server: mysrv, tls_port: 20002}}
  analysis:    {{server: mysrv, tls_port: 20003}}
grants:
  - {{user: maggie, console: webdev, when: [Mon, Tue]}}
  - {{user: anne, console: webdev, when: "Wed,Thu 08:00-12:00"}}
  - {{user: anne, console: bookkeeping, when: "Mon-Fri 08:00-17:00", reason: deputy of charlie}}
  - {{user: boss, console: bookkeeping, when: "Mon-Fri 18:00-22:00"}}
  - {{group: auditors, console: [bookkeeping, analysis], when: "Fri 22:00-06:00"}}
"""


def at(text: str) -> int:
    """An instant in UTC, of November 2026: ``24 17:30``."""
    day, _, clock = text.partition(" ")
    return int(datetime.fromisoformat(f"2026-11-{day}T{clock}").replace(tzinfo=UTC).timestamp())


def iso(text: str) -> str:
    """The same as the records' fields have it."""
    return datetime.fromtimestamp(at(text), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def line(when: str, **fields: str) -> bytes:
    """A record in journalctl's JSON."""
    return json.dumps({"__REALTIME_TIMESTAMP": str(at(when) * 1_000_000), "_BOOT_ID": BOOT,
                       **fields}).encode()


def ours(when: str, event: str, message: str = "", boot: str = BOOT, **fields: str) -> bytes:
    """A record of pam-spice's."""
    return line(when, _UID="0", _TRANSPORT="journal", SYSLOG_IDENTIFIER="pam-spice", PRIORITY="5",
                _BOOT_ID=boot, MESSAGE=f"{event}: {message}", PAM_SPICE_EVENT=event,
                **{f"PAM_SPICE_{name.upper()}": value for name, value in fields.items()})


def reach(console: str, start: str, end: str) -> str:
    """A line of the field ``consoles``."""
    return (f"{console} {ADDRESSES} {PORTS[console]} {iso(start)} "
            f"{iso(end) if end != '-' else '-'}")


def session(when: str, event: str, user: str, id_: str, reason: str, *consoles: str,
            boot: str = BOOT, **fields: str) -> bytes:
    """A record about a session."""
    more = {"consoles": "\n".join(consoles)} if event in ("open", "change", "extend") else {}
    return ours(when, event, boot=boot, user=user, uid=str(UIDS[user]), session=id_,
                reason=reason, revision="4bcc3eb58756", **more, **fields)


def sudo(when: str, user: str, pid: str, message: str, gid: int = 0, boot: str = BOOT,
         uid: int = 0) -> bytes:
    """A line that sudo, or somebody in its name, wrote."""
    uid = uid or UIDS[user]
    return line(when, _UID=str(uid), _GID=str(gid or uid), _PID=pid, _TRANSPORT="syslog",
                SYSLOG_IDENTIFIER="sudo", _BOOT_ID=boot, MESSAGE=message)


def command(user: str, console: str, what: str = "", directory: str = "") -> str:
    """sudo's line about a start."""
    return (f"  {user} : {what}TTY=tty1 ; PWD={directory or f'/home/{user}'} ; USER={user} ; "
            "GROUP=spicegrp ; COMMAND=/usr/lib/pam-spice/viewer "
            f"--spice-ca-file=/etc/pam-spice/mysrv-ca.pem --title={console} -- "
            f"spice://mysrv.example?tls-port={PORTS[console]}")


def viewer(user: str, console: str, pid: str, start: str, end: str | None,
           boot: str = BOOT) -> list[bytes]:
    """All that sudo writes about a viewer, from its start to its end."""
    opened = f"pam_unix(sudo:session): session opened for user {user}(uid={UIDS[user]}) by (uid=0)"
    closed = f"pam_unix(sudo:session): session closed for user {user}"
    lines = [sudo(start, user, pid, command(user, console), boot=boot),
             sudo(start, user, pid, opened, VIEWER_GID, boot)]
    return lines + ([sudo(end, user, pid, closed, VIEWER_GID, boot)] if end else [])


def kernel(when: str, user: str, console: str, gid: int, prefix: str = "deny") -> bytes:
    """A refused packet."""
    return line(when, _TRANSPORT="kernel", SYSLOG_FACILITY="0", PRIORITY="4", _BOOT_ID=BOOT,
                MESSAGE=f"pam-spice {prefix} IN= OUT=eth0 SRC=192.168.2.7 DST=192.168.2.2 "
                        f"PROTO=TCP SPT=40000 DPT={PORTS[console]} SYN UID={UIDS[user]} GID={gid} ")


SINCE, UNTIL = at("18 17:00"), at("25 17:00")


def week() -> list[bytes]:
    """The records, oldest first."""
    lines = [
        ours("18 17:30", "policy", boot=BOOT, revision="4bcc3eb58756", before="a1d0ba0ddfb7",
             outcome="valid", problems="0"),
        ours("18 17:29:50", "edit", boot=BOOT, by="olga", place="/etc/pam-spice/policy.yaml",
             revision="4bcc3eb58756"),
        session("19 07:02:11", "open", "anne", "2", "login",
                reach("bookkeeping", "19 07:02:11", "19 16:00"),
                reach("webdev", "19 07:02:11", "19 11:00"),
                reach("bookkeeping", "20 07:00", "20 16:00")),
        *viewer("anne", "bookkeeping", "2100", "19 07:05:40", "19 09:58:02"),
        *viewer("anne", "webdev", "2207", "19 10:01:30", "19 11:00:04"),
        ours("19 11:00:01", "cut", user="anne", uid="1022", reason="outside its time", count="4",
             consoles=f"webdev 192.168.2.2 {PORTS['webdev']} - -"),
        session("19 12:30:00", "wait", "ralph", "4", "another user is there"),
        session("19 12:41:19", "close", "ralph", "4", "logout"),
        session("19 16:10:33", "close", "anne", "2", "logout"),
        ours("20 08:15:00", "refuse", user="ralph", uid="1024", session="9", service="sshd",
             reason="logged in from another machine", revision="4bcc3eb58756"),
        *[kernel(f"20 08:1{minute}:0{second}", "ralph", "webdev", 1024)
          for minute in (6, 7, 8) for second in range(8)],
        sudo("20 08:20:00", "ralph", "3001",
             command("ralph", "webdev", "command not allowed ; ")),
        ours("22 03:10:07", "mend", what="guard", reason="the table was gone",
             foreign="chain:filter"),
        ours("23 09:00:00", "viewer-fault", "nothing opens for anybody, /usr/bin/remote-viewer is "
             "not as it should be: others may start it", reason="others may start it"),
        ours("23 09:01:00", "viewer-fault", "nothing opens for anybody, /usr/bin/remote-viewer is "
             "not as it should be: others may start it", reason="others may start it"),
        session("24 07:58:00", "open", "maggie", "3", "login",
                reach("webdev", "24 07:58", "24 23:00"), boot=NEXT_BOOT),
        *viewer("maggie", "webdev", "1500", "24 08:00:21", "24 11:45:00", NEXT_BOOT),
        *viewer("maggie", "webdev", "1911", "24 13:02:10", "24 13:02:10", NEXT_BOOT),
        session("24 16:31:00", "close", "maggie", "3", "logout", boot=NEXT_BOOT),
        ours("24 17:00:00", "grant", boot=NEXT_BOOT, user="ralph", uid="1024", by="olga",
             reason="month-end closing", revision="4bcc3eb58756",
             consoles=reach("bookkeeping", "25 09:00", "25 15:00")),
        session("25 09:12:00", "open", "ralph", "6", "login",
                reach("bookkeeping", "25 09:12", "25 15:00"), boot=NEXT_BOOT),
        *viewer("ralph", "bookkeeping", "2600", "25 09:13:00", None, NEXT_BOOT),
        session("25 14:00:00", "change", "ralph", "6", "revoked", boot=NEXT_BOOT, revoked="-"),
        ours("25 14:00:00", "cut", boot=NEXT_BOOT, user="ralph", uid="1024", reason="revoked",
             count="4", consoles=f"bookkeeping 192.168.2.2 {PORTS['bookkeeping']} - -"),
        ours("25 14:00:01", "revoke", boot=NEXT_BOOT, user="ralph", uid="1024", by="olga",
             reason="done early", revision="4bcc3eb58756"),
    ]
    return lines


def policy() -> Policy:
    """The policy of that office."""
    return policy_of(POLICY)


def facts(lines: list[bytes], since: int = SINCE, until: int = UNTIL) -> Facts:
    """What a report tells of these records."""
    names = {uid: name for name, uid in UIDS.items()}
    consoles = {(each.server.host, each.tls_port): [each.name]
                for each in policy().consoles.values()}
    reader = Reader(names.get, {(address, each.tls_port): [each.name]
                                for each in policy().consoles.values()
                                for address in each.server.addresses}, VIEWER_GID)
    sudo_log = SudoLog(reader.name, consoles, VIEWER_GID)
    for each in lines:
        sudo_log.take(each)
    events = (event for event in map(reader.event, lines) if event is not None)
    return facts_of(events, sudo_log, since, until)


def page_of(lines: list[bytes], since: int = SINCE, until: int = UNTIL) -> str:
    """The page about them."""
    from pam_spice.report.page import html_page

    own = policy()
    chart = chart_of(own, week_at(until - 1, own.timezone), until, "front-1")
    return html_page(facts(lines, since, until), chart, own.timezone, "front-1")


if __name__ == "__main__":
    Path("report.html").write_text(page_of(week()), encoding="utf-8")
