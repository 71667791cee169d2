"""Damaged files of every kind: a typed error or a document whose places are right, in time."""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from ingest.formats import KINDS, kind_of, suffix_kind
from ingest.sandbox import Sandbox
from rag.errors import DocumentError
from tests.ingest.mutations import mutate
from tests.ingest.parsed import check
from tests.ingest.valid import valid_files

SECONDS, MEMORY_MB = 60.0, 1024
BATCHES, BATCH = 10, 1000
# reading an image takes as long as reading a hundred texts
_RARE = (".png", ".jpg", ".tif")
_SHARE = 0.02


@pytest.fixture
def _many_files_a_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading the parsers' libraries anew takes longer than the files."""
    monkeypatch.setattr("ingest.sandbox._FILES_PER_CHILD", 2000)
    # the tests' own block of the network would speak before the sandbox's
    monkeypatch.setattr(sys, "path", [path for path in sys.path if "no_network" not in path])


def test_every_kind_has_a_valid_file(tmp_path: Path) -> None:
    files = valid_files(tmp_path)
    # archives are damaged in test_archive_bombs.py; what is converted has no parser of its own
    read = {name for name, kind in KINDS.items() if kind.parser}
    assert {suffix_kind(path.name) for path in files} == read
    with Sandbox(seconds=60) as sandbox:
        # the images are read in the tests of OCR, where it is loaded anyway
        for path in (path for path in files if path.suffix not in _RARE):
            kind = kind_of(path.name, path.read_bytes()[:4096])
            check(sandbox.parse(path, path.name, kind))


def survive(folder: Path, batch: int, count: int) -> Counter[str]:
    """Read `count` damaged files; returns how often each outcome was."""
    valid = [(path, path.read_bytes()) for path in valid_files(folder)]
    weights = [_SHARE if path.suffix in _RARE else 1.0 for path, _ in valid]
    outcomes: Counter[str] = Counter()
    with Sandbox(seconds=SECONDS, memory_mb=MEMORY_MB) as sandbox:
        for number in range(count):
            seed = batch * 1_000_003 + number
            rng = random.Random(seed)
            (path, data), (_, other) = rng.choices(valid, weights)[0], rng.choice(valid)
            damaged = folder / f"mutated{path.suffix}"
            damaged.write_bytes(mutate(data, other, rng))
            begun = time.monotonic()
            outcomes[_outcome(sandbox, damaged)] += 1
            # a page read by OCR has time of its own
            limit = SECONDS * (2 if path.suffix in _RARE else 1) + 5
            assert time.monotonic() - begun < limit, f"seed {seed}: {path.suffix}"
    return outcomes


def _outcome(sandbox: Sandbox, path: Path) -> str:
    try:
        kind = kind_of(path.name, path.read_bytes()[:4096])
        check(sandbox.parse(path, path.name, kind))
    except DocumentError as error:
        return error.code
    return "parsed"


@pytest.mark.usefixtures("_many_files_a_child")
def test_some_damaged_files(tmp_path: Path) -> None:
    outcomes = survive(tmp_path, 1000, 60)
    assert outcomes["parsed"] > 5
    assert outcomes["corrupt-document"] > 5


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("_many_files_a_child")
@pytest.mark.parametrize("batch", range(BATCHES))
def test_ten_thousand_damaged_files(tmp_path: Path, batch: int) -> None:
    outcomes = survive(tmp_path, batch, BATCH)
    assert sum(outcomes.values()) == BATCH
