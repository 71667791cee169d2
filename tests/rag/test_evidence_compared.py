"""Only the likeliest sentences are compared with the question by their vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rag.answerability import COMPARED, Judge
from rag.embedding import Embedder, Vectors, load_embedder
from rag.evidence import TermWeights
from rag.reading.reader import Reader
from rag.records import Passage
from rag.settings import Settings
from rag.words import WordIndex, Words

TOWNS = ("Aldern", "Brook", "Cairn", "Dunmere", "Elsing", "Farrow", "Garth", "Holm", "Ivel", "Jura")
FERRIES = " ".join(f"The ferry to {town} leaves at {n + 6}:15." for n, town in enumerate(TOWNS))
FOOD = (
    "The harbour café sells soup. It has forty seats. Dogs may come in. There is a terrace. "
    "The kitchen closes early on Sundays."
)


@dataclass
class Noting:
    """An embedder that keeps what it was given."""

    real: Embedder
    given: list[str] = field(default_factory=list)

    def texts(self, texts: Sequence[str]) -> Vectors:
        self.given += texts
        return self.real.texts(texts)

    def query(self, text: str) -> Vectors:
        return self.real.query(text)


@pytest.fixture
def words(tmp_path: Path) -> Iterator[WordIndex]:
    index = WordIndex(tmp_path)
    index.add([Words("c1", FERRIES), Words("c2", FOOD)])
    index.commit()
    yield index
    index.close()


def passages() -> list[Passage]:
    texts = (FERRIES, FOOD)
    return [
        Passage(f"c{n}", f"d{n}", f"{n}.txt", "Harbour", 1, 0, len(text), text, 1.0 - n / 10)
        for n, text in enumerate(texts)
    ]


def test_those_that_the_reader_and_the_words_speak_for(words: WordIndex, models_path: Path) -> None:
    reader = Reader(models_path / "all-MiniLM-L6-v2", "cpu", "auto")
    embedder = Noting(load_embedder(Settings(models=models_path)))
    judge = Judge(embedder, TermWeights(words), reader)  # type: ignore[arg-type]
    found = judge.evidence("When does the ferry to Jura leave?", passages())
    assert found.spans[0].text == "The ferry to Jura leaves at 15:15."
    assert len(found.spans) == 15
    assert len(embedder.given) == COMPARED
    # those compared stand before the others, whose order is by all else
    compared = {text.split("\n")[-1] for text in embedder.given}
    assert compared == {span.text for span in found.spans[:COMPARED]}
    assert not any("café" in text for text in compared)


def test_all_of_them_where_there_is_no_reader(words: WordIndex, models_path: Path) -> None:
    embedder = Noting(load_embedder(Settings(models=models_path)))
    judge = Judge(embedder, TermWeights(words), None)  # type: ignore[arg-type]
    found = judge.evidence("What can one eat at the port?", passages())
    assert len(embedder.given) == len(found.spans) == 15
    assert "soup" in found.spans[0].text or "kitchen" in found.spans[0].text
