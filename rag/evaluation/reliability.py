"""How well confidence matches how often answers are right, and what a threshold would decline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_BINS = 10


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer: how sure it was, 0 to 1, and whether it was right."""

    confidence: float
    right: bool


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers of about the same confidence: how many, their mean confidence, the share right."""

    count: int
    confidence: float
    right: float


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
        number = min(_BINS - 1, int(answer.confidence * _BINS))
        parted.setdefault(number, []).append(answer)
    return [
        Bin(
            len(part),
            sum(answer.confidence for answer in part) / len(part),
            sum(answer.right for answer in part) / len(part),
        )
        for _, part in sorted(parted.items())
    ]


def calibration_error(answers: Sequence[Answered]) -> float | None:
    """The expected calibration error: how far bins lie from their confidence, on average.

    Naeini et al. 2015, Guo et al. 2017, with ten bins of equal width. None without answers.
    """
    if not answers:
        return None
    off = sum(one.count * abs(one.right - one.confidence) for one in bins(answers))
    return round(off / len(answers), 4)


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
