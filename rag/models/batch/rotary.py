"""Rotary positions of queries and keys together, in four kernels instead of ten."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch

from rag.models.batch.ways import Change, Way, changed, is_close

_NAME = "apply_rotary_pos_emb"
Rotate = Callable[..., tuple[torch.Tensor, torch.Tensor]]


def joined_rotary(model: Any, step: Callable[[], object]) -> Way | None:
    """The way for the functions that a model's modules call; None where none is the same.

    Both are compared in each call within `step`, which runs the model for one token a row. Models
    in which neighbours make a pair, or only some of the numbers are rotated there, keep their own;
    so do those of which a call would be left to their own.
    """
    places = {sys.modules[type(module).__module__] for module in model.modules()}
    changes = []
    for place in places:
        own = vars(place).get(_NAME)
        if callable(own) and _is_same(place, own, step):
            changes.append(Change(place, _NAME, _joined(own)))
    return Way("rotary", lambda: changed(changes)) if changes else None


def _is_same(place: Any, own: Rotate, step: Callable[[], object]) -> bool:
    joined, found = _joined(_nothing), list[bool]()

    def compared(*args: Any, **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        right = own(*args, **kwargs)
        pairs = zip(joined(*args, **kwargs), right, strict=True)
        found.append(all(is_close(mine, theirs) for mine, theirs in pairs))
        return right

    with changed([Change(place, _NAME, compared)]):
        step()
    return bool(found) and all(found)


def _nothing(*_: Any, **__: Any) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.empty(0), torch.empty(0)


def _joined(own: Rotate) -> Rotate:
    def rotate(
        q: torch.Tensor,
        k: torch.Tensor,
        cos: torch.Tensor,
        sin: torch.Tensor,
        *args: Any,
        **more: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        size = q.shape[-1]
        fits = (
            not (args or more or torch.is_grad_enabled())
            and q.dim() == k.dim() == 4
            and cos.dim() == 3
            and q.shape[2] == k.shape[2] == cos.shape[1] == 1
            and size == k.shape[-1] == cos.shape[-1] == sin.shape[-1]
            and size % 2 == 0
            and q.dtype == k.dtype == cos.dtype == sin.dtype
        )
        if not fits:
            return own(q, k, cos, sin, *args, **more)
        half, cos, sin = size // 2, cos[:, None], sin[:, None]
        both = torch.cat((q, k), dim=1)
        turned = both * cos
        turned[..., :half].addcmul_(both[..., half:], sin[..., :half], value=-1)
        turned[..., half:].addcmul_(both[..., :half], sin[..., half:])
        return turned[:, : q.shape[1]], turned[:, q.shape[1] :]

    return rotate
