"""How sure a mean over questions is: the bootstrap (Efron 1979), and a test by changed signs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_ROUNDS = 5000
_SEED = 1
# so many differences have few enough ways of signs to count them all
_EXACT = 12
# shares of the resampled means that lie below and above a 95 % interval
_TAILS = (0.025, 0.975)
# the normal distribution has 95 % within so many standard deviations
_NORMAL = 1.959964


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
    if array.min() == array.max():
        return Interval(*[float(array[0])] * 3)
    random = np.random.default_rng(_SEED)
    means = np.array(
        [array[random.integers(0, len(array), len(array))].mean() for _ in range(_ROUNDS)]
    )
    low, high = np.quantile(means, _TAILS)
    return Interval(float(array.mean()), float(low), float(high))


def p_value(differences: Sequence[float]) -> float:
    """How likely a mean difference at least so far from 0 would be if its signs were chance.

    The paired permutation test (Fisher 1935; Smucker et al. 2007 for retrieval), two-sided: over
    all signs of up to 12 differences, else over random ones. Of five it is never less than .0625.
    """
    array = np.asarray([value for value in differences if value], dtype=np.float64)
    # sums that are equal but for rounding count as equal
    far = abs(array.sum()) - 1e-9
    if len(array) <= _EXACT:
        bits = np.arange(2 ** len(array))[:, None] >> np.arange(len(array)) & 1
        return float(np.mean(np.abs((2.0 * bits - 1.0) @ array) >= far))
    random = np.random.default_rng(_SEED)
    both = np.array([-1.0, 1.0])
    as_far = sum(abs(random.choice(both, len(array)) @ array) >= far for _ in range(_ROUNDS))
    return float((1 + as_far) / (1 + _ROUNDS))


def share(hits: int, total: int) -> Interval:
    """A share of independent cases with its 95 % interval, which none or all of them give too.

    The score interval (Wilson 1927). Raises ValueError where there are no cases.
    """
    if total <= 0:
        raise ValueError("A share needs at least one case.")
    squared = _NORMAL**2
    middle = (hits + squared / 2) / (total + squared)
    spread = hits * (total - hits) / total + squared / 4
    half = _NORMAL * spread**0.5 / (total + squared)
    return Interval(hits / total, max(0.0, middle - half), min(1.0, middle + half))


def balanced(one: Interval, two: Interval) -> Interval:
    """The mean of two independent shares, as of balanced accuracy, with its 95 % interval.

    Newcombe's way (1998) of putting score intervals together.
    """
    mean = (one.mean + two.mean) / 2
    below = ((one.mean - one.low) ** 2 + (two.mean - two.low) ** 2) ** 0.5 / 2
    above = ((one.high - one.mean) ** 2 + (two.high - two.mean) ** 2) ** 0.5 / 2
    return Interval(mean, max(0.0, mean - below), min(1.0, mean + above))
