"""Calibration error and the curve of what thresholds decline, on cases counted by hand."""

from dataclasses import replace

import numpy as np
import pytest

from rag.evaluation.reliability import (
    Answered,
    Bin,
    Cut,
    bins,
    calibration_error,
    chance_error,
    cuts,
)


def test_answers_of_like_confidence_stand_in_one_bin() -> None:
    answers = [
        Answered(0.92, True),
        Answered(0.98, False),
        Answered(1.0, True),
        Answered(0.5, True),
    ]
    assert bins(answers) == [
        Bin(1, 0.5, 1.0, 1.0),
        Bin(3, pytest.approx(2.9 / 3), pytest.approx(2 / 3), 3.0),
    ]
    # one of four is .5 off, three are .3 off
    assert calibration_error(answers) == pytest.approx((0.5 + 3 * 0.3) / 4)
    assert calibration_error([]) is None
    assert calibration_error([Answered(0.75, n < 3) for n in range(4)]) == 0.0


def test_a_curve_runs_from_declining_nothing_to_declining_all() -> None:
    assert cuts([0.9, 0.4], [0.3, 0.4]) == [
        Cut(0.3, 0.0, 0.0),
        Cut(0.4, 0.0, 0.5),
        Cut(0.9, 0.5, 1.0),
        Cut(1.1, 1.0, 1.0),
    ]
    assert cuts([0.9], []) == []


def _drawn(random: np.random.Generator, count: int, off: float = 0.0) -> list[Answered]:
    """Answers that are right so much less often than their confidence says."""
    confidences = random.uniform(0.3, 1.0, count)
    right = random.random(count) < confidences - off
    return [Answered(float(c), bool(r)) for c, r in zip(confidences, right, strict=True)]


def test_the_error_by_chance_is_that_of_one_answer_and_of_sure_ones() -> None:
    # one answer at .8: right it is .2 off, wrong .8; so on average 2 x .8 x .2
    found = chance_error([Answered(0.8, True)])
    assert found is not None
    assert found.mean == pytest.approx(0.32, abs=0.02)
    assert found.most == pytest.approx(0.8, abs=1e-4)
    # what is sure is drawn as it is: nothing is left to chance
    sure = chance_error([Answered(1.0, False), Answered(0.0, True)])
    assert sure is not None
    assert (sure.mean, sure.most) == (0.0, 0.0)
    assert chance_error([]) is None
    # two bins of one answer each: the mean of both
    two = chance_error([Answered(0.8, True), Answered(0.5, True)])
    assert two is not None
    assert two.mean == pytest.approx((0.32 + 0.5) / 2, abs=0.02)


def test_what_is_exactly_calibrated_lies_below_in_95_of_100_and_what_is_off_above() -> None:
    random = np.random.default_rng(7)
    below, means, errors = 0, [], []
    for _ in range(300):
        answers = _drawn(random, 100)
        error, found = calibration_error(answers), chance_error(answers)
        assert error is not None
        assert found is not None
        below += error <= found.most
        means.append(found.mean)
        errors.append(error)
    # 285 of 300 with a deviation of 3.8
    assert 270 <= below <= 299
    assert np.mean(errors) == pytest.approx(float(np.mean(means)), rel=0.05)
    assert np.mean(means) > 0.05  # far from 0
    answers = _drawn(random, 100, off=0.25)
    error, found = calibration_error(answers), chance_error(answers)
    assert error is not None
    assert found is not None
    assert error > found.most


def test_of_more_answers_less_is_chance_and_the_same_ones_tell_the_same() -> None:
    random = np.random.default_rng(8)
    few, many = _drawn(random, 50), _drawn(random, 5000)
    first, second = chance_error(few), chance_error(many)
    assert first is not None
    assert second is not None
    assert second.mean < first.mean / 5
    # by confidence alone, and as often as it is asked
    assert chance_error([Answered(one.confidence, not one.right) for one in few]) == first


def test_an_answer_that_counts_thrice_counts_as_three() -> None:
    thrice = [Answered(0.75, True, 3.0), Answered(0.71, False), Answered(0.2, True, 0.5)]
    as_three = [*[Answered(0.75, True)] * 3, Answered(0.71, False)]
    assert bins(thrice[:2]) == [replace(bins(as_three)[0], count=2)]
    both = calibration_error([*as_three, Answered(0.2, True, 0.5)])
    assert calibration_error(thrice) == both
    light, heavy = (chance_error([Answered(0.5, True, w), Answered(0.95, True)]) for w in (1, 100))
    assert light is not None
    assert heavy is not None
    # the one that counts is off by .5 whatever is drawn
    assert heavy.mean == pytest.approx(0.5, abs=0.01)
    assert light.mean < 0.4
