"""What a reader read of one context, and the pages that were read lately."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rag.reading.model import Reading, best_span

_KEPT = 512

Logits = NDArray[np.float32]
Read = Callable[[str, Sequence[str]], Sequence["Page"]]


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


class KeptPages:
    """Reads each question over each context once, as long as it was lately. For several threads."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], Page] = OrderedDict()

    def read(self, question: str, contexts: Sequence[str]) -> list[Page]:
        """One page a context, read now or lately."""
        wanted = [(question, context) for context in contexts]
        with self._lock:
            pages = {key: self._kept[key] for key in wanted if key in self._kept}
        fresh = [key for key in dict.fromkeys(wanted) if key not in pages]
        if fresh:
            read = self._read(question, [context for _, context in fresh])
            pages |= zip(fresh, read, strict=True)
        with self._lock:
            for key in wanted:
                self._kept[key] = pages[key]
                self._kept.move_to_end(key)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return [pages[key] for key in wanted]
