"""A model for a question or a collection, loaded beside the LLM in use."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rag.library import Library
from rag.records import Question
from rag.testing import FakeLLM, fake_library
from tests.ingest.reading import add_text, read_all
from tests.rag.tuning.tiny import make_model

pytestmark = pytest.mark.usefixtures("one_thread")

LEAVE = "Up to five unused days of leave may be carried over until 31 March."
TEXT = "How many unused days of leave may be carried over?"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("models")
    make_model(base / "tiny")
    make_model(base / "org--other", seed=1)
    make_model(base / "third", seed=2)
    return base


@pytest.fixture
def library(tmp_path: Path, made: Path) -> Iterator[Library]:
    FakeLLM.replies, FakeLLM.pause = [], 0.0
    shutil.copytree(made, tmp_path / "models")
    library = fake_library(tmp_path, llm_model="tiny", llm_device="cpu", llm_max_new_tokens=8)
    add_text(library, "handbook.txt", f"Welcome to us all.\n\n{LEAVE}\n\nTea is in the kitchen.")
    read_all(library)
    yield library
    library.close()


def ask(library: Library, model: str = "", **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = dict(list(library.ask(Question(TEXT, model=model, **more)))[-1].data)
    return answer


def test_a_question_chooses_its_model(library: Library) -> None:
    assert ask(library)["model"]["id"] == "tiny"
    events = list(library.ask(Question(TEXT, model="other")))
    assert [event.name for event in events[:3]] == ["sources", "evidence", "loading"]
    assert events[2].data == {"model": "org/other"}
    assert events[-1].data["model"]["id"] == "org/other"
    assert library.other_llms.loaded == ("org/other",)
    again = [event.name for event in library.ask(Question(TEXT, model="org/other"))]
    assert "loading" not in again
    assert ask(library)["model"]["id"] == "tiny"
