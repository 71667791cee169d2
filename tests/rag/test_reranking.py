"""The reranker puts forward what has an answer, then what the best names, and only reorders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from rag.reading.model import Reading
from rag.records import Passage
from rag.reranking import Reranker
from rag.words import WordIndex, Words


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


@pytest.fixture
def words(tmp_path: Path) -> Iterator[WordIndex]:
    index = WordIndex(tmp_path / "words")
    yield index
    index.close()


def reranker(
    reader: Pages | None, first: int, words: WordIndex, passages: Sequence[Passage]
) -> Reranker:
    """One over an index of these passages."""
    words.add(Words(passage.chunk_id, passage.text_in_context) for passage in passages)
    words.commit()
    return Reranker(lambda: reader, words, first)  # type: ignore[arg-type,return-value]


def passage(name: str, text: str, score: float, context: str = "") -> Passage:
    return Passage(name, "doc", "t", "s", 1, 0, len(text), text, score, context=context)


PASSAGES = [
    passage("a", "the general limit", 0.9),
    passage("b", "Oslo 180 euros", 0.8),
    passage("c", "tea", 0.5, context="Oslo 180"),
    passage("d", "Oslo 180 again", 0.1),
]


def test_the_passage_that_answers_comes_first(words: WordIndex) -> None:
    reader = Pages("180")
    ordered = reranker(reader, 3, words, PASSAGES).order("Which one?", PASSAGES)
    assert [p.chunk_id for p in ordered] == ["b", "a", "c", "d"]
    assert reader.asked == ["the general limit", "Oslo 180 euros", "Oslo 180\ntea"]
    scores = [p.score for p in ordered]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


@pytest.mark.parametrize(("reader", "first"), [(None, 3), (Pages("180"), 0)])
def test_without_a_reader_or_told_to_leave_it_the_order_stays(
    reader: Pages | None, first: int, words: WordIndex
) -> None:
    assert reranker(reader, first, words, PASSAGES).order("Oslo 180?", PASSAGES) == PASSAGES
    assert reader is None or reader.asked == []


def test_nothing_found_is_no_question_for_the_reader(words: WordIndex) -> None:
    reader = Pages("x")
    assert reranker(reader, 3, words, PASSAGES).order("Oslo?", []) == []
    assert reader.asked == []


HEAD = "Who leads the office that wrote the travel policy?"
NAMING = passage("policy", "The travel policy was written by the office in Kilbrannagh.", 0.9)
OTHERS = [
    passage("trains", "Whoever goes by train books a week before the journey.", 0.6),
    passage("named", "Kilbrannagh has a new head: Sunniva.", 0.55),
]


def order(words: WordIndex, first: Passage, others: Sequence[Passage], query: str) -> list[Passage]:
    """As the reader leaves them that finds an answer in none."""
    found = [first, *others]
    return reranker(Pages("no such text"), 16, words, found).order(query, found)


def test_a_passage_about_what_the_best_one_names_comes_next(words: WordIndex) -> None:
    ordered = order(words, NAMING, OTHERS, HEAD)
    assert [p.chunk_id for p in ordered] == ["policy", "named", "trains"]
    scores = [p.score for p in ordered]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("The travel policy was written by the office in town.", HEAD),  # names nothing
        (NAMING.text, "Who leads the office in Kilbrannagh that wrote the travel policy?"),
    ],
)
def test_what_names_nothing_new_moves_nothing(words: WordIndex, text: str, query: str) -> None:
    ordered = order(words, passage("policy", text, 0.9), OTHERS, query)
    assert [p.chunk_id for p in ordered] == ["policy", "trains", "named"]


def test_so_many_names_are_looked_for_and_no_more(words: WordIndex) -> None:
    many = [f"Name{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(21)]
    best = passage("best", f"The minutes name {' and '.join(many)}.", 0.9)
    others = [passage(name, f"{name} has a garden.", 0.59) for name in many[19:]]
    ordered = order(words, best, [OTHERS[0], *others], "Who was there?")
    assert [p.chunk_id for p in ordered] == ["best", many[19], "trains", many[20]]


def test_a_passage_that_the_index_does_not_hold_yet_stays_behind(words: WordIndex) -> None:
    found = [NAMING, *OTHERS]
    ranked = reranker(Pages("no such text"), 16, words, [NAMING]).order(HEAD, found)
    assert [p.chunk_id for p in ranked] == ["policy", "trains", "named"]


def test_the_best_passage_stays_the_first_whatever_has_its_names(words: WordIndex) -> None:
    loud = passage("loud", "Kilbrannagh, travel, office, policy, leads: Kilbrannagh!", 0.89)
    ordered = order(words, NAMING, [loud, *OTHERS], HEAD)
    assert [p.chunk_id for p in ordered][:2] == ["policy", "loud"]
