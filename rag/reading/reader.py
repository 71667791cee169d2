"""Reads passages for a question: where an answer may stand, and how likely it is one."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from rag.models.batching import by_length
from rag.models.device import be_quiet, pick_device, pick_precision, told_if_not_loaded
from rag.models.lanes import Lanes, lanes_for
from rag.reading.encoding import assemble
from rag.reading.model import WEIGHTS, ReaderNetwork, Reading, best_span
from rag.reading.pairs import Pair, Pairing

# tokens that are read at once, padding included: some ten passages
_TOKENS = 2048
_KEPT = 512

Logits = NDArray[np.float32]


class Page:
    """One context with the logits of its tokens; `within` finds the best span of a part of it."""

    def __init__(self, start: Logits, end: Logits, offsets: NDArray[np.int64], null: float) -> None:
        self._start = start
        self._end = end
        self._offsets = offsets
        self._null = null

    def within(self, start: int, end: int) -> Reading:
        """The best span of `context[start:end]`."""
        part = (self._offsets[:, 0] >= start) & (self._offsets[:, 1] <= end)
        return best_span(self._start, self._end, self._offsets, part, self._null)


class Reader:
    """The trained reader over the starter embedder's folder. Safe to use from several threads."""

    def __init__(self, base: Path, device: str, precision: str, weights: Path = WEIGHTS) -> None:
        from safetensors.torch import load_file

        place = pick_device(device)
        be_quiet()
        with told_if_not_loaded("reader", weights, TypeError, AttributeError):
            network = ReaderNetwork(base)
            network.load_state_dict(load_file(weights), strict=False)
            self._pairing = Pairing(base)
        self._device = place
        self._network = network.to(place, dtype=pick_precision(precision, place)).eval()
        self._lanes = Lanes(lanes_for(place))
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], Page] = OrderedDict()

    def read(self, question: str, contexts: Sequence[str]) -> list[Page]:
        """One `Page` a context; what is beyond MAX_TOKENS of a context is not read.

        What was read lately is not read again: the reranker and the judge ask for the same.
        """
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

    def _read(self, question: str, contexts: Sequence[str]) -> list[Page]:
        pairs = self._pairing.pairs(question, contexts)
        places = by_length([len(pair) for pair in pairs], _TOKENS, self._lanes.count)
        batches = [[pairs[place] for place in batch] for batch in places]
        pages: dict[int, Page] = {}
        with contextlib.closing(self._lanes.map(self._logits, batches)) as computed:
            for batch, (start, end) in zip(places, computed, strict=True):
                for row, place in enumerate(batch):
                    pages[place] = _page(pairs[place], start[row], end[row])
        return [pages[place] for place in range(len(contexts))]

    @torch.inference_mode()
    def _logits(self, pairs: Sequence[Pair]) -> tuple[Logits, Logits]:
        """Logits of shape (pairs, tokens), of starts and of ends."""
        inputs = assemble([pair.tokens for pair in pairs]).inputs
        on_device = {name: values.to(self._device) for name, values in inputs.items()}
        start, end = (logits.cpu().numpy() for logits in self._network(on_device))
        return start, end


def _page(pair: Pair, start: Logits, end: Logits) -> Page:
    """The page of a pair from the logits of all its tokens; the first stands for “no answer”."""
    first = pair.tokens.second
    part = slice(first, first + len(pair.offsets))
    return Page(start[part], end[part], pair.offsets, float(start[0] + end[0]))
