"""Asks every question and sums up: retrieval, answers, citations, abstention, latency."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rag.catalog import Catalog
from rag.catalog.pages import read_page
from rag.evaluation.metrics import answer_scores, mean, retrieval_scores, right_citations
from rag.evaluation.questions import Item
from rag.records import Question
from rag.session import Session


@dataclass(frozen=True, slots=True)
class Result:
    """A question with what was found and answered, as JSON values."""

    item: Item
    passages: tuple[Mapping[str, Any], ...]
    answer: Mapping[str, Any]


def run(
    session: Session,
    items: Sequence[Item],
    collections: tuple[str, ...] | None,
    progress: Callable[[int], None],
) -> list[Result]:
    """Search and ask for each question, in order; `progress` hears how many are done."""
    from rag.condensing import condense

    results = []
    for done, item in enumerate(items, 1):
        standalone = condense(item.question, item.history)
        passages = session.search(standalone, collections, 10)
        answer: Mapping[str, Any] = {}
        for name, data in session.ask(Question(item.question, collections, item.history)):
            if name == "done":
                answer = data
        results.append(Result(item, tuple(passages), answer))
        progress(done)
    return results


def summary(results: Sequence[Result], catalog: Catalog) -> dict[str, Any]:
    """The scores of each split and of all questions; shares are from 0 to 1."""
    splits = sorted({result.item.split for result in results})
    parts = {split: [r for r in results if r.item.split == split] for split in splits}
    if len(splits) > 1:
        parts["all"] = list(results)
    return {name: _scores(part, catalog) for name, part in parts.items()}


def _scores(results: Sequence[Result], catalog: Catalog) -> dict[str, Any]:
    answerable = [r for r in results if r.item.answerable]
    unanswerable = [r for r in results if not r.item.answerable]
    given = [r for r in answerable if not r.answer["abstained"]]
    answered = [r for r in results if not r.answer["abstained"]]
    found = [retrieval_scores(r.item, r.passages) for r in answerable if r.item.evidence]
    scored = [answer_scores(r.item, r.answer) for r in answerable]
    on_given = [answer_scores(r.item, r.answer) for r in given]
    cited = [right for r in given for right in right_citations(r.item, r.answer)]
    return {
        "questions": len(results),
        "answerable": len(answerable),
        "retrieval": _means(found, ("hit@1", "hit@5", "recall@5", "mrr@10")),
        "answers": _means(scored, ("em", "f1", "answer_holds_gold")),
        "answers_where_given": _means(on_given, ("em", "f1", "answer_holds_gold")),
        "citations": {
            "precision": mean(float(right) for right in cited),
            "any_right": mean(float(any(right_citations(r.item, r.answer))) for r in given),
            "answers_without": sum(not r.answer["citations"] for r in answered),
            "exact": mean(
                float(_exact(catalog, citation))
                for r in answered
                for citation in r.answer["citations"]
            ),
        },
        "abstention": {
            "unanswerable_declined": mean(float(r.answer["abstained"]) for r in unanswerable),
            "answerable_declined": mean(float(r.answer["abstained"]) for r in answerable),
        },
        "latency_ms": _latency(results),
    }


def _means(rows: Sequence[Mapping[str, float]], names: Sequence[str]) -> dict[str, float | None]:
    return {name: mean(row[name] for row in rows) for name in names}


def _exact(catalog: Catalog, citation: Mapping[str, Any]) -> bool:
    page = read_page(catalog, citation["document_id"], citation["page"])
    return bool(page.text[citation["start"] : citation["end"]] == citation["quote"])


def _latency(results: Sequence[Result]) -> dict[str, float]:
    timed: dict[str, list[int]] = {}
    for result in results:
        for stage, value in result.answer["timings_ms"].items():
            timed.setdefault(stage, []).append(value)
    return {
        f"{stage}_{name}": round(statistics.quantiles(values, n=20)[index], 1)
        for stage, values in timed.items()
        if len(values) > 1
        for name, index in (("p50", 9), ("p95", 18))
    }
