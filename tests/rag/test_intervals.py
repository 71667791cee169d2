"""Means with their intervals, held against a case whose spread is known."""

import numpy as np
import pytest

from rag.evaluation.intervals import interval, p_value


def test_the_interval_is_that_of_the_normal_approximation() -> None:
    values = np.random.default_rng(3).normal(0.5, 0.2, 400)
    found = interval(list(values))
    half = 1.96 * values.std() / 20
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.003)
    assert found.high == pytest.approx(values.mean() + half, abs=0.003)
    assert found == interval(list(values))


def test_a_difference_counts_by_how_often_chance_makes_one_as_large() -> None:
    # of 2^n ways to change signs two are as far as n equal differences: 2/32 and 2/1024
    assert p_value([0.2] * 5) == 2 / 32
    assert p_value([-0.2] * 10) == 2 / 1024
    # six of twenty for, fourteen against: 2 P(X >= 14), X binomial
    assert p_value([1.0] * 6 + [-1.0] * 14) == pytest.approx(0.1153, abs=0.01)
    assert p_value([0.5, -0.5, 0.4, -0.4, 0.1]) > 0.5
    # questions that do not differ say nothing
    assert p_value([1.0, *[0.0] * 50]) == 1.0
    assert p_value([0.0]) == p_value([]) == 1.0


def test_no_values_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        interval([])
