"""From a question to passages: dense and lexical candidates, fused, live ones only, reranked."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from rag.catalog import Catalog
from rag.catalog.passages import live_candidates, live_chunks, live_size
from rag.cores import usable_cores
from rag.embedding import Embedder, Vectors
from rag.errors import StorageError
from rag.fusion import document_matches, fuse, ranked
from rag.indexes import Indexes
from rag.records import NO_FILTERS, Filters, Passage
from rag.reranking import Reranker
from rag.settings import Settings
from rag.twins import distinct, with_similar
from rag.widening import widened
from rag.words import content_terms, terms

log = logging.getLogger("cloister.library")
T = TypeVar("T")

# up to this many allowed chunks an exact search beats the index (and a metadata filter)
EXACT_LIMIT = 5_000
_Ranked = list[tuple[str, float]]


@dataclass(frozen=True, slots=True)
class _Sought:
    """What is looked for, how many each half is to find, and where; `vector` is the query's."""

    query: str
    vector: Vectors
    wanted: int
    collections: Sequence[str] | None
    filters: Filters


@dataclass(frozen=True, slots=True)
class _Found:
    """What each half finds, best first, and by chunk its passage, BM25 score, words and vector.

    The words are those of the query's that it holds.
    """

    dense: _Ranked
    lexical: _Ranked
    matches: Mapping[str, float]
    held: Mapping[str, Set[str]]
    passages: Mapping[str, Passage]
    vectors: Mapping[str, Vectors]


class Retriever:
    """Hybrid retrieval over one library's indexes. Safe to use from several threads."""

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        embedder: Embedder,
        indexes: Indexes,
        reranker: Reranker,
    ) -> None:
        self._settings = settings
        self._catalog = catalog
        self._embedder = embedder
        self._indexes = indexes
        self._reranker = reranker
        # words are looked for while a vector is made, or the catalog is read
        self._beside = ThreadPoolExecutor(usable_cores(), "retriever")

    def close(self) -> None:
        """End the threads."""
        self._beside.shutdown()

    def passages(
        self,
        query: str,
        collections: Sequence[str] | None = None,
        limit: int = 10,
        filters: Filters = NO_FILTERS,
    ) -> list[Passage]:
        """The best `limit` passages for a query, best first; identical texts once.

        A passage is a found chunk with what stands around it (`retrieval.around`). Other documents
        in which the chunk stands too, the same or nearly, are its twins.

        `score` is the fused score from 0 to 1, with the reranker's word where there is one;
        `similarity` is the cosine. Raises UnknownCollection, NotFound (of a document in the
        filters), and ModelError from the reranker.
        """
        wanted = max(limit, self._settings.retrieval_candidates)
        everywhere = collections is None and not filters.given
        words = self._indexes.words
        first = self._start(words.query, query, wanted) if everywhere else None
        vector = self._embedder.query(query)
        found = self._candidates(_Sought(query, vector, wanted, collections, filters), first)
        similarity = _similarities(vector, found)
        documents = _documents(query, found)
        fused = fuse(similarity, found.matches, documents, self._settings.retrieval_dense_weight)
        dense_rank = {name: rank for rank, (name, _) in enumerate(found.dense, 1)}
        lexical_rank = {name: rank for rank, (name, _) in enumerate(found.lexical, 1)}
        firsts = [half[0][0] for half in (found.dense, found.lexical) if half]
        passages = distinct([found.passages[name] for name in ranked(fused, firsts, limit)])
        around, most = self._settings.retrieval_around, max(limit, self._settings.retrieval_rerank)
        scored = [
            replace(
                passage,
                score=fused[passage.chunk_id],
                similarity=similarity[passage.chunk_id],
                dense_rank=dense_rank.get(passage.chunk_id),
                lexical_rank=lexical_rank.get(passage.chunk_id),
            )
            for passage in widened(self._catalog, passages, around, most)
        ]
        best = self._reranker.order(query, scored)[:limit]
        chunks = {passage.chunk_id: passage for passage in passages}
        twins = with_similar([chunks[passage.chunk_id] for passage in best], passages)
        return [
            passage if passage.twins is other.twins else replace(passage, twins=other.twins)
            for passage, other in zip(best, twins, strict=True)
        ]

    def _start(self, work: Callable[..., T], *arguments: Any) -> Future[T]:
        """Do a work in a thread beside this one; where none can begin, at once.

        What the pool took in before it found that it has no thread is done once more, later.
        """
        try:
            return self._beside.submit(work, *arguments)
        except RuntimeError:  # the system has no more threads, or all is being closed
            done: Future[T] = Future()
            done.set_result(work(*arguments))
            return done

    def _candidates(self, sought: _Sought, first: Future[_Ranked] | None) -> _Found:
        """What each half finds that is live and allowed.

        `first` is what the words find first where all may answer.
        """
        wanted, words = sought.wanted, self._indexes.words
        if first is None:
            allowed = live_size(self._catalog, sought.collections, sought.filters)
            if allowed <= EXACT_LIMIT:
                ids, dense = self._exact(sought)
                return self._counted(sought, dense, words.query(sought.query, wanted, ids))
        # Chunks of documents that changed or went stay in the indexes until they are swept, so an
        # index is asked for more until enough of what it finds counts.
        size, n = len(words), wanted
        while True:
            dense, held = self._nearest(sought.vector, n)
            size = max(size, held)
            lexical = first.result() if first and n == wanted else words.query(sought.query, n)
            live = self._counted(sought, dense, lexical)
            short = (len(dense) == n and len(live.dense) < wanted) or (
                len(lexical) == n and len(live.lexical) < wanted
            )
            if n >= size or not short:
                return live
            n = min(size, n * 4)

    def _counted(self, sought: _Sought, dense: _Ranked, lexical: _Ranked) -> _Found:
        """The first of each half that are live and allowed, as many as are wanted."""
        ids = {name for name, _ in (*dense, *lexical)}
        matches = dict(lexical)
        near = [name for name, _ in dense if name not in matches]
        # of more than are wanted most will not count
        few = len(ids) <= 2 * sought.wanted
        beside = self._start(self._worded, sought.query, near, list(ids)) if few else None
        live, vectors = live_candidates(
            self._catalog,
            ids,
            self._embedder.fingerprint,
            len(sought.vector),
            sought.collections,
            sought.filters,
        )
        dense, lexical = (
            [pair for pair in half if pair[0] in live][: sought.wanted] for half in (dense, lexical)
        )
        named = sorted({name for name, _ in (*dense, *lexical)})
        rest = [name for name in named if name not in matches]
        scores, held = beside.result() if beside else self._worded(sought.query, rest, named)
        matches |= scores
        return _Found(
            dense,
            lexical,
            {name: matches[name] for name in named},
            {name: held[name] for name in named},
            {name: live[name] for name in named},
            vectors,
        )

    def _worded(
        self, query: str, rest: Sequence[str], every: Sequence[str]
    ) -> tuple[dict[str, float], dict[str, set[str]]]:
        """The BM25 scores of the `rest`, and which words of the query each of `every` holds."""
        words = self._indexes.words
        return words.scores(query, rest), words.held(query, every)

    def _nearest(self, vector: Vectors, n: int) -> tuple[_Ranked, int]:
        """What the index finds, and of how many; nothing where it cannot be read just now."""
        vectors = self._indexes.vectors
        try:
            return vectors.query(vector, n), len(vectors)
        except StorageError as error:  # a full disk; the words answer meanwhile
            log.warning("passages are found by their words alone: %s", error)
            return [], 0

    def _exact(self, sought: _Sought) -> tuple[list[str], _Ranked]:
        """All chunks that are allowed, and the dense half by exact search over them."""
        allowed, ids, matrix = live_chunks(
            self._catalog,
            sought.collections,
            self._embedder.fingerprint,
            sought.filters,
            len(sought.vector),
        )
        if not ids:
            return allowed, []
        similarity = matrix @ sought.vector
        best = np.argsort(-similarity, kind="stable")[: sought.wanted]
        return allowed, [(ids[i], float(similarity[i])) for i in best]


def _documents(query: str, found: _Found) -> Mapping[str, float]:
    """How much of the question's words each candidate's document has."""
    passages, asked = found.passages, set(content_terms(query))
    named = {
        title: asked.intersection(terms(title)) for title in {p.title for p in passages.values()}
    }
    held = {name: found.held[name] | named[p.title] for name, p in passages.items()}
    return document_matches(held, {name: p.document_id for name, p in passages.items()})


def _similarities(vector: Vectors, found: _Found) -> dict[str, float]:
    """The cosine of each passage, also of those that the dense half did not find; 0 unknown."""
    near = dict(found.dense)
    vectors = found.vectors
    others = {
        name: float(vectors[name] @ vector) if name in vectors else 0.0
        for name in found.passages
        if name not in near
    }
    return near | others
