"""Fits the judge's logistic regressions and its threshold on labelled questions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.answerability import FEATURES, RIGHT_FEATURES, Calibration, Logistic
from rag.errors import UsageError

# strength of the L2 penalty on standardised features, for the few dozen questions that
# there are
_PENALTY = 0.1
_RIGHT_PENALTY = 0.02
_STEPS = 4000
_RATE = 0.3
# what may be declined of the answerable questions while the threshold is chosen
_MOST_DECLINED = 0.15
# what speaks against an answer; all else speaks for one
_AGAINST = frozenset({"unknown_word", "code_missing", "number_missing"})

Floats = NDArray[np.float64]


def fit(
    rows: Sequence[Mapping[str, float]],
    labels: Sequence[bool],
    right: Sequence[bool | None],
    source: Path,
) -> Calibration:
    """The calibration fitted on features, labels (True: answerable) and what was right.

    `right` says of each question whether its best evidence holds a gold answer, None where that
    cannot be told. The threshold is where the balanced error is least among those that decline at
    most 15 % of the answerable. Raises UsageError unless there are ten of each.
    """
    if min(sum(labels), len(labels) - sum(labels)) < 10:
        raise UsageError("Calibration needs ten answerable and ten unanswerable questions.")
    truth = np.array(labels, dtype=np.float64)
    balance = np.where(truth > 0, 0.5 / truth.mean(), 0.5 / (1 - truth.mean()))
    answerable = _logistic(rows, FEATURES, truth, balance, _PENALTY)
    chance = np.array([answerable.probability(row) for row in rows])
    threshold = _threshold(chance, truth)
    given = [
        (row, correct)
        for row, correct, sure in zip(rows, right, chance, strict=True)
        if correct is not None and sure >= threshold
    ]
    if len({correct for _, correct in given}) < 2:
        raise UsageError("Calibration needs answers that are right and some that are wrong.")
    fitted_on = {
        "questions": source.name,
        "sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
        "answerable": int(truth.sum()),
        "unanswerable": int(len(truth) - truth.sum()),
        "answered": len(given),
        "right": sum(correct for _, correct in given),
    }
    own = [{**row, "answerable": answerable.logit(row)} for row, _ in given]
    correct = np.array([correct for _, correct in given], dtype=np.float64)
    return Calibration(
        answerable,
        _logistic(own, RIGHT_FEATURES, correct, np.ones(len(given)), _RIGHT_PENALTY),
        threshold,
        fitted_on,
    )


def write(calibration: Calibration, path: Path) -> None:
    """Store a calibration, whole or not at all."""
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(asdict(calibration), indent=1) + "\n", "utf-8")
    temporary.replace(path)


def _logistic(
    rows: Sequence[Mapping[str, float]],
    features: Sequence[str],
    truth: Floats,
    balance: Floats,
    penalty: float,
) -> Logistic:
    """A logistic regression on those features that tell rows apart, each row weighing so much."""
    names = [name for name in features if len({row.get(name) for row in rows}) > 1]
    matrix = np.array([[row[name] for name in names] for row in rows], dtype=np.float64)
    means, scales = matrix.mean(axis=0), matrix.std(axis=0)
    signs = np.array([-1.0 if name in _AGAINST else 1.0 for name in names])
    weights, bias = _descend((matrix - means) / scales, truth, balance, signs, penalty)
    return Logistic(
        _named(names, weights), _named(names, means), _named(names, scales), round(float(bias), 6)
    )


def _descend(
    matrix: Floats, truth: Floats, balance: Floats, signs: Floats, penalty: float
) -> tuple[Floats, float]:
    """Logistic regression by projected gradient descent.

    A weight of the wrong sign is held at 0: what can only speak for an answer never speaks
    against it because of a few questions.
    """
    weights, bias = np.zeros(matrix.shape[1]), 0.0
    for _ in range(_STEPS):
        error = (_sigmoid(matrix @ weights + bias) - truth) * balance / len(truth)
        weights -= _RATE * (matrix.T @ error + penalty * weights)
        weights[weights * signs < 0] = 0.0
        bias -= _RATE * float(error.sum())
    return weights, bias


def _threshold(chance: Floats, truth: Floats) -> float:
    best, best_error = 0.5, 2.0
    values = np.unique(chance)
    for cut in (values[1:] + values[:-1]) / 2:
        declined = chance < cut
        lost, kept = declined[truth > 0].mean(), (~declined[truth == 0]).mean()
        if lost <= _MOST_DECLINED and lost + kept < best_error:
            best, best_error = float(cut), float(lost + kept)
    return round(best, 6)


def _sigmoid(values: Floats) -> Floats:
    squashed: Floats = 1.0 / (1.0 + np.exp(-np.clip(values, -30, 30)))
    return squashed


def _named(names: Sequence[str], values: Floats) -> dict[str, float]:
    return {name: round(float(value), 6) for name, value in zip(names, values, strict=True)}
