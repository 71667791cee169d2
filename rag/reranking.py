"""Reranking: the reader looks at the first passages and puts forward those that answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from rag.records import Passage

if TYPE_CHECKING:
    from rag.reading.reader import Reader

# what the reader's word counts beside the fused score, and how many logits it takes to be sure;
# both chosen on the dev questions
WEIGHT = 2.0
_LOGITS = 8.0


class Reranker:
    """Orders passages by fused score and by whether the reader finds an answer in them.

    `reader` gives the reader, or None where the settings name none: the order then stays.
    """

    def __init__(self, reader: Callable[[], Reader | None], first: int) -> None:
        self._reader = reader
        self._first = first

    def order(self, query: str, passages: Sequence[Passage]) -> list[Passage]:
        """The passages, the first few of them in a new order; `score` stays from 0 to 1."""
        reader = self._reader() if self._first > 0 else None
        if reader is None:
            return list(passages)
        few = passages[: self._first]
        pages = reader.read(query, [p.text_in_context for p in few])
        found = np.array(
            [
                page.within(len(p.text_in_context) - len(p.text), len(p.text_in_context)).score
                for p, page in zip(few, pages, strict=True)
            ]
        )
        sure = 1.0 / (1.0 + np.exp(-found / _LOGITS))
        scored = [
            replace(p, score=(p.score + WEIGHT * float(s)) / (1.0 + WEIGHT))
            for p, s in zip(few, sure, strict=True)
        ]
        rest = [replace(p, score=p.score / (1.0 + WEIGHT)) for p in passages[self._first :]]
        return sorted(scored, key=lambda p: -p.score) + rest
