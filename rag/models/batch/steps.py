"""The two kinds of steps of a batch: reading a piece of one prompt, and a token for every row."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from rag.models.batch.shelf import Shelf

# lengths are rounded up to a multiple of it, so that few shapes occur
COLUMNS = 64

# how a model is told what each row may look at: `flat`, one mask for all layers; `kinds`, one for
# each kind of layer; `rows`, the rows' lengths alone, from which it makes its own (ALiBi needs it)
Masks = Literal["flat", "kinds", "rows"]


@dataclass(frozen=True, slots=True)
class Attention:
    """What of a model's attention a batch must know; `window` is None where all is looked at."""

    masks: Masks
    window: int | None


class Steps:
    """A model with a shelf. Every call is one forward pass; none changes what another row holds."""

    def __init__(self, model: Any, attention: Attention) -> None:
        self.model = model
        self.attention = attention
        config = model.config.get_text_config(decoder=True)
        self.shelf = Shelf(config.num_hidden_layers)
        self.device = model.device
        takes = inspect.signature(model.forward).parameters
        self._last = {"logits_to_keep": 1} if "logits_to_keep" in takes else {}
        self._positioned = "position_ids" in takes

    def read(self, row: int, ids: Sequence[int], begin: int) -> torch.Tensor:
        """Read tokens of one row, of which `begin` are read; returns the scores of the next one.

        The scores are `[vocabulary]`. The row and its columns must be reserved.
        """
        self.shelf.at_row(row, begin)
        places = torch.arange(begin, begin + len(ids), device=self.device)[None]
        return self._forward(torch.tensor([ids], device=self.device), places, None)[0]

    def write(self, tokens: Sequence[int], lengths: Sequence[int]) -> torch.Tensor:
        """Read the last token of each of the first rows; returns `[rows, vocabulary]` scores.

        `lengths` are how many tokens of each were read before. After a failure it may be repeated.
        """
        given = torch.tensor([list(tokens), list(lengths)], device=self.device)
        return self.write_at(given[0], given[1], self.end(lengths))

    def end(self, lengths: Sequence[int]) -> int:
        """How many columns a step of rows of these lengths looks at."""
        return min(_rounded(max(lengths) + 1), self.shelf.columns)

    def write_at(self, tokens: torch.Tensor, lengths: torch.Tensor, end: int) -> torch.Tensor:
        """As `write`, of tensors `[rows]`; `end` is how many columns are looked at."""
        self.shelf.at_rows(lengths, end)
        return self._forward(tokens[:, None], lengths[:, None], self._masks(lengths, end))

    def _forward(self, ids: torch.Tensor, places: torch.Tensor, masks: Any) -> torch.Tensor:
        positions = {"position_ids": places} if self._positioned else {}
        out = self.model(
            input_ids=ids,
            attention_mask=masks,
            past_key_values=self.shelf,
            use_cache=True,
            **positions,
            **self._last,
        )
        scores: torch.Tensor = out.logits[:, -1]
        return scores

    def _masks(self, lengths: torch.Tensor, end: int) -> Any:
        columns = torch.arange(end, device=self.device)[None]
        seen = columns <= lengths[:, None]
        if self.attention.masks == "rows":
            return seen.long()
        window = self.attention.window
        near = seen
        if window is not None:
            # a row that only fills a recorded step lies behind the end: it must see something too,
            # since what sees nothing may become NaN, and stays on the shelf
            last = lengths.clamp(max=end - 1)[:, None]
            near = seen & (columns > last - window)
        if self.attention.masks == "flat":
            return self._mask(near)
        return {"full_attention": self._mask(seen), "sliding_attention": self._mask(near)}

    def _mask(self, seen: torch.Tensor) -> torch.Tensor:
        """What is added to the scores, `[rows, 1, 1, columns]`; every kind of attention does."""
        mask, dtype = seen[:, None, None], self.model.dtype
        return torch.zeros_like(mask, dtype=dtype).masked_fill_(~mask, torch.finfo(dtype).min)


def highest(scores: torch.Tensor) -> torch.Tensor:
    """The token of each row's highest score, and that score: `[2, rows]`, to be fetched at once.

    float32 tells all tokens apart up to 16,777,216.
    """
    best = scores.max(dim=-1)
    return torch.stack((best.indices.float(), best.values.float()))


def _rounded(columns: int) -> int:
    return -(-columns // COLUMNS) * COLUMNS
