"""How long a search takes, beside embedding the query and one raw Chroma query.

A search embeds the query, asks Chroma and tantivy for 50 chunks each, drops what is not live,
fuses and reads the passages from the catalog; reranking is timed by itself. The yardstick embeds
the same query with bare sentence-transformers and asks a bare Chroma collection, holding the same
vectors, for 50. Both run in turn for each question; the ratio is that of the medians.

The synthetic library has `--chunks` chunks. `--kept FOLDER` keeps the libraries for the next run.
"""

from __future__ import annotations

import itertools
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
from _synthetic import Vectors, fill

from rag.cores import usable_cores
from rag.errors import CloisterError
from rag.library import Library
from rag.reranking import Reranker

_CHUNKS, _PART_CHUNKS = 20_000, 4_000
_PART = "part"
# it takes long
_RERANKED = 20


def measure(options: Options) -> Sequence[Figure]:
    """The figures of this benchmark."""
    texts = [row["question"] for row in questions()]
    chunks = 500 if options.small else options.chunks
    texts = texts[:5] if options.small else texts
    with _folder(options.kept) as folder:
        with _opened(folder / "sample", _sync_samples) as library:
            model = raw_embedder(library.settings)
            seeds = np.concatenate([vectors for _, vectors in _stored(library)])
            say(f"the sample library has {len(seeds)} chunks")
            figures = _compare("sample library", library, model, folder / "raw-sample", texts)
        part = min(_PART_CHUNKS, chunks // 5)

        def make(library: Library) -> None:
            say(f"writing {chunks:,} chunks")
            fill(library, seeds, chunks - part, "default")
            fill(library, seeds, part, _PART)

        with _opened(folder / f"chunks-{chunks}", make) as library:
            name = f"{chunks:,} chunks"
            figures += _compare(name, library, model, folder / f"raw-{chunks}", texts)
            figures += _stages(name, library, texts)
            figures += _one_collection(library, texts, part, chunks)
    return sorted(figures, key=lambda figure: figure.unit != "×")


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    """Where the libraries are made: a folder that is kept, or a temporary one."""
    if kept is None:
        with scratch() as folder:
            yield folder
    else:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept.resolve()


@contextmanager
def _opened(home: Path, make: Callable[[Library], None]) -> Iterator[Library]:
    """The library in `home`, made anew where none was made to its end."""
    made = home / "made"
    if home.exists() and not made.exists():
        shutil.rmtree(home)
    library = Library(bench_settings(home, retrieval_rerank=0))
    try:
        library.load(llm=False)
        if not made.exists():
            make(library)
            made.write_text(library.embedder.fingerprint, "utf-8")
        elif made.read_text("utf-8") != library.embedder.fingerprint:
            raise CloisterError(f"“{home}” is of another embedder. Delete it and try again.")
        yield library
    finally:
        library.close()


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
    collection = client.get_or_create_collection(
        "raw", embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
    )
    if collection.count() < len(library.indexes.vectors):
        for ids, vectors in _stored(library):
            collection.upsert(ids=ids, embeddings=vectors)
    return collection


@contextmanager
def _on(cores: int) -> Iterator[None]:
    """Compute on so many cores, as sentence-transformers does by itself; Cloister leaves it one."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(cores)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _compare(
    name: str, library: Library, model: Any, folder: Path, texts: Sequence[str]
) -> list[Figure]:
    collection = _raw_collection(library, folder)
    n = min(library.settings.retrieval_candidates, collection.count())
    vector = model.encode_query([texts[0]], normalize_embeddings=True, show_progress_bar=False)

    def search(text: str) -> None:
        library.search(text)

    def embed(text: str) -> Any:
        with _on(usable_cores()):
            return model.encode_query([text], normalize_embeddings=True, show_progress_bar=False)

    def ask_chroma(text: str) -> None:
        collection.query(query_embeddings=vector, n_results=n, include=["distances"])

    def raw(text: str) -> None:
        collection.query(query_embeddings=embed(text), n_results=n, include=["distances"])

    reranker = Reranker(
        library.reader, library.indexes.words, bench_settings(folder).retrieval_rerank
    )
    found = {text: library.search(text, limit=50) for text in texts}

    def rerank(text: str) -> None:
        reranker.order(text, found[text])

    seconds = _each(texts, search=search, raw=raw, embed=embed, chroma=ask_chroma)
    # each question once: the reader keeps what it read
    rerank(texts[0])
    reranked = median(
        [clocked(lambda text=text: rerank(text)) for text in texts[1 : 1 + _RERANKED]]
    )
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


def _stages(name: str, library: Library, texts: Sequence[str]) -> list[Figure]:
    """The parts of a search, each by itself."""
    from rag.catalog.passages import live_candidates
    from rag.twins import distinct, with_similar
    from rag.widening import widened

    settings, catalog, indexes = library.settings, library.catalog, library.indexes
    wanted, around, limit = settings.retrieval_candidates, settings.retrieval_around, 10
    by = library.embedder.fingerprint
    seconds: dict[str, list[float]] = {}

    def stage(part: str, work: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        found = work()
        seconds.setdefault(part, []).append(time.perf_counter() - started)
        return found

    for text in texts:
        vector = stage("embedding the query", lambda t=text: library.embedder.query(t))
        near = stage("nearest vectors", lambda v=vector: indexes.vectors.query(v, wanted))
        best = stage("best words", lambda t=text: indexes.words.query(t, wanted))
        both = itertools.chain.from_iterable(itertools.zip_longest(near, best))
        names = list(dict.fromkeys(one[0] for one in both if one))
        live, _ = stage(
            "what of it is live, and its vectors",
            lambda n=names, v=vector: live_candidates(catalog, n, by, len(v)),
        )
        worded = {one for one, _ in best}
        others = [one for one in names if one not in worded]
        stage("words of the nearest", lambda t=text, o=others: indexes.words.scores(t, o))
        ordered = [live[one] for one in names if one in live]
        passages = stage("same texts once", lambda o=ordered: distinct(o))
        stage("text around", lambda p=passages: widened(catalog, p, around, limit))
        stage("similar passages", lambda p=passages: with_similar(p[:limit], p))
    return [
        Figure(f"{name}, of a search: {part}, p50", 1000 * median(taken), "ms")
        for part, taken in seconds.items()
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
    sys.exit(run_benchmark("retrieval_latency", __doc__ or "", measure, chunks=_CHUNKS))
