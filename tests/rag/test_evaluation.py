"""What `cloister evaluate` counts as found, answered, cited and declined."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from rag.answerability import Calibration, Logistic
from rag.catalog.collections import create_collection
from rag.errors import UnknownCollection, UsageError
from rag.evaluation.collections import check_collections
from rag.evaluation.judged import judge_all
from rag.evaluation.metrics import (
    answer_scores,
    cited_share,
    exact_match,
    gold_ranks,
    holds_answer,
    holds_gold,
    mean,
    ndcg,
    retrieval_scores,
    right_citations,
    token_f1,
)
from rag.evaluation.questions import Gold, Item, read_questions
from rag.evaluation.run import run
from rag.evaluation.scoring import score, summary
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
    assert exact_match("A", ["A"]) == 1.0
    assert exact_match("", ["A"]) == exact_match("The", ["A"]) == 0.0
    # two words of three are shared, both of two: precision 2/3, recall 1
    assert token_f1("about 180 euros", ["180 euros", "none"]) == pytest.approx(0.8)
    assert token_f1("nothing", ["180 euros"]) == 0.0
    assert holds_answer("It costs 180 euros a night.", ["180 euros"])
    assert not holds_answer("It costs 1180 euros a night.", ["180 euros"])


def test_ndcg_counts_what_is_found_early_for_more() -> None:
    assert ndcg([1, 2], 2) == 1.0
    # gains 1/log2(3) and 1/log2(5), of the best 1 and 1/log2(3)
    assert ndcg([2, 4], 2) == pytest.approx((0.63093 + 0.43068) / 1.63093, 1e-4)
    assert ndcg([11], 2) == 0.0
    # of more gold than places, as much as there are places; two in one place are one place
    assert ndcg([1], 2, depth=1) == 1.0
    assert ndcg([1, 1], 2) == 1.0


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
    assert holds_gold(found, found["text"], ROW, ()) is right


def test_ranks_count_the_first_passage_with_gold() -> None:
    other = Gold("policy.pdf", 7, "Claims are handed in within 30 days.")
    passages = [place("x"), place("Oslo | 180 euros | 61 euros"), *[place("y")] * 8]
    assert gold_ranks(item(ROW, other), passages) == [2]
    assert retrieval_scores([2], 2) == {
        "hit@1": 0.0,
        "hit@5": 1.0,
        "recall@5": 0.5,
        "recall@10": 0.5,
        "mrr@10": 0.5,
        "ndcg@10": pytest.approx(0.63093 / 1.63093, 1e-4),
    }
    assert gold_ranks(item(other), passages) == []
    assert set(retrieval_scores([], 1).values()) == {0.0}
    assert retrieval_scores([7], 1)["recall@10"] == 1.0
    assert mean(value for value in (1.0, 0.0, 0.0)) == 0.3333
    assert mean([]) is None


def test_a_citation_is_right_where_it_quotes_the_answer_or_the_evidence_of_its_page() -> None:
    quotes = [place("Oslo | 180 euros | 61 euros"), place("Rome 150 euros"), place("180 euros", 3)]
    assert right_citations(item(ROW), {"citations": quotes}) == [True, False, False]
    other = Gold("policy.pdf", 7, "Claims are handed in within 30 days.")
    assert cited_share(item(ROW, other), {"citations": quotes}) == 0.5
    answer = {"short_answer": None, "text": "It is 180 euros."}
    assert answer_scores(item(ROW), answer) == {"em": 0.0, "f1": 0.0, "answer_holds_gold": 1.0}


def questions(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def test_a_file_of_questions_names_the_line_that_is_none(tmp_path: Path) -> None:
    path = questions(tmp_path / "q.jsonl", [{"question": "Why?"}, {"answers": []}])
    with pytest.raises(UsageError, match="line 2 is not a question"):
        read_questions(path)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ({"question": None}, "the question is no text"),
        ({"question": " "}, "the question is empty"),
        ({"question": "Why?", "answerable": "false"}, "neither true nor false"),
        ({"question": "Why?", "answers": "Paris"}, "“answers” is no list"),
        ({"question": "Why?", "answers": [7]}, "an answer is no text"),
        ({"question": "Why?", "answers": [" "]}, "an answer is empty"),
        ({"question": "Why?", "evidence": [{"source": "a", "page": 1e400}]}, "infinity"),
        ({"question": "Why?", "collection": 3}, "the collection is no text"),
        ({"question": "Why?", "collection": " "}, "the collection is empty"),
        ({"question": "Why? \ud800"}, "surrogates not allowed"),
        ({"question": "Why?", "evidence": [{"page": 2}]}, "it has no 'source'"),
        (["Why?"], "not a question"),
    ],
)
def test_what_is_wrong_with_a_line_is_told(line: Any, told: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"line 1 is not a question: .*{told}|line 1 is {told}"):
        read_questions(questions(tmp_path / "q.jsonl", [line]))


def test_evidence_without_page_or_words_is_any_place_with_the_answer() -> None:
    gold = Gold("policy.pdf", None, "")
    asked = item(gold, answers=("5",))
    assert gold_ranks(asked, [place("in 1985", 4), place("5 days", 9), place("5", 1, "b")]) == [2]
    cited = [place("5 days", 9), place("in 1985", 4)]
    assert right_citations(asked, {"citations": cited}) == [True, False]
    assert cited_share(asked, {"citations": cited[1:]}) == 0.0
    # neither words nor answers: the page is all that is known
    page = item(Gold("policy.pdf", 9, " | "), answers=())
    assert gold_ranks(page, [place("a", 4), place("b", 9)]) == [2]
    assert right_citations(page, {"citations": [place("a", 4), place("b", 9)]}) == [False, True]


def test_every_question_is_asked_and_each_part_summed_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave = "Up to five unused days of leave may be carried over until 31 March."
    FakeLLM.replies, FakeLLM.pause = [leave], 0.0
    library = fake_library(tmp_path / "home", answer_threshold=0.5)
    unknown = Logistic({"unknown_word": -1.0}, {"unknown_word": 0.5}, {"unknown_word": 0.1}, 0.0)
    judge = Calibration(unknown, Logistic({}, {}, {}, 1.0), 0.5, {})
    monkeypatch.setattr(library.answerer, "_calibration", judge)
    add_text(library, "leave.txt", leave)
    read_all(library)
    gold = {"source": "leave.txt", "page": 1, "quote": leave}
    asked = {"question": "Until when may unused leave be carried over?", "split": "test"}
    rows = [
        asked | {"answers": ["31 March"], "evidence": [gold]},
        {"question": "zebra xylophone quasar?", "answerable": False, "split": "dev"},
    ]
    items = read_questions(questions(tmp_path / "q.jsonl", rows))
    results = list(run(LocalSession(library), items, None))
    scored = [score(result, library.catalog) for result in results]
    scores = summary(scored)
    declined = [bool(next(_done(library, one))["abstained"]) for one in items]
    library.close()
    assert sorted(scores) == ["all", "dev", "test"]
    assert scores["test"]["retrieval"]["hit@1"] == 1.0
    assert scores["test"]["citations"] == {
        "precision": 1.0,
        "recall": 1.0,
        "any_right": 1.0,
        "answers_without": 0,
        "exact": 1.0,
    }
    assert scores["all"]["abstention"] == {
        "unanswerable_declined": float(declined[1]),
        "answerable_declined": float(declined[0]),
    }
    assert declined == [False, True]
    assert [one.failure for one in scored] == ["", ""]
    assert [one.right for one in scored] == [True, False]
    sure = scored[0].confidence
    assert scores["all"]["calibration"] == {
        "ece": pytest.approx(1.0 - sure, abs=1e-4),
        # of one answer: what it is off by, right or wrong
        "ece_by_chance": pytest.approx(2 * sure * (1.0 - sure), abs=0.03),
        "ece_by_chance_p95": pytest.approx(max(sure, 1.0 - sure), abs=1e-4),
        "right": 1.0,
    }
    assert scored[1].chance < 0.5 <= scored[0].chance
    assert scores["test"]["intervals"]["hit@1"] == [1.0, 1.0]


def test_what_is_answered_from_the_catalog_is_right_but_supported_by_no_passage(
    tmp_path: Path,
) -> None:
    library = fake_library(tmp_path / "home")
    add_text(library, "leave.txt", "Unused leave is lost in March.")
    read_all(library)
    rows = [{"question": "How many documents are there?", "answers": ["1"], "split": "dev"}]
    items = read_questions(questions(tmp_path / "q.jsonl", rows))
    (result,) = run(LocalSession(library), items, None)
    found = score(result, library.catalog)
    library.close()
    assert (found.scores["em"], found.right, found.failure) == (1.0, True, "")
    assert "supported" not in found.scores


TABLE = """\ufeffID, Question ,answer,Source,page,quote
a,"When, at the latest?",31 March|by 31 March,leave.txt,2,until 31 March
,,,,,
b,Who?,,,,
c,Where?,Oslo,trips.txt,,
"""


@pytest.mark.parametrize(("suffix", "separator"), [("csv", ","), ("TSV", "\t"), ("csv", ";")])
def test_a_table_of_questions_and_answers_is_a_question_file(
    suffix: str, separator: str, tmp_path: Path
) -> None:
    path = tmp_path / f"pairs.{suffix}"
    path.write_text(
        TABLE.replace("When, at", f"When{separator} at").replace(",", separator), "utf-8"
    )
    first, second, third = read_questions(path)
    assert (first.id, first.answerable, first.answers) == ("a", True, ("31 March", "by 31 March"))
    assert first.evidence == (Gold("leave.txt", 2, "until 31 March"),)
    assert first.question.startswith("When")
    assert (second.answerable, second.answers, second.evidence) == (False, (), ())
    assert third.evidence == (Gold("trips.txt", None, ""),)
    assert second.id == read_questions(path)[1].id != third.id
    assert {first.collection, second.collection, third.collection} == {None}


def test_a_question_names_its_collection_in_a_line_or_a_cell(tmp_path: Path) -> None:
    asked = {"question": "Who?", "answers": ["me"]}
    lines = [asked, asked | {"collection": "north"}, asked | {"collection": "south"}]
    items = read_questions(questions(tmp_path / "q.jsonl", lines))
    assert [item.collection for item in items] == [None, "north", "south"]
    # the same words, asked of another collection, are another question
    assert len({item.id for item in items}) == 3
    assert items[0].asked_of(None) is None
    assert items[0].asked_of(["east", "west"]) == ("east", "west")
    assert items[1].asked_of(None) == items[1].asked_of(["east"]) == ("north",)
    table = tmp_path / "q.csv"
    table.write_text("question,answer,Collection\nWho?,me,north\nWhat?,tea,\n", "utf-8")
    first, second = read_questions(table)
    assert (first.collection, second.collection) == ("north", None)
    assert first.id == items[1].id


def test_a_collection_that_is_not_there_is_told_with_its_question(tmp_path: Path) -> None:
    asked = {"question": "Who?", "answers": ["me"]}
    lines = [asked, asked | {"id": "n1", "collection": "north"}]
    items = read_questions(questions(tmp_path / "q.jsonl", lines))
    library = fake_library(tmp_path / "home")
    with pytest.raises(UnknownCollection, match=r"q\.jsonl, “n1”: .*“north”.*--create-collection"):
        check_collections(library.catalog, items, "q.jsonl")
    create_collection(library.catalog, "north")
    check_collections(library.catalog, items, "q.jsonl")
    library.close()


HARBOURS = {"north": "07:40", "south": "12:35"}


def test_a_question_is_asked_of_its_collection_alone(tmp_path: Path) -> None:
    FakeLLM.replies, FakeLLM.pause = [], 0.0
    library = fake_library(tmp_path / "home")
    for name, hour in HARBOURS.items():
        create_collection(library.catalog, name)
        add_text(library, "ferry.txt", f"The ferry leaves at {hour}.", name)
    read_all(library)
    asked = {"question": "When does the ferry leave?"}
    lines = [
        asked | {"id": name, "collection": name, "answers": [hour]}
        for name, hour in HARBOURS.items()
    ]
    lines.append(asked | {"id": "given", "answers": [HARBOURS["south"]]})
    items = read_questions(questions(tmp_path / "q.jsonl", lines))
    every = {result.item.id: result for result in run(LocalSession(library), items, None)}
    given = {result.item.id: result for result in run(LocalSession(library), items, ("south",))}
    steps: list[None] = []
    judged = judge_all(library, items, ("south",), lambda: steps.append(None))
    library.close()
    for results in (every, given):
        for name, hour in HARBOURS.items():
            assert [p["text"] for p in results[name].passages] == [f"The ferry leaves at {hour}."]
            assert list(results[name].answer["collections"]) == [name]
    assert len(every["given"].passages) == 2
    assert len(given["given"].passages) == 1
    assert list(given["given"].answer["collections"]) == ["south"]
    assert [(one.answerable, one.right) for one in judged] == [(True, True)] * 3
    assert len(steps) == 3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "must name its columns"),
        ("question,reply\nWho?,me\n", "must name its columns"),
        ("question,answer\n", "holds no questions"),
        ("question,answer\nWho, when?,Bob\n", "line 2 is not a question: it has more cells"),
        ('question,answer\nWho?,"Bob\nWhat?,tea\n', "line 3 is not a question: unexpected end"),
        ("question,answer,answer\nWho?,me,you\n", "names “answer” twice"),
        ("x" * 200_000 + "\n", "must name its columns"),
        ("question,answer\nWho?,me\nWho?,you\n", "line 3 is not a question: “q_.*” is there"),
        ("question,answer\nWho?,me\n,you\n", "line 3 is not a question"),
        ("question,answer,source,page\nWho?,me,a.txt,two\n", "line 2 is not a question"),
    ],
)
def test_what_is_wrong_with_a_table_is_told(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(UsageError, match=told):
        read_questions(path)


def _done(library: Any, one: Item) -> Any:
    return (e.data for e in library.ask(Question(one.question)) if e.name == "done")
