"""Whether the passages hold an answer: a calibrated probability, before anything is generated.

Features of the question and its best evidence go through a logistic regression. Its weights,
threshold and the data they were fitted on are in `calibration.json`; `cloister evaluate
--calibrate` fits them again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rag.embedding import Embedder
from rag.evidence import (
    Span,
    TermWeights,
    coverage,
    distinct_spans,
    held_terms,
    passage_sentences,
)
from rag.facts import names, numbers, shows_kind, wanted_kind
from rag.records import Passage
from rag.words import terms

FEATURES = (
    "top_similarity",
    "sentence_similarity",
    "passage_coverage",
    "sentence_coverage",
    "heaviest_missing",
    "soft_missing",
    "kind_shown",
    "kind_absent",
    "name_missing",
    "number_missing",
    "lead",
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The sentences that may answer, best first, with their scores, and what they show."""

    spans: tuple[Span, ...]
    scores: tuple[float, ...]
    features: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Calibration:
    """A fitted judge: `sigmoid(bias + Σ weight × (feature − mean) / scale)`."""

    weights: Mapping[str, float]
    means: Mapping[str, float]
    scales: Mapping[str, float]
    bias: float
    threshold: float
    fitted_on: Mapping[str, object]

    def probability(self, features: Mapping[str, float]) -> float:
        """How likely the passages hold the answer, 0 to 1."""
        total = self.bias + sum(
            weight * (features[name] - self.means[name]) / self.scales[name]
            for name, weight in self.weights.items()
        )
        return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, total))))


def read_calibration(path: Path | None = None) -> Calibration:
    """The calibration at `path`, or the one that comes with Cloister."""
    text = (path or Path(__file__).with_name("calibration.json")).read_text("utf-8")
    return Calibration(**json.loads(text))


class Judge:
    """Finds the best evidence for a question and what speaks for an answer in it."""

    def __init__(self, embedder: Embedder, weights: TermWeights) -> None:
        self._embedder = embedder
        self._weights = weights

    def weights(self, question: str) -> Mapping[str, float]:
        """The question's content words and how telling each is."""
        return self._weights.weights(question)

    def evidence(self, question: str, passages: Sequence[Passage]) -> Evidence:
        """Sentences of the passages, the likeliest to answer first, and the judge's features."""
        spans = distinct_spans([span for p in passages for span in passage_sentences(p)])
        if not spans:
            return Evidence((), (), dict.fromkeys(FEATURES, 0.0))
        weights = self._weights.weights(question)
        texts = [
            f"{span.passage.context}\n{span.text}" if span.passage.context else span.text
            for span in spans
        ]
        matrix = self._embedder.texts(texts)
        vector = self._embedder.query(question)
        similarity = matrix @ vector
        covered = np.array([coverage(weights, held_terms(s.text, s.passage)) for s in spans])
        kind = wanted_kind(question)
        shown = np.array([{None: 0.5, True: 1.0, False: 0.0}[shows_kind(s.text, kind)] for s in spans])
        best_passage = max((p.score for p in passages), default=1.0) or 1.0
        rank = np.array([s.passage.score / best_passage for s in spans])
        scores = 0.5 * similarity + 0.3 * covered + 0.15 * shown + 0.15 * rank
        order = np.argsort(-scores, kind="stable")
        features = self._features(question, passages, spans[order[0]], weights)
        features |= {
            "sentence_similarity": float(similarity[order[0]]),
            "sentence_coverage": float(covered[order[0]]),
            "lead": float(scores[order[0]] - np.median(scores)),
        }
        return Evidence(
            tuple(spans[i] for i in order), tuple(float(scores[i]) for i in order), features
        )

    def _features(
        self,
        question: str,
        passages: Sequence[Passage],
        best: Span,
        weights: Mapping[str, float],
    ) -> dict[str, float]:
        held = held_terms(best.passage.text, best.passage)
        missing = {term: weight for term, weight in weights.items() if term not in held}
        heaviest = max(weights.values(), default=1.0)
        around = f"{best.passage.title} {best.passage.context} {best.passage.text}"
        kind = wanted_kind(question)
        shown = shows_kind(best.text, kind)
        words = set(terms(around))
        return {
            "top_similarity": max((p.similarity for p in passages), default=0.0),
            "passage_coverage": coverage(weights, held),
            "heaviest_missing": max(missing.values(), default=0.0) / heaviest,
            "soft_missing": self._soft_missing(missing, held),
            "kind_shown": float(shown is True),
            "kind_absent": float(shown is False),
            "name_missing": float(any(not set(terms(n)) <= words for n in names(question))),
            "number_missing": float(bool(numbers(question) - numbers(around))),
        }

    def _soft_missing(self, missing: Mapping[str, float], held: set[str]) -> float:
        """How far the farthest missing word is from the nearest word held: 0 to about 1."""
        words = sorted(word for word in held if len(word) > 2)[:150]
        if not missing or not words:
            return 0.0
        lost = sorted(missing)
        vectors = self._embedder.texts([*lost, *words])
        nearest = (vectors[: len(lost)] @ vectors[len(lost) :].T).max(axis=1)
        weights = np.array([missing[word] for word in lost])
        return float(((1.0 - nearest) * weights).max() / weights.max())
