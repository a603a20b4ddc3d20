"""The machine's kernel log, from a moment on."""

from __future__ import annotations

import os


class KernelLog:
    """What the kernel has logged since this object was made."""

    def __init__(self, after: int | None = None) -> None:
        self.after = self._records()[-1][0] if after is None else after
        """The sequence number of the last record that isn't ours."""

    def lines(self, prefix: str = "") -> list[str]:
        """The new records that begin with `prefix`, oldest first, without the kernel's time."""
        new = [text for number, text in self._records() if number > self.after]
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
