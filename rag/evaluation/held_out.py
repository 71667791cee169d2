"""How well the judge does on questions that it was not fitted on, by cross-validation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rag.errors import UsageError
from rag.evaluation.calibrate import Source, asked_weights, fit
from rag.evaluation.judged import Judged
from rag.evaluation.reliability import Answered, calibration_error, chance_error

PARTS = 5


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What fits on all but a fifth of the questions decide of that; shares and errors from 0 to 1.

    The shares declined are means over the files. `ece` is the calibration error of the `answers`
    that were given, as if a quarter of all questions had no answer; `ece_by_chance` is what chance
    alone makes of it on average, and `ece_by_chance_p95` what it makes at most 95 times of 100.
    """

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
    """The judge of `fit` on questions left out of it, five times over.

    Questions that share a document are left out together, and those of a collection where five or
    more are named, for they are alike. What was chosen on them before, as the features, has seen
    them all. None where that leaves a fit fewer than ten questions of a kind, or no wrong answers.
    """
    weights = np.split(
        asked_weights(sources), np.cumsum([len(source.judged) for source in sources])[:-1]
    )
    parts = [_parts(source.judged) for source in sources]
    try:
        fates = [fate for part in range(PARTS) for fate in _left_out(sources, weights, parts, part)]
    except UsageError:
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
        answers=len(given),
        answerable_declined=_declined(fates, True),
        unanswerable_declined=_declined(fates, False),
        ece=error,
        ece_by_chance=chance.mean,
        ece_by_chance_p95=chance.most,
    )


def _left_out(
    sources: Sequence[Source],
    weights: Sequence[NDArray[np.float64]],
    parts: Sequence[Sequence[int]],
    part: int,
) -> Iterator[_Fate]:
    """What a fit on the other parts decides of the questions of this one. Raises UsageError."""
    left = [[one == part for one in of_file] for of_file in parts]
    calibration = fit(
        [
            replace(
                source, judged=[j for j, out in zip(source.judged, own, strict=True) if not out]
            )
            for source, own in zip(sources, left, strict=True)
        ]
    )
    for number, source in enumerate(sources):
        for one, weight, out in zip(source.judged, weights[number], left[number], strict=True):
            if out:
                declined = calibration.probability(one.features) < calibration.threshold
                sure = calibration.confidence(one.features)
                yield _Fate(number, one.answerable, declined, sure, one.right, float(weight))


def _parts(judged: Sequence[Judged]) -> list[int]:
    """The part of each question of a file: about as many in each, those that are alike in one."""
    groups = _groups(judged)
    part_of: dict[int, int] = {}
    filled = [0] * PARTS
    for group, size in sorted(Counter(groups).items(), key=lambda pair: (-pair[1], pair[0])):
        part_of[group] = filled.index(min(filled))
        filled[part_of[group]] += size
    return [part_of[group] for group in groups]


def _groups(judged: Sequence[Judged]) -> list[int]:
    """A number for each question, the same for those that are alike."""
    collections = [one.collection or "" for one in judged]
    if len(set(collections)) >= PARTS:
        numbers = {name: number for number, name in enumerate(dict.fromkeys(collections))}
        return [numbers[name] for name in collections]
    groups = list(range(len(judged)))
    first: dict[tuple[str, str], int] = {}
    for number, (one, collection) in enumerate(zip(judged, collections, strict=True)):
        for document in one.documents:
            other = groups[first.setdefault((collection, document), number)]
            own = groups[number]
            groups = [other if group == own else group for group in groups]
    return groups


def _declined(fates: Sequence[_Fate], answerable: bool) -> float:
    """The share that was declined of the questions of a kind, as a mean over the files."""
    of_kind = [fate for fate in fates if fate.answerable is answerable]
    files = {fate.file for fate in of_kind}
    shares = [
        np.mean([fate.declined for fate in of_kind if fate.file == number]) for number in files
    ]
    return round(float(np.mean(shares)), 4)
