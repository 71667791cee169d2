"""Turns at the LLM."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from rag.errors import Busy
from rag.generation import Generator
from rag.records import ModelInfo
from rag.testing import FakeLLM, fake_settings


def generator(home: Path) -> Generator:
    """One answer at once, one more in line."""
    settings = fake_settings(home, llm_concurrency=1, llm_queue=1)
    return Generator(FakeLLM(), ModelInfo("fake", "", "cpu"), len, settings)


def test_a_question_given_up_while_it_waits_leaves_the_line(tmp_path: Path) -> None:
    llm = generator(tmp_path)
    stop, said = threading.Event(), []

    def wait() -> None:
        with llm.generate("b", {}, stop) as deltas:
            said.append(list(deltas))

    with llm.generate("a", {}, threading.Event()) as first:
        waiting = threading.Thread(target=wait)
        waiting.start()
        time.sleep(0.1)
        with pytest.raises(Busy, match="Too many"), llm.generate("c", {}, threading.Event()):
            pass
        stop.set()
        waiting.join(5)
        assert not waiting.is_alive()
        assert said == [[]]
        assert [delta.text for delta in first]
    with llm.generate("d", {}, threading.Event()) as last:
        assert [delta.text for delta in last]


def test_a_question_given_up_before_its_turn_generates_nothing(tmp_path: Path) -> None:
    llm = generator(tmp_path)
    stop = threading.Event()
    stop.set()
    for _ in range(3):  # and gives its turn back
        with llm.generate("a", {}, stop) as deltas:
            assert list(deltas) == []


def test_one_that_waits_too_long_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag.generation.WAIT_SECONDS", 0.1)
    llm = generator(tmp_path)
    with (
        llm.generate("a", {}, threading.Event()),
        pytest.raises(Busy, match="too long"),
        llm.generate("b", {}, threading.Event()),
    ):
        pass
