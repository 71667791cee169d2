"""The judge is fitted on labelled questions, and what speaks for an answer never speaks against."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rag.answerability import FEATURES, RIGHT_FEATURES, read_calibration
from rag.errors import UsageError
from rag.evaluation.calibrate import fit, write
from rag.evaluation.reliability import Answered, calibration_error


def _rows(count: int, seed: int = 1) -> tuple[list[dict[str, float]], list[bool], list[bool]]:
    """Labelled rows: `reader_mean` tells the classes apart, `margin` whether an answer is right.

    Nothing else tells anything.
    """
    random = np.random.default_rng(seed)
    labels = [bool(n % 2) for n in range(count)]
    rows = [
        {name: float(random.normal()) for name in FEATURES} | {"reader_mean": 2.0 * label}
        for label in labels
    ]
    for row in rows:
        row["reader_mean"] += float(random.normal()) * 0.3
        row |= {"margin": float(random.normal()), "lead": float(random.normal())}
    right = [
        label and row["margin"] + float(random.normal()) * 0.3 > 0
        for row, label in zip(rows, labels, strict=True)
    ]
    return rows, labels, right


def test_a_fit_tells_the_classes_apart_and_is_stored_whole(tmp_path: Path) -> None:
    source = tmp_path / "questions.jsonl"
    source.write_text("{}")
    rows, labels, right = _rows(60)
    calibration = fit(rows, labels, right, source)
    weights = calibration.answerable.weights
    assert max(weights, key=lambda name: abs(weights[name])) == "reader_mean"
    chance = [calibration.probability(row) for row in rows]
    assert min(c for c, yes in zip(chance, labels, strict=True) if yes) > max(
        c for c, yes in zip(chance, labels, strict=True) if not yes
    )
    write(calibration, tmp_path / "calibration.json")
    assert read_calibration(tmp_path / "calibration.json") == calibration
    assert calibration.fitted_on["answerable"] == 30
    given = [row for row, sure in zip(rows, chance, strict=True) if sure >= calibration.threshold]
    assert calibration.fitted_on["answered"] == len(given)


def test_confidence_is_how_often_answers_like_it_are_right(tmp_path: Path) -> None:
    source = tmp_path / "questions.jsonl"
    source.write_text("{}")
    calibration = fit(*_rows(400), source)
    assert calibration.right.weights["margin"] == max(calibration.right.weights.values())
    # on questions that it was not fitted on
    rows, _, right = _rows(400, seed=2)
    answered = [
        Answered(calibration.confidence(row), correct)
        for row, correct in zip(rows, right, strict=True)
        if calibration.probability(row) >= calibration.threshold
    ]
    error = calibration_error(answered)
    assert error is not None
    assert error < 0.1
    # what says whether there is an answer does not say whether it is the right one
    before = calibration_error(
        [
            Answered(calibration.probability(row), correct)
            for row, correct in zip(rows, right, strict=True)
            if calibration.probability(row) >= calibration.threshold
        ]
    )
    assert before is not None
    assert before > 2 * error


def test_what_cannot_be_told_is_left_out_of_the_second_fit(tmp_path: Path) -> None:
    source = tmp_path / "questions.jsonl"
    source.write_text("{}")
    rows, labels, right = _rows(60)
    some = [None if number < 20 else correct for number, correct in enumerate(right)]
    whole, part = fit(rows, labels, right, source), fit(rows, labels, some, source)
    assert part.answerable == whole.answerable
    assert part.fitted_on["answered"] < whole.fitted_on["answered"]  # type: ignore[operator]
    with pytest.raises(UsageError, match="some that are wrong"):
        fit(rows, labels, [True] * 60, source)


def test_no_weight_has_the_wrong_sign(tmp_path: Path) -> None:
    source = tmp_path / "questions.jsonl"
    source.write_text("{}")
    rows, labels, right = _rows(60)
    for row, label in zip(rows, labels, strict=True):
        row["reader_first"] = -2.0 * label
        row["unknown_word"] = 2.0 * label
    weights = fit(rows, labels, right, source).answerable.weights
    assert weights["reader_first"] == 0.0
    assert weights["unknown_word"] == 0.0


def test_too_few_questions_are_told(tmp_path: Path) -> None:
    rows, labels, right = _rows(12)
    with pytest.raises(UsageError, match="ten answerable and ten unanswerable"):
        fit(rows, labels, right, tmp_path)


def test_the_shipped_calibration_says_what_it_was_fitted_on() -> None:
    calibration = read_calibration()
    assert 0 < calibration.threshold < 1
    assert set(calibration.answerable.weights) <= set(FEATURES)
    assert set(calibration.right.weights) <= set(RIGHT_FEATURES)
    assert calibration.fitted_on["questions"] == "questions.jsonl"
