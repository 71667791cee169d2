"""What each answer is worth, where it failed, and what all of them come to."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rag.catalog import Catalog
from rag.catalog.pages import read_page
from rag.errors import NotFound
from rag.evaluation.intervals import Interval, interval
from rag.evaluation.metrics import (
    answer_scores,
    cited_share,
    gold_ranks,
    holds_answer,
    mean,
    retrieval_scores,
    right_citations,
)
from rag.evaluation.reliability import Answered, calibration_error, chance_error
from rag.evaluation.run import Result

RETRIEVAL = ("hit@1", "hit@5", "recall@5", "recall@10", "mrr@10", "ndcg@10")
ANSWERS = ("em", "f1", "answer_holds_gold")
# every measure of a question, with what it is for people and whether more of it is better
MEASURES: Mapping[str, tuple[str, bool]] = {
    "hit@1": ("evidence in the first passage", True),
    "hit@5": ("evidence in the first five passages", True),
    "recall@5": ("share of the evidence in five passages", True),
    "recall@10": ("share of the evidence in ten passages", True),
    "mrr@10": ("reciprocal rank of the first evidence", True),
    "ndcg@10": ("nDCG of ten passages", True),
    "em": ("short answer equals the gold one", True),
    "f1": ("token F1 of the short answer", True),
    "answer_holds_gold": ("the answer's text holds the gold one", True),
    "supported": ("sentences that a passage supports", True),
    "citation_precision": ("citations that quote the evidence", True),
    "citation_recall": ("evidence that is cited", True),
    "unanswerable_declined": ("unanswerable questions declined", True),
    "answerable_declined": ("answerable questions declined", False),
}


@dataclass(frozen=True, slots=True)
class Scored:
    """A question that was asked, with those of the MEASURES that apply to it.

    `failure` says what went wrong, and is empty where nothing did. `exact` counts citations whose
    quote is the page's text at its place.
    """

    result: Result
    scores: Mapping[str, float]
    failure: str
    exact: int

    @property
    def answered(self) -> bool:
        """Whether the question got an answer."""
        return not self.result.answer["abstained"]

    @property
    def chance(self) -> float:
        """How likely Cloister held the question to be answerable."""
        return float(self.result.answer["answerable"])

    @property
    def confidence(self) -> float:
        """How likely Cloister held its answer to be right."""
        return float(self.result.answer["confidence"])

    @property
    def is_judged(self) -> bool:
        """Whether it can be told that an answer is right: there is a gold one, or must be none."""
        return bool(self.result.item.answers) or not self.result.item.answerable

    @property
    def right(self) -> bool:
        """Whether the answer's text holds the gold answer."""
        return self.answered and self.scores.get("answer_holds_gold", 0.0) > 0


def score(result: Result, catalog: Catalog) -> Scored:
    """Compare an answer with the gold one."""
    item, answer = result.item, result.answer
    given = not answer["abstained"]
    ranks = gold_ranks(item, result.passages)
    scores: dict[str, float] = {}
    if item.answerable:
        if item.evidence:
            scores |= retrieval_scores(ranks, len(item.evidence))
        if item.answers:
            scores |= answer_scores(item, answer)
        scores["answerable_declined"] = float(not given)
    else:
        scores["unanswerable_declined"] = float(not given)
    if given:
        supports = [sentence["support"] for sentence in answer["sentences"]]
        backed = [support != "unsupported" for support in supports if support != "catalog"]
        if backed or not supports:
            scores["supported"] = sum(backed) / max(1, len(backed))
        if item.evidence:
            right = right_citations(item, answer)
            scores["citation_precision"] = sum(right) / max(1, len(right))
            scores["citation_recall"] = cited_share(item, answer)
    exact = sum(_exact(catalog, citation) for citation in answer["citations"])
    failed = _failure(result, min(ranks, default=None), scores)
    return Scored(result, scores, failed, exact)


def _failure(result: Result, rank: int | None, scores: Mapping[str, float]) -> str:
    """What went wrong, or nothing; `rank` is that of the first passage with evidence."""
    item, given = result.item, not result.answer["abstained"]
    if not item.answerable:
        return "answered, though the documents do not say" if given else ""
    if not item.evidence:
        held = enumerate((holds_answer(p["text"], item.answers) for p in result.passages), 1)
        rank = next((place for place, has in held if has), None)
    found = f"passage {rank} has the answer" if rank else "no passage found has the answer"
    if not given:
        return f"declined; {found}"
    if not scores.get("answer_holds_gold", 1.0):
        return f"answered beside the point; {found}"
    return "" if scores.get("citation_precision", 1.0) else "answered, but another place is cited"


def summary(scored: Sequence[Scored]) -> dict[str, Any]:
    """The scores of each split and of all questions; shares are from 0 to 1."""
    splits = sorted({one.result.item.split for one in scored})
    parts = {split: [s for s in scored if s.result.item.split == split] for split in splits}
    if len(splits) > 1:
        parts["all"] = list(scored)
    return {name: _summed(part) for name, part in parts.items()}


def _summed(scored: Sequence[Scored]) -> dict[str, Any]:
    answerable = [s for s in scored if s.result.item.answerable]
    given = [s for s in answerable if s.answered]
    answered = [s for s in scored if s.answered]
    judged = judged_answers(scored)
    by_chance = chance_error(judged)
    count = sum(len(s.result.answer["citations"]) for s in answered)
    return {
        "questions": len(scored),
        "answerable": len(answerable),
        "retrieval": _means(answerable, RETRIEVAL),
        "answers": _means(answerable, ANSWERS),
        "answers_where_given": _means(given, ANSWERS),
        "citations": {
            "precision": _mean(given, "citation_precision"),
            "recall": _mean(given, "citation_recall"),
            "any_right": mean(
                float(s.scores["citation_precision"] > 0)
                for s in given
                if "citation_precision" in s.scores
            ),
            "answers_without": sum(not s.result.answer["citations"] for s in answered),
            "exact": round(sum(s.exact for s in answered) / count, 4) if count else None,
        },
        "abstention": _means(scored, ("unanswerable_declined", "answerable_declined")),
        "calibration": {
            "ece": calibration_error(judged),
            "ece_by_chance": by_chance.mean if by_chance else None,
            "ece_by_chance_p95": by_chance.most if by_chance else None,
            "right": mean(float(answer.right) for answer in judged),
        },
        "latency_ms": latency(scored),
        "intervals": {
            name: [round(found.low, 4), round(found.high, 4)]
            for name, found in intervals(scored).items()
        },
    }


def intervals(scored: Sequence[Scored]) -> dict[str, Interval]:
    """The mean of each measure, over the questions that it applies to, with its 95 % interval."""
    by_name = {name: [s.scores[name] for s in scored if name in s.scores] for name in MEASURES}
    return {name: interval(values) for name, values in by_name.items() if values}


def judged_answers(scored: Sequence[Scored]) -> list[Answered]:
    """The answers of which can be told whether they are right, and how sure each was."""
    return [Answered(s.confidence, s.right) for s in scored if s.answered and s.is_judged]


def _means(scored: Sequence[Scored], names: Sequence[str]) -> dict[str, float | None]:
    return {name: _mean(scored, name) for name in names}


def _mean(scored: Sequence[Scored], name: str) -> float | None:
    return mean(s.scores[name] for s in scored if name in s.scores)


def _exact(catalog: Catalog, citation: Mapping[str, Any]) -> bool:
    try:
        page = read_page(catalog, citation["document_id"], citation["page"])
    except NotFound:  # it went after it was cited
        return False
    return bool(page.text[citation["start"] : citation["end"]] == citation["quote"])


def latency(scored: Sequence[Scored]) -> dict[str, float]:
    """Milliseconds to the end of each stage: the median and the 95th percentile."""
    timed: dict[str, list[int]] = {}
    for one in scored:
        for stage, value in one.result.answer["timings_ms"].items():
            timed.setdefault(stage, []).append(value)
    return {
        f"{stage}_{name}": round(statistics.quantiles(values, n=20, method="inclusive")[index], 1)
        for stage, values in timed.items()
        if len(values) > 1
        for name, index in (("p50", 9), ("p95", 18))
    }
