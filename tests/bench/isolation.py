"""A machine of its own for what is measured, and its answer."""

import json
import os
from collections.abc import Callable
from typing import TypeVar

from conf.files import write_all
from tests.kernel import namespace as ns

T = TypeVar("T")


def in_namespaces(body: Callable[[], T], seconds: float) -> T:
    """What ``body`` returns, which JSON can say, when it is run in a child with namespaces of its
    own. Raises RuntimeError where it fails or takes longer than so many seconds."""
    answer = os.memfd_create("answer")
    try:
        def give() -> None:
            write_all(answer, json.dumps(body()).encode())

        failure = ns.in_child(give, seconds)
        if failure is not None:
            raise RuntimeError(failure)
        returned: T = json.loads(os.pread(answer, os.fstat(answer).st_size, 0))
        return returned
    finally:
        os.close(answer)
