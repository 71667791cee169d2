"""The library without child processes, so that a test can open it hundreds of times."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from ingest.formats import KINDS
from ingest.intake import Intake, MemberStream
from ingest.sandbox import Sandbox
from rag import indexes
from rag.catalog import Catalog
from rag.comparison import Compared, compare_vectors
from rag.errors import EmptyDocument
from rag.parsed import Parsed
from rag.vectors import VectorIndex


def without_children(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parse, and check the vectors at a start, in this process."""
    monkeypatch.setattr(Sandbox, "parse", _parse)
    monkeypatch.setattr(indexes, "compare_closed_vectors", compare_here)


def _parse(self: Sandbox, path: Path, name: str, kind: str, intake: Intake | None = None) -> Parsed:
    if intake:
        unpack = _function(KINDS[kind].unpacker)
        for packed in unpack(path, name, intake.limits):
            frames = iter([*(b"d" + block for block in packed.blocks()), b"e"])
            intake.take(packed.name, MemberStream(lambda frames=frames: next(frames)))
    if not KINDS[kind].parser:
        return Parsed(())
    parsed: Parsed = _function(KINDS[kind].parser)(path, name)
    if not any(page.text.strip() for page in parsed.pages):
        raise EmptyDocument("empty")
    return parsed


def _function(place: str) -> Any:
    module, _, function = place.partition(":")
    return getattr(importlib.import_module(module), function)


def compare_here(
    catalog: Catalog, home: Path, path: Path, fingerprint: str, sample: int | None = None
) -> Compared | None:
    """As `compare_closed_vectors`, without a child."""
    index = VectorIndex(path, fingerprint)
    try:
        return compare_vectors(catalog, index, fingerprint, sample)
    finally:
        index.close()
