"""What the model test draws: policies, logins, and what people do to our table."""

from dataclasses import dataclass

from hypothesis import strategies as st

from tests.kernel import namespace as ns
from tests.model.policies import CONSOLES, ELSEWHERE, SERVICES, Flaw, Grant, Policy
from tests.model.windows import BASE, WINDOWS
from tests.oracle.wallclock import DAY

PEOPLE = tuple(ns.USERS)

_subjects = st.sampled_from([*(("user", name) for name in PEOPLE), ("group", "staff")])
_VALID = ((BASE + DAY, BASE + 3 * DAY), (BASE - DAY, BASE + 5), (BASE + 3600, BASE + 3601))


@st.composite
def _grants(draw: st.DrawFn) -> Grant:
    kind, subject = draw(_subjects)
    consoles = draw(st.sampled_from(
        [("first",), ("second",), ("third",), ("first", "second"), ("second", "third")]))
    windows = draw(st.one_of(st.just([]), st.lists(
        st.sampled_from(sorted(WINDOWS)), min_size=1, max_size=2, unique=True)))
    oddity = draw(st.integers(0, 60))
    return Grant(kind, subject, consoles, tuple(windows),
                 _VALID[oddity - 1] if 0 < oddity <= len(_VALID) else None,
                 {4: ELSEWHERE, 5: "*"}.get(oddity), oddity == 6)


_plain = [Grant("user", user, (console,))
          for user, console in zip(PEOPLE, CONSOLES, strict=True)]
_flaws = st.sampled_from([Flaw.NONE] * 5 * len(Flaw) + list(Flaw))
_services = st.sampled_from([SERVICES] * 8 + [("login",), ("sddm",)])
_mostly = st.sampled_from([True] * 5 + [False])


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """What an admin may write."""
    plain = draw(st.sampled_from([_plain, _plain, _plain[:2], _plain[1:], []]))
    odd = draw(st.lists(_grants(), max_size=4))
    return Policy((*plain, *odd), draw(st.sampled_from([True, False])), draw(_services),
                  draw(_mostly), draw(_mostly), draw(_flaws))


@dataclass(frozen=True)
class Kind:
    """What logind's file says of a login otherwise than of one at the seat."""

    service: str = "login"
    is_remote: bool = False
    has_seat: bool = True
    class_: str = "user"
    is_ending: bool = False
    is_forged: bool = False  # the uid is somebody else's


KINDS = {
    "at the seat": Kind(),
    "by sddm": Kind(service="sddm"),
    "by ssh": Kind(service="sshd", is_remote=True, has_seat=False),
    "remote": Kind(is_remote=True),
    "by su": Kind(service="su-l"),
    "without a seat": Kind(has_seat=False),
    "greeter": Kind(class_="greeter"),
    "background": Kind(class_="background"),
    "ending": Kind(is_ending=True),
    "forged": Kind(is_forged=True),
}
kinds = st.sampled_from(["at the seat"] * len(KINDS) + list(KINDS))

_T = "inet pam_spice"
_FIRST = f"ip daddr {ns.V4} tcp dport {ns.GUARDED_PORT}"

CLOSING_DEEDS = (
    f"flush chain {_T} user-UID",
    f"flush map {_T} sessions",
    f"delete element {_T} sessions {{ UID }}",
    f"insert rule {_T} guard drop",
    f"insert rule {_T} user-UID drop",
    f"delete element {_T} sessions {{ UID }}\nflush chain {_T} user-UID\n"
    f"delete chain {_T} user-UID",
)
"""What closes more than it should; UID stands for a user who has a chain."""

OPENING_DEEDS = (
    "flush ruleset",
    "flush ruleset",
    f"delete table {_T}",
    f"flush table {_T}",
    f"flush chain {_T} output",
    f"flush chain {_T} guard",
    f"flush set {_T} ports",
    f"add table {_T} {{ flags dormant; }}",
    f"insert rule {_T} output accept",
    f"insert rule {_T} user-UID accept",
    f"add rule {_T} user-UID {_FIRST} meta skgid {ns.VIEWER_GID} counter accept",
    f"add rule {_T} user-UID {_FIRST} counter accept",
    f"add element {_T} sessions {{ OTHER : accept }}",
    f"add chain {_T} user-OTHER\n"
    f"add rule {_T} user-OTHER {_FIRST} meta skgid {ns.VIEWER_GID} counter accept\n"
    f"add element {_T} sessions {{ OTHER : jump user-OTHER }}",
    f"add chain {_T} odd\nadd rule {_T} odd accept\n"
    f"add element {_T} sessions {{ OTHER : jump odd }}",
    f"add set {_T} odd {{ type ipv4_addr; }}",
    f"delete element {_T} sessions {{ UID }}\nadd element {_T} sessions {{ UID : accept }}",
)
"""What may open anything; OTHER stands for a user who has no chain."""
