"""Whether a model's batch is right, found out by a short comparison when it is loaded.

Three rows of different lengths join, write and leave, and each step's scores are compared with
those of the same text read whole and alone. A sliding window is made shorter for it, so that it is
felt. What fails in every way of masking, or raises, is not run in a batch; a lack of memory is no
fault of the batch's.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any

import torch

from rag.models.batch.shortage import is_shortage
from rag.models.batch.steps import Attention, Steps
from rag.models.int8 import Int8Linear

_log = logging.getLogger("cloister")
# characters that are told of an error
_REASON = 300
_PROMPTS = (7, 12, 9)
_WINDOW = 5
_HEAD = 4
_WRITTEN = 1
# errors of a row's scores in their standard deviations: the largest one of float32, whose rounding
# is about 1e-6; with half precision the root of their mean square, which grows with the layers and
# not with the vocabulary: 0.04 was seen of 32 layers of random weights in bfloat16, and 0.2 of a
# window that is not felt. Single steps may be further off (an expert chosen otherwise).
_EXACT, _HALF = 1e-4, 0.1
_KINDS = {"full_attention", "sliding_attention"}


def find_attention(model: Any) -> Attention | None:
    """How a batch of the model is masked so that it is right; None where there is no way.

    Nothing else may run on the model meanwhile. What was raised where there is no way is logged.
    Raises what says that there was not enough memory.
    """
    reasons: dict[str, None] = {}
    for attention in _candidates(model.config.get_text_config(decoder=True)):
        try:
            if is_right(model, attention):
                return attention
        except Exception as error:  # whatever else it raises, its batch cannot be run
            if is_shortage(error):
                raise
            reasons[f"{type(error).__name__}: {error}"[:_REASON]] = None
    if reasons:
        _log.warning("The trial of a batch failed: %s", "; ".join(reasons))
    return None


@torch.inference_mode()
def is_right(model: Any, attention: Attention) -> bool:
    """Whether a batch of three rows gives what each gives alone, with masks of this kind."""
    config = model.config.get_text_config(decoder=True)
    prompts = _prompts(config.vocab_size)
    with _short_window(config, attention) as shortened:
        rows = _Rows(Steps(model, shortened))
        rows.join(prompts[0], pieces=2)
        rows.write()
        rows.join(prompts[1])
        rows.write()
        rows.join(prompts[2], head=1)
        rows.write()
        rows.leave(0)
        rows.write()
        exact = _is_exact(model)
        errors: list[float] = [
            error
            for ids, scores in rows.gone
            for error in _errors(scores, _alone(model, ids), exact).tolist()
        ]
    return max(errors) <= _EXACT if exact else median(errors) <= _HALF


def _is_exact(model: Any) -> bool:
    """Whether rounding is that of float32: layers in 8 bits round few rows as bfloat16 does."""
    held = any(isinstance(module, Int8Linear) for module in model.modules())
    return model.dtype == torch.float32 and not held


class _Rows:
    """Rows of a batch with all the scores that they were given."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._rows: list[tuple[list[int], list[torch.Tensor]]] = []
        self._left: list[tuple[list[int], list[torch.Tensor]]] = []
        steps.shelf.reserve(1, 8)

    @property
    def gone(self) -> list[tuple[list[int], list[torch.Tensor]]]:
        """The ids of each row, and the scores of the last of them."""
        return [*self._left, *self._rows]

    def join(self, ids: list[int], pieces: int = 1, head: int | None = None) -> None:
        row, shelf = len(self._rows), self._steps.shelf
        shelf.reserve(row + 1, max(shelf.columns, len(ids) + 4 * _WRITTEN))
        begin = 0
        if head is not None:
            begin = _HEAD
            ids = [*self._rows[head][0][:begin], *ids[begin:]]
            shelf.put_head(row, shelf.head(head, begin), begin)
        size = -(-(len(ids) - begin) // pieces)
        while begin < len(ids):
            scores = self._steps.read(row, ids[begin : begin + size], begin)
            begin += size
        self._rows.append((list(ids), [scores]))

    def write(self) -> None:
        for _ in range(_WRITTEN):
            lengths = [len(ids) for ids, _ in self._rows]
            for ids, scores in self._rows:
                ids.append(int(scores[-1].argmax()))
            last = [ids[-1] for ids, _ in self._rows]
            given = self._steps.write(last, lengths)
            for (_, scores), row in zip(self._rows, given, strict=True):
                scores.append(row)

    def leave(self, row: int) -> None:
        self._left.append(self._rows[row])
        last = self._rows.pop()
        if row < len(self._rows):
            self._steps.shelf.move(len(self._rows), row, len(last[0]))
            self._rows[row] = last


def _candidates(config: Any) -> Iterator[Attention]:
    kinds = set(getattr(config, "layer_types", None) or ())
    window = getattr(config, "sliding_window", None)
    if kinds - _KINDS:
        return  # what is neither has no keys of every token
    if window and kinds != {"full_attention"}:
        yield Attention("kinds", window)
        yield Attention("flat", window)
    if not window or "sliding_attention" not in kinds:
        yield Attention("flat", None)
        yield Attention("rows", None)


@contextmanager
def _short_window(config: Any, attention: Attention) -> Iterator[Attention]:
    whole = getattr(config, "sliding_window", None)
    if not whole or whole <= _WINDOW:
        yield attention
        return
    try:
        config.sliding_window = _WINDOW
        yield Attention(attention.masks, None if attention.window is None else _WINDOW)
    finally:
        config.sliding_window = whole


def _prompts(vocabulary: int) -> list[list[int]]:
    random = torch.Generator().manual_seed(20)
    return [torch.randint(vocabulary, (size,), generator=random).tolist() for size in _PROMPTS]


def _alone(model: Any, ids: Sequence[int]) -> torch.Tensor:
    """The scores after each token, `[tokens, vocabulary]`, read at once and without a cache."""
    scores: torch.Tensor = model(torch.tensor([ids], device=model.device), use_cache=False).logits
    return scores[0]


def _errors(scores: list[torch.Tensor], whole: torch.Tensor, largest: bool) -> torch.Tensor:
    """The error of each row of scores: its largest one, or the root of its mean square."""
    found, right = torch.stack(scores).float(), whole[-len(scores) :].float()
    spread = right.std(dim=-1).clamp_min(torch.finfo(torch.float32).tiny)
    errors = (found - right).abs()
    size = errors.amax(dim=-1) if largest else errors.square().mean(dim=-1).sqrt()
    return torch.nan_to_num(size / spread, nan=torch.inf)
