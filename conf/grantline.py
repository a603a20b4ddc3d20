"""A grant as one line of text: what the compiled policy and the session records hold.

On the login path: imports nothing, so that a login neither parses YAML nor pays for ``json``
(17 ms) or ``dataclasses`` (35 ms). Fields are joined by tabs; the policy's language lets no tab
into any of them. The last field is a CRC, because a damaged line must grant nothing.
"""

from zlib import crc32

from conf.intervals import Interval, Offsets, Window, merged, open_intervals

ZonedWindows = tuple[tuple[str, tuple[Window, ...]], ...]
"""(zone name, windows in that zone), for each zone."""


class DamagedLine(ValueError):
    """The line is not as it was written."""


class GrantLine:
    """One subject's grant of one console, with all that a login needs to open it."""

    __slots__ = ("addresses", "ca_file", "console", "host", "port", "server", "source", "subject",
                 "windows")

    def __init__(self, subject: str, console: str, server: str, host: str, port: int,
                 addresses: tuple[str, ...], ca_file: str, windows: ZonedWindows | None,
                 source: str) -> None:
        self.subject = subject
        self.console = console
        self.server = server
        self.host = host
        self.port = port
        self.addresses = addresses
        self.ca_file = ca_file
        self.windows = windows  # None: always
        self.source = source  # file:line of the grant

    def open_in(self, offsets: dict[str, Offsets], start: int, end: int) -> list[Interval]:
        """The merged intervals of [start, end) in which this grant counts."""
        if self.windows is None:
            return [(start, end)]
        found: list[Interval] = []
        for zone, windows in self.windows:
            found += open_intervals(windows, offsets[zone], start, end)
        return merged(found)


def format_grant(grant: GrantLine) -> str:
    """The line, without its newline."""
    text = "\t".join((grant.subject, grant.console, grant.server, grant.host, str(grant.port),
                      ",".join(grant.addresses), grant.ca_file, _format_windows(grant.windows),
                      grant.source))
    return f"{text}\t{crc32(text.encode()):08x}"


def parse_grant(line: str) -> GrantLine:
    """The grant of a line; raises DamagedLine."""
    text, _, check = line.rpartition("\t")
    if check != f"{crc32(text.encode()):08x}":
        raise DamagedLine(line)
    subject, console, server, host, port, addresses, ca_file, windows, source = text.split("\t")
    return GrantLine(subject, console, server, host, int(port), tuple(addresses.split(",")),
                     ca_file, _parse_windows(windows), source)


def _format_windows(windows: ZonedWindows | None) -> str:
    if windows is None:
        return "always"
    return "|".join(f"{zone}=" + ",".join(f"{days}/{start}-{end}" for days, start, end in spans)
                    for zone, spans in windows)


def _parse_windows(text: str) -> ZonedWindows | None:
    if text == "always":
        return None
    zoned = []
    for part in text.split("|"):
        zone, _, spans = part.partition("=")
        windows = []
        for span in spans.split(","):
            days, _, times = span.partition("/")
            start, _, end = times.partition("-")
            windows.append((int(days), int(start), int(end)))
        zoned.append((zone, tuple(windows)))
    return tuple(zoned)


def format_offsets(offsets: Offsets) -> str:
    """Offsets as ``since:offset,since:offset``."""
    return ",".join(f"{since}:{offset}" for since, offset in offsets)


def parse_offsets(text: str) -> Offsets:
    """The inverse of format_offsets; raises ValueError."""
    pairs = []
    for pair in text.split(","):
        since, _, offset = pair.partition(":")
        pairs.append((int(since), int(offset)))
    return tuple(pairs)
