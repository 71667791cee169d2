"""A process that runs named scenarios, each in a fork of its own, whose disk can be made to fail.

A small library, preloaded, counts the writes, syncs and renames below one folder, of SQLite, of
tantivy and of Chroma as well as Python's own, and has the n-th one fail.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import shutil
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.talking import Talking

ROOT = Path(__file__).resolve().parent.parent.parent
WRITE, SYNC, RENAME = 1, 2, 4


class Nursery:
    """Runs functions of `tests.faults.scenarios`. `close` ends it."""

    def __init__(self, folder: Path) -> None:
        """Build the library in `folder` and start; skips the test where there is no compiler."""
        compiler = shutil.which("cc")
        if compiler is None:
            pytest.skip("no C compiler (cc) is here")
        built = folder / "failing.so"
        source = Path(__file__).with_name("failing.c")
        subprocess.run(
            [compiler, "-O1", "-shared", "-fPIC", "-o", str(built), str(source), "-ldl"], check=True
        )
        self._child = Talking(__name__, str(built), given={"LD_PRELOAD": str(built)})

    def run(self, scenario: str, **arguments: Any) -> Mapping[str, Any]:
        """What the scenario returned. Fails the test where it raised or died."""
        result: Mapping[str, Any] = self._child.ask(scenario, arguments)
        assert "trace" not in result, result["trace"]
        return result

    def close(self) -> None:
        """End it."""
        self._child.close()


class Disk:
    """The preloaded library, in the process that it is preloaded into."""

    def __init__(self, built: str) -> None:
        self._library = ctypes.CDLL(built)
        self._library.failing_seen.restype = self._library.failing_failed.restype = ctypes.c_long

    @contextmanager
    def failing(
        self, folder: Path, kind: int, number: int, error: int, lasting: bool
    ) -> Iterator[None]:
        """Within this call `number` of `kind` below `folder` fails; `lasting`: all after it too."""
        arm = self._library.failing_arm
        arm(str(folder).encode(), kind, ctypes.c_long(number), error, int(lasting))
        try:
            yield
        finally:
            self._library.failing_disarm()

    @property
    def seen(self) -> int:
        """How many such calls there were."""
        return int(self._library.failing_seen())

    @property
    def failed(self) -> int:
        """How many of them were made to fail."""
        return int(self._library.failing_failed())


def _forked(disk: Disk, scenario: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            act = getattr(importlib.import_module("tests.faults.scenarios"), scenario)
            result = act(disk, **arguments)
        except BaseException:  # noqa: BLE001 - told to the test
            result = {"trace": traceback.format_exc()}
        with os.fdopen(writing, "w") as pipe:
            json.dump(result, pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    found: Mapping[str, Any] = json.loads(told) if told else {"trace": f"it died: {status}"}
    return found


def main() -> None:
    """Fork for each line of standard input; imports are done once."""
    importlib.import_module("tests.faults.scenarios")
    importlib.import_module("chromadb")
    disk = Disk(sys.argv[1])
    for line in sys.stdin:
        scenario, arguments = json.loads(line)
        print(json.dumps(_forked(disk, scenario, arguments)), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
