"""How well the judge does on questions that it was not fitted on, by cross-validation."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rag.errors import UsageError
from rag.evaluation.calibrate import Source, asked_weights, fit
from rag.evaluation.reliability import Answered, calibration_error, chance_error

PARTS = 5


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What fits on four parts in five decide of the fifth; shares and errors from 0 to 1.

    The shares declined are means over the files. `ece` is the calibration error of the `answers`
    that were given, as if a quarter of all questions had no answer; `ece_by_chance` and
    `ece_by_chance_p95` are what chance alone makes of it, as a mean and in 95 of 100.
    """

    parts: int
    answers: int
    answerable_declined: float
    unanswerable_declined: float
    ece: float
    ece_by_chance: float
    ece_by_chance_p95: float


@dataclass(frozen=True, slots=True)
class _Fate:
    """What became of a question: declined, or answered so sure, and rightly (None: not known)."""

    file: int
    answerable: bool
    declined: bool
    confidence: float
    right: bool | None
    weight: float


def held_out(sources: Sequence[Source]) -> HeldOut | None:
    """The judge of `fit` on questions left out of it, five times over; None for too few of them.

    Questions of one document, or of one collection, are left out together, for they are alike.
    """
    weights = np.split(
        asked_weights(sources), np.cumsum([len(source.judged) for source in sources])[:-1]
    )
    try:
        fates = [fate for part in range(PARTS) for fate in _left_out(sources, weights, part)]
    except UsageError:  # a fit needs ten questions of each kind, and wrong answers as well
        return None
    given = [
        Answered(fate.confidence, fate.right, fate.weight)
        for fate in fates
        if not fate.declined and fate.right is not None
    ]
    error, chance = calibration_error(given), chance_error(given)
    if error is None or chance is None:
        return None
    return HeldOut(
        parts=PARTS,
        answers=len(given),
        answerable_declined=_declined(fates, True),
        unanswerable_declined=_declined(fates, False),
        ece=error,
        ece_by_chance=chance.mean,
        ece_by_chance_p95=chance.most,
    )


def _left_out(
    sources: Sequence[Source], weights: Sequence[NDArray[np.float64]], part: int
) -> list[_Fate]:
    """What a fit on the other parts decides of the questions of this one. Raises UsageError."""
    kept = [
        replace(source, judged=[one for one in source.judged if _part(one.group) != part])
        for source in sources
    ]
    calibration = fit(kept)
    fates = []
    for number, source in enumerate(sources):
        for one, weight in zip(source.judged, weights[number], strict=True):
            if _part(one.group) == part:
                declined = calibration.probability(one.features) < calibration.threshold
                sure = calibration.confidence(one.features)
                fates.append(
                    _Fate(number, one.answerable, declined, sure, one.right, float(weight))
                )
    return fates


def _part(group: str) -> int:
    """The part that a group is of, the same in every run."""
    return int.from_bytes(hashlib.sha256(group.encode()).digest()[:8], "big") % PARTS


def _declined(fates: Sequence[_Fate], answerable: bool) -> float:
    """The share that was declined of the questions of a kind, as a mean over the files."""
    of_kind = [fate for fate in fates if fate.answerable is answerable]
    files = {fate.file for fate in of_kind}
    shares = [
        np.mean([fate.declined for fate in of_kind if fate.file == number]) for number in files
    ]
    return round(float(np.mean(shares)), 4)
