"""How a model is tuned: all that, with the data and the base, decides what comes out."""

from __future__ import annotations

import math
from dataclasses import dataclass

# the steps in which the rate rises to its full height
_WARM_UP, _MOST_WARM_UP = 0.06, 100


@dataclass(frozen=True, slots=True)
class Recipe:
    """`batch` examples a step, `max_tokens` an example; `held_out` None is a tenth, at most 200.

    The loss on what is held out is looked at `looks` times an epoch; after `patience` looks
    without a better one the training ends.
    """

    seed: int = 20261126
    epochs: int = 3
    rank: int = 16
    learning_rate: float = 4e-4
    batch: int = 8
    max_tokens: int = 1024
    held_out: int | None = None
    looks: int = 2
    patience: int = 3

    def rate(self, step: int, of: int) -> float:
        """The learning rate of a step, counted from 0; see `rate_of`."""
        return rate_of(self.learning_rate, step, of)


@dataclass(frozen=True, slots=True)
class EmbedderRecipe:
    """As `Recipe`, for an embedder: `batch` questions a step, each with its passage and up to
    `negatives` that do not answer it."""

    seed: int = 20261126
    epochs: int = 3
    learning_rate: float = 2e-5
    batch: int = 16
    negatives: int = 2
    held_out: int | None = None
    looks: int = 2
    patience: int = 3

    def rate(self, step: int, of: int) -> float:
        """The learning rate of a step, counted from 0; see `rate_of`."""
        return rate_of(self.learning_rate, step, of)


def rate_of(highest: float, step: int, of: int) -> float:
    """The learning rate of a step, counted from 0: a linear rise, then half a cosine to 0.

    Loshchilov and Hutter 2017, without restarts.
    """
    rise = max(1, min(_MOST_WARM_UP, round(_WARM_UP * of)))
    if step < rise:
        return highest * (step + 1) / rise
    share = (step - rise) / max(1, of - rise)
    return highest * 0.5 * (1.0 + math.cos(math.pi * share))
