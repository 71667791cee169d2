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
from rag.tuning.grounded import balanced, examples, main


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
        answered, unanswered = examples(POOL, words, random.Random(seed))
        (number,) = marks(answered["answer"])
        assert answered["passages"][number - 1]["title"] == "Ferry"
        assert answered["answer"] == f"The ferry leaves at 07:40 [{number}]."
        assert without_marks(answered["answer"]) in FERRY
        # no other passage holds the answer: which one is meant can be told
        assert "Boat" not in [passage["title"] for passage in answered["passages"]]
        assert (unanswered["answer"], unanswered["document"]) == (NOT_SAID, "sea")
        assert "Ferry" in [passage["title"] for passage in unanswered["passages"]]


@pytest.mark.parametrize(
    "data", [None, b"{}", gzip.compress(b'{"data": 1}')[:-4], gzip.compress(b"[]")]
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
    words = ["grounded", "--data", str(tmp_path), "--embedder", "x", "--out", "y"]
    monkeypatch.setattr("sys.argv", words)
    monkeypatch.setattr("rag.tuning.grounded.own_libraries_of", lambda held_out: [])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "dev-v2.0.json.gz cannot be read: " in capsys.readouterr().err


def test_the_same_seed_gives_the_same_examples() -> None:
    first, again = (list(examples(POOL, words, random.Random(3))) for _ in range(2))
    assert first == again


def test_a_fifth_is_unanswered() -> None:
    rows = [{"answer": NOT_SAID, "n": n} for n in range(50)]
    rows += [{"answer": "Yes [1].", "n": n} for n in range(50)]
    kept = balanced(rows, 40, random.Random(1))
    assert len(kept) == 40
    assert sum(row["answer"] == NOT_SAID for row in kept) == 8
    assert len(balanced(rows[:2] + rows[50:], 40, random.Random(1))) == 10
