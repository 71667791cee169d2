"""How an adapter is trained: all that, with the data and the base, decides what comes out."""

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
        """The learning rate of a step, counted from 0: a linear rise, then half a cosine to 0.

        Loshchilov and Hutter 2017, without restarts.
        """
        rise = max(1, min(_MOST_WARM_UP, round(_WARM_UP * of)))
        if step < rise:
            return self.learning_rate * (step + 1) / rise
        share = (step - rise) / max(1, of - rise)
        return self.learning_rate * 0.5 * (1.0 + math.cos(math.pi * share))
