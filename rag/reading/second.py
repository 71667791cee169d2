"""The second reader: the starter LLM, tuned to say whether a passage answers a question.

It is some ten times as large as the first reader, so it reads only the few passages in which that
one found the best evidence. What is stored is a change of low rank to each linear layer (Hu et al.
2021, “LoRA”) and a head of three logits a token: a span's start, its end, and, at the last token,
whether the passage answers at all. The question stands before the passage and after it: each token
of a causal LLM sees only what is before it (Springer et al. 2024, “Repetition improves language
model embeddings”).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from rag.models.device import be_quiet, pick_device, pick_precision, told_if_not_loaded
from rag.reading import SECOND_WEIGHTS
from rag.reading.asking import Asked, Asking
from rag.reading.page import Logits, Page
from rag.reading.pages import Pages

# what its changes are scaled by, as LoRA's alpha over its rank
SCALE = 2.0
# tokens that are read at once on one core, padding included: some two passages
_TOKENS = 640


class SecondReader:
    """The tuned starter LLM over its own folder. Safe to use from several threads."""

    def __init__(
        self, base: Path, device: str, precision: str, weights: Path = SECOND_WEIGHTS
    ) -> None:
        """Load it. Raises ModelError, or UsageError for a device or precision that is none."""
        from safetensors.torch import load_file
        from transformers import AutoModel

        place = pick_device(device)
        kind = pick_precision(precision, place)
        if kind == torch.float16:  # it was taught in bfloat16, of whose numbers float16 lacks many
            kind = torch.float32
        be_quiet()
        with told_if_not_loaded("second reader's model", base, TypeError, AttributeError):
            model: Any = AutoModel.from_pretrained(base, local_files_only=True, dtype=kind)
            asking = Asking(base)
        with told_if_not_loaded("second reader", weights, TypeError, AttributeError):
            changes = load_file(weights)
            _change(model, changes)
            self._head = changes["head"].float().to(place), changes["bias"].float().to(place)
        self._network = model.to(place).eval()
        self._device = place
        self._pages = Pages(asking.asked, self._read, _TOKENS, place)

    def read(self, question: str, contexts: Sequence[str]) -> list[Page]:
        """One `Page` a context; what is beyond MAX_TOKENS of a context is not read."""
        return self._pages.of(question, contexts)

    def _read(self, asked: Sequence[Asked]) -> list[Page]:
        logits = self._logits(asked)
        return [page_of(one, logits[row]) for row, one in enumerate(asked)]

    @torch.inference_mode()
    def _logits(self, asked: Sequence[Asked]) -> Logits:
        """Logits of shape (asked, tokens, 3); what pads a row is behind all that is read of it."""
        ids = np.zeros((len(asked), max(len(one) for one in asked)), dtype=np.int64)
        for row, one in enumerate(asked):
            ids[row, : len(one)] = one.ids
        hidden = self._network(torch.from_numpy(ids).to(self._device), use_cache=False)
        logits = functional.linear(hidden.last_hidden_state.float(), *self._head)
        computed: Logits = logits.cpu().numpy()
        return computed


@torch.no_grad()
def _change(model: Any, changes: dict[str, torch.Tensor]) -> None:
    """Add to each linear layer its change.

    Raises AttributeError for a layer that the model lacks, KeyError for half a change.
    """
    for name in (name.removesuffix(".A") for name in changes if name.endswith(".A")):
        weight = model.get_parameter(f"{name}.weight")
        change = changes[f"{name}.B"].to(weight.dtype) @ changes[f"{name}.A"].to(weight.dtype)
        weight += SCALE * change


def page_of(asked: Asked, logits: Logits) -> Page:
    """The page from the logits of all tokens, of shape (tokens, 3).

    The last token stands for “no answer here”.
    """
    part = slice(asked.first, asked.first + len(asked.offsets))
    start, end, whole = logits[len(asked) - 1]
    return Page(logits[part, 0], logits[part, 1], asked.offsets, float(start + end), float(whole))
