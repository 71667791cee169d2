"""A folder taken into a scratch library as it is always done, with vectors kept between runs."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from _common import bench_settings

from ingest.pipeline import Pipeline
from ingest.sync import register
from rag.catalog.documents import count_states
from rag.catalog.folders import folder_key
from rag.embedding import Embedder, Vectors
from rag.errors import CloisterError
from rag.library import Library

T = TypeVar("T")


class KeptVectors:
    """An embedder's vectors in a file, by the SHA-256 of the text, so that no text comes twice."""

    def __init__(self, embedder: Embedder, path: Path) -> None:
        self._embedder = embedder
        self._path = path
        self.offsets, self.limit = embedder.offsets, embedder.limit
        self.fingerprint = embedder.fingerprint
        with closing(sqlite3.connect(path)) as file, file:
            file.execute("CREATE TABLE IF NOT EXISTS vectors (key PRIMARY KEY, vector)")

    def query(self, text: str) -> Vectors:
        """As `Embedder.query`."""
        key = self._key(f"query\0{text}")
        with closing(sqlite3.connect(self._path)) as file, file:
            row = file.execute("SELECT vector FROM vectors WHERE key = ?", [key]).fetchone()
            if row is None:
                row = [self._embedder.query(text).tobytes()]
                file.execute("INSERT OR IGNORE INTO vectors VALUES (?, ?)", [key, row[0]])
        return np.frombuffer(row[0], dtype=np.float32)

    def texts(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Vectors:
        """As `Embedder.texts`."""
        keys = [self._key(text) for text in texts]
        with closing(sqlite3.connect(self._path)) as file, file:
            known = {
                key: row[0]
                for key in keys
                if (
                    row := file.execute(
                        "SELECT vector FROM vectors WHERE key = ?", [key]
                    ).fetchone()
                )
            }
            fresh = {k: t for k, t in zip(keys, texts, strict=True) if k not in known}
            vectors = self._embedder.texts(list(fresh.values()), progress) if fresh else []
            made = {key: vector.tobytes() for key, vector in zip(fresh, vectors, strict=True)}
            file.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", made.items())
        known |= made
        return np.stack([np.frombuffer(known[key], dtype=np.float32) for key in keys])

    def _key(self, text: str) -> str:
        return hashlib.sha256(f"{self.fingerprint}\0{text}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Indexed:
    """A library with everything in it, and an embedder that remembers."""

    library: Library
    embedder: KeptVectors


@contextmanager
def indexed(
    home: Path, folder: Path, kept: Path, tokens: int, overlap: int, **changes: Any
) -> Iterator[Indexed]:
    """A library in `home` that holds the files of `folder`, cut so; `kept` is for the vectors.

    `changes` are further settings.
    """
    settings = bench_settings(home, chunk_tokens=tokens, chunk_overlap=overlap, **changes)
    library = Library(settings)
    library.load(llm=False)
    embedder = KeptVectors(library.embedder, kept)
    key = folder_key(library.catalog, str(folder), "default")
    register(settings, library.catalog, folder, key, "default")
    pipeline = Pipeline(settings, library.catalog, embedder, library.indexes)  # type: ignore[arg-type]
    try:
        while pipeline.run(lambda: False):
            pass
        states = count_states(library.catalog)
        if set(states) != {"live"}:
            raise CloisterError(f"Not every file of “{folder.name}” could be read: {states}.")
        yield Indexed(library, embedder)
    finally:
        pipeline.close()
        library.close()


def lay_out(texts: Mapping[str, str | Path], folder: Path) -> None:
    """Write documents into a new folder: texts, or copies of files."""
    folder.mkdir(parents=True)
    for name, text in texts.items():
        if isinstance(text, Path):
            (folder / name).write_bytes(text.read_bytes())
        else:
            (folder / name).write_text(text, "utf-8")


def spread(items: Sequence[T], most: int) -> Sequence[T]:
    """At most so many of them, from all parts."""
    return items[:: -(-len(items) // most)] if items else items
