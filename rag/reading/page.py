"""What a reader read of one context."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rag.reading.model import Reading, best_span

Logits = NDArray[np.float32]


class Page:
    """One context with the logits of its tokens; `within` finds the best span of a part of it.

    `whole` is the logit that the context answers the question, of a reader that says so.
    """

    def __init__(
        self,
        start: Logits,
        end: Logits,
        offsets: NDArray[np.int64],
        null: float,
        whole: float = 0.0,
    ) -> None:
        self._start = start
        self._end = end
        self._offsets = offsets
        self._null = null
        self.whole = whole

    def within(self, start: int, end: int) -> Reading:
        """The best span of `context[start:end]`."""
        part = (self._offsets[:, 0] >= start) & (self._offsets[:, 1] <= end)
        return best_span(self._start, self._end, self._offsets, part, self._null)
