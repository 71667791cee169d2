"""Public question sets, in the forms in which their sources publish them."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from rag.errors import NotFound
from rag.evaluation.sets import SETS, read_set


def _put(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = value if isinstance(value, str) else json.dumps(value)
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with a tiny set of every form."""
    rows = [{"_id": "7", "title": "On tea", "text": "Tea is hot."}]
    rows += [{"_id": "8", "title": "On ice", "text": "Ice is\u2028cold."}]
    _put(
        tmp_path / "scifact/corpus.jsonl.gz",
        "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows),
    )
    claims = [{"_id": "1", "text": "Tea is cold."}, {"_id": "2", "text": "No one judged this."}]
    _put(tmp_path / "scifact/queries.jsonl", "".join(f"{json.dumps(row)}\n" for row in claims))
    judged = "query-id\tcorpus-id\tscore\n1\t7\t1\n1\t8\t0\n"
    _put(tmp_path / "scifact/qrels/train.tsv", judged)
    _put(
        tmp_path / "multihop100/hotpotqa_train_corpus.json.gz",
        {"A/B": ["One. ", "Two."], "C": ["Three."], "D": ["Four."]},
    )
    _put(
        tmp_path / "multihop100/hotpotqa_train.json.gz",
        [
            {
                "question": "Which?",
                "answer": "Two",
                "supporting_facts": [["A/B", 0], ["A/B", 1], ["D", 0]],
            }
        ],
    )
    texts = [("Same", "first"), ("Same", "second"), ("Other", "third")]
    _put(
        tmp_path / "multihop100/musique_train_corpus.json.gz",
        [{"title": title, "text": text} for title, text in texts],
    )
    paragraphs = [
        {"title": title, "paragraph_text": text, "is_supporting": text != "first"}
        for title, text in texts
    ]
    _put(
        tmp_path / "multihop100/musique_train.json.gz",
        [{"question": "Who?", "answer": "A", "answer_aliases": ["B"], "paragraphs": paragraphs}],
    )
    asked = [("When?", False), ("Why?", True)]
    qas = [
        {
            "question": question,
            "is_impossible": no,
            "answers": [] if no else [{"text": "1712"}, {"text": "1712"}, {"text": "in 1712"}],
        }
        for question, no in asked
    ]
    _put(
        tmp_path / "squad2/dev-v2.0.json.gz",
        {
            "data": [
                {"title": title, "paragraphs": [{"context": f"About {title}.", "qas": qas}]}
                for title in ("Normans", "Steam_engine")
            ]
        },
    )
    for name in ("2023 Q2 NVDA.pdf", "2023 Q3 NVDA.pdf", "2023 Q3 INTC.pdf"):
        _put(tmp_path / "sec10q/docs" / name, "%PDF")
    sources = '\ufeffQuestion,Source Docs,Answer\n"How much, in all?","*2023 Q3*","a\nb"\n'
    _put(tmp_path / "sec10q/qna_data.csv", sources + 'And NVDA?,"*Q2 NVDA*, *INTC*",c\n')
    return tmp_path


def test_claims_have_the_abstracts_that_judge_them(data: Path) -> None:
    known = read_set("scifact", data)
    assert known.documents["7.md"] == "# On tea\n\nTea is hot.\n"
    assert known.documents["8.md"] == "# On ice\n\nIce is\u2028cold.\n"
    assert [(a.text, a.gold) for a in known.asked] == [("Tea is cold.", {"7.md"})]


def test_a_question_over_two_articles_has_both(data: Path) -> None:
    known = read_set("hotpotqa", data)
    assert known.documents["00000.md"] == "# A/B\n\nOne. Two.\n"
    assert [a.gold for a in known.asked] == [{"00000.md", "00002.md"}]


def test_paragraphs_of_one_title_are_told_apart(data: Path) -> None:
    known = read_set("musique", data)
    assert len(known.documents) == 3
    (asked,) = known.asked
    assert {known.documents[name] for name in asked.gold} == {
        "# Same\n\nsecond\n",
        "# Other\n\nthird\n",
    }


def test_only_answerable_questions_are_asked_and_test_articles_are_known(data: Path) -> None:
    known = read_set("squad2", data)
    assert [(a.text, a.gold, a.test) for a in known.asked] == [
        ("When?", {"Normans 1.md"}, False),
        ("When?", {"Steam_engine 1.md"}, True),
    ]
    assert known.documents["Steam_engine 1.md"] == "# Steam engine\n\nAbout Steam_engine.\n"


def test_questions_with_answers_become_those_of_an_evaluation(data: Path) -> None:
    items = read_set("squad2", data).items()
    assert [(i.question, i.answerable, i.answers, i.split) for i in items] == [
        ("When?", True, ("1712", "in 1712"), "dev"),
        ("When?", True, ("1712", "in 1712"), "test"),
        ("Why?", False, (), "dev"),
        ("Why?", False, (), "test"),
    ]
    assert [gold.source for gold in items[1].evidence] == ["Steam_engine 1.md"]
    assert len({item.id for item in items}) == 4
    # several answers are as right as one, and claims have none
    assert [item.answers for item in read_set("musique", data).items()] == [("A", "B")]
    assert read_set("scifact", data).items() == []


def test_reports_are_named_by_patterns(data: Path) -> None:
    known = read_set("sec10q", data)
    assert [(a.text, a.gold) for a in known.asked] == [
        ("How much, in all?", {"2023 Q3 NVDA.pdf", "2023 Q3 INTC.pdf"}),
        ("And NVDA?", {"2023 Q2 NVDA.pdf", "2023 Q3 INTC.pdf"}),
    ]
    assert known.documents["2023 Q2 NVDA.pdf"] == data / "sec10q/docs/2023 Q2 NVDA.pdf"


@pytest.mark.parametrize("name", SETS)
def test_a_set_that_is_not_there_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=f"“{name}” is not whole in"):
        read_set(name, tmp_path)


@pytest.mark.parametrize("end", [b"", b"}"])
def test_a_broken_file_of_a_set_is_named(end: bytes, data: Path) -> None:
    path = data / "squad2/dev-v2.0.json.gz"
    whole = path.read_bytes()
    path.write_bytes(gzip.compress(gzip.decompress(whole) + end) if end else whole[:-9])
    with pytest.raises(NotFound, match="“squad2”"):
        read_set("squad2", data)
