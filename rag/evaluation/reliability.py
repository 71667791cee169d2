"""How well confidence matches how often answers are right, and what a threshold would decline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_BINS = 10
_DRAWS = 2000
_SEED = 1
_MOST = 0.95


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer: how sure it was, 0 to 1, whether it was right, and how much it counts."""

    confidence: float
    right: bool
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers of about the same confidence: how many, their mean confidence, the share right.

    `weight` is how much they count together; both means are by weight.
    """

    count: int
    confidence: float
    right: float
    weight: float


@dataclass(frozen=True, slots=True)
class ChanceError:
    """The calibration error that chance alone makes: its mean, and its 95th percentile."""

    mean: float
    most: float


@dataclass(frozen=True, slots=True)
class Cut:
    """A threshold, and the shares of both kinds of question that lie below it."""

    threshold: float
    answerable_declined: float
    unanswerable_declined: float


def bins(answers: Sequence[Answered]) -> list[Bin]:
    """The answers in ten bins of equal width; those that hold any."""
    parted: dict[int, list[Answered]] = {}
    for answer in answers:
        parted.setdefault(_bin(answer), []).append(answer)
    return [_bin_of(part) for _, part in sorted(parted.items())]


def _bin_of(answers: Sequence[Answered]) -> Bin:
    weight = sum(answer.weight for answer in answers)
    return Bin(
        len(answers),
        sum(answer.weight * answer.confidence for answer in answers) / weight,
        sum(answer.weight * answer.right for answer in answers) / weight,
        weight,
    )


def calibration_error(answers: Sequence[Answered]) -> float | None:
    """The expected calibration error: how far bins lie from their confidence, on average.

    Naeini et al. 2015, Guo et al. 2017, with ten bins of equal width. None without answers.
    """
    if not answers:
        return None
    off = sum(one.weight * abs(one.right - one.confidence) for one in bins(answers))
    return round(off / sum(answer.weight for answer in answers), 4)


def chance_error(answers: Sequence[Answered]) -> ChanceError | None:
    """The calibration error of as many answers if their confidence were exactly right.

    Over ten bins of few answers it is far from 0 even then. Each answer is drawn right as often as
    its confidence says, 2,000 times over. So Bröcker and Smith 2007 (“Increasing the reliability of
    reliability diagrams”) draw the bars of such a diagram, and Vaicenavicius et al. 2019
    (“Evaluating model calibration in classification”) test an error; they draw the confidences
    anew too, which are those of the answers here. An error above `most` is of a judge that is off,
    but for one time in twenty; one below tells nothing. None without answers.
    """
    if not answers:
        return None
    random = np.random.default_rng(_SEED)
    # of each draw and bin, by how many right answers it is off
    off = np.zeros((_BINS, _DRAWS))
    for answer in answers:
        drawn = (random.random(_DRAWS) < answer.confidence) - answer.confidence
        off[_bin(answer)] += answer.weight * drawn
    errors = np.abs(off).sum(axis=0) / sum(answer.weight for answer in answers)
    return ChanceError(round(float(errors.mean()), 4), round(float(np.quantile(errors, _MOST)), 4))


def _bin(answer: Answered) -> int:
    return min(_BINS - 1, int(answer.confidence * _BINS))


def cuts(answerable: Sequence[float], unanswerable: Sequence[float]) -> list[Cut]:
    """What each threshold that makes a difference would decline; both by their chance, 0 to 1.

    The first declines nothing, the last everything. Nothing without questions of both kinds.
    """
    if not answerable or not unanswerable:
        return []
    thresholds = [*sorted({*answerable, *unanswerable}), 1.1]
    return [cut(threshold, answerable, unanswerable) for threshold in thresholds]


def cut(threshold: float, answerable: Sequence[float], unanswerable: Sequence[float]) -> Cut:
    """What a threshold would decline of questions of both kinds."""
    return Cut(threshold, _below(answerable, threshold), _below(unanswerable, threshold))


def _below(values: Sequence[float], threshold: float) -> float:
    return sum(value < threshold for value in values) / len(values)
