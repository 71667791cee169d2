"""The second reader's network as it is trained: the starter LLM, frozen, and what changes it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from rag.reading.second import SCALE

# of the spread of A's first values, as many as its columns are
_SPREAD = 0.577
_HEAD_SPREAD = 0.02
_WEIGHT = ".parametrizations.weight.0."


class LowRank(nn.Module):
    """A change of low rank to a weight: `weight + SCALE * B @ A` (Hu et al. 2021, “LoRA”).

    `A` has the shape (rank, in), `B` (out, rank); both are float32, and B is 0 at first. They are
    multiplied in the precision of the weight, as the second reader does.
    """

    def __init__(self, out: int, columns: int, rank: int) -> None:
        super().__init__()
        self.A = nn.Parameter(torch.randn(rank, columns) / math.sqrt(columns) * _SPREAD)
        self.B = nn.Parameter(torch.zeros(out, rank))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """The changed weight, of the same shape and precision."""
        return weight + SCALE * (self.B.to(weight.dtype) @ self.A.to(weight.dtype))


class LowRankNetwork(nn.Module):
    """Logits of starts, of ends, and, at the last token, of whether the context answers at all."""

    def __init__(self, base: Path, rank: int, precision: torch.dtype = torch.float32) -> None:
        """Load a model folder in this precision; what is trained is float32.

        Raises what transformers raises.
        """
        super().__init__()
        from transformers import AutoModel

        model: Any = AutoModel.from_pretrained(base, local_files_only=True, dtype=precision)
        self.model = model.eval().requires_grad_(False)
        linear = [layer for layer in model.layers.modules() if isinstance(layer, nn.Linear)]
        for layer in linear:
            out, columns = layer.weight.shape
            parametrize.register_parametrization(layer, "weight", LowRank(out, columns, rank))
        empty: Any = nn.utils.skip_init  # so that nothing is drawn but what is said here
        self.head = empty(nn.Linear, model.config.hidden_size, 3)
        nn.init.normal_(self.head.weight, std=_HEAD_SPREAD)
        nn.init.zeros_(self.head.bias)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Logits of shape (examples, tokens, 3) in float32, of ids padded at their ends."""
        with parametrize.cached():
            hidden = self.model(input_ids=ids, use_cache=False).last_hidden_state
        logits: torch.Tensor = self.head(hidden.float())
        return logits

    def trained_state(self) -> dict[str, torch.Tensor]:
        """What training changes, in float32, by its names in the network."""
        return {name: p.detach() for name, p in self.named_parameters() if p.requires_grad}

    def stored(self) -> dict[str, torch.Tensor]:
        """What the second reader reads, by the names that it knows, on the CPU.

        The changes are rounded to bfloat16; `head` has the shape (3, hidden), `bias` (3,).
        """
        state = {name: value.cpu() for name, value in self.trained_state().items()}
        head = {"head": state.pop("head.weight"), "bias": state.pop("head.bias")}
        changes = {_stored(name): value.to(torch.bfloat16) for name, value in state.items()}
        return {name: value.contiguous() for name, value in (changes | head).items()}

    @torch.no_grad()
    def take(self, stored: Mapping[str, torch.Tensor]) -> None:
        """Go on from what was stored. Raises KeyError where a name is missing."""
        own = {"head.weight": "head", "head.bias": "bias"}
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                parameter.copy_(stored[own.get(name) or _stored(name)])


def _stored(name: str) -> str:
    """The name under which A or B of a layer is stored."""
    return name.removeprefix("model.").replace(_WEIGHT, ".")
