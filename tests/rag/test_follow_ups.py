"""Of a follow-up, what was asked last is looked for in what the whole of it finds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.answerability import Judge
from rag.answering import _leaves_out
from rag.condensing import asked_last, condense
from rag.embedding import load_embedder
from rag.evidence import Span, TermWeights, passage_sentences
from rag.reading.reader import Reader
from rag.records import Passage, Turn
from rag.settings import Settings
from rag.words import WordIndex, Words

POOL = (
    "A day ticket for the swimming pool costs 4 euros in summer. The sauna is 11 euros extra. "
    "Lockers take a coin of 1 euro. The café serves until 20:00 on weekdays. "
    "Season tickets are sold by Marta Oyelaran."
)
BEFORE = "How much is a day ticket for the swimming pool in summer?"


@pytest.fixture
def judge(models_path: Path, tmp_path: Path) -> Iterator[Judge]:
    words = WordIndex(tmp_path)
    words.add([Words("c1", POOL)])
    words.commit()
    reader = Reader(models_path / "all-MiniLM-L6-v2", "cpu", "auto")
    yield Judge(load_embedder(Settings(models=models_path)), TermWeights(words), reader)
    words.close()


def pool() -> Passage:
    return Passage("c1", "d1", "pool.md", "Pool", 1, 0, len(POOL), POOL, 1.0)


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("And what do the lockers take?", "a coin of 1 euro"),
        ("Until when is the café open there?", "20:00"),
        ("Who sells season tickets?", "Marta Oyelaran"),
    ],
)
def test_the_question_before_is_not_answered_again(judge: Judge, asked: str, answer: str) -> None:
    whole = f"{BEFORE} {asked}"
    found = judge.evidence(whole, [pool()], asked)
    assert answer in found.spans[0].text
    assert found.answers[0] == answer
    assert "4 euros" in judge.evidence(whole, [pool()]).spans[0].text


@pytest.mark.parametrize(
    ("asked", "last"), [("And that?", f"{BEFORE} And that?"), ("The sauna?", "The sauna?")]
)
def test_what_has_no_word_of_its_own_is_read_with_what_was_asked_before(
    asked: str, last: str
) -> None:
    assert asked_last(asked, condense(asked, [Turn(BEFORE, "4 euros")])) == last


def test_a_sentence_may_lack_what_the_question_before_asked_for() -> None:
    evidence = passage_sentences(pool())[-1]
    assert evidence.text == "Season tickets are sold by Marta Oyelaran."
    both = Span(evidence.passage, 0, evidence.end)
    asked, said = "Who sells season tickets?", "Marta Oyelaran sells season tickets."
    assert not _leaves_out(asked, f"{BEFORE} {asked}", said, both)
    assert _leaves_out(BEFORE, BEFORE, "The ticket costs something.", both)
