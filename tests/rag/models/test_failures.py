"""What is told where an LLM fails: what happened, and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from rag.catalog import Catalog
from rag.catalog.answers import read_answer
from rag.errors import ModelError, NotFound
from rag.models.batch.request import Request
from rag.models.device import not_loaded


def told(error: Exception) -> str:
    request = Request([1], cast("Any", None), None)
    request.fail(error)
    with pytest.raises(ModelError) as raised:
        list(request.tokens())
    return str(raised.value)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA out of memory. Tried to …")])
def test_a_lack_of_memory_is_told_as_one_whoever_wrote(error: Exception) -> None:
    assert "not enough memory for this answer" in told(error)
    assert "llm.concurrency" in told(error)


def test_another_failure_says_what_to_do() -> None:
    assert told(ValueError("It is odd.\nmore")) == (
        "The LLM could not answer this question: It is odd. Ask again; if it stays, start Cloister "
        "anew or choose another llm.model."
    )
    assert "question: KeyError. Ask again" in told(KeyError())


def test_a_reason_with_a_full_stop_gets_no_second_one(tmp_path: Path) -> None:
    said = str(not_loaded("LLM", tmp_path / "one", OSError("There is no such directory.")))
    assert said == (
        "The LLM one cannot be loaded: There is no such directory. Fetch it again, or name another "
        "one in the settings."
    )


def test_an_answer_that_is_gone_says_why_and_what_to_do(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog.sqlite")
    with pytest.raises(NotFound, match=r"no answer ans_1\. One goes .* Ask the question again"):
        read_answer(catalog, "ans_1")
