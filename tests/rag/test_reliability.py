"""Calibration error and the curve of what thresholds decline, on cases counted by hand."""

import pytest

from rag.evaluation.reliability import Answered, Bin, Cut, bins, calibration_error, cuts


def test_answers_of_like_confidence_stand_in_one_bin() -> None:
    answers = [
        Answered(0.92, True),
        Answered(0.98, False),
        Answered(1.0, True),
        Answered(0.5, True),
    ]
    assert bins(answers) == [
        Bin(1, 0.5, 1.0),
        Bin(3, pytest.approx(2.9 / 3), pytest.approx(2 / 3)),
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
