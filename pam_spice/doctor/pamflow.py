"""What a PAM session stack does, line by line: who is reached, and who can be jumped over. Pure.

The syntax is pam.d(5), and so is what a control does: ``done`` and ``die`` end the stack (in a
substack only that), a number jumps, all else goes on to the next line.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

ReadService = Callable[[str], str | None]
"""The text of a file of /etc/pam.d; None where there is none."""

Wanted = Callable[["Line"], bool]

_DEPTH = 32  # of includes
_SUCCESS, _DEFAULT = "success", "default"
_ENDS = -1

_WORDS = {
    "required": {"success": "ok", "new_authtok_reqd": "ok", "ignore": "ignore", "default": "bad"},
    "requisite": {"success": "ok", "new_authtok_reqd": "ok", "ignore": "ignore",
                  "default": "die"},
    "sufficient": {"success": "done", "new_authtok_reqd": "done", "default": "ignore"},
    "optional": {"success": "ok", "new_authtok_reqd": "ok", "default": "ignore"},
}
"""The short controls in the long form, as pam.d(5) defines them."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the session stack. ``file`` is the one that it stands in."""

    file: str
    control: dict[str, str]
    module: str
    arguments: tuple[str, ...]
    text: str

    @property
    def name(self) -> str:
        """The module without its directory: ``pam_systemd.so``."""
        return self.module.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Substack:
    """What ``substack`` puts in: one module for whoever jumps over it."""

    nodes: tuple["Line | Substack", ...]


Stack = Sequence[Line | Substack]


def session_stack(service: str, read: ReadService) -> tuple[Line | Substack, ...]:
    """The service's session lines with what they include; of a service without a file those of
    ``other``."""
    return tuple(_nodes(service if read(service) is not None else "other", read, 0))


def _nodes(file: str, read: ReadService, depth: int) -> Iterator[Line | Substack]:
    text = read(file) if depth <= _DEPTH else None
    for raw in (text or "").replace("\\\n", " ").splitlines():
        tokens = _tokens(raw.partition("#")[0])
        if len(tokens) == 2 and tokens[0] == "@include":
            yield from _nodes(tokens[1], read, depth + 1)
        if len(tokens) < 3 or tokens[0].removeprefix("-").lower() != "session":
            continue
        control = tokens[1].lower()
        if control == "include":
            yield from _nodes(tokens[2], read, depth + 1)
        elif control == "substack":
            yield Substack(tuple(_nodes(tokens[2], read, depth + 1)))
        else:
            yield Line(file, _control(tokens[1]), tokens[2], tuple(tokens[3:]), " ".join(tokens))


def _tokens(text: str) -> list[str]:
    """Words, of which one in brackets may hold blanks."""
    tokens: list[str] = []
    rest = text.strip()
    while rest:
        if rest.startswith("[") and "]" in rest:
            token, _, rest = rest.partition("]")
            tokens.append(f"{token}]")
            rest = rest.lstrip()
        else:
            token, *more = rest.split(None, 1)
            tokens.append(token)
            rest = more[0] if more else ""
    return tokens


def _control(word: str) -> dict[str, str]:
    if not word.startswith("["):
        # libpam takes an unknown word for a line that always fails.
        return _WORDS.get(word.lower(), {_DEFAULT: "bad"})
    pairs = (pair.partition("=") for pair in word.strip("[]").lower().split())
    return {value: action for value, _, action in pairs}


def lines(stack: Stack) -> Iterator[Line]:
    """All lines, in order."""
    for node in stack:
        if isinstance(node, Line):
            yield node
        else:
            yield from lines(node.nodes)


def reached(stack: Stack, service: str, wall: Wanted) -> list[Line]:
    """The lines that can be come to without going through one that is a wall."""
    return _walk(stack, service, wall)[0]


def skipping(stack: Stack, service: str, wanted: Wanted) -> list[Line]:
    """The lines which can make a login that succeeds go past a wanted one that stands behind
    them."""
    return _walk(stack, service, wanted)[1]


def _walk(stack: Stack, service: str, wall: Wanted) -> tuple[list[Line], list[Line]]:
    walls = [index for index, node in enumerate(stack) if any(map(wall, lines([node])))]
    found: list[Line] = []
    skipped: list[Line] = []
    todo, seen = [0], set()
    while todo:
        at = todo.pop()
        if at in seen or at >= len(stack):
            continue
        seen.add(at)
        node = stack[at]
        if isinstance(node, Substack):
            inner, over = _walk(node.nodes, service, wall)
            found += inner
            skipped += over
            if at not in walls or over:
                todo.append(at + 1)
            continue
        if wall(node):
            continue
        found.append(node)
        for step in _steps(node, service):
            end = len(stack) if step == _ENDS else at + 1 + step
            if any(at < each < end for each in walls):
                skipped.append(node)
            todo.append(end)
    order = list(lines(stack))
    return (sorted(found, key=order.index),
            [line for line in order if any(line is each for each in skipped)])


def _steps(line: Line, service: str) -> set[int]:
    """How many lines are left out after this one, or _ENDS, by each of its answers."""
    answer = _answer(line, service)
    if answer is not None:
        outcomes = [(answer, line.control.get(answer, line.control.get(_DEFAULT, "bad")))]
    else:
        outcomes = [*line.control.items()]
        if _SUCCESS not in line.control:
            outcomes.append((_SUCCESS, line.control.get(_DEFAULT, "bad")))
    steps = set()
    for value, action in outcomes:
        if action.isdecimal():
            steps.add(int(action))
        elif action == "done" or (action == "die" and value == _SUCCESS):
            steps.add(_ENDS)
        elif action != "die":  # which refuses the login
            steps.add(0)
    return steps


def _answer(line: Line, service: str) -> str | None:
    """What the module will say, where that is known beforehand: pam_succeed_if(8) asked for the
    service, pam_permit(8), pam_deny(8)."""
    if line.name == "pam_permit.so":
        return _SUCCESS
    if line.name == "pam_deny.so":
        return "session_err"
    if line.name != "pam_succeed_if.so":
        return None
    words = [word for word in line.arguments
             if word not in ("debug", "use_uid", "quiet", "quiet_fail", "quiet_success", "audit")]
    if len(words) != 3 or words[0] != "service":
        return None
    holds = {"in": service in words[2].split(":"), "notin": service not in words[2].split(":"),
             "=": service == words[2], "!=": service != words[2]}.get(words[1])
    return None if holds is None else _SUCCESS if holds else "auth_err"
