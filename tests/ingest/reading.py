"""Puts texts into a library the way users do, for tests."""

from __future__ import annotations

import io

from ingest.uploads import receive
from ingest.worker import Worker
from rag.library import Library


def add_text(library: Library, name: str, text: str | bytes, collection: str = "default") -> str:
    """Upload a file; returns its document id."""
    raw = text.encode() if isinstance(text, str) else text
    return receive(library.settings, library.catalog, io.BytesIO(raw), name, collection)[0]


def read_all(library: Library) -> None:
    """Read everything that waits, in this thread."""
    Worker(library).drain()
