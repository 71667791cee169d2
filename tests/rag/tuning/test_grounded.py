"""Examples of grounded answers are sentences of their passages, cited by their numbers."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rag.prompting import NOT_SAID
from rag.reading.examples import Asked, Pool
from rag.tuning.examples import marks, without_marks
from rag.tuning.grounded import examples, main, word_vectors


def words(texts: list[str]) -> NDArray[np.float32]:
    """Vectors of hashed words, of length 1."""
    rows = np.zeros((len(texts), 64), dtype=np.float32)
    for row, text in zip(rows, texts, strict=True):
        for word in text.lower().split():
            row[sum(word.encode()) % 64] += 1
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


FERRY = "Ferry\nThe ferry leaves at 07:40. It takes an hour, Mr. Lund says. Tea is free."
MARKED = "Marked\nMr. Lund says so [9]. "
POOL = Pool(
    [
        FERRY,
        "Bus\nThe bus leaves at 09:10.",
        "Boat\nThe boat leaves at 07:40.",
        "T\na | 07:40",
        MARKED,
    ],
    [
        Asked("Who says so?", 4, 11, ("Lund",)),
        Asked("When does the ferry leave?", 0, FERRY.index("07:40"), ("07:40",)),
        Asked("What does the ferry cost?", 0),
        Asked("When?", 3, 6, ("07:40",)),
    ],
    ["sea", "land", "sea", "table", "marked"],
)


def test_an_answer_is_the_sentence_that_holds_it_with_its_passages_number() -> None:
    for seed in range(20):
        rows = [row for rows in examples(POOL, words, 10, random.Random(seed), 0.5) for row in rows]
        (answered,) = (row for row in rows if row["answer"] != NOT_SAID)
        (number,) = marks(answered["answer"])
        assert answered["question"] == "When does the ferry leave?"
        assert answered["passages"][number - 1]["title"] == "Ferry"
        assert answered["answer"] == f"The ferry leaves at 07:40 [{number}]."
        assert without_marks(answered["answer"]) in FERRY
        unanswered = next(row for row in rows if row["question"] == "What does the ferry cost?")
        assert unanswered["answer"] == NOT_SAID
        assert "Ferry" in [passage["title"] for passage in unanswered["passages"]]


def library(count: int) -> Pool:
    """Passages with three questions that each answers and four that it does not."""
    contexts = [
        f"P{n}\nThe {n} rises. It has {n + 100} oars. It is {n + 500} old." for n in range(count)
    ]
    asked = []
    for n, context in enumerate(contexts):
        answers = ("rises", str(n + 100), str(n + 500))
        asked += [Asked(f"What {n} {a}?", n, context.index(a), (a,)) for a in answers]
        asked += [Asked(f"Why {n} {k}?", n) for k in range(4)]
    return Pool(contexts, asked, ["boats"] * count)


def test_the_passages_of_a_library_are_asked_in_sets_and_some_questions_have_no_answer() -> None:
    pool = library(160)
    sets = list(examples(pool, words, 8, random.Random(4), 0.1))
    given = [passage["title"] for rows in sets for passage in rows[0]["passages"]]
    assert sorted(given) == sorted(f"P{n}" for n in range(160))
    assert {4, 5, 8} < {len(rows[0]["passages"]) for rows in sets} <= set(range(1, 9))
    for rows in sets:
        assert sum(row["answer"] != NOT_SAID for row in rows) <= 8
        assert all(row["passages"] == rows[0]["passages"] for row in rows)
    rows = [row for rows in sets for row in rows]
    assert len({row["question"] for row in rows}) > 0.95 * len(rows)
    unanswered = sum(row["answer"] == NOT_SAID for row in rows)
    assert 0.04 < unanswered / len(rows) < 0.2


def test_a_question_of_another_passage_has_no_answer_here() -> None:
    rows = [row for rows in examples(library(40), words, 24, random.Random(4), 0.5) for row in rows]
    far = [row for row in rows if "What" in row["question"] and row["answer"] == NOT_SAID]
    assert far
    for row in far:
        held = " ".join(passage["text"] for passage in row["passages"])
        assert row["question"].rstrip("?").split()[-1] not in held


def test_what_has_an_answer_is_the_same_whatever_the_share_without() -> None:
    def answered(unanswered: float) -> list[dict[str, object]]:
        sets = examples(library(30), words, 6, random.Random(4), unanswered)
        return [row for rows in sets for row in rows if row["answer"] != NOT_SAID]

    assert answered(0.0) == answered(0.3)
    assert not [
        row
        for rows in examples(library(30), words, 6, random.Random(4), 0.0)
        for row in rows
        if row["answer"] == NOT_SAID
    ]


def test_a_set_without_such_questions_is_asked_near_misses() -> None:
    text = "Ada Byron wrote 12 letters in Paris. Karl Benz built 34 wagons in Mannheim."
    pool = Pool(
        [f"People\n{text}"],
        [
            Asked(
                "How many letters did Ada Byron write in Paris?", 0, 7 + text.index("12"), ("12",)
            ),
            Asked("How many wagons did Karl Benz build?", 0, 7 + text.index("34"), ("34",)),
        ]
        * 8,
        ["people"],
    )
    rows = [row for rows in examples(pool, words, 16, random.Random(1), 0.3) for row in rows]
    missed = {row["question"] for row in rows if row["answer"] == NOT_SAID}
    assert missed
    assert not missed & {one.question for one in pool.asked}
    assert all(row["passages"] == [{"title": "People", "text": text}] for row in rows)


def test_passages_that_share_rare_words_are_near() -> None:
    texts = ["The harbour ferry leaves.", "A ferry crosses the harbour.", "The bus leaves.", ""]
    near = word_vectors(texts) @ word_vectors(texts).T
    assert np.diag(near)[:3] == pytest.approx(1)
    assert near[0, 1] > near[0, 2] > near[1, 2]
    assert not near[3].any()


@pytest.mark.parametrize(
    "data",
    [None, b"{}", gzip.compress(b'{"data": 1}', mtime=0)[:-4], gzip.compress(b"[]", mtime=0)],
    ids=["missing", "no gzip", "cut", "no articles"],
)
def test_data_that_cannot_be_read_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    data: bytes | None,
) -> None:
    if data is not None:
        (tmp_path / "squad2").mkdir()
        (tmp_path / "squad2" / "dev-v2.0.json.gz").write_bytes(data)
    words = ["grounded", "--data", str(tmp_path), "--out", "y"]
    monkeypatch.setattr("sys.argv", words)
    monkeypatch.setattr("rag.tuning.grounded.own_libraries_of", lambda held_out: [])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "dev-v2.0.json.gz cannot be read: " in capsys.readouterr().err


def test_the_same_seed_gives_the_same_examples() -> None:
    first, again = (list(examples(POOL, words, 10, random.Random(3), 0.1)) for _ in range(2))
    assert first == again
