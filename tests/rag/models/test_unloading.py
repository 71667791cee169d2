"""The memory of an LLM that is closed is free, also where an answer of it was just given up."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rag import heap
from rag.errors import ModelError
from rag.generation import Generator, load_generator
from rag.models import room
from rag.models.batch.trial import find_attention
from rag.settings import Settings
from tests.rag.tuning.tiny import make_model

_STEP_SECONDS = 0.4
_LONG = {"max_new_tokens": 400, "min_new_tokens": 400}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    make_model(tmp_path / "tiny")
    return Settings(models=tmp_path, llm_model="tiny", llm_device="cpu", llm_precision="float32")


@pytest.fixture(params=["batched", "alone"])
def generator(
    request: pytest.FixtureRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Generator]:
    alone = request.param == "alone"
    monkeypatch.setattr(
        "rag.models.writer.find_attention", lambda model: None if alone else find_attention(model)
    )
    generator = load_generator(settings)
    assert generator is not None
    assert _llm(generator)._writer.batched is not alone
    yield generator
    until = time.monotonic() + 20
    while any(thread.name == "generate" for thread in threading.enumerate()):
        assert time.monotonic() < until
        time.sleep(0.01)


def _llm(generator: Generator) -> Any:
    return generator._llm


def test_what_is_closed_holds_no_model_any_more(generator: Generator) -> None:
    held = weakref.ref(_llm(generator)._model)

    def slow(*_: Any) -> None:
        time.sleep(_STEP_SECONDS)

    _llm(generator)._model.register_forward_pre_hook(slow)
    with generator.generate("Once upon a time", _LONG, threading.Event()) as stream:
        next(iter(stream))
    assert any(thread.name == "generate" for thread in threading.enumerate())
    generator.close()
    room.give_back()
    assert held() is None
    with (
        pytest.raises(ModelError, match="was unloaded"),
        generator.generate("Once", _LONG, threading.Event()) as stream,
    ):
        next(iter(stream))


def test_an_answer_that_does_not_end_keeps_nobody_waiting_for_ever(
    generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.models.engine._CLOSE_SECONDS", 0.1)
    with generator.generate("Once upon a time", _LONG, threading.Event()) as stream:
        next(tokens := iter(stream))
        begun = time.monotonic()
        generator.close()
        assert time.monotonic() - begun < 10
        next(tokens)  # it goes on


def test_memory_is_given_back_to_the_system_too(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[bool] = []
    monkeypatch.setattr(heap, "give_back", lambda: given.append(True))
    room.give_back()
    assert given
