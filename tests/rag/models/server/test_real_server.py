"""A real server: llama.cpp's own, from the package xllamacpp, with the starter LLM loaded."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rag.errors import ModelError, UsageError
from rag.generation import Generator, Message, load_generator
from rag.models.server.access import read_access
from rag.models.server.asking import ask_json
from rag.models.server.completion import completion
from rag.records import Question
from rag.settings import Settings
from rag.testing import fake_library
from tests.ingest.reading import add_text, read_all
from tests.rag.models.gguf_file import write_gguf

KEY = "a-key-of-a-test"
LEAVE = "Up to five unused days of leave may be carried over until 31 March."
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("xllamacpp") is None,
        reason="xllamacpp is not installed (pip install 'cloister[server-test]')",
    ),
]


@pytest.fixture(scope="module")
def settings(models_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    folder = tmp_path_factory.mktemp("server")
    gguf, key = folder / "smol.gguf", folder / "key"
    key.write_text(KEY)
    write_gguf(models_path / "SmolLM2-135M-Instruct", gguf, half=True)
    program = Path(__file__).with_name("llama_server.py")
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            [sys.executable, str(program), str(gguf), KEY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        try:
            assert process.stdout
            address = process.stdout.readline().strip()
            assert address, (folder / "log").read_text()[-2000:]
            yield Settings(llm_url=address, llm_key_file=str(key), llm_concurrency=2)
        finally:
            process.kill()
            gguf.unlink()


@pytest.fixture(scope="module")
def generator(settings: Settings) -> Generator:
    found = load_generator(settings)
    assert found is not None
    return found


def text_of(generator: Generator, question: str, **parameters: Any) -> str:
    prompt = generator.prompt([Message("system", "Be brief."), Message("user", question)])
    with generator.generate(prompt, parameters, threading.Event()) as stream:
        return "".join(delta.text for delta in stream)


def test_it_tells_what_it_is(generator: Generator, models_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(models_path / "SmolLM2-135M-Instruct")
    assert (generator.info.id, generator.info.device) == ("smol", "server")
    assert generator.prompt_tokens == 1536
    assert generator._llm.metadata.context_window == 2048
    for text in (LEAVE, "§ 12: 28 Tage – ¿qué? 🌿\n\n\tx = 1"):
        assert generator.count(text) == len(tokenizer(text)["input_ids"])


def test_it_answers_and_counts(generator: Generator) -> None:
    prompt = generator.prompt([Message("user", "What is the capital of France?")])
    with generator.generate(prompt, {"max_new_tokens": 24}, threading.Event()) as stream:
        deltas = list(stream)
    assert "Paris" in "".join(delta.text for delta in deltas)
    assert 0 < deltas[-1].tokens <= 24
    read = deltas[-1].prompt_tokens
    assert read is not None
    assert abs(read - generator.count(prompt)) < 25


def test_it_ends_at_the_length_that_is_asked(generator: Generator) -> None:
    prompt = generator.prompt([Message("user", "Tell a long story.")])
    with generator.generate(prompt, {"max_new_tokens": 5}, threading.Event()) as stream:
        assert list(stream)[-1].tokens == 5


def test_greedy_answers_and_seeds_repeat(generator: Generator) -> None:
    asked = "Write a line about the sea."
    assert text_of(generator, asked, max_new_tokens=12) == text_of(
        generator, asked, max_new_tokens=12
    )
    given = {"temperature": 1.5, "max_new_tokens": 16, "top_k": 0, "top_p": 1.0}
    drawn = [text_of(generator, asked, seed=seed, **given) for seed in (7, 7, 8)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_what_it_does_not_have_is_told(generator: Generator) -> None:
    with pytest.raises(UsageError, match=r"min_new_tokens is 5, but the LLM server \(llama.cpp\)"):
        text_of(generator, "Why?", min_new_tokens=5)
    assert text_of(generator, "Why?", repetition_penalty=1.3, temperature=0.0, max_new_tokens=4)


def test_a_prompt_that_is_too_long_is_told(generator: Generator) -> None:
    with pytest.raises(ModelError, match=r"context size.*llm\.max_prompt_tokens"):
        text_of(generator, "word " * 3000)


def test_leaving_an_answer_frees_its_place(generator: Generator, settings: Settings) -> None:
    access = read_access(settings)

    def busy() -> int:
        return sum(slot["is_processing"] for slot in ask_json(access, "GET", "/slots"))

    prompt = generator.prompt([Message("user", "Tell a long story.")])
    for _ in range(4):
        with generator.generate(prompt, {"max_new_tokens": 1500}, threading.Event()) as stream:
            next(stream)
            assert busy() == 1
        until = time.monotonic() + 3
        while busy():
            assert time.monotonic() < until, "its place is still taken"
            time.sleep(0.05)


def test_without_the_key_nothing_is_told(settings: Settings) -> None:
    access = replace(read_access(settings), key="")
    with pytest.raises(ModelError, match=r"does not accept the key.*llm\.key_file"):
        list(completion(access, {"model": "smol", "messages": []}, threading.Event()))


def test_a_question_is_answered_with_its_source(settings: Settings, tmp_path: Path) -> None:
    library = fake_library(
        tmp_path, llm_url=settings.llm_url, llm_key_file=settings.llm_key_file, llm_model="smol"
    )
    add_text(library, "handbook.txt", f"Welcome to us all.\n\n{LEAVE}")
    read_all(library)
    *_, done = library.ask(Question("How many unused days of leave may be carried over?"))
    library.close()
    assert done.data["model"]["id"] == "smol"
    assert done.data["usage"]["completion_tokens"] > 0
    assert done.data["citations"][0]["quote"] == LEAVE
