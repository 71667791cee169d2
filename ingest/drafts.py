"""Drafts: documents that are parsed and chunked, and wait for their vectors.

A short one is held in memory, so that many share their commits. A long one is in the catalog
from the start: its chunks and vectors take no memory, and a stop loses none of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from rag.catalog import Catalog
from rag.catalog.contents import Content
from rag.catalog.portions import Begun, add_vectors, texts
from rag.catalog.queue import Task
from rag.embedding import Vectors
from rag.parsed import Parsed
from rag.records import Chunk


@dataclass(slots=True, eq=False)
class Draft:
    """A content on its way, and the documents it is for: `done` of `count` chunks have vectors."""

    tasks: list[Task]
    key: str
    count: int
    done: int

    @property
    def left(self) -> int:
        """How many chunks wait."""
        return self.count - self.done

    @property
    def tried_before(self) -> bool:
        """Whether one of its documents did harm before, perhaps."""
        return any(task.attempts for task in self.tasks)

    def texts(self, count: int) -> list[str]:
        """What the embedder is given next: `count` chunks."""
        raise NotImplementedError

    def add(self, vectors: Vectors) -> None:
        """Take the vectors of the next chunks."""
        raise NotImplementedError


@dataclass(slots=True, eq=False)
class ShortDraft(Draft):
    """A draft in memory."""

    parsed: Parsed
    chunks: tuple[Chunk, ...]
    vectors: list[Vectors] = field(default_factory=list)

    @classmethod
    def of(cls, task: Task, key: str, parsed: Parsed, chunks: tuple[Chunk, ...]) -> ShortDraft:
        """The draft of a document that was just read."""
        return cls([task], key, len(chunks), 0, parsed, chunks)

    def texts(self, count: int) -> list[str]:
        """As its base; from memory."""
        return [chunk.embedded_text for chunk in self.chunks[self.done : self.done + count]]

    def add(self, vectors: Vectors) -> None:
        """As its base; into memory."""
        self.vectors.append(vectors)
        self.done += len(vectors)

    def content(self, recipe: str) -> Content:
        """What is written once every chunk has its vector; an archive has none."""
        rows = np.concatenate(self.vectors) if self.chunks else np.zeros((0, 0), np.float32)
        return Content(self.key, self.tasks[0], recipe, self.parsed, self.chunks, rows)


@dataclass(slots=True, eq=False)
class LongDraft(Draft):
    """A draft in the catalog."""

    catalog: Catalog

    @classmethod
    def of(cls, task: Task, key: str, begun: Begun, catalog: Catalog) -> LongDraft:
        """The draft of a content that was begun, now or before a stop."""
        return cls([task], key, begun.count, begun.done, catalog)

    def texts(self, count: int) -> list[str]:
        """As its base; from the catalog, fewer where they are gone from it."""
        return texts(self.catalog, self.key, self.done, count)

    def add(self, vectors: Vectors) -> None:
        """As its base; into the catalog."""
        add_vectors(self.catalog, self.key, self.done, vectors)
        self.done += len(vectors)
