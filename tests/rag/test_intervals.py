"""Means with their intervals, held against a case whose spread is known."""

import numpy as np
import pytest

from rag.evaluation.intervals import interval


def test_the_interval_is_that_of_the_normal_approximation() -> None:
    values = np.random.default_rng(3).normal(0.5, 0.2, 400)
    found = interval(list(values))
    half = 1.96 * values.std() / 20
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.003)
    assert found.high == pytest.approx(values.mean() + half, abs=0.003)
    assert found == interval(list(values))


def test_only_a_difference_away_from_nothing_is_significant() -> None:
    assert interval([0.2, 0.3, 0.25, 0.2]).significant
    assert interval([-0.2, -0.3, -0.25]).significant
    assert not interval([0.5, -0.5, 0.4, -0.4, 0.1]).significant


def test_no_values_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        interval([])
