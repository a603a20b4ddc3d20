"""A domain's graphics as ``virsh dumpxml`` writes them, out of the events of an XML parser.

Events, not a tree: a hostile file of 16 MiB makes five million elements, and nearly nothing of a
domain is needed here.
"""

import re
from dataclasses import dataclass
from xml.sax.handler import ContentHandler
from xml.sax.xmlreader import AttributesImpl

WRAPPER = "domains"
"""An element that may stand around several domains."""

_PORT = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)


class NotADomain(Exception):
    """The XML describes something else."""


@dataclass(frozen=True, slots=True)
class Listen:
    """Where graphics listen; the address is empty where the XML leaves it to the server."""

    kind: str  # address, network, socket, none
    address: str = ""
    network: str = ""


@dataclass(frozen=True, slots=True)
class Graphics:
    """One ``<graphics>`` element; a port that is not known or not there is None."""

    kind: str  # spice, vnc, ...
    port: int | None
    tls_port: int | None
    websocket: int | None
    autoport: str  # yes, no, or empty
    default_mode: str
    insecure_channels: tuple[str, ...]
    listens: tuple[Listen, ...]


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain, and the file that tells of it."""

    file: str
    name: str
    uuid: str
    graphics: tuple[Graphics, ...]


class DomainReader(ContentHandler):
    """Collects the domains of one file in ``domains``; raises NotADomain for another root."""

    def __init__(self, file: str) -> None:
        super().__init__()
        self.domains: list[Domain] = []
        self._file = file
        self._path: list[str] = []
        self._top = 0  # how many elements stand around a domain
        self._text: list[str] | None = None
        self._begin_domain()

    def _begin_domain(self) -> None:
        self._name = self._uuid = ""
        self._graphics: list[Graphics] = []

    def startElement(self, name: str, attrs: AttributesImpl) -> None:
        if not self._path:
            if name not in ("domain", WRAPPER):
                raise NotADomain(name)
            self._top = int(name == WRAPPER)
        if len(self._path) < self._top + 4:
            self._start((*self._path[self._top:], name), attrs)
        self._path.append(name)

    def _start(self, path: tuple[str, ...], attrs: AttributesImpl) -> None:
        match path:
            case ("domain",):
                self._begin_domain()
            case ("domain", "name" | "uuid"):
                self._text = []
            case ("domain", "devices", "graphics"):
                self._attrs = attrs
                self._listens: list[Listen] = []
                self._channels: list[str] = []
            case ("domain", "devices", "graphics", "listen"):
                self._listens.append(Listen(attrs.get("type", "address"),
                                            attrs.get("address", ""), attrs.get("network", "")))
            case ("domain", "devices", "graphics", "channel"):
                if attrs.get("mode") == "insecure":
                    self._channels.append(attrs.get("name", ""))

    def characters(self, content: str) -> None:
        if self._text is not None:
            self._text.append(content)

    def endElement(self, name: str) -> None:
        self._path.pop()
        if len(self._path) >= self._top + 3:
            return
        match (*self._path[self._top:], name):
            case ("domain", "name"):
                self._name = self._ended_text()
            case ("domain", "uuid"):
                self._uuid = self._ended_text()
            case ("domain", "devices", "graphics"):
                self._graphics.append(self._ended_graphics())
            case ("domain",):
                self.domains.append(Domain(self._file, self._name, self._uuid,
                                           tuple(self._graphics)))

    def _ended_text(self) -> str:
        text, self._text = "".join(self._text or ()), None
        return text.strip()

    def _ended_graphics(self) -> Graphics:
        # The attribute is the older spelling; libvirt writes both, unless it knows no address.
        address = self._attrs.get("listen", "")
        listens = [Listen(listen.kind, address, listen.network)
                   if listen.kind in ("address", "network") and not listen.address else listen
                   for listen in self._listens]
        return Graphics(
            self._attrs.get("type", ""), self._port("port"), self._port("tlsPort"),
            self._port("websocket"), self._attrs.get("autoport", ""),
            self._attrs.get("defaultMode", "any"), tuple(self._channels),
            tuple(listens or [Listen("address", address)]))

    def _port(self, key: str) -> int | None:
        """The port; None for 0 and -1 too, which mean that libvirt chooses one."""
        text = self._attrs.get(key, "")
        return int(text) if _PORT.fullmatch(text) and int(text) <= 65535 else None
