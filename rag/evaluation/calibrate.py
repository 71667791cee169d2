"""Fits the judge's logistic regressions and its threshold on labelled questions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.answerability import FEATURES, RIGHT_FEATURES, Calibration, Logistic
from rag.errors import UsageError
from rag.evaluation.judged import Judged

# strength of the L2 penalty on standardised features, for the few dozen questions that
# there are
_PENALTY = 0.1
_RIGHT_PENALTY = 0.02
_STEPS = 4000
_RATE = 0.3
# what may be declined of the answerable questions while the threshold is chosen, and by how much
# a share of weights may be off by rounding
_MOST_DECLINED = 0.15
_ROUNDING = 1e-9
# of the questions that people ask this share is taken to have no answer, as of the sample's; it
# decides how often an answer is right, and files are made to have many such questions
_UNANSWERED = 0.25
# so many questions of each kind a file needs: fewer would each count for too much
_LEAST = 10
# what speaks against an answer; all else speaks for one
_AGAINST = frozenset({"unknown_word", "code_missing", "number_missing"})

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Source:
    """A file of questions, and those of it that the judge was asked."""

    path: Path
    judged: Sequence[Judged]


def fit(sources: Sequence[Source]) -> Calibration:
    """The calibration fitted on the questions of one file or more.

    Each file weighs as much as any other, however many questions it has, among the answerable
    questions and among the unanswerable ones. Both kinds weigh the same as well, so the shares that
    the threshold is chosen by are means over the files. It is where the balanced error is least
    among those that decline at most 15 % of the answerable of each file. How often an answer is
    right is fitted as if a quarter of all questions had none, whatever share of a file's has none.
    Raises UsageError unless each file has ten questions of each kind.
    """
    counts = [
        checked_counts(source.path, [one.answerable for one in source.judged]) for source in sources
    ]
    asked = list(chain.from_iterable(source.judged for source in sources))
    rows = [one.features for one in asked]
    files = np.repeat(np.arange(len(sources)), [len(source.judged) for source in sources])
    truth = np.array([one.answerable for one in asked], dtype=np.float64)
    balance = np.where(truth > 0, _even(files[truth > 0], files), _even(files[truth == 0], files))
    balance *= len(asked) / 2
    weights = len(asked) * _even(files, files)
    answerable_fit = _logistic(rows, FEATURES, truth, balance, weights, _PENALTY)
    chance = np.array([answerable_fit.probability(row) for row in rows])
    threshold = _threshold(chance, truth, balance, files)
    likely = asked_weights(sources)
    given = np.flatnonzero((likely > 0) & (chance >= threshold))
    correct = np.array([bool(asked[place].right) for place in given], dtype=np.float64)
    if len(set(correct.tolist())) < 2:
        raise UsageError("Calibration needs answers that are right and some that are wrong.")
    own = [{**rows[place], "answerable": answerable_fit.logit(rows[place])} for place in given]
    weights = likely[given] * len(given) / likely[given].sum()
    right = _logistic(own, RIGHT_FEATURES, correct, weights, weights, _RIGHT_PENALTY)
    answers = [correct[files[given] == number] for number in range(len(sources))]
    fitted_on = {"files": [_told(*one) for one in zip(sources, counts, answers, strict=True)]}
    return Calibration(answerable_fit, right, threshold, fitted_on)


def asked_weights(sources: Sequence[Source]) -> Floats:
    """How much each question counts, one file after the other, as people would ask them.

    A quarter of all together have no answer, and each file weighs the same among both kinds. One
    of which it cannot be told whether its answer is right counts 0.
    """
    asked = list(chain.from_iterable(source.judged for source in sources))
    files = np.repeat(np.arange(len(sources)), [len(source.judged) for source in sources])
    told = np.array([one.right is not None for one in asked])
    answerable = np.array([one.answerable for one in asked])
    yes, no = (_even(files[told & those], files) for those in (answerable, ~answerable))
    return np.where(told, np.where(answerable, (1.0 - _UNANSWERED) * yes, _UNANSWERED * no), 0.0)


def checked_counts(path: Path, labels: Sequence[bool]) -> tuple[int, int]:
    """How many questions of a file are answerable (True), and how many not.

    Raises UsageError for fewer than ten of either.
    """
    answerable, unanswerable = sum(labels), len(labels) - sum(labels)
    if min(answerable, unanswerable) < _LEAST:
        raise UsageError(
            "Calibration needs ten answerable and ten unanswerable questions of the split “dev”, "
            f"for which something is found, in each file; {path} has {answerable} and "
            f"{unanswerable}. Add some, or join it with another file."
        )
    return answerable, unanswerable


def write(calibration: Calibration, path: Path) -> None:
    """Store a calibration, whole or not at all."""
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(asdict(calibration), indent=1) + "\n", "utf-8")
    temporary.replace(path)


def _told(source: Source, counts: tuple[int, int], answers: Floats) -> Mapping[str, object]:
    """What a calibration says of a file; `answers` are 1 where one that was given is right."""
    return {
        "questions": source.path.name,
        "sha256": hashlib.sha256(source.path.read_bytes()).hexdigest(),
        "answerable": counts[0],
        "unanswerable": counts[1],
        "answered": len(answers),
        "right": int(answers.sum()),
    }


def _even(files: NDArray[np.intp], of: NDArray[np.intp]) -> Floats:
    """For each of `of` its weight, where `files` says of which file each question is.

    The questions of a file weigh as much together as those of any other that has some, and all
    weigh 1.
    """
    sizes = np.bincount(files, minlength=int(of.max()) + 1).astype(np.float64)
    some = np.count_nonzero(sizes)
    return (1.0 / (some * np.maximum(sizes, 1.0)))[of]


def _logistic(
    rows: Sequence[Mapping[str, float]],
    features: Sequence[str],
    truth: Floats,
    balance: Floats,
    weights: Floats,
    penalty: float,
) -> Logistic:
    """A logistic regression on those features that tell rows apart.

    Each row weighs `balance` in it, and `weights` in the features' means and deviations.
    """
    names = [name for name in features if len({row.get(name) for row in rows}) > 1]
    matrix = np.array([[row[name] for name in names] for row in rows], dtype=np.float64)
    means = np.average(matrix, axis=0, weights=weights)
    scales = np.sqrt(np.average((matrix - means) ** 2, axis=0, weights=weights))
    signs = np.array([-1.0 if name in _AGAINST else 1.0 for name in names])
    found, bias = _descend((matrix - means) / scales, truth, balance, signs, penalty)
    return Logistic(
        _named(names, found), _named(names, means), _named(names, scales), round(float(bias), 6)
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


def _threshold(chance: Floats, truth: Floats, balance: Floats, files: NDArray[np.intp]) -> float:
    values = np.unique(chance)
    best, best_error = float(values[0]), 2.0  # below which is none
    yes, no = truth > 0, truth == 0
    each = [yes & (files == number) for number in np.unique(files)]
    for cut in (values[1:] + values[:-1]) / 2:
        declined = chance < cut
        worst = max(float(declined[those].mean()) for those in each)
        lost = np.average(declined[yes], weights=balance[yes])
        kept = np.average(~declined[no], weights=balance[no])
        if worst <= _MOST_DECLINED + _ROUNDING and lost + kept < best_error:
            best, best_error = float(cut), float(lost + kept)
    return round(best, 6)


def _sigmoid(values: Floats) -> Floats:
    squashed: Floats = 1.0 / (1.0 + np.exp(-np.clip(values, -30, 30)))
    return squashed


def _named(names: Sequence[str], values: Floats) -> dict[str, float]:
    return {name: round(float(value), 6) for name, value in zip(names, values, strict=True)}
