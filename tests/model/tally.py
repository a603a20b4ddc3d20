"""How often each step was taken, counted over several processes."""

import mmap
import struct

_SIZE = struct.calcsize("=Q")


class Tally:
    """Counters by name; processes that are forked from here on count together with this one, each
    in a row of its own."""

    def __init__(self, names: tuple[str, ...], rows: int = 1) -> None:
        self._names = names
        self._row = 0
        self._memory = mmap.mmap(-1, max(1, len(names)) * rows * _SIZE)
        self._rows = rows

    def take_row(self, row: int) -> None:
        """Which row this process, and what it forks, counts in."""
        self._row = row

    def add(self, name: str) -> None:
        """One more."""
        at = (self._row * len(self._names) + self._names.index(name)) * _SIZE
        value, = struct.unpack_from("=Q", self._memory, at)
        struct.pack_into("=Q", self._memory, at, value + 1)

    def of_row(self) -> int:
        """All that this process's row has counted."""
        return sum(self._values(self._row))

    def total(self) -> int:
        """All that was counted."""
        return sum(self.by_name().values())

    def by_name(self) -> dict[str, int]:
        """What was counted of each."""
        rows = [self._values(row) for row in range(self._rows)]
        return {name: sum(row[at] for row in rows) for at, name in enumerate(self._names)}

    def _values(self, row: int) -> tuple[int, ...]:
        count = len(self._names)
        return struct.unpack_from(f"={count}Q", self._memory, row * count * _SIZE)
