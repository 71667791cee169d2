"""Means with their intervals, held against a case whose spread is known."""

import numpy as np
import pytest

from rag.evaluation.intervals import balanced, interval, p_value, share


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


def test_a_share_has_an_interval_also_where_none_or_all_are_hits() -> None:
    # Wilson's interval for 0 of 60 and for 5 of 10, worked out by hand
    none = share(0, 60)
    assert (none.mean, none.low) == (0, 0)
    assert none.high == pytest.approx(0.0602, abs=1e-4)
    half = share(5, 10)
    assert (half.low, half.high) == (
        pytest.approx(0.2366, abs=1e-4),
        pytest.approx(0.7634, abs=1e-4),
    )
    assert share(60, 60).low == pytest.approx(1 - none.high)
    assert share(60, 60).high == 1
    with pytest.raises(ValueError, match="at least one"):
        share(0, 0)


def test_the_mean_of_two_shares_is_surer_than_either() -> None:
    one, two = share(80, 100), share(60, 100)
    both = balanced(one, two)
    assert both.mean == pytest.approx(0.7)
    assert both.high - both.low < one.high - one.low
    assert both.low < 0.7 < both.high
    assert balanced(share(0, 5), share(0, 5)).low == 0
