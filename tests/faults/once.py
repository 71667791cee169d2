"""`tests.faults.scenarios.ingest` in a process of its own, which strace has fail."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.faults.scenarios import ingest


class Traced:
    """Stands for the disk; strace decides what fails, and when."""

    seen = failed = 0

    @contextmanager
    def failing(self, *_: Any) -> Iterator[None]:
        """Nothing by itself."""
        yield


if __name__ == "__main__":
    fault = [0, 0, 0, False]  # tried again elsewhere: strace counts for each new thread anew
    print(json.dumps(ingest(Traced(), sys.argv[1], 3, fault, again=False)))  # noqa: T201
