"""Whether the passages hold an answer, where, and how likely the best of it is right.

Every sentence of the passages, a table's row with its header's labels, is scored as evidence: by
the question's words that it holds, by the reader, a small extractive model, and, if it is among
the likeliest by these, by its similarity to the question. The few passages that the best ones are
from are read again by a larger model, the second reader. What all this shows goes through two
logistic regressions: the first says whether to answer, the second how often an answer like this one
is right. Their weights, threshold and data are in `calibration.json`; `cloister evaluate
--calibrate` fits them again.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rag.embedding import Embedder
from rag.evidence import (
    Span,
    TermWeights,
    coverage,
    distinct_spans,
    held_terms,
)
from rag.kinds import shows_kind, wanted_kind
from rag.names import codes
from rag.numbers import currencies, numbers
from rag.reading import second_base
from rag.records import Passage, with_context
from rag.setbacks import SHOWS_NOTHING, setbacks
from rag.settings import Settings
from rag.stretches import answer_start, stretches
from rag.tables import LabelledRow, best_cell, labelled_row

if TYPE_CHECKING:
    from rag.reading.reader import Reader
    from rag.reading.second import SecondReader

# chosen by cross-validation on the dev questions: more of them fit the dev part better and the
# rest worse
FEATURES = (
    "reader_mean",
    "reader_first",
    "reader_max",
    "unknown_word",
    "number_missing",
    "code_missing",
    "second_first",
    "second_max",
)
# of whether the best sentence holds the right answer: the logit of whether there is one, by how
# much the reader finds it better than every other sentence, and the first passage than the next
RIGHT_FEATURES = ("answerable", "margin", "lead")
# how much each part counts when sentences are ranked as evidence, chosen on the dev questions
_SIMILARITY, _COVERAGE, _KIND, _RANK, _READER = 0.5, 0.15, 0.1, 0.3, 0.4
# comparing by vectors takes longer than all else in the judge, and hardly ever would another
# sentence become the best (benchmarks/judging.py)
COMPARED = 8
# of the passages with the best evidence so many are read a second time, and what the second
# reader's part counts then, chosen on the dev questions and the invented organisations
_TWICE, _SECOND = 3, 0.3
# so many logits above “no answer” give the reader's part almost three quarters of its weight
_LOGITS = 6.0
# how much of a row's score is that of the row with its labels, and how many rows are read so;
# the share was chosen on the dev questions and by benchmarks/table_reading.py
LABELLED = 0.6
_MOST_ROWS = 24
_FIGURES = re.compile(r"\d+")
# the fit for one reader alone
_ALONE = Path(__file__).with_name("calibration_one_reader.json")
# a sentence scored .1 higher weighs twice as much in a mean over all
_LEANING = 8.0
# the reader's score where it finds no answer at all
_NONE_READ = -20.0

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Evidence:
    """The sentences that may answer, best first, and what the judge sees in them.

    `answers` holds, for each sentence, the stretch of it that the reader takes for the answer.
    """

    spans: tuple[Span, ...]
    answers: tuple[str, ...]
    features: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Logistic:
    """A fitted logistic regression: `sigmoid(bias + Σ weight × (feature − mean) / scale)`."""

    weights: Mapping[str, float]
    means: Mapping[str, float]
    scales: Mapping[str, float]
    bias: float

    def logit(self, features: Mapping[str, float]) -> float:
        """The logarithm of the odds, from -30 to 30; an unknown feature counts as average."""
        total = self.bias + sum(
            weight * (features.get(name, self.means[name]) - self.means[name]) / self.scales[name]
            for name, weight in self.weights.items()
        )
        return max(-30.0, min(30.0, total))

    def probability(self, features: Mapping[str, float]) -> float:
        """The chance, 0 to 1."""
        return 1.0 / (1.0 + math.exp(-self.logit(features)))


@dataclass(frozen=True, slots=True)
class Calibration:
    """A fitted judge: whether there is an answer (below `threshold` not), and whether it is right.

    The first is fitted with both kinds of question weighing the same, the second on what was
    answered. `fitted_on` has under `files` each file of questions by name and SHA-256, with its
    counts, and under `held_out` how fits on a part of them did on the rest; that of a fit before
    Cloister took several is one such file itself.
    """

    answerable: Logistic
    right: Logistic
    threshold: float
    fitted_on: Mapping[str, object]

    def probability(self, features: Mapping[str, float]) -> float:
        """How likely the passages hold the answer, 0 to 1."""
        return self.answerable.probability(features)

    def confidence(self, features: Mapping[str, float]) -> float:
        """How likely the best evidence is right, 0 to 1, where a question is answered at all."""
        return self.right.probability(self.features_of_right(features))

    def features_of_right(self, features: Mapping[str, float]) -> Mapping[str, float]:
        """The judge's features with its own word."""
        return {**features, "answerable": self.answerable.logit(features)}


def read_calibration(path: Path | None = None) -> Calibration:
    """The calibration at `path`, or the one that comes with Cloister for both readers."""
    text = (path or Path(__file__).with_name("calibration.json")).read_text("utf-8")
    stored = json.loads(text)
    answerable, right = Logistic(**stored.pop("answerable")), Logistic(**stored.pop("right"))
    return Calibration(answerable, right, **stored)


def shipped_calibration(second: bool) -> Calibration:
    """The calibration that comes with Cloister for a judge with a second reader, or without one."""
    return read_calibration(None if second else _ALONE)


def used_calibration(settings: Settings) -> Calibration:
    """The shipped calibration that fits the readers which the settings give the judge."""
    return shipped_calibration(second_base(settings) is not None)


def threshold(settings: Settings, calibration: Calibration) -> float:
    """The answerability below which the answer is that the documents do not say."""
    own = settings.answer_threshold
    return own if own >= 0 else calibration.threshold


@dataclass(frozen=True, slots=True)
class _Twice:
    """What the second reader says: a score for each span, and of each passage that it read.

    The first are logits above “no answer here”, the others (by chunk) logits that it answers.
    """

    spans: Floats
    whole: Mapping[str, float]


class Judge:
    """Finds the best evidence for a question and what speaks for an answer in it.

    So many sentences as `compared` says, the best by all else, are compared with the question by
    their vectors; without a reader all are.
    """

    def __init__(
        self,
        embedder: Embedder,
        weights: TermWeights,
        reader: Reader | None,
        second: SecondReader | None = None,
        compared: int = COMPARED,
    ) -> None:
        self._embedder = embedder
        self._weights = weights
        self._reader = reader
        self._second = second
        self._compared = compared if reader else None

    def weights(self, question: str) -> Mapping[str, float]:
        """The question's content words and how telling each is."""
        return self._weights.weights(question)

    def evidence(self, question: str, passages: Sequence[Passage], asked: str = "") -> Evidence:
        """Sentences of the passages, the likeliest to answer first, and the judge's features.

        `asked` is what was asked last, where `question` has what was asked before as well: words
        count and vectors are near by all of it, but the reader, which is given two questions,
        answers the first.
        """
        asked = asked or question
        spans = distinct_spans([span for p in passages for span in stretches(p)])
        if not spans:
            return Evidence((), (), {})
        weights = self._weights.weights(question)
        rows = [labelled_row(span) for span in spans]
        told = [row.told if row else span.text for span, row in zip(spans, rows, strict=True)]
        covered = np.array(
            [coverage(weights, held_terms(t, s.passage)) for t, s in zip(told, spans, strict=True)]
        )
        kind = wanted_kind(asked)
        shown = np.array([_KIND_SCORES[shows_kind(text, kind)] for text in told])
        first = passages[0].score or 1.0
        scores = (
            _COVERAGE * covered
            + _KIND * shown
            + _RANK * np.array([s.passage.score / first for s in spans])
        )
        answers, read = self._read(asked, passages, spans, rows, scores)
        if read is not None:
            scores = scores + _READER / (1.0 + np.exp(-read / _LOGITS))
        lost = setbacks(asked, spans, told)
        scores = scores - lost
        if read is not None:
            read = np.where(lost < SHOWS_NOTHING, read, np.minimum(read, _NONE_READ))
        near = np.argsort(-scores, kind="stable")[: self._compared]
        scores = scores + _SIMILARITY * self._similarity(question, spans, rows, near)
        order = np.argsort(-scores, kind="stable")
        twice = self._read_twice(asked, spans, order)
        if twice is not None:
            scores = scores + _SECOND / (1.0 + np.exp(-twice.spans / _LOGITS))
            order = np.argsort(-scores, kind="stable")
        best = int(order[0])
        features = {"unknown_word": self._unknown(weights)} | _missing(question, spans[best])
        features["lead"] = passages[0].score - (passages[1].score if passages[1:] else 0.0)
        if read is not None:
            features["margin"] = float(read[best] - np.delete(read, best).max(initial=_NONE_READ))
            features["reader_mean"] = _leaning_mean(read[near], scores[near])
            features["reader_max"] = float(read.max())
            features["reader_first"] = max(
                float(score)
                for span, score in zip(spans, read, strict=True)
                if span.passage is spans[best].passage
            )
        if twice is not None:
            features["second_first"] = twice.whole.get(spans[best].passage.chunk_id, _NONE_READ)
            features["second_max"] = max(twice.whole.values())
        return Evidence(tuple(spans[i] for i in order), tuple(answers[i] for i in order), features)

    def _similarity(
        self,
        question: str,
        spans: Sequence[Span],
        rows: Sequence[LabelledRow | None],
        near: NDArray[np.intp],
    ) -> Floats:
        """The cosine of each sentence and the question; the least of `near` for all others."""
        texts = [
            row.text if (row := rows[i]) else with_context(spans[i].passage.context, spans[i].text)
            for i in near
        ]
        cosines = self._embedder.texts(texts) @ self._embedder.query(question)
        similarity = np.full(len(spans), cosines.min(), dtype=np.float64)
        similarity[near] = cosines
        return similarity

    def _read(
        self,
        question: str,
        passages: Sequence[Passage],
        spans: Sequence[Span],
        rows: Sequence[LabelledRow | None],
        scores: Floats,
    ) -> tuple[list[str], Floats | None]:
        """The reader's answer within each sentence, and its score; no scores without a reader.

        `scores` says which rows matter where there are many.
        """
        if self._reader is None:
            return [""] * len(spans), None
        contexts = [passage.text_in_context for passage in passages]
        pages = dict(
            zip((p.chunk_id for p in passages), self._reader.read(question, contexts), strict=True)
        )
        answers, read = [], np.empty(len(spans))
        for number, span in enumerate(spans):
            shift = len(span.passage.text_in_context) - len(span.passage.text)
            page, begun = pages[span.passage.chunk_id], answer_start(span)
            plain = page.within(shift + span.start, shift + span.end)
            told = page.within(shift + begun, shift + span.end) if begun > span.start else plain
            answers.append(span.passage.text[told.start - shift : told.end - shift])
            read[number] = plain.score
        ranked = (int(i) for i in np.argsort(-scores, kind="stable"))
        first = list(islice(((i, row) for i in ranked if (row := rows[i])), _MOST_ROWS))
        labelled = self._reader.read(question, [row.text for _, row in first])
        for (number, row), page in zip(first, labelled, strict=True):
            if found := best_cell(row, page):
                score, start, end = found
                answers[number] = spans[number].passage.text[start:end]
                read[number] += LABELLED * (score - read[number])
        return [a if s > _NONE_READ else "" for a, s in zip(answers, read, strict=True)], read

    def _read_twice(
        self, question: str, spans: Sequence[Span], order: NDArray[np.intp]
    ) -> _Twice | None:
        """What the second reader says of the few passages whose sentences come first in `order`."""
        if self._second is None:
            return None
        ranked = dict.fromkeys(spans[i].passage.chunk_id for i in order)
        known = {span.passage.chunk_id: span.passage for span in spans}
        few = [known[name] for name in islice(ranked, _TWICE)]
        read = self._second.read(question, [passage.text_in_context for passage in few])
        pages = {passage.chunk_id: page for passage, page in zip(few, read, strict=True)}
        scores = np.full(len(spans), _NONE_READ)
        for number, span in enumerate(spans):
            if page := pages.get(span.passage.chunk_id):
                shift = len(span.passage.text_in_context) - len(span.passage.text)
                scores[number] = page.within(shift + span.start, shift + span.end).score
        return _Twice(scores, {name: page.whole for name, page in pages.items()})

    def _unknown(self, weights: Mapping[str, float]) -> float:
        """The share of the question's weight in words that no document holds."""
        known = self._weights.known(weights)
        return 1.0 - coverage(weights, known)


_KIND_SCORES = {None: 0.5, True: 1.0, False: 0.0}


def _leaning_mean(values: Floats, scores: Floats) -> float:
    """The mean of `values`, leaning to where `scores` (evidence, about 0 to 1) are high."""
    weights = np.exp(_LEANING * (scores - scores.max()))
    return float((weights * values).sum() / weights.sum())


def _missing(question: str, best: Span) -> dict[str, float]:
    """Whether the question names a number or a code that the best evidence's passage lacks.

    “7B” there is a 7 too. A currency is missing like a number where there are others.
    """
    passage = best.passage
    near = f"{passage.source} {passage.title} {passage.text_in_context}"
    known = numbers(near) | set(_FIGURES.findall(near))
    money, shown = currencies(question), currencies(near)
    other_money = bool(money and shown and not money & shown)
    return {
        "number_missing": float(other_money or bool(numbers(question) - known)),
        "code_missing": float(bool(codes(question) - codes(f"{passage.context} {best.text}"))),
    }
