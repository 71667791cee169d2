"""Reads passages for a question: where an answer may stand, and how likely it is one."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rag.models.device import be_quiet, not_loaded, pick_device, pick_precision
from rag.models.lanes import Lanes, lanes_for
from rag.reading.model import MAX_TOKENS, WEIGHTS, ReaderNetwork, Reading, best_span

# contexts read at once: short ones together, so that little is padding
_BATCH = 8
_KEPT = 512


class Page:
    """One context with its logits; `within` finds the best span of a part of it."""

    def __init__(
        self,
        start: NDArray[np.float32],
        end: NDArray[np.float32],
        offsets: NDArray[np.int64],
        inside: NDArray[np.bool_],
    ) -> None:
        self._start = start
        self._end = end
        self._offsets = offsets
        self._inside = inside

    def within(self, start: int, end: int) -> Reading:
        """The best span of `context[start:end]`."""
        part = self._inside & (self._offsets[:, 0] >= start) & (self._offsets[:, 1] <= end)
        return best_span(self._start, self._end, self._offsets, part)


class Reader:
    """The trained reader over the starter embedder's folder. Safe to use from several threads."""

    def __init__(self, base: Path, device: str, precision: str, weights: Path = WEIGHTS) -> None:
        from safetensors.torch import load_file
        from transformers import AutoTokenizer

        place = pick_device(device)
        be_quiet()
        try:
            network = ReaderNetwork(base)
            network.load_state_dict(load_file(weights), strict=False)
            self._tokenizer: Any = AutoTokenizer.from_pretrained(base, local_files_only=True)
        except (OSError, ValueError, RuntimeError) as error:
            raise not_loaded("reader", weights, error) from error
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
        fresh = sorted({key for key in wanted if key not in pages}, key=lambda key: len(key[1]))
        texts = [context for _, context in fresh]
        parts = [texts[at : at + _BATCH] for at in range(0, len(texts), _BATCH)]
        read = self._lanes.map(partial(self._read, question), parts)
        pages |= zip(fresh, chain.from_iterable(read), strict=True)
        with self._lock:
            for key in wanted:
                self._kept[key] = pages[key]
                self._kept.move_to_end(key)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return [pages[key] for key in wanted]

    @torch.inference_mode()
    def _read(self, question: str, contexts: Sequence[str]) -> list[Page]:
        batch = self._tokenizer(
            [self._cut(question)] * len(contexts),
            list(contexts),
            truncation="only_second",
            max_length=MAX_TOKENS,
            padding=True,
            return_offsets_mapping=True,
            return_tensors="pt",
        )
        inputs = {
            name: batch[name].to(self._device)
            for name in ("input_ids", "attention_mask", "token_type_ids")
        }
        start, end = (logits.cpu().numpy() for logits in self._network(inputs))
        return [
            Page(
                start[row],
                end[row],
                batch["offset_mapping"][row].numpy(),
                np.array([part == 1 for part in batch.sequence_ids(row)]),
            )
            for row in range(len(contexts))
        ]

    def _cut(self, question: str) -> str:
        """A question's beginning, where it would leave no room for a context."""
        spans = self._tokenizer(
            question,
            add_special_tokens=False,
            truncation=True,
            max_length=MAX_TOKENS // 2,
            return_offsets_mapping=True,
        )["offset_mapping"]
        return question[: spans[-1][1]] if spans else ""
