"""What ``pam-spice status`` shows: its JSON document as lines for a person. Pure.

The document's keys are those of ``status --json``; times in it are ISO 8601.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from typing import Any

from conf.problems import how_many, printable
from conf.zones import told
from pam_spice import landlock, paths

Document = dict[str, Any]


class Tone(Enum):
    """How a line is meant. Its words say so too; a colour only helps to find it."""

    PLAIN = ""
    GOOD = "32"
    BAD = "1;31"


Line = tuple[str, Tone]


def faults(document: Document) -> list[str]:
    """What is not as it should be, in a few words each; none: all is well."""
    guard, policy, viewer = document["guard"], document["policy"], document["viewer"]
    if _is_before_a_policy(document):
        return ["nothing is guarded before there is a policy"]
    found = []
    if not guard["loaded"]:
        found.append("guard NOT LOADED" if guard["endpoints"] else "nothing is guarded")
    if policy["outcome"] != "valid":
        found.append({"missing": "there is no policy",
                      "unusable": "the policy is UNUSABLE",
                      "with-problems": "the policy has ERRORS"}.get(
                          policy["outcome"], "the policy is NOT COMPILED"))
    if viewer["fault"] is not None:
        found.append(f"the viewer is NOT GUARDED ({viewer['fault']}), nothing is open")
    if not viewer["confined"]:
        found.append("the viewer is NOT CONFINED")
    if document["watcher"] not in ("active", None):
        found.append(f"the watcher is NOT RUNNING ({document['watcher']})")
    if document["revoked"] is None:
        found.append("the list of revocations is DAMAGED")
    return found


def _is_before_a_policy(document: Document) -> bool:
    """Nothing is enforced before the first one; after it, what it guarded stays guarded."""
    guard = document["guard"]
    return (document["policy"]["outcome"] == "missing" and not guard["loaded"]
            and not guard["endpoints"])


def health(document: Document) -> str:
    """All in one line."""
    wrong = faults(document)
    if _is_before_a_policy(document):
        if not document["policy"]["current"]:
            return (f"not in force yet: {paths.POLICY} is new, and counts within seconds; "
                    f"if it does not, see pam-spice doctor")
        return f"not in force: {wrong[0]}: write {paths.POLICY}"
    if wrong:
        return f"NOT WELL: {'; '.join(wrong)}; see pam-spice doctor"
    parts = ["guard loaded", "policy current" if document["policy"]["current"] else
             "policy edited since, the next login takes it in", "viewer 0750"]
    if document["watcher"] is not None:
        parts.append("watcher running")
    count = len((document["doctor"] or {"findings": []})["findings"])
    return f"well: {', '.join(parts)}" + (
        f"; but the doctor has {how_many(count, 'finding')}" if count else "")


def render(document: Document, refused: Sequence[str] | None, zone: str) -> list[Line]:
    """The lines, by the clock in the zone of that name. ``refused``: the last refusals, a line
    each; None where they can't be told."""
    lines = [(health(document), Tone.BAD if faults(document) else Tone.GOOD)]
    lines += _doctor(document["doctor"], zone) + _guard(document) + _policy(document)
    if not document["viewer"]["confined"]:
        lines.append((f"viewer: NOT CONFINED: {landlock.NO_LANDLOCK}", Tone.BAD))
    lines += _revoked(document["revoked"], zone)
    lines += _sessions(document, zone) + _others(document, zone)
    lines += _connections(document["connections"], zone)
    lines += _refused(refused)
    return [(printable(text), tone) for text, tone in lines]


def painted(lines: Sequence[Line], in_colour: bool, width: int | None = None) -> list[str]:
    """As a terminal gets them, cut to its width."""
    shown = []
    for text, tone in lines:
        if width is not None and len(text) > width:
            text = text[:max(0, width - 3)] + "..."
        shown.append(f"\x1b[{tone.value}m{text}\x1b[0m" if in_colour and tone.value else text)
    return shown


def _doctor(doctor: Document | None, zone: str) -> list[Line]:
    """Nothing, where it found nothing but notes: what is wrong with us is told by ``faults``."""
    if doctor is None or not doctor["findings"]:
        return []
    count = how_many(len(doctor["findings"]), "finding")
    return [(f"doctor: {count} at {moment(doctor['looked'], zone)}, what helps: pam-spice doctor",
             Tone.BAD),
            *((f"  {each['code']} {each['fact']}", Tone.BAD) for each in doctor["findings"])]


def _guard(document: Document) -> list[Line]:
    guard = document["guard"]
    if _is_before_a_policy(document):
        first = "guard: nothing is guarded yet"
    elif not guard["loaded"] and not guard["endpoints"]:
        first = "guard: nothing is guarded before there is a usable policy: see pam-spice check"
    elif not guard["loaded"]:
        first = "guard: NOT LOADED: run pam-spice reconcile"
    else:
        first = "guard: loaded"
    return [(first, Tone.PLAIN if guard["loaded"] else Tone.BAD),
            *((f"  {endpoint}", Tone.PLAIN) for endpoint in guard["endpoints"])]


def _policy(document: Document) -> list[Line]:
    policy = document["policy"]
    is_valid = policy["outcome"] == "valid"
    if _is_before_a_policy(document) and not policy["current"]:
        return [("policy: it is being taken in", Tone.PLAIN)]
    return [(f"policy: {policy['outcome']}, revision {policy['revision']}"
             + ("" if is_valid else "; see pam-spice check")
             + ("" if policy["current"] else "; edited since, the next login takes it in"),
             Tone.PLAIN if is_valid else Tone.BAD)]


def _revoked(revoked: list[Document] | None, zone: str) -> list[Line]:
    if revoked is None:
        return [(f"revoked: {paths.REVOKED} IS DAMAGED, no login opens anything: delete it, and "
                 f"revoke anew who is to be revoked", Tone.BAD)]
    return [(f"revoked: {each['user']} until {moment(each['until'], zone)}, by {each['by']}: "
             f"{each['reason']}", Tone.PLAIN) for each in revoked]


def _sessions(document: Document, zone: str) -> list[Line]:
    sessions = document["sessions"]
    lines: list[Line] = [("sessions:" if sessions else "sessions: none", Tone.PLAIN)]
    for session in sessions:
        lines.append((f"  {session['session']} {session['user']} ({session['uid']}): "
                      f"{session['state']}{_where(session, zone)}"
                      + ("" if session["consoles"] else ", its consoles are revoked"
                         if session["revoked"] else ", it has no console"
                         if session["revision"] == document["policy"]["revision"] else
                         ", it has no console: what an edit gives comes with the next login, or "
                         "with pam-spice apply --now"),
                      Tone.PLAIN))
        for console in session["consoles"]:
            lines.append((
                f"    {console['console']}: {'open' if console['open'] else 'closed'}"
                + (f" until {moment(console['until'], zone)}" if console["until"] else "")
                + (f", next {moment(console['next'], zone)}" if console["next"] else ""),
                Tone.GOOD if console["open"] else Tone.PLAIN))
    return lines


def _others(document: Document, zone: str) -> list[Line]:
    others = document["others"]
    if others is None:
        return [("other logins: unknown, logind does not answer", Tone.BAD)]
    heading = "logins:" if _is_before_a_policy(document) else "logins that don't count:"
    return [*([(heading, Tone.PLAIN)] if others else []),
            *((f"  {each['session']} {each['user']} ({each['uid']}): "
               f"{each['service'] or 'an unknown service'}"
               + (", from elsewhere" if each["remote"] else "") + _where(each, zone), Tone.PLAIN)
              for each in others)]


def _where(session: Document, zone: str) -> str:
    place = " ".join(filter(None, (session["seat"], session["tty"])))
    return (f", {place}" if place else "") + (
        f", since {moment(session['since'], zone)}" if session["since"] else "")


def _connections(connections: list[Document], zone: str) -> list[Line]:
    """One line for each console, user and process: a viewer has several connections."""
    together: dict[tuple[object, ...], list[Document]] = {}
    for each in connections:
        key = (tuple(each["consoles"]), each["uid"], each["address"], each["port"], each["pid"])
        together.setdefault(key, []).append(each)
    lines: list[Line] = [("connections:" if connections else "connections: none", Tone.PLAIN)]
    for same in together.values():
        one = same[0]
        end = f"{one['address']} port {one['port']}"
        lines.append((
            f"  {' or '.join(one['consoles']) or end}: "
            f"{one['user'] if one['user'] is not None else one['uid']}, "
            f"{how_many(len(same), 'connection')}"
            + (f" to {end}" if one["consoles"] else "")
            + (f", by {one['program']} (pid {one['pid']}, running since "
               f"{moment(one['since'], zone)})" if one["pid"] is not None
               else ", of no process any more" if one["searched"]
               else ", of a process that was not found in time"), Tone.PLAIN))
    return lines


def _refused(refused: Sequence[str] | None) -> list[Line]:
    if refused is None:
        return [("refused: unknown, the journal can't be read: see pam-spice log", Tone.BAD)]
    return [("refused in the last 24 hours, lastly:" if refused else
             "refused in the last 24 hours: nothing", Tone.PLAIN),
            *((f"  {line}", Tone.PLAIN) for line in refused)]


def moment(text: str, zone: str) -> str:
    """An instant of a document as a person reads it; zone: see ``render``."""
    return told(int(datetime.fromisoformat(text).timestamp()), zone)
