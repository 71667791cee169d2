"""What `cloister evaluate` counts as found, answered, cited and declined."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from rag.errors import UsageError
from rag.evaluation.metrics import (
    answer_scores,
    exact_match,
    holds_answer,
    holds_gold,
    mean,
    retrieval_scores,
    right_citations,
    token_f1,
)
from rag.evaluation.questions import Gold, Item, read_questions
from rag.evaluation.run import run, summary
from rag.records import Question
from rag.session import LocalSession
from rag.testing import FakeLLM, fake_library
from tests.ingest.reading import add_text, read_all

ROW = Gold("policy.pdf", 2, "Oslo 180 euros 61 euros")


def item(*evidence: Gold, answers: tuple[str, ...] = ("180 euros",)) -> Item:
    return Item("q1", "How much?", True, answers, evidence, "dev", "fact", ())


def place(text: str, page: int = 2, source: str = "policy.pdf") -> dict[str, Any]:
    return {"source": source, "page": page, "text": text, "quote": text}


def test_answers_are_compared_in_squad_s_normal_form() -> None:
    assert exact_match("The 180 Euros.", ["180 euros"]) == 1.0
    assert exact_match("180", ["180 euros"]) == 0.0
    # two words of three are shared, both of two: precision 2/3, recall 1
    assert token_f1("about 180 euros", ["180 euros", "none"]) == pytest.approx(0.8)
    assert token_f1("nothing", ["180 euros"]) == 0.0
    assert holds_answer("It costs 180 euros a night.", ["180 euros"])
    assert not holds_answer("It costs 1180 euros a night.", ["180 euros"])


@pytest.mark.parametrize(
    ("found", "right"),
    [
        (place("City | Limit\nOslo | 180 euros | 61 euros"), True),
        (place("… Oslo 180 euros"), True),  # more than half of the quote
        (place("Oslo"), False),
        (place("Oslo 180 euros 61 euros", page=3), False),
        (place("Oslo 180 euros 61 euros", source="old.pdf"), False),
    ],
)
def test_gold_is_found_on_its_page_in_half_of_its_words(
    found: Mapping[str, Any], right: bool
) -> None:
    assert holds_gold(found, found["text"], ROW) is right


def test_ranks_count_the_first_passage_with_gold() -> None:
    other = Gold("policy.pdf", 7, "Claims are handed in within 30 days.")
    passages = [place("x"), place("Oslo | 180 euros | 61 euros"), *[place("y")] * 8]
    assert retrieval_scores(item(ROW, other), passages) == {
        "hit@1": 0.0,
        "hit@5": 1.0,
        "recall@5": 0.5,
        "mrr@10": 0.5,
    }
    assert retrieval_scores(item(other), passages)["mrr@10"] == 0.0
    assert mean(value for value in (1.0, 0.0, 0.0)) == 0.3333
    assert mean([]) is None


def test_a_citation_is_right_where_it_quotes_the_answer_or_the_evidence_of_its_page() -> None:
    quotes = [place("Oslo | 180 euros | 61 euros"), place("Rome 150 euros"), place("180 euros", 3)]
    assert right_citations(item(ROW), {"citations": quotes}) == [True, False, False]
    answer = {"short_answer": None, "text": "It is 180 euros."}
    assert answer_scores(item(ROW), answer) == {"em": 0.0, "f1": 0.0, "answer_holds_gold": 1.0}


def questions(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def test_a_file_of_questions_names_the_line_that_is_none(tmp_path: Path) -> None:
    path = questions(tmp_path / "q.jsonl", [{"question": "Why?"}, {"answers": []}])
    with pytest.raises(UsageError, match="line 2 is not a question"):
        read_questions(path)


def test_every_question_is_asked_and_each_part_summed_up(tmp_path: Path) -> None:
    leave = "Up to five unused days of leave may be carried over until 31 March."
    FakeLLM.replies, FakeLLM.pause = [leave], 0.0
    library = fake_library(tmp_path / "home", answer_threshold=0.4)
    add_text(library, "leave.txt", leave)
    read_all(library)
    gold = {"source": "leave.txt", "page": 1, "quote": leave}
    asked = {"question": "Until when may unused leave be carried over?", "split": "test"}
    rows = [
        asked | {"answers": ["31 March"], "evidence": [gold]},
        {"question": "zebra xylophone quasar?", "answerable": False, "split": "dev"},
    ]
    items = read_questions(questions(tmp_path / "q.jsonl", rows))
    told: list[int] = []
    results = run(LocalSession(library), items, None, told.append)
    scores = summary(results, library.catalog)
    declined = [bool(next(_done(library, one))["abstained"]) for one in items]
    library.close()
    assert told == [1, 2]
    assert sorted(scores) == ["all", "dev", "test"]
    assert scores["test"]["retrieval"]["hit@1"] == 1.0
    assert scores["test"]["citations"] == {
        "precision": 1.0,
        "any_right": 1.0,
        "answers_without": 0,
        "exact": 1.0,
    }
    assert scores["all"]["abstention"] == {
        "unanswerable_declined": float(declined[1]),
        "answerable_declined": float(declined[0]),
    }
    assert declined == [False, True]


def _done(library: Any, one: Item) -> Any:
    return (e.data for e in library.ask(Question(one.question)) if e.name == "done")
