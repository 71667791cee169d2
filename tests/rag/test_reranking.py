"""The reranker puts forward what has an answer, and only reorders."""

from __future__ import annotations

from typing import Any

import pytest

from rag.reading.model import Reading
from rag.records import Passage
from rag.reranking import Reranker


class Pages:
    """A reader that knows the answer's word."""

    def __init__(self, word: str) -> None:
        self.word = word
        self.asked: list[str] = []

    def read(self, question: str, contexts: list[str]) -> list[Any]:
        self.asked += contexts
        return [self._page(context) for context in contexts]

    def _page(self, context: str) -> Any:
        word = self.word

        class Found:
            def within(self, start: int, end: int) -> Reading:
                at = context.find(word, start, end)
                return Reading(at, at + 1, 8.0) if at >= 0 else Reading(0, 0, -8.0)

        return Found()


def reranker(reader: Pages | None, first: int) -> Reranker:
    return Reranker(lambda: reader, first)  # type: ignore[arg-type,return-value]


def passage(name: str, text: str, score: float, context: str = "") -> Passage:
    return Passage(name, "doc", "t", "s", 1, 0, len(text), text, score, context=context)


PASSAGES = [
    passage("a", "the general limit", 0.9),
    passage("b", "Oslo 180 euros", 0.8),
    passage("c", "tea", 0.5, context="Oslo 180"),
    passage("d", "Oslo 180 again", 0.1),
]


def test_the_passage_that_answers_comes_first() -> None:
    reader = Pages("180")
    ordered = reranker(reader, 3).order("Which one?", PASSAGES)
    assert [p.chunk_id for p in ordered] == ["b", "a", "c", "d"]
    assert reader.asked == ["the general limit", "Oslo 180 euros", "Oslo 180\ntea"]
    scores = [p.score for p in ordered]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


@pytest.mark.parametrize(("reader", "first"), [(None, 3), (Pages("180"), 0)])
def test_without_a_reader_or_told_to_leave_it_the_order_stays(
    reader: Pages | None, first: int
) -> None:
    assert reranker(reader, first).order("Oslo 180?", PASSAGES) == PASSAGES
    assert reader is None or reader.asked == []


def test_nothing_found_is_no_question_for_the_reader() -> None:
    reader = Pages("x")
    assert reranker(reader, 3).order("Oslo?", []) == []
    assert reader.asked == []
