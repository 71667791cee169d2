"""The pages of a question: read in batches, and kept for a while."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence, Sized
from typing import Generic, TypeVar

from rag.models.batching import by_length
from rag.models.lanes import Lanes, lanes_for
from rag.reading.page import Page

_KEPT = 512

# a question and a context as tokens
Asked = TypeVar("Asked", bound=Sized)


class Pages(Generic[Asked]):
    """Reads a question over contexts, each once as long as it was lately. For several threads.

    `cut` makes tokens of a question and each context, `read` the pages of a batch of these, which
    has `tokens` at most, padding included; on a processor several batches are read side by side.
    """

    def __init__(
        self,
        cut: Callable[[str, Sequence[str]], Sequence[Asked]],
        read: Callable[[Sequence[Asked]], Sequence[Page]],
        tokens: int,
        device: str,
    ) -> None:
        self._cut = cut
        self._read = read
        self._tokens = tokens
        self._lanes = Lanes(lanes_for(device))
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], Page] = OrderedDict()

    def of(self, question: str, contexts: Sequence[str]) -> list[Page]:
        """One page a context."""
        wanted = [(question, context) for context in contexts]
        with self._lock:
            pages = {key: self._kept[key] for key in wanted if key in self._kept}
        fresh = [key for key in dict.fromkeys(wanted) if key not in pages]
        if fresh:
            read = self._fresh(question, [context for _, context in fresh])
            pages |= zip(fresh, read, strict=True)
        with self._lock:
            for key in wanted:
                self._kept[key] = pages[key]
                self._kept.move_to_end(key)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return [pages[key] for key in wanted]

    def forget(self) -> None:
        """Keep nothing of what was read."""
        with self._lock:
            self._kept.clear()

    def _fresh(self, question: str, contexts: Sequence[str]) -> list[Page]:
        asked = self._cut(question, contexts)
        places = by_length([len(one) for one in asked], self._tokens, self._lanes.count)
        batches = [[asked[place] for place in batch] for batch in places]
        pages: dict[int, Page] = {}
        with contextlib.closing(self._lanes.map(self._read, batches)) as read:
            for batch, of_batch in zip(places, read, strict=True):
                pages |= zip(batch, of_batch, strict=True)
        return [pages[place] for place in range(len(contexts))]
