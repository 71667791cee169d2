"""Rows of tables with their labels: each cell where it stands, and no label that is none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rag.answerability import Judge
from rag.embedding import load_embedder
from rag.evidence import Span, TermWeights, passage_sentences
from rag.reading.reader import Reader
from rag.records import Passage
from rag.settings import Settings
from rag.tables import best_cell, labelled_row
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
        # the passage's own header counts, and not that of the table before it
        (
            "Rome | 150\n\nPerson | Hours\nAda | 30",
            "Ada | 30",
            "Travel\nCity | Limit",
            "Travel\nPerson: Ada; Hours: 30",
        ),
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
        ("Name: | Ada Cole\nBorn: | 1980\nStaff: | 4", "Born: | 1980"),
        # a row that lacks a cell is no end of a table
        (
            "Room | Floor | Wall\nAttic | bare\nBath | tile | paint\nHall | oak | 3",
            "Hall | oak | 3",
        ),
        ("Room | 2024 | 2025\n | 3 | 4\nHall | 5", "Hall | 5"),
        ("a | b\nc | d", "a | b\nc | d"),
    ],
)
def test_what_is_no_row_below_a_header_has_no_labels(text: str, line: str) -> None:
    assert labelled(text, line) is None


@pytest.mark.parametrize("context", ["Prices | Acme", "Prices | Acme > Plans", "Town | Oslo"])
def test_neither_a_title_nor_a_form_s_first_line_is_a_header(context: str) -> None:
    start = passage("Basic | free", context)
    one = Span(replace(start, title="Prices | Acme"), 0, len(start.text))
    assert labelled_row(one) is None


def test_a_row_that_is_too_long_to_be_read_is_left_to_the_plain_reading(reader: Reader) -> None:
    names = [f"Quality figure {n}" for n in range(150)]
    table = f"{' | '.join(names)}\n{' | '.join(str(n) for n in range(150))}"
    row = labelled_row(span(table, table.split("\n")[1]))
    short = labelled_row(span(PRICES, "KP-150 | 85 | 4 | 3190"))
    assert row
    assert short
    long_page, page = reader.read("What is quality figure 2?", [row.text, short.text])
    assert best_cell(row, long_page) is None
    assert best_cell(short, page) is not None


@pytest.mark.parametrize("text", [PRICES, CITIES])
def test_cells_are_found_again_in_the_passage(text: str) -> None:
    rows = [(one, row) for one in passage_sentences(passage(text)) if (row := labelled_row(one))]
    assert rows
    for one, row in rows:
        cells = [row.text[cell.start : cell.end] for cell in row.cells]
        assert cells == [text[c.at : c.at + c.end - c.start] for c in row.cells]
        assert cells == [part for part in map(str.strip, one.text.split("|")) if part]


@pytest.fixture(scope="module")
def reader(models_path: Path) -> Reader:
    return Reader(models_path / "all-MiniLM-L6-v2", "cpu", "auto")


@pytest.fixture
def judge(models_path: Path, reader: Reader, tmp_path: Path) -> Iterator[Judge]:
    settings = Settings(models=models_path)
    words = WordIndex(tmp_path)
    words.add([Words("c1", PRICES)])
    words.commit()
    yield Judge(load_embedder(settings), TermWeights(words), reader)
    words.close()


def test_the_judge_reads_the_cell_below_the_label_asked_for(
    judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    prices = [passage(PRICES, "Price list")]
    found = {q: judge.evidence(q, prices).answers[0] for q in ASKED}
    assert found == ASKED
    monkeypatch.setattr("rag.answerability.labelled_row", lambda _: None)
    assert {q: judge.evidence(q, prices).answers[0] for q in ASKED} != ASKED


BADGES = (
    "Lost badges are replaced at the gate, for contractors too.\n\n"
    "| Badge | Colour | Fee in euros |\n| --- | --- | --- |\n"
    "| Visitor | orange | 12 |\n| Contractor | violet | 35 |\n| Staff | grey | 18 |"
)


def test_a_row_is_ranked_by_its_header_s_words_too(
    judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    badges = [passage(BADGES, "Badge rules")]
    question = "What is the fee in euros for the badge of a contractor?"
    found = judge.evidence(question, badges)
    assert found.spans[0].text == "| Contractor | violet | 35 |"
    assert found.answers[0] == "35"
    monkeypatch.setattr("rag.answerability.labelled_row", lambda _: None)
    assert found.features["margin"] > judge.evidence(question, badges).features["margin"] + 3


@pytest.mark.parametrize(
    ("question", "missing"),
    [
        ("What did a KP-150 cost in 2019?", 1.0),
        ("What does a KP-150 cost in 2025?", 0.0),  # the file's name has it
        ("Which pump moves 40 m3/h?", 0.0),  # it stands in another row of the passage
    ],
)
def test_a_number_is_looked_for_in_the_whole_passage(
    judge: Judge, question: str, missing: float
) -> None:
    one = replace(passage(PRICES, "Price list"), source="prices_2025.xlsx")
    assert judge.evidence(question, [one]).features["number_missing"] == missing
