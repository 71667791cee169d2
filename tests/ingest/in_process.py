"""The library without child processes, so that a test can open it hundreds of times."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from ingest.formats import KINDS
from ingest.sandbox import Sandbox
from rag import indexes
from rag.catalog import Catalog
from rag.comparison import Compared, compare_vectors
from rag.errors import EmptyDocument
from rag.records import Parsed
from rag.vectors import VectorIndex


def without_children(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parse, and check the vectors at a start, in this process."""
    monkeypatch.setattr(Sandbox, "parse", _parse)
    monkeypatch.setattr(indexes, "compare_closed_vectors", compare_here)


def _parse(self: Sandbox, path: Path, name: str, kind: str) -> Parsed:
    module, _, function = KINDS[kind].parser.partition(":")
    parsed: Parsed = getattr(importlib.import_module(module), function)(path, name)
    if not any(page.text.strip() for page in parsed.pages):
        raise EmptyDocument("empty")
    return parsed


def compare_here(
    catalog: Catalog, home: Path, path: Path, fingerprint: str, sample: int | None = None
) -> Compared | None:
    """As `compare_closed_vectors`, without a child."""
    index = VectorIndex(path, fingerprint)
    try:
        return compare_vectors(catalog, index, fingerprint, sample)
    finally:
        index.close()
