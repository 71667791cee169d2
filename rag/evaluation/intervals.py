"""How sure a mean over questions is: the bootstrap (Efron 1979), and a test by changed signs."""

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
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float


def interval(values: Sequence[float]) -> Interval:
    """The mean of values, one a question, by resampling the questions.

    For two systems on the same questions give the differences, question by question. It says
    little of fewer than ten values. Raises ValueError without values.
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


def p_value(differences: Sequence[float]) -> float:
    """How likely a mean difference at least so far from 0 would be if its signs were chance.

    The paired permutation test (Fisher 1935; Smucker et al. 2007 for retrieval), two-sided, by
    random signs. Of five questions that differ it can never be less than .06.
    """
    array = np.asarray([value for value in differences if value], dtype=np.float64)
    if not len(array):
        return 1.0
    random = np.random.default_rng(_SEED)
    signs = random.choice(np.array([-1.0, 1.0]), (_ROUNDS, len(array)))
    # sums that are equal but for rounding count as equal
    as_far = np.abs(signs @ array) >= abs(array.sum()) - 1e-9
    return float((1 + as_far.sum()) / (1 + _ROUNDS))
