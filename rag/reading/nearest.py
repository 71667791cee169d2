"""Which passages retrieval would find first for each of many questions: by words, or by vectors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.words import content_terms

Embed = Callable[[list[str]], NDArray[np.float32]]
# for each question the numbers of the passages nearest to it, nearest first, at most so many
Nearest = Callable[[Sequence[str], Sequence[str], int], Iterator[list[int]]]

# BM25 as Robertson and Zaragoza 2009 have it
_K1, _B = 1.2, 0.75
# questions compared with all passages at once
_BLOCK = 256


def by_words(asked: Sequence[str], contexts: Sequence[str], most: int) -> Iterator[list[int]]:
    """By BM25 over content words; fewer where fewer passages share a word with the question."""
    terms: dict[str, int] = {}
    counts = [Counter(content_terms(context)) for context in contexts]
    for count in counts:
        for term in count:
            terms.setdefault(term, len(terms))
    passages = _weights(counts, terms)
    for begin in range(0, len(asked), _BLOCK):
        part = [set(content_terms(question)) for question in asked[begin : begin + _BLOCK]]
        scores = (_matrix([dict.fromkeys(words, 1.0) for words in part], terms) @ passages).tocsr()
        for row in range(len(part)):
            found = slice(scores.indptr[row], scores.indptr[row + 1])
            numbers, values = scores.indices[found], scores.data[found]
            yield numbers[np.lexsort((numbers, -values))[:most]].tolist()


def by_vectors(embed: Embed) -> Nearest:
    """By the cosine of vectors of length 1."""

    def nearest(asked: Sequence[str], contexts: Sequence[str], most: int) -> Iterator[list[int]]:
        questions, passages = embed(list(asked)), embed(list(contexts))
        for question in questions:
            order = np.argsort(-(passages @ question), kind="stable")
            yield order[:most].tolist()

    return nearest


def _weights(counts: Sequence[Counter[str]], terms: dict[str, int]) -> Any:
    """The BM25 weight of each term in each passage, `[terms, passages]`, sparse."""
    lengths = np.array([sum(count.values()) for count in counts], dtype=np.float64)
    mean = lengths.mean() or 1.0
    held = Counter(term for count in counts for term in count)
    rare = {t: np.log(1 + (len(counts) - n + 0.5) / (n + 0.5)) for t, n in held.items()}
    rows = []
    for count, length in zip(counts, lengths, strict=True):
        damped = _K1 * (1 - _B + _B * length / mean)
        rows.append({t: rare[t] * n * (_K1 + 1) / (n + damped) for t, n in count.items()})
    return _matrix(rows, terms).T.tocsr()


def _matrix(rows: Sequence[dict[str, float]], terms: dict[str, int]) -> Any:
    from scipy.sparse import csr_matrix

    known = [[(terms[t], value) for t, value in row.items() if t in terms] for row in rows]
    places = np.cumsum([0, *map(len, known)])
    columns = [place for row in known for place, _ in row]
    values = [value for row in known for _, value in row]
    return csr_matrix((values, columns, places), shape=(len(rows), len(terms)))
