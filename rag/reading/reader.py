"""Reads passages for a question: where an answer may stand, and how likely it is one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from rag.models.device import be_quiet, pick_device, pick_precision, told_if_not_loaded
from rag.reading import WEIGHTS
from rag.reading.encoding import assemble
from rag.reading.model import ReaderNetwork
from rag.reading.page import Logits, Page
from rag.reading.pages import Pages
from rag.reading.pairs import Pair, Pairing

# tokens that are read at once, padding included: some ten passages
_TOKENS = 2048


class Reader:
    """The trained reader over the starter embedder's folder. Safe to use from several threads."""

    def __init__(self, base: Path, device: str, precision: str, weights: Path = WEIGHTS) -> None:
        """Load it. Raises ModelError, or UsageError for a device or precision that is none."""
        from safetensors.torch import load_file

        place = pick_device(device)
        be_quiet()
        with told_if_not_loaded("reader", weights, TypeError, AttributeError):
            network = ReaderNetwork(base)
            network.load_state_dict(load_file(weights), strict=False)
            pairing = Pairing(base)
        self._device = place
        self._network = network.to(place, dtype=pick_precision(precision, place)).eval()
        self._pages = Pages(pairing.pairs, self._read, _TOKENS, place)

    def read(self, question: str, contexts: Sequence[str]) -> list[Page]:
        """One `Page` a context; what is beyond MAX_TOKENS of a context is not read.

        What was read lately is not read again: the reranker and the judge ask for the same.
        """
        return self._pages.of(question, contexts)

    def _read(self, pairs: Sequence[Pair]) -> list[Page]:
        start, end = self._logits(pairs)
        return [_page(pair, start[row], end[row]) for row, pair in enumerate(pairs)]

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
