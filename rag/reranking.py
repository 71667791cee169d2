"""Reranking: the first passages by whether the reader finds an answer in them, and the others by
what the best of them names.

Who asks for the head of the office that wrote the policy finds the policy first, which names the
office; the passage about the office has few of the question's words, but that name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rag.names import names
from rag.records import Passage
from rag.words import WordIndex, content_terms

if TYPE_CHECKING:
    from rag.reading.reader import Reader

# what the reader's word counts beside the fused score, and how many logits it takes the reader to
# be sure; chosen on the dev questions and the dev parts of public sets (docs/quality.md)
_READER = 0.55
_LOGITS = 4.0
# what the words of the question and of the names in the best passage count beside that, and how
# many names are looked for; chosen as above
_NAMED = 0.4
_MOST_NAMES = 20


class Reranker:
    """Orders passages by fused score, whether the reader finds an answer, and the best one's names.

    `reader` gives the reader, or None where the settings name none: the order then stays. `words`
    is the index that the passages' chunks are in, `first` how many passages the reader looks at.
    """

    def __init__(self, reader: Callable[[], Reader | None], words: WordIndex, first: int) -> None:
        self._reader = reader
        self._words = words
        self._first = first

    def order(self, query: str, passages: Sequence[Passage]) -> list[Passage]:
        """The passages in a new order; `score` stays from 0 to 1."""
        reader = self._reader() if self._first > 0 else None
        if reader is None:
            return list(passages)
        return self._followed(query, self._read(reader, query, passages))

    def _read(self, reader: Reader, query: str, passages: Sequence[Passage]) -> list[Passage]:
        """The first few in the order that the reader's word gives them, then the others."""
        few, rest = passages[: self._first], passages[self._first :]
        gained = _READER * self._sure(reader, query, few)
        whole = 1.0 + _READER
        scored = [
            replace(p, score=(p.score + float(gain)) / whole)
            for p, gain in zip(few, gained, strict=True)
        ]
        return [
            *sorted(scored, key=lambda p: -p.score),
            *(replace(p, score=p.score / whole) for p in rest),
        ]

    def _sure(self, reader: Reader, query: str, passages: Sequence[Passage]) -> NDArray[np.float64]:
        """How sure the reader is of an answer in each passage, 0 to 1."""
        pages = reader.read(query, [p.text_in_context for p in passages])
        found = np.array(
            [
                page.within(len(p.text_in_context) - len(p.text), len(p.text_in_context)).score
                for p, page in zip(passages, pages, strict=True)
            ]
        )
        sure: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-found / _LOGITS))
        return sure

    def _followed(self, query: str, passages: Sequence[Passage]) -> list[Passage]:
        """The best passage, then the others by the names in it as well.

        The best one stays so: its own names are all in it. What it names that the question does
        not is looked for together with the question, as in pseudo-relevance feedback (Rocchio
        1971), by the BM25 of these passages alone.
        """
        if not passages:
            return []
        best, *others = passages
        asked = set(content_terms(query))
        fresh = [name for name in names(best.text) if not asked.issuperset(content_terms(name))]
        if not fresh:
            return list(passages)
        wanted = " ".join([query, *fresh[:_MOST_NAMES]])
        found = self._words.scores(wanted, [passage.chunk_id for passage in passages])
        highest = max(found.values()) or 1.0
        shares = [1.0, *(found[passage.chunk_id] / highest for passage in others)]
        scored = [
            replace(p, score=(p.score + _NAMED * share) / (1.0 + _NAMED))
            for p, share in zip(passages, shares, strict=True)
        ]
        return sorted(scored, key=lambda p: -p.score)
