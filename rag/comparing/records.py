"""What a comparison comes to, as it is stored, shown and given to programs. No document's text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

SHARE, MILLISECONDS = "share", "ms"

Told = Literal["better", "worse", "the same", "may be chance"]


@dataclass(frozen=True, slots=True)
class Measure:
    """What is measured of each answer: in words, its unit, and whether more of it is better."""

    words: str
    unit: str
    more_is_better: bool


# each measure of a question, those that decide first
MEASURES: Mapping[str, Measure] = {
    "right": Measure("handled rightly", SHARE, True),
    "unanswerable_answered": Measure("answered though the documents do not say", SHARE, False),
    "answerable_declined": Measure("declined though the documents do say", SHARE, False),
    "answer_holds_gold": Measure("the answer's text holds the gold one", SHARE, True),
    "em": Measure("short answer equals the gold one", SHARE, True),
    "f1": Measure("token F1 of the short answer", SHARE, True),
    "supported": Measure("sentences that a passage supports", SHARE, True),
    "citation_precision": Measure("citations that quote the evidence", SHARE, True),
    "citation_recall": Measure("evidence that is cited", SHARE, True),
    "first_token": Measure("time until the model's first word", MILLISECONDS, False),
    "total": Measure("time until the whole answer", MILLISECONDS, False),
}


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over the questions to which a measure applies, with its 95 % interval."""

    questions: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Answers of about the same confidence: how many, their mean confidence, the share right."""

    count: int
    confidence: float
    right: float


@dataclass(frozen=True, slots=True)
class Figures:
    """One model: how good, how sure, how fast, how large, how dear, and under which licence.

    `measures` are by the names of `MEASURES`; those that apply to no question are left out.
    `calibration_error` is that of `rag.evaluation.reliability`. `p50` and `p95` are milliseconds by
    stage. `memory` is the most bytes that were measured, as `memory_how` says in words, and
    `memory_estimate` what `cloister models fit` tells for the settings. `cost` is the price of a
    thousand answers, one after another. None is not known.
    """

    name: str
    revision: str
    device: str
    precision: str | None
    quantization: str | None
    measures: Mapping[str, Mean]
    calibration_error: float | None
    calibration: tuple[CalibrationBin, ...]
    p50: Mapping[str, float]
    p95: Mapping[str, float]
    tokens_per_second: float | None
    prompt_tokens: float | None
    completion_tokens: float | None
    memory: int | None
    memory_how: str
    memory_estimate: int | None
    estimate_for: str
    cost: float | None
    licence: str
    commercial: str
    commercial_words: str


@dataclass(frozen=True, slots=True)
class Difference:
    """The second model against the first in one measure, over the questions that both have.

    `low` and `high` bound the difference (95 %). `p` is that of the paired permutation test, and
    `adjusted` is it after Holm's correction (1979) for all measures and pairs of the comparison in
    which any question differs; only that below .05 tells `better` or `worse`.
    """

    measure: str
    first: str
    second: str
    questions: int
    first_mean: float
    second_mean: float
    difference: float
    low: float
    high: float
    p: float
    adjusted: float
    told: Told


@dataclass(frozen=True, slots=True)
class AskedOf:
    """A question with what went wrong by model, empty where nothing did."""

    id: str
    question: str
    answerable: bool
    failures: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A question or a model that is not in the comparison, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """All of it. `beside` counts the answers that were timed while a server answered others.

    `collections` are those that some question was asked of, None where one was asked of all.
    """

    id: str
    name: str
    begun: str
    ended: str
    questions: int
    answerable: int
    collections: tuple[str, ...] | None
    models: tuple[Figures, ...]
    skipped: tuple[LeftOut, ...]
    left_out: tuple[LeftOut, ...]
    differences: tuple[Difference, ...]
    asked: tuple[AskedOf, ...]
    per_hour: float | None
    currency: str
    beside: int
    made_with: Mapping[str, str]
