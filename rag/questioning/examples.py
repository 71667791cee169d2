"""Questions with their evidence as examples to tune an LLM on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rag.evaluation.metrics import holds_gold
from rag.evaluation.questions import Gold, Item
from rag.evaluation.rated import Row, marked_sentence
from rag.prompting import NOT_SAID
from rag.session import Session
from rag.settings import Settings

Found = Mapping[str, Any]


def example_row(
    session: Session, item: Item, collections: Sequence[str] | None, settings: Settings
) -> Row | None:
    """The example of a question: the passages found for it, the evidence as the answer.

    Where the passage with the evidence is not among them it takes the place of the last one. None
    where the evidence is not in the library (any more), or nothing is found. `collections` (None:
    all) are searched where the question names none of its own.
    """
    from rag.condensing import condense

    question = condense(item.question, item.history, settings.question_max_chars)
    asked_of = item.asked_of(collections)
    found = session.search(question, asked_of, settings.retrieval_passages)
    if not item.answerable:
        return _row(question, found, NOT_SAID, found[0]["source"]) if found else None
    gold = next((gold for gold in item.evidence if gold.quote), None)
    if gold is None:
        return None
    place = _place(found, gold)
    if place is None:
        near = session.search(gold.quote[: settings.question_max_chars], asked_of, 10)
        there = _place(near, gold)
        if there is None:
            return None
        found = [*found[: max(0, settings.retrieval_passages - 1)], near[there]]
        place = len(found) - 1
    answer = marked_sentence(" ".join(gold.quote.split()), [place + 1])
    return _row(question, found, answer, gold.source)


def _place(found: Sequence[Found], gold: Gold) -> int | None:
    """Where the passage stands that has all of the evidence."""
    words = " ".join(gold.quote.split())
    for place, passage in enumerate(found):
        if holds_gold(passage, passage["text"], gold, ()) and words in " ".join(
            passage["text"].split()
        ):
            return place
    return None


def _row(question: str, found: Sequence[Found], answer: str, document: str) -> Row:
    passages = [{"title": passage["title"], "text": passage["text"]} for passage in found]
    return {"question": question, "passages": passages, "answer": answer, "document": document}
