"""Fills a library with synthetic chunks: random text, vectors in the neighbourhood of real ones."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
from _documents import Writer
from numpy.typing import NDArray

from rag.catalog.collections import create_collection
from rag.catalog.contents import Content, content_key, publish, put_contents
from rag.catalog.documents import Upload, add_upload
from rag.catalog.index_rows import IndexRow
from rag.catalog.queue import claim
from rag.library import Library
from rag.parsed import Block, Page, Parsed
from rag.records import Chunk

Vectors = NDArray[np.float32]

_DOCUMENT_CHUNKS = 100
_NOISE = 0.6


def fill(library: Library, seeds: Vectors, count: int, collection: str) -> None:
    """Write `count` synthetic chunks into a collection: random text, vectors near real ones."""
    create_collection(library.catalog, collection)
    writer = Writer(seed=count)
    noise = np.random.default_rng(count)
    for start in range(0, count, 10 * _DOCUMENT_CHUNKS):
        size = min(count - start, 10 * _DOCUMENT_CHUNKS)
        contents = list(_contents(library, writer, noise, seeds, size, collection))
        put_contents(library.catalog, contents)
        library.indexes.add(
            [
                IndexRow(chunk.id, chunk.text, chunk.context, vector)
                for content in contents
                for chunk, vector in zip(content.chunks, content.vectors, strict=True)
            ]
        )
        publish(
            library.catalog, [(content.task, content.key) for content in contents], _recipe(library)
        )


def _contents(
    library: Library,
    writer: Writer,
    noise: np.random.Generator,
    seeds: Vectors,
    count: int,
    collection: str,
) -> Iterator[Content]:
    """Contents of up to 100 chunks, each with a document that was just claimed."""
    while count > 0:
        size = min(count, _DOCUMENT_CHUNKS)
        count -= size
        texts = [writer.paragraph() for _ in range(size)]
        digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()
        upload = Upload(f"{digest[:12]}.txt", "txt", 1, digest)
        add_upload(library.catalog, upload, collection)
        (task,) = claim(library.catalog, 1, 10)
        key = content_key(digest, "txt", _recipe(library))
        parsed, chunks = _parsed(key, texts)
        yield Content(key, task, _recipe(library), parsed, chunks, _near(noise, seeds, size))


def _parsed(key: str, texts: Sequence[str]) -> tuple[Parsed, tuple[Chunk, ...]]:
    blocks, chunks, start = [], [], 0
    for number, text in enumerate(texts):
        end = start + len(text)
        blocks.append(Block(start, end))
        chunks.append(Chunk(f"c_{key[:18]}{number:06}", number, 1, start, end, text))
        start = end + 1
    return Parsed((Page(1, "\n".join(texts), tuple(blocks)),)), tuple(chunks)


def _near(noise: np.random.Generator, seeds: Vectors, count: int) -> Vectors:
    """Vectors of length 1, each in the neighbourhood of a real one."""
    chosen = seeds[noise.integers(len(seeds), size=count)]
    moved = chosen + _NOISE * noise.standard_normal(chosen.shape) / np.sqrt(chosen.shape[1])
    scaled: Vectors = (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32)
    return scaled


def _recipe(library: Library) -> str:
    return f"benchmark.{library.embedder.fingerprint}"
