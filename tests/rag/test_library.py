"""What a library says of its parts, and what it refuses."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rag.errors import ModelError, TooLarge, UsageError
from rag.library import Library
from rag.records import Question
from rag.testing import fake_library, fake_settings


def test_what_asks_a_loaded_library_computes_on_one_core(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr("rag.models.threads._cores", 0)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        fake_library(tmp_path).close()
        with ThreadPoolExecutor(1) as asking:
            assert asking.submit(torch.get_num_threads).result() == 1
    finally:
        torch.set_num_threads(before)


def test_a_part_that_waits_for_a_missing_one_says_so(tmp_path: Path) -> None:
    library = Library(fake_settings(tmp_path, embedder_model="nowhere"))
    assert set(library.readiness().values()) == {"loading"}
    with pytest.raises(ModelError):
        library.load()
    parts = library.readiness()
    assert "nowhere" in parts["embedder"]
    assert parts["indexes"] == parts["llm"] == "not loaded: the embedder is not ready"
    library.close()


def test_a_part_that_fails_in_no_foreseen_way_is_not_loading_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Library(fake_settings(tmp_path))

    def fail(_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr("rag.embedding.load_embedder", fail)
    with pytest.raises(RuntimeError):
        library.load()
    assert "loading" not in library.readiness().values()
    assert "secret" not in library.readiness()["embedder"]
    library.close()


def test_the_limits_of_a_question(tmp_path: Path) -> None:
    library = fake_library(tmp_path, question_max_chars=20, llm_max_new_tokens=10)
    with pytest.raises(UsageError, match="query is empty"):
        library.search("  ")
    with pytest.raises(TooLarge, match=r"question\.max_chars"):
        library.ask(Question("x" * 21))
    for given in ({"min_new_tokens": 11}, {"min_new_tokens": 5, "max_new_tokens": 4}):
        with pytest.raises(UsageError, match="more than max_new_tokens"):
            library.ask(Question("Why?", parameters=given))
    library.close()
