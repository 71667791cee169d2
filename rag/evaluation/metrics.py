"""Scores of texts, places and ranks, each from 0 to 1."""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from rag.evaluation.questions import Gold, Item

_ARTICLES = re.compile(r"\b(a|an|the)\b")


def plain(text: str) -> str:
    """SQuAD's normal form: lower case, no punctuation, no articles, single spaces.

    Rajpurkar et al. 2016, the official evaluation script.
    """
    lowered = "".join(c for c in text.lower() if c not in string.punctuation)
    return " ".join(_ARTICLES.sub(" ", lowered).split())


def exact_match(given: str, golds: Iterable[str]) -> float:
    """1 where the answer equals one of the gold answers in normal form."""
    if not plain(given):  # “A” is nothing in that form
        return float(given.strip() != "" and given.strip() in golds)
    return float(any(plain(given) == plain(gold) for gold in golds))


def token_f1(given: str, golds: Iterable[str]) -> float:
    """The best harmonic mean of token precision and recall over the gold answers."""
    return max((_f1(plain(given).split(), plain(gold).split()) for gold in golds), default=0.0)


def _f1(given: Sequence[str], gold: Sequence[str]) -> float:
    common = sum((Counter(given) & Counter(gold)).values())
    if not common:
        return 0.0
    precision, recall = common / len(given), common / len(gold)
    return 2 * precision * recall / (precision + recall)


def holds_answer(text: str, golds: Iterable[str]) -> bool:
    """Whether a text holds one of the gold answers, in normal form, at word borders."""
    inside = f" {plain(text)} "
    return any(plain(gold) and f" {plain(gold)} " in inside for gold in golds)


def holds_gold(place: Mapping[str, Any], text: str, gold: Gold, answers: Sequence[str]) -> bool:
    """Whether a passage is from the gold page and has half of the gold quote.

    Without a quote it must have one of the answers; without those any place on the page will do.
    """
    if not _is_of(place, gold):
        return False
    have, want = _words(text), _words(gold.quote)
    if not want:
        return not answers or holds_answer(text, answers)
    if want in have:
        return True
    match = SequenceMatcher(None, have, want, autojunk=False).find_longest_match()
    return match.size >= 0.5 * len(want)


def _is_of(place: Mapping[str, Any], gold: Gold) -> bool:
    return place["source"] == gold.source and gold.page in (None, place["page"])


def _words(text: str) -> str:
    """A text with single spaces, and without the bars between a table's cells."""
    return " ".join(text.replace("|", " ").split())


def gold_ranks(item: Item, passages: Sequence[Mapping[str, Any]]) -> list[int]:
    """Of each piece of evidence that is found at all, the rank of the first passage with it."""
    ranks = (
        next(
            (
                rank
                for rank, passage in enumerate(passages, 1)
                if holds_gold(passage, passage["text"], gold, item.answers)
            ),
            None,
        )
        for gold in item.evidence
    )
    return [rank for rank in ranks if rank is not None]


def retrieval_scores(ranks: Sequence[int], wanted: int) -> dict[str, float]:
    """hit, recall, reciprocal rank and nDCG of one question.

    `ranks` are those at which gold was found, counted from 1, `wanted` is how much gold there is.
    """
    best = min(ranks, default=math.inf)
    return {
        "hit@1": float(best == 1),
        "hit@5": float(best <= 5),
        "recall@5": sum(rank <= 5 for rank in ranks) / wanted,
        "recall@10": sum(rank <= 10 for rank in ranks) / wanted,
        "mrr@10": 1.0 / best if best <= 10 else 0.0,
        "ndcg@10": ndcg(ranks, wanted),
    }


def ndcg(ranks: Iterable[int], wanted: int, depth: int = 10) -> float:
    """Normalised discounted cumulative gain within `depth`, for gold found at `ranks`.

    Järvelin and Kekäläinen 2002, with gains of 0 and 1; `wanted` is how much gold there is. One
    passage may hold several pieces of gold, which is never worth more than 1 in all.
    """
    gained = sum(1 / math.log2(rank + 1) for rank in ranks if rank <= depth)
    best = sum(1 / math.log2(rank + 1) for rank in range(1, min(depth, wanted) + 1))
    return min(1.0, gained / best)


def answer_scores(item: Item, answer: Mapping[str, Any]) -> dict[str, float]:
    """EM and F1 of the short answer, and whether the text holds the gold answer."""
    short = answer["short_answer"] or ""
    return {
        "em": exact_match(short, item.answers),
        "f1": token_f1(short, item.answers),
        "answer_holds_gold": float(holds_answer(answer["text"], item.answers)),
    }


def right_citations(item: Item, answer: Mapping[str, Any]) -> list[bool]:
    """For each citation, whether it quotes the gold: the answer on its page, or the evidence."""
    return [
        any(_quotes(citation, item, gold) for gold in item.evidence)
        for citation in answer["citations"]
    ]


def cited_share(item: Item, answer: Mapping[str, Any]) -> float:
    """The share of the evidence that some citation quotes: the recall of citations."""
    cited = [any(_quotes(c, item, gold) for c in answer["citations"]) for gold in item.evidence]
    return sum(cited) / len(cited)


def _quotes(citation: Mapping[str, Any], item: Item, gold: Gold) -> bool:
    """Whether a citation is of the gold page and quotes the answer or the evidence."""
    if not _is_of(citation, gold):
        return False
    quote, want = citation["quote"], _words(gold.quote)
    if not want and not item.answers:
        return True
    return holds_answer(quote, item.answers) or (want != "" and want in _words(quote))


def mean(values: Iterable[float]) -> float | None:
    """The mean to four places; None of nothing."""
    listed = list(values)
    return round(sum(listed) / len(listed), 4) if listed else None
