"""Reading one entry of a policy: values of each kind, checked, each error with its place."""

import difflib
import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TypeVar

import yaml

from conf.model import Network
from conf.problems import Problem
from conf.yamlnodes import BadEntry, Document

_S = TypeVar("_S")
_T = TypeVar("_T")

_GUESSES = 20_000
"""How many names are compared at most to guess what was meant: one takes 20 microseconds, and a
large policy can have as many unknown names as known ones."""

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", re.ASCII)
_LIKE_A_TIME = re.compile(r"[0-9]:[0-9]|^[0-9]{4}-", re.ASCII)
_NETWORK = re.compile(r"([0-9A-Fa-f:.]+)/(?:0|[1-9][0-9]{0,2})", re.ASCII)
_WIDEST = {4: 8, 6: 32}
"""The shortest prefix of a network, in bits, by IP version: a slip of the pen must not let the
world in."""

_PORT = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_PORTS = re.compile(r"([1-9][0-9]{0,4})(?:-([1-9][0-9]{0,4}))?", re.ASCII)


class EntryReader:
    """Reads nodes of ``document``, the file that is being read. Every method raises BadEntry when
    it has listed what is wrong."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self._guesses = _GUESSES

    def named(self, node: yaml.Node | None, what: str, into: dict[str, _T | None],
              read: Callable[[str, yaml.Node], _T], form: re.Pattern[str] = NAME,
              form_in_words: str = "a name", remedy: str = "use letters, digits and _ . -") -> None:
        """Read a section of named entries; a bad one stays known by name as None, and so does a
        name that was there before: nobody knows which of the two is meant."""
        if node is None:
            return
        try:
            pairs = list(self.document.pairs(node, what))
        except BadEntry:
            return
        twice = {name for name, count in Counter(
            str(key_node.value) for key_node, _ in node.value).items() if count > 1}
        for name, key_node, value in pairs:
            is_known = name in into
            into[name] = None
            if name in twice:  # already complained of
                continue
            try:
                if is_known:
                    raise self.document.complain(
                        key_node, f"{name!r} is in {what} of another file already",
                        "names count over all files: rename one of the two")
                self.match(form, key_node, name, form_in_words, remedy)
                entry = read(name, value)
            except BadEntry:
                continue
            if not self.document.is_spoilt:
                into[name] = entry

    def each(self, items: Iterable[_S], read: Callable[[_S], _T]) -> list[_T]:
        """Read all the items, whatever is wrong with some, so that all that is wrong is told."""
        found = []
        is_good = True
        for item in items:
            try:
                found.append(read(item))
            except BadEntry:
                is_good = False
        if not is_good:
            raise BadEntry
        return found

    def whole(self, is_good: bool, read: Callable[[], _T], *parts: Callable[[], object]) -> _T:
        """An entry, by ``read``. Where that fails, or is not worth a try, each of its parts is
        read by itself, so that all that is wrong with it is told."""
        problems = self.document.problems
        before = len(problems)
        found: list[Problem] = []
        if is_good:
            try:
                return read()
            except BadEntry:
                found = problems[before:]
                del problems[before:]
        for part in parts:
            try:
                part()
            except BadEntry:
                continue
        if len(problems) == before:  # only the parts together are wrong
            problems += found
        raise BadEntry

    def fields(self, node: yaml.Node, what: str, known: tuple[str, ...],
               required: tuple[str, ...] = ()) -> dict[str, yaml.Node]:
        """The entries of a mapping whose keys are given; complains of all that is wrong with the
        keys."""
        fields, are_good = self.read_fields(node, what, known, required)
        if not are_good:
            raise BadEntry
        return fields

    def read_fields(self, node: yaml.Node, what: str, known: tuple[str, ...],
                    required: tuple[str, ...] = ()) -> tuple[dict[str, yaml.Node], bool]:
        """The entries with known keys, and whether there was nothing wrong with the keys."""
        before = len(self.document.problems)
        fields = {}
        for key, key_node, value in self.document.pairs(node, what):
            if key in known:
                fields[key] = value
            else:
                # {when: Wed,Thu 08:00-12:00}: to YAML what follows the comma is a key.
                remedy = ("if it belongs to what stands before the comma, put all of it in quotes"
                          if _LIKE_A_TIME.search(key) else self.meant(key, known))
                self.document.complain(key_node, f"{what} has no key {key!r}", remedy)
        for key in required:
            if key not in fields:
                self.document.complain(node, f"{what} lacks the key {key!r}", f"add `{key}:`")
        return fields, len(self.document.problems) == before

    def reference(self, node: yaml.Node, what: str, known: dict[str, _T | None]) -> _T:
        """The entry of that name."""
        name = self.document.text(node, what)
        if name not in known:
            raise self.document.complain(node, f"there is no {what} {name!r}",
                                         self.meant(name, known))
        return self.intact(node, what, name, known[name])

    def intact(self, node: yaml.Node, what: str, name: str, entry: _T | None) -> _T:
        """The entry that a node refers to, unless it is a bad one."""
        if entry is None:
            raise self.document.complain(node, f"{what} {name!r} has an error itself",
                                         f"mend the {what}", cause=f"{what} {name!r}")
        return entry

    def meant(self, name: str, known: Iterable[str]) -> str:
        """The remedy for a name that isn't known."""
        names = list(known)
        close = self.close_to(name, names)
        if close:
            return f"did you mean {close!r}?"
        return f"known are: {', '.join(names)}" if 0 < len(names) <= 12 else "define it first"

    def close_to(self, name: str, known: Iterable[str]) -> str | None:
        """The known name that is most like this one."""
        names = list(known)
        self._guesses -= len(names)
        close = difflib.get_close_matches(name, names, 1) if self._guesses >= 0 else []
        return close[0] if close else None

    def boolean(self, fields: dict[str, yaml.Node], key: str, default: bool) -> bool:
        """true or false; ``default`` where the key is missing."""
        if key not in fields:
            return default
        text = self.document.raw(fields[key], key)
        if text not in ("true", "false") or not fields[key].tag.endswith(":bool"):
            raise self.document.complain(fields[key], f"{key} must be true or false",
                                         "write true or false, without quotes")
        return text == "true"

    def match(self, pattern: re.Pattern[str], node: yaml.Node, text: str, what: str,
              remedy: str) -> str:
        """The text, if it is of that form."""
        if not pattern.fullmatch(text):
            raise self.document.complain(node, f"{text!r} is not {what}", remedy)
        return text

    def address(self, node: yaml.Node) -> str:
        """One host's IP address, in its canonical form."""
        text = self.document.text(node, "an address")
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            raise self.document.complain(node, f"{text!r} is not an IP address",
                                         "write one like 192.168.2.2 or \"fd00::2\"") from None
        if address.version == 6 and (address.ipv4_mapped or address.scope_id):
            raise self.document.complain(node, f"{text!r} is a mapped or link-local address",
                                         "write the plain IPv4 or a global IPv6 address")
        if address.is_multicast or address.is_unspecified:
            raise self.document.complain(node, f"{text!r} is not the address of one host",
                                         "write the host's own address")
        return str(address)

    def network(self, node: yaml.Node) -> Network:
        """One host's IP address, or a network of hosts."""
        text = self.document.text(node, "an address")
        if "/" not in text:
            return self._of_one_machine(node, ipaddress.ip_network(self.address(node)))
        match = _NETWORK.fullmatch(text)
        try:
            if not match:
                raise ValueError
            network = ipaddress.ip_interface(text).network
        except ValueError:
            raise self.document.complain(
                node, f"{text!r} is not a network",
                "write one like 192.168.3.0/24 or \"fd00::/64\"") from None
        first, widest = network.network_address, _WIDEST[network.version]
        if ipaddress.ip_address(match[1]) != first:
            raise self.document.complain(node, f"{text!r} is an address within a network",
                                         f"write {network}, or the address alone")
        if (network.prefixlen < widest or first.is_multicast or first.is_unspecified
                or (first.version == 6 and first.ipv4_mapped)):
            raise self.document.complain(node, f"{text!r} is not the network of one office",
                                         f"write a network of its own, of {widest} bits or more")
        return self._of_one_machine(node, network)

    def _of_one_machine(self, node: yaml.Node, network: Network) -> Network:
        if network.is_loopback:
            raise self.document.complain(node, f"{node.value!r} is every machine itself",
                                         "write the address that others see")
        return network

    def port(self, node: yaml.Node) -> int:
        """A TCP port."""
        text = self.document.raw(node, "a port")
        if not node.tag.endswith(":int") or not _PORT.fullmatch(text) or int(text) > 65535:
            raise self.document.complain(node, f"{text!r} is not a port",
                                         "write a number from 1 to 65535, without quotes")
        return int(text)

    def port_range(self, node: yaml.Node) -> tuple[int, int]:
        """A port, or ``low-high``, both within."""
        text = self.document.raw(node, "a port range")
        match = _PORTS.fullmatch(text)
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not low <= high <= 65535:
            raise self.document.complain(node, f"{text!r} is not a range of ports",
                                         "write low-high from 1 to 65535: 20001-20010")
        return low, high


