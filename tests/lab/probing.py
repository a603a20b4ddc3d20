"""The prober as the tests have it."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType

from lab.workstation import Workstation
from tests.lab import prober
from tests.lab.prober import Seen

_PLACE = "/run/prober.py"


class Prober:
    """``prober`` runs on the workstation as `myself` with the viewer's group, within ``with``."""

    def __init__(self, box: Workstation, refused: int, granted: int,
                 addresses: tuple[str, ...]) -> None:
        box.write_file(_PLACE, Path(prober.__file__).read_text())
        self._process = box.popen(
            ["/usr/bin/python3", "-I", _PLACE, str(refused), str(granted), *addresses],
            user="myself", group="spicegrp")
        self.report()

    def report(self) -> Seen:
        """What was seen since the report before."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(self._process.communicate()[1])
        return Seen(**json.loads(line))

    def __enter__(self) -> Prober:
        return self

    def __exit__(self, kind: type[BaseException] | None, failure: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._process.communicate()
