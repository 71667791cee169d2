"""What a long run keeps is taken up again, and only by the program that made it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from _kept_answers import KeptAnswers, key_of

from rag.errors import UsageError
from rag.testing import fake_settings


def test_rows_are_there_again_also_after_one_that_was_broken_off(tmp_path: Path) -> None:
    path = tmp_path / "kept.jsonl"
    KeptAnswers(path, "k").keep({"id": "1", "text": "one\u2028line\x85"})
    with path.open("a", encoding="utf-8") as file:
        file.write('{"key": "k", "id": "2", "te')
    again = KeptAnswers(path, "k")
    assert [row["id"] for row in again.rows] == ["1"]
    again.keep({"id": "3"})
    rows = KeptAnswers(path, "k").rows
    assert [row["id"] for row in rows] == ["1", "3"]
    assert rows[0]["text"] == "one\u2028line\x85"


def test_rows_of_another_program_stay_and_are_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "kept.jsonl"
    KeptAnswers(path, "old").keep({"id": "1"})
    new = KeptAnswers(path, "new")
    assert new.rows == []
    new.keep({"id": "1"})
    assert len(KeptAnswers(path, "old").rows) == len(KeptAnswers(path, "new").rows) == 1


def test_another_file_is_refused_and_no_file_keeps_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "other.jsonl"
    path.write_text('{"id": 1}\n', "utf-8")
    with pytest.raises(UsageError, match="holds no kept answers"):
        KeptAnswers(path, "k")
    kept = KeptAnswers(None, "k")
    kept.keep({"id": "1"})
    assert kept.rows == [{"key": "k", "id": "1"}]


def test_the_key_is_that_of_program_and_model(tmp_path: Path) -> None:
    settings = fake_settings(tmp_path)
    assert key_of(settings) == key_of(settings)
    assert key_of(settings) != key_of(replace(settings, llm_model="none"))
