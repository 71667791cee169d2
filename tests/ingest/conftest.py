"""What the tests of ingestion share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.testing import fake_library
from tests.ingest.estates import Estate


@pytest.fixture
def estate(tmp_path: Path) -> Iterator[Estate]:
    """An empty folder and a library that is to be kept in step with it."""
    (tmp_path / "folder").mkdir()
    library = fake_library(tmp_path / "home")
    yield Estate(tmp_path / "folder", library)
    library.close()
