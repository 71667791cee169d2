"""Bombs are refused early and cheaply; what cannot be seen early stays within its limits."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ingest.formats import kind_of, suffix_kind
from ingest.sandbox import Sandbox
from rag.errors import DocumentError
from tests.ingest.bombs import BOMBS, CONTAINED
from tests.ingest.parsed import check
from tests.ingest.valid import valid_files

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

CPU_SECONDS, MEGABYTES = 1.0, 50.0
LIMIT_SECONDS, LIMIT_MB = 60.0, 1024


@dataclass(slots=True)
class Use:
    """What a child took, over what it held before; seconds are of the processor."""

    seconds: float = 0.0
    megabytes: float = 0.0


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A valid file of each kind."""
    return {suffix_kind(path.name): path for path in valid_files(tmp_path_factory.mktemp("valid"))}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with pytest.MonkeyPatch.context() as patch:
        # the tests' own block of the network would speak before the sandbox's
        patch.setattr(sys, "path", [path for path in sys.path if "no_network" not in path])
        with Sandbox(seconds=LIMIT_SECONDS, memory_mb=LIMIT_MB) as made:
            yield made


def test_there_are_fifty() -> None:
    assert len(BOMBS) >= 50


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused(
    name: str, tmp_path: Path, sandbox: Sandbox, valid: dict[str, Path]
) -> None:
    file, make = BOMBS[name]
    path = tmp_path / file
    make(path)
    kind = suffix_kind(file)
    # an image is refused before OCR is loaded, which takes longer than all of these tests
    if kind != "image":
        sandbox.parse(valid[kind], valid[kind].name, kind)
    else:
        sandbox.parse(valid["text"], "a.txt", "text")
    with measured(sandbox) as use, pytest.raises(DocumentError):
        sandbox.parse(path, file, kind_of(file, path.read_bytes()[:4096]))
    assert use.seconds < CPU_SECONDS
    assert use.megabytes < MEGABYTES


@pytest.mark.slow
@pytest.mark.parametrize("name", CONTAINED)
def test_what_is_not_refused_stays_within_its_limits(
    name: str, tmp_path: Path, sandbox: Sandbox
) -> None:
    file, make = CONTAINED[name]
    path = tmp_path / file
    make(path)
    sandbox.parse(Path(__file__), "a.py", "code")
    with measured(sandbox) as use, contextlib.suppress(DocumentError):
        check(sandbox.parse(path, file, suffix_kind(file)))
    assert use.seconds < LIMIT_SECONDS
    assert use.megabytes < LIMIT_MB


@contextlib.contextmanager
def measured(sandbox: Sandbox) -> Iterator[Use]:
    """What the sandbox's only child takes meanwhile, also if it ends."""
    (child,) = sandbox._children
    process = Path(f"/proc/{child._process.pid}")
    use, done = Use(), threading.Event()
    seconds, idle = _seconds(process), _kilobytes(process, "VmRSS")
    # begins the highest mark anew
    (process / "clear_refs").write_text("5")

    def watch() -> None:
        while not done.wait(0.005):
            look()

    def look() -> None:
        try:
            use.megabytes = max(use.megabytes, (_kilobytes(process, "VmHWM") - idle) / 1024)
            use.seconds = max(use.seconds, _seconds(process) - seconds)
        except (OSError, IndexError, StopIteration):
            done.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield use
    finally:
        done.set()
        watcher.join()
        look()


def _seconds(process: Path) -> float:
    values = (process / "stat").read_text().rpartition(")")[2].split()
    return (int(values[11]) + int(values[12])) / os.sysconf("SC_CLK_TCK")


def _kilobytes(process: Path, key: str) -> int:
    lines = (process / "status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key))
