"""The judge is fitted on labelled questions, and what speaks for an answer never speaks against."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rag.answerability import FEATURES, read_calibration
from rag.errors import UsageError
from rag.evaluation.calibrate import fit, write


def _rows(count: int, seed: int = 1) -> tuple[list[dict[str, float]], list[bool]]:
    """Labelled rows in which `reader_mean` tells the classes apart and nothing else does."""
    random = np.random.default_rng(seed)
    labels = [bool(n % 2) for n in range(count)]
    rows = [
        {name: float(random.normal()) for name in FEATURES} | {"reader_mean": 2.0 * label}
        for label in labels
    ]
    for row in rows:
        row["reader_mean"] += float(random.normal()) * 0.3
    return rows, labels


def test_a_fit_tells_the_classes_apart_and_is_stored_whole(tmp_path: Path) -> None:
    source = tmp_path / "questions.jsonl"
    source.write_text("{}")
    rows, labels = _rows(60)
    calibration = fit(rows, labels, source)
    assert (
        max(calibration.weights, key=lambda name: abs(calibration.weights[name])) == "reader_mean"
    )
    chance = [calibration.probability(row) for row in rows]
    assert min(c for c, yes in zip(chance, labels, strict=True) if yes) > max(
        c for c, yes in zip(chance, labels, strict=True) if not yes
    )
    write(calibration, tmp_path / "calibration.json")
    assert read_calibration(tmp_path / "calibration.json") == calibration
    assert calibration.fitted_on["answerable"] == 30


def test_no_weight_has_the_wrong_sign(tmp_path: Path) -> None:
    source = tmp_path / "questions.jsonl"
    source.write_text("{}")
    rows, labels = _rows(60)
    for row, label in zip(rows, labels, strict=True):
        row["reader_first"] = -2.0 * label
        row["unknown_word"] = 2.0 * label
    weights = fit(rows, labels, source).weights
    assert weights["reader_first"] == 0.0
    assert weights["unknown_word"] == 0.0


def test_too_few_questions_are_told(tmp_path: Path) -> None:
    rows, labels = _rows(12)
    with pytest.raises(UsageError, match="ten answerable and ten unanswerable"):
        fit(rows, labels, tmp_path)


def test_the_shipped_calibration_says_what_it_was_fitted_on() -> None:
    calibration = read_calibration()
    assert 0 < calibration.threshold < 1
    assert set(calibration.weights) <= set(FEATURES)
    assert calibration.fitted_on["questions"] == "questions.jsonl"
