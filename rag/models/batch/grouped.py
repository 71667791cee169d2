"""Attention of one query a row by plain matrix products, which few rows leave faster than flash.

The heads that share a head of keys are its queries, so that no key is copied. Products and softmax
are in float32, as within flash attention.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from rag.models.batch.ways import Way, in_force, is_near

_NAME, _OWN = "cloister_grouped", "sdpa"
# what models hand on of which `sdpa` makes nothing
_IDLE = {"is_causal", "output_router_logits", "position_ids", "sliding_window", "use_cache"}


def grouped(model: Any, step: Callable[[], object]) -> Way | None:
    """The way for a model that attends by `sdpa`; None where it is not the same in a `step`."""
    config = model.config.get_text_config(decoder=True)
    if config._attn_implementation != _OWN:
        return None
    found = []

    def compared(*args: Any, **kwargs: Any) -> tuple[torch.Tensor, None]:
        right = sdpa_attention_forward(*args, **kwargs)[0]
        mine = _attended(*args, **kwargs)
        found.append(mine is not None and is_near(mine, right))
        return right, None

    with in_force([Way("compared", lambda: _attending(config, compared))]):
        step()
    if not found or not all(found):
        return None
    return Way("attention", lambda: _attending(config, attend))


def attend(*args: Any, **kwargs: Any) -> tuple[torch.Tensor, None]:
    """As transformers' `sdpa_attention_forward`, which does all but a step of one query a row."""
    found = _attended(*args, **kwargs)
    return sdpa_attention_forward(*args, **kwargs)[0] if found is None else found, None


def _attended(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> torch.Tensor | None:
    """What a step of one query a row looks at; None for anything else.

    `query` is `[rows, heads, 1, size]`, `key` and `value` `[rows, fewer heads, columns, size]`,
    `attention_mask` `[rows, 1, 1, columns]`; the result is `[rows, 1, heads, size]`.
    """
    if (
        query.shape[2] != 1
        or query.shape[1] != key.shape[1] * getattr(module, "num_key_value_groups", 1)
        or attention_mask is None
        or not attention_mask.is_floating_point()
        or attention_mask.shape != (query.shape[0], 1, 1, key.shape[2])
        or dropout
        or any(given is not None for name, given in kwargs.items() if name not in _IDLE)
    ):
        return None
    rows, heads, _, size = query.shape
    held, columns = key.shape[1:3]
    queries = query.reshape(rows * held, heads // held, size)
    scores = _products(queries, key.reshape(rows * held, columns, size).transpose(1, 2))
    scores = scores.view(rows, held, heads // held, columns)
    scale = size**-0.5 if scaling is None else scaling
    weights = torch.add(attention_mask, scores, alpha=scale).softmax(dim=-1).to(value.dtype)
    weights = weights.view(rows * held, heads // held, columns)
    out = torch.bmm(weights, value.reshape(rows * held, columns, value.shape[-1]))
    return out.view(rows, 1, heads, value.shape[-1])


def _products(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    if left.dtype == torch.float32:
        return torch.bmm(left, right)
    return torch.bmm(left, right, out_dtype=torch.float32)


@contextmanager
def _attending(config: Any, attention: Callable[..., Any]) -> Iterator[None]:
    own = config._attn_implementation
    AttentionInterface.register(_NAME, attention)
    AttentionMaskInterface.register(_NAME, sdpa_mask)
    config._attn_implementation = _NAME
    try:
        yield
    finally:
        config._attn_implementation = own
