"""A grant as one line of text: what the compiled policy and the session records hold.

On the login path: imports nothing, so that a login neither parses YAML nor pays for ``json``
(17 ms) or ``dataclasses`` (35 ms). Fields are joined by tabs; the policy's language lets no tab
into any of them. The last field is a CRC, because a damaged line must grant nothing.
"""

from zlib import crc32

from conf.intervals import (
    EVERY_DATE,
    Dates,
    Interval,
    Offsets,
    Window,
    merged,
    open_intervals,
)

ZonedWindows = tuple[tuple[str, tuple[Window, ...], tuple[Dates, ...]], ...]
"""(zone name, windows in that zone, excepted days), each counting by itself."""

FOREVER = 1 << 62
"""An instant that never comes."""


class DamagedLine(ValueError):
    """The line is not as it was written."""


class GrantLine:
    """One subject's grant of one console, with all that a login needs to open it."""

    __slots__ = ("addresses", "ca_file", "console", "host", "port", "server", "source", "subject",
                 "valid", "windows")

    def __init__(self, subject: str, console: str, server: str, host: str, port: int,
                 addresses: tuple[str, ...], ca_file: str, windows: ZonedWindows | None,
                 source: str, valid: Interval = (0, FOREVER)) -> None:
        self.subject = subject
        self.console = console
        self.server = server
        self.host = host
        self.port = port
        self.addresses = addresses
        self.ca_file = ca_file
        self.windows = windows  # None: always
        self.source = source  # file:line of the grant
        self.valid = valid  # counts within these instants only

    def open_in(self, offsets: dict[str, Offsets], start: int, end: int) -> list[Interval]:
        """The merged intervals of [start, end) in which this grant counts."""
        start, end = max(start, self.valid[0]), min(end, self.valid[1])
        if self.windows is None:
            return merged([(start, end)])
        found: list[Interval] = []
        for zone, windows, excepted in self.windows:
            found += open_intervals(windows, offsets[zone], start, end, excepted)
        return merged(found)

    def valid_from(self, instant: int) -> "GrantLine":
        """This grant, counting from ``instant`` on at the earliest."""
        return GrantLine(self.subject, self.console, self.server, self.host, self.port,
                         self.addresses, self.ca_file, self.windows, self.source,
                         (max(instant, self.valid[0]), self.valid[1]))


def format_grant(grant: GrantLine) -> str:
    """The line, without its newline."""
    text = "\t".join((grant.subject, grant.console, grant.server, grant.host, str(grant.port),
                      ",".join(grant.addresses), grant.ca_file, _format_windows(grant.windows),
                      _format_span(grant.valid), grant.source))
    return f"{text}\t{crc32(text.encode()):08x}"


def parse_grant(line: str) -> GrantLine:
    """The grant of a line; raises DamagedLine."""
    text, _, check = line.rpartition("\t")
    if check != f"{crc32(text.encode()):08x}":
        raise DamagedLine(line)
    (subject, console, server, host, port, addresses, ca_file, windows, valid,
     source) = text.split("\t")
    return GrantLine(subject, console, server, host, int(port), tuple(addresses.split(",")),
                     ca_file, _parse_windows(windows), source, _parse_span(valid))


def _format_windows(windows: ZonedWindows | None) -> str:
    if windows is None:
        return "always"
    return "|".join(
        f"{zone}={','.join(map(_format_window, spans))}!{','.join(map(_format_span, excepted))}"
        for zone, spans, excepted in windows)


def _format_window(window: Window) -> str:
    days, start, end, dates = window
    text = f"{days}/{start}-{end}"
    return text if dates == EVERY_DATE else f"{text}@{_format_span(dates)}"


def _format_span(span: tuple[int, int]) -> str:
    return f"{span[0]}-{span[1]}"


def _parse_span(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    return int(first), int(last)


def _parse_windows(text: str) -> ZonedWindows | None:
    if text == "always":
        return None
    zoned = []
    for part in text.split("|"):
        zone, _, text = part.partition("=")
        spans, _, excepted = text.partition("!")
        windows = []
        for span in spans.split(","):
            days, _, times = span.partition("/")
            times, _, dates = times.partition("@")
            windows.append((int(days), *_parse_span(times),
                            _parse_span(dates) if dates else EVERY_DATE))
        zoned.append((zone, tuple(windows),
                      tuple(map(_parse_span, excepted.split(","))) if excepted else ()))
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
