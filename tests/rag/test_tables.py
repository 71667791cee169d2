"""Rows of tables with their labels: each cell where it stands, and no label that is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.answerability import Judge
from rag.embedding import load_embedder
from rag.evidence import Span, TermWeights, passage_sentences
from rag.reading import load_reader
from rag.records import Passage
from rag.settings import Settings
from rag.tables import labelled_row
from rag.words import WordIndex, Words

PRICES = (
    "Prices without tax\n\nArticle | Flow in m3/h | Power in kW | Price\n"
    "KP-110 | 40 | 2.2 | 2480\nKP-150 | 85 | 4 | 3190\nKP-200 |  | 7.5 | 4870\n\nUntil May."
)
ASKED = {"What is the price of a KP-150?": "3190", "How many kW does a KP-110 need?": "2.2"}
CITIES = "| City | Limit |\n| --- | --- |\n| Oslo | 180 euros |\n| Rome | 150 euros |"


def passage(text: str, context: str = "") -> Passage:
    return Passage(
        "c1", "d1", "Price list", "prices.xlsx", 1, 0, len(text), text, 1.0, context=context
    )


def span(text: str, line: str, context: str = "") -> Span:
    start = text.index(line)
    return Span(passage(text, context), start, start + len(line))


def labelled(text: str, line: str, context: str = "") -> str | None:
    row = labelled_row(span(text, line, context))
    return row.text if row else None


@pytest.mark.parametrize(
    ("text", "line", "context", "row"),
    [
        (
            PRICES,
            "KP-150 | 85 | 4 | 3190",
            "",
            "Price list\nArticle: KP-150; Flow in m3/h: 85; Power in kW: 4; Price: 3190",
        ),
        # an empty cell says nothing
        (
            PRICES,
            "KP-200 |  | 7.5 | 4870",
            "Pumps",
            "Pumps\nArticle: KP-200; Power in kW: 7.5; Price: 4870",
        ),
        # the header is not in the passage, or it is the whole context
        (
            "KP-9 | 85",
            "KP-9 | 85",
            "List > Pumps\nArticle | Flow",
            "List > Pumps\nArticle: KP-9; Flow: 85",
        ),
        ("KP-9 | 85", "KP-9 | 85", "Article | Flow", "Price list\nArticle: KP-9; Flow: 85"),
        (CITIES, "| Rome | 150 euros |", "Travel", "Travel\nCity: Rome; Limit: 150 euros"),
        # a wide table of words alone has a header too
        (
            "Room | Floor | Wall\nHall | slate | oak",
            "Hall | slate | oak",
            "",
            "Price list\nRoom: Hall; Floor: slate; Wall: oak",
        ),
    ],
)
def test_each_cell_follows_its_label(text: str, line: str, context: str, row: str) -> None:
    assert labelled(text, line, context) == row


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (PRICES, "Article | Flow in m3/h | Power in kW | Price"),
        (PRICES, "Until May."),
        (CITIES, "| --- | --- |"),
        # labels stand in the first column
        ("Name | Ada Cole\nTown | Leeds\nTrade | baker", "Town | Leeds"),
        ("Founded | 1987\nStaff | 45", "Staff | 45"),
        # the rows above have other columns
        ("Article | Price\n\nA | B | 7", "A | B | 7"),
        ("only | one", "only | one"),
        ("a | b\nc | d", "a | b\nc | d"),
    ],
)
def test_what_is_no_row_below_a_header_has_no_labels(text: str, line: str) -> None:
    assert labelled(text, line) is None


@pytest.mark.parametrize("text", [PRICES, CITIES])
def test_cells_are_found_again_in_the_passage(text: str) -> None:
    rows = [(one, row) for one in passage_sentences(passage(text)) if (row := labelled_row(one))]
    assert rows
    for one, row in rows:
        cells = [row.text[cell.start : cell.end] for cell in row.cells]
        assert cells == [text[c.at : c.at + c.end - c.start] for c in row.cells]
        assert cells == [part for part in map(str.strip, one.text.split("|")) if part]


@pytest.fixture
def judge(models_path: Path, tmp_path: Path) -> Iterator[Judge]:
    settings = Settings(models=models_path)
    words = WordIndex(tmp_path)
    words.add([Words("c1", PRICES)])
    words.commit()
    yield Judge(load_embedder(settings), TermWeights(words), load_reader(settings))
    words.close()


def test_the_judge_reads_the_cell_below_the_label_asked_for(
    judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    prices = [passage(PRICES, "Price list")]
    found = {q: judge.evidence(q, prices).answers[0] for q in ASKED}
    assert found == ASKED
    monkeypatch.setattr("rag.answerability.labelled_row", lambda _: None)
    assert {q: judge.evidence(q, prices).answers[0] for q in ASKED} != ASKED
