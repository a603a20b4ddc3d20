"""Asking a QEMU process, in its own language."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from lab.errors import LabError


def ask(path: Path, command: str, **arguments: Any) -> Any:
    """Run one QMP command at the monitor's socket and return its answer.

    Raises LabError when QEMU refuses it, OSError when nobody listens.
    """
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.settimeout(10)
        monitor.connect(str(path))
        with monitor.makefile("rw") as stream:
            stream.readline()
            _answer(stream, "qmp_capabilities", {})
            return _answer(stream, command, arguments)


def _answer(stream: Any, command: str, arguments: dict[str, Any]) -> Any:
    stream.write(json.dumps({"execute": command, "arguments": arguments}))
    stream.flush()
    while True:
        line = stream.readline()
        if not line:
            raise LabError(f"QEMU hung up on {command}")
        said = json.loads(line)
        if "error" in said:
            raise LabError(f"QEMU refused {command}: {said['error'].get('desc')}")
        if "return" in said:
            return said["return"]
