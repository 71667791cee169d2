"""How long a search takes, beside embedding the query and one raw Chroma query.

A search embeds the query, asks Chroma and tantivy for 50 chunks each, drops what is not live,
fuses and reads the passages from the catalog; reranking is timed by itself. The yardstick embeds
the same query with bare sentence-transformers and asks a bare Chroma collection, holding the same
vectors, for 50. Both run in turn for each question; the ratio is that of the medians.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from _common import (
    SAMPLES,
    Figure,
    Options,
    alternate,
    bench_settings,
    clocked,
    percentile,
    questions,
    raw_embedder,
    run_benchmark,
    say,
    scratch,
)
from _documents import Writer
from numpy.typing import NDArray

from rag.evidence import TermWeights
from rag.library import Library
from rag.reranking import Reranker

Vectors = NDArray[np.float32]

_DOCUMENT_CHUNKS = 100
_PART = "part"
_NOISE = 0.6


def measure(options: Options) -> Sequence[Figure]:
    """The figures of this benchmark."""
    texts = [row["question"] for row in questions()]
    chunks, part = (400, 100) if options.small else (16_000, 4_000)
    texts = texts[:5] if options.small else texts
    with scratch() as folder:
        library = _load(folder / "sample")
        model = raw_embedder(library.settings)
        _sync_samples(library)
        seeds = np.concatenate([vectors for _, vectors in _stored(library)])
        say(f"the sample library has {len(seeds)} chunks")
        figures = _compare("sample library", library, model, folder / "raw1", texts)
        library.close()
        library = _load(folder / "large")
        fill(library, seeds, chunks, "default")
        fill(library, seeds, part, _PART)
        say(f"the synthetic library has {chunks + part} chunks")
        name = f"{chunks + part:,} chunks"
        figures += _compare(name, library, model, folder / "raw2", texts)
        figures += _one_collection(library, texts, part, chunks + part)
        library.close()
    return sorted(figures, key=lambda figure: figure.unit != "×")


def fill(library: Library, seeds: Vectors, count: int, collection: str) -> None:
    """Write `count` synthetic chunks into a collection: random text, vectors near real ones."""
    from rag.catalog.collections import create_collection
    from rag.catalog.contents import publish, put_contents
    from rag.catalog.index_rows import IndexRow

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
) -> Iterator[Any]:
    """Contents of up to 100 chunks, each with a document that was just claimed."""
    import hashlib

    from rag.catalog.contents import Content, content_key
    from rag.catalog.documents import Upload, add_upload
    from rag.catalog.queue import claim

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


def _parsed(key: str, texts: Sequence[str]) -> tuple[Any, tuple[Any, ...]]:
    from rag.records import Block, Chunk, Page, Parsed

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


def _load(home: Path) -> Library:
    library = Library(bench_settings(home, retrieval_rerank=0))
    library.load(llm=False)
    return library


def _sync_samples(library: Library) -> None:
    from ingest.sync import register
    from ingest.worker import Worker
    from rag.catalog.folders import folder_key

    key = folder_key(library.catalog, str(SAMPLES), "default")
    register(library.settings, library.catalog, SAMPLES, key, "default")
    Worker(library).drain()


def _stored(library: Library) -> Iterator[tuple[list[str], Vectors]]:
    from rag.catalog.index_rows import index_rows

    for rows in index_rows(library.catalog):
        yield [row.id for row in rows], np.stack([row.vector for row in rows])


def _raw_collection(library: Library, folder: Path) -> Any:
    """A bare Chroma collection with the library's vectors, everything else its default."""
    import chromadb
    from chromadb.config import Settings as ChromaSettings

    client = chromadb.PersistentClient(str(folder), ChromaSettings(anonymized_telemetry=False))
    collection = client.create_collection(
        "raw", embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
    )
    for ids, vectors in _stored(library):
        collection.add(ids=ids, embeddings=vectors)
    return collection


def _compare(
    name: str, library: Library, model: Any, folder: Path, texts: Sequence[str]
) -> list[Figure]:
    collection = _raw_collection(library, folder)
    n = min(library.settings.retrieval_candidates, collection.count())
    vector = model.encode_query([texts[0]], normalize_embeddings=True, show_progress_bar=False)

    def search(text: str) -> None:
        library.search(text)

    def embed(text: str) -> None:
        model.encode_query([text], normalize_embeddings=True, show_progress_bar=False)

    def ask_chroma(text: str) -> None:
        collection.query(query_embeddings=vector, n_results=n, include=["distances"])

    def raw(text: str) -> None:
        found = model.encode_query([text], normalize_embeddings=True, show_progress_bar=False)
        collection.query(query_embeddings=found, n_results=n, include=["distances"])

    weights = TermWeights(library.indexes.words)
    reranker = Reranker(library.reader, weights, bench_settings(folder).retrieval_rerank)
    found = {text: library.search(text, limit=50) for text in texts}

    def rerank(text: str) -> None:
        reranker.order(text, found[text])

    seconds = _each(texts, search=search, raw=raw, embed=embed, chroma=ask_chroma)
    # each question once: the reader keeps what it read
    rerank(texts[0])
    reranked = median([clocked(lambda text=text: rerank(text)) for text in texts[1:]])
    searched, plain = median(seconds["search"]), median(seconds["raw"])
    return [
        Figure(f"{name}: search / (embed + raw Chroma query), p50", searched / plain, "×"),
        Figure(f"{name}: search, p50", 1000 * searched, "ms"),
        Figure(f"{name}: search, p95", 1000 * percentile(seconds["search"], 0.95), "ms"),
        Figure(f"{name}: embed + raw Chroma query, p50", 1000 * plain, "ms"),
        Figure(f"{name}: reranking what was found, p50", 1000 * reranked, "ms"),
        Figure(f"{name}: embedding the query alone, p50", 1000 * median(seconds["embed"]), "ms"),
        Figure(f"{name}: raw Chroma query alone, p50", 1000 * median(seconds["chroma"]), "ms"),
    ]


def _one_collection(library: Library, texts: Sequence[str], part: int, every: int) -> list[Figure]:
    """A search in one small collection beside one in all: few allowed chunks are compared each."""
    seconds = _each(
        texts,
        one=lambda text: library.search(text, [_PART]),
        all=lambda text: library.search(text),
    )
    one, everywhere = median(seconds["one"]), median(seconds["all"])
    name = f"search in a collection of {part:,} of {every:,} chunks"
    return [
        Figure(f"{name} / search in all, p50", one / everywhere, "×"),
        Figure(f"{name}, p50", 1000 * one, "ms"),
    ]


def _each(texts: Sequence[str], **works: Callable[[str], object]) -> dict[str, list[float]]:
    """The seconds of each work for every text, in turn, after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for number, text in enumerate((texts[0], *texts)):
        round_ = alternate(1, **{n: lambda w=w, t=text: w(t) for n, w in works.items()})
        for name, taken in round_.items():
            seconds[name] += taken if number else []
    return seconds


if __name__ == "__main__":
    sys.exit(run_benchmark("retrieval_latency", __doc__ or "", measure))
