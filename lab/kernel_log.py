"""The machine's kernel log, from a moment on."""

from __future__ import annotations

import os


class KernelLog:
    """What the kernel has logged since this object was made."""

    def __init__(self, after: int | None = None) -> None:
        self.after = self.last() if after is None else after
        """The sequence number of the last record that isn't ours."""

    def last(self) -> int:
        """The last record's sequence number. The kernel keeps so many, and drops the oldest."""
        return self._records()[-1][0]

    def lines(self, prefix: str = "", after: int = -1) -> list[str]:
        """The new records that begin with `prefix`, oldest first, without the kernel's time; those
        behind the one with the sequence number `after`."""
        new = [text for number, text in self._records() if number > max(self.after, after)]
        return [text for text in new if text.startswith(prefix)]

    def _records(self) -> list[tuple[int, str]]:
        records = [(-1, "")]
        device = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            while True:
                try:
                    head, _, text = os.read(device, 8192).decode(errors="replace").partition(";")
                except BlockingIOError:
                    return records
                except BrokenPipeError:
                    # The record was overwritten while we read; the next read goes on after it.
                    continue
                # Lines after the first one are the record's dictionary.
                records.append((int(head.split(",")[1]), text.split("\n", 1)[0]))
        finally:
            os.close(device)
