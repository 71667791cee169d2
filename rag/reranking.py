"""Reranking: the first passages by whether the reader finds an answer in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rag.records import Passage

if TYPE_CHECKING:
    from rag.reading.reader import Reader

# what the reader's word counts beside the fused score, and how many logits it takes the reader to
# be sure; chosen on the dev questions and the dev parts of public sets (docs/quality.md)
_READER = 0.55
_LOGITS = 4.0


class Reranker:
    """Orders passages by fused score and whether the reader finds an answer.

    `reader` gives the reader, or None where the settings name none: the order then stays. `first`
    is how many passages are looked at.
    """

    def __init__(self, reader: Callable[[], Reader | None], first: int) -> None:
        self._reader = reader
        self._first = first

    def order(self, query: str, passages: Sequence[Passage]) -> list[Passage]:
        """The passages, the first few of them in a new order; `score` stays from 0 to 1."""
        reader = self._reader() if self._first > 0 else None
        if reader is None:
            return list(passages)
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
