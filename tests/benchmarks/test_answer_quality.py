"""What an answer to a public question is worth, and the table that is made of it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rag.evaluation.questions import Gold, Item

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from _engines import Reply
from answer_quality import _worth_of_answer, _worth_of_reply, chosen, table

from rag.evaluation.sets import Asked, QuestionSet


def _item(answers: tuple[str, ...]) -> Item:
    gold = (Gold("a.md", None, ""),) if answers else ()
    return Item("1", "When?", bool(answers), answers, gold, "test", "fact", ())


def test_an_answer_counts_by_its_short_answer_and_its_cited_documents() -> None:
    answer = {
        "text": "It was made in 1712. [1]",
        "short_answer": "1712",
        "citations": [{"source": "a.md"}, {"source": "b.md"}],
        "abstained": False,
        "confidence": 0.7,
        "answerable": 0.9,
    }
    worth = _worth_of_answer(_item(("1712",)), answer)
    assert (worth["holds"], worth["em"], worth["f1"], worth["cited"]) == (1.0, 1.0, 1.0, 0.5)
    declined = answer | {"text": "The documents do not say.", "abstained": True, "citations": []}
    worth = _worth_of_answer(_item(("1712",)), declined)
    assert (worth["holds"], worth["f1"], worth["cited"], worth["declined"]) == (0, 0, None, True)
    assert worth["answerable"] is True
    unanswered = _worth_of_answer(_item(()), answer)
    assert "holds" not in unanswered
    assert unanswered["answerable"] is False


def test_a_reply_counts_by_all_of_its_text() -> None:
    worth = _worth_of_reply(_item(("1712",)), Reply("In 1712 [2].", ["a.md"]))
    assert (worth["holds"], worth["cited"], worth["declined"]) == (1.0, 1.0, False)
    assert worth["f1"] == pytest.approx(0.5)  # “in 1712 2” beside “1712”


def test_the_table_has_a_row_for_each_system() -> None:
    rows = [
        {"set": "s", "system": name, "id": i, "seconds": 2.0, "declined": i == 9}
        | {"answerable": True, "holds": 1.0, "em": 0.0, "f1": 0.5, "cited": None}
        for name in ("LlamaIndex", "Cloister")
        for i in range(10)
    ]
    lines = table(rows).splitlines()
    assert [line.split(" | ")[1] for line in lines[2:]] == ["Cloister", "LlamaIndex"]
    assert "| 10 + 0 | 1.000 (1.00 to 1.00) | 0.000" in lines[2]
    assert "0.100 (0.00 to 0.30)" in lines[2]


def test_the_error_of_confidence_stands_beside_that_by_chance() -> None:
    row = {"set": "s", "system": "Cloister", "seconds": 2.0, "declined": False}
    row |= {"answerable": True, "em": 0.0, "f1": 0.5, "cited": None, "confidence": 0.8}
    rows = [row | {"id": i, "holds": float(i < 5)} for i in range(10)]
    # half are right at .8; of ten at .8 as many as 8 ± 1.26 are by chance
    assert "| 0.300 (0.10 by chance) |" in table(rows)


def test_as_many_unanswerable_questions_are_asked() -> None:
    asked = [Asked(str(n), frozenset("a"), True, ("x",)) for n in range(9)]
    none = [Asked(f"no {n}", frozenset(), True) for n in range(5)]
    items = chosen(QuestionSet("s", {}, asked, unanswerable=none), 4)
    assert [item.answerable for item in items] == [True, True, False, False]
