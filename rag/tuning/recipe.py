"""How a model is tuned: all that, with the data and the base, decides what comes out."""

from __future__ import annotations

import math
from dataclasses import dataclass

# the steps in which the rate rises to its full height
_WARM_UP, _MOST_WARM_UP = 0.06, 100


@dataclass(frozen=True, slots=True)
class Schedule:
    """`batch` examples a step; `held_out` None is a tenth, at most 200.

    The loss on what is held out is looked at `looks` times an epoch; after `patience` looks
    without a better one the training ends.
    """

    seed: int = 20261126
    epochs: int = 3
    learning_rate: float = 4e-4
    batch: int = 8
    held_out: int | None = None
    looks: int = 2
    patience: int = 3

    def rate(self, step: int, of: int) -> float:
        """The learning rate of a step, counted from 0: a linear rise, then half a cosine to 0.

        Loshchilov and Hutter 2017, without restarts.
        """
        rise = max(1, min(_MOST_WARM_UP, round(_WARM_UP * of)))
        if step < rise:
            return self.learning_rate * (step + 1) / rise
        share = (step - rise) / max(1, of - rise)
        return self.learning_rate * 0.5 * (1.0 + math.cos(math.pi * share))


@dataclass(frozen=True, slots=True)
class Recipe(Schedule):
    """Of an adapter for an LLM; an example has at most `max_tokens`."""

    rank: int = 16
    max_tokens: int = 1024


@dataclass(frozen=True, slots=True)
class EmbedderRecipe(Schedule):
    """Of an embedder: questions are its examples, each with up to `negatives` that answer none."""

    learning_rate: float = 2e-5
    batch: int = 16
    negatives: int = 2
