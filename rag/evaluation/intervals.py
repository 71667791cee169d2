"""How sure a mean over questions is, by the bootstrap (Efron 1979)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_ROUNDS = 5000
_SEED = 1
# shares of the resampled means that lie below and above a 95 % interval
_TAILS = (0.025, 0.975)


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 % interval; of a difference that has 0 outside it is *significant*."""

    mean: float
    low: float
    high: float

    @property
    def significant(self) -> bool:
        """Whether 0 is outside."""
        return self.low > 0 or self.high < 0


def interval(values: Sequence[float]) -> Interval:
    """The mean of values, one a question, by resampling the questions.

    For two systems on the same questions give the differences, question by question.
    Raises ValueError without values.
    """
    if not values:
        raise ValueError("A mean needs at least one value.")
    array = np.asarray(values, dtype=np.float64)
    random = np.random.default_rng(_SEED)
    means = np.array(
        [array[random.integers(0, len(array), len(array))].mean() for _ in range(_ROUNDS)]
    )
    low, high = np.quantile(means, _TAILS)
    return Interval(float(array.mean()), float(low), float(high))
