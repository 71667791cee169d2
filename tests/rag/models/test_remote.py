"""The LLM of a server in the place of one that runs here."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rag.errors import Busy, ModelError
from rag.generation import Generator, Message, load_generator
from rag.library import Library
from rag.records import ModelInfo, Question
from rag.settings import Settings
from rag.testing import fake_library, fake_settings
from tests.ingest.reading import add_text, read_all
from tests.rag.models.server.playing import (
    HANG,
    Played,
    Reply,
    answer,
    ended,
    listed,
    playing,
    said,
    sse,
    value,
)

ROOT = Path(__file__).resolve().parents[3]
LEAVE = "Up to five unused days of leave may be carried over until 31 March."
VLLM = {"id": "org/model", "owned_by": "vllm", "max_model_len": 1000}


def settings_for(played: Played, **changes: object) -> Settings:
    return Settings(llm_url=played.url, **changes)  # type: ignore[arg-type]


def generate(generator: Generator, **parameters: object) -> list[tuple[str, int, int | None]]:
    prompt = generator.prompt([Message("system", "Be brief."), Message("user", "Leave </s>?")])
    with generator.generate(prompt, parameters, threading.Event()) as stream:
        return [(delta.text, delta.tokens, delta.prompt_tokens) for delta in stream]


def test_it_answers_as_one_that_runs_here() -> None:
    counted = {"choices": [], "usage": {"prompt_tokens": 21, "completion_tokens": 5}}
    reply = Reply(sse(said("Five"), said(" days."), ended(), counted, "[DONE]"))
    with playing([reply], v1__models=listed(VLLM), tokenize=value({"count": 30})) as played:
        generator = load_generator(settings_for(played))
        assert generator is not None
        assert generator.info == ModelInfo("org/model", "", "server")
        assert generator.prompt_tokens == 1000 - 128
        assert generator.count("text") == 30
        found = generate(generator, temperature=0.0, max_new_tokens=9)
        assert found == [("Five", 1, None), (" days.", 2, None), ("", 5, 21)]
        (asked,) = played.chats()
    assert asked.body == {
        "model": "org/model",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Leave < /s>?"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.0,
        "max_tokens": 9,
    }


def test_where_the_server_does_not_tell_its_context_the_setting_holds() -> None:
    with playing() as played:
        generator = load_generator(settings_for(played, llm_context_tokens=512))
        assert generator is not None
        assert generator.prompt_tokens == 512 - 128
        assert generator.count("x" * 30) == 11


def test_none_is_none_with_a_server_too() -> None:
    with playing() as played:
        assert load_generator(settings_for(played, llm_model="none")) is None
        assert played.asked == []


def test_a_name_with_a_colon_is_the_servers_and_no_package() -> None:
    with playing(v1__models=listed({"id": "qwen:7b"}, {"id": "b"})) as played:
        generator = load_generator(settings_for(played, llm_model="qwen:7b"))
        assert generator is not None
        assert generator.info.id == "qwen:7b"


def test_an_adapter_belongs_to_the_server() -> None:
    with playing() as played, pytest.raises(ModelError, match="adapter on the model there"):
        load_generator(settings_for(played, llm_adapter="mine"))


def test_an_address_that_is_not_listed_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(ModelError, match=r"not in llm\.allowed_hosts"):
        load_generator(Settings(llm_url="http://llm.example.org:8080"))


def test_a_stop_ends_the_connection_and_gives_the_turn_back() -> None:
    with playing([Reply([*sse(said("Five")), HANG]), answer("Six.")]) as played:
        generator = load_generator(settings_for(played, llm_concurrency=1))
        assert generator is not None
        played.gone.clear()
        with generator.generate("Leave?", {}, threading.Event()) as stream:
            assert next(stream).text == "Five"
        assert played.gone.wait(1)
        assert "".join(text for text, *_ in generate(generator)) == "Six."


def test_making_it_loads_no_torch() -> None:
    program = (
        "import sys\n"
        "from rag.errors import Busy\n"
        "from rag.generation import load_generator\n"
        "from rag.settings import Settings\n"
        "try:\n"
        "    load_generator(Settings(llm_url='http://127.0.0.1:9'))\n"
        "except Busy as error:\n"
        "    assert 'cannot be reached' in str(error)\n"
        "else:\n"
        "    raise SystemExit('no error')\n"
        "assert not {'torch', 'transformers', 'openai'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_record_of_an_answer_names_the_servers_model(tmp_path: Path) -> None:
    said_so = "You may carry over up to five unused days of leave until 31 March [1]."
    counted = {"choices": [], "usage": {"prompt_tokens": 321, "completion_tokens": 12}}
    reply = Reply(sse(said(said_so), ended(), counted, "[DONE]"))
    with playing([reply], v1__models=listed(VLLM)) as played:
        library = fake_library(tmp_path, llm_url=played.url, llm_model="org/model")
        add_text(library, "handbook.txt", f"Welcome to us all.\n\n{LEAVE}")
        read_all(library)
        *_, done = library.ask(Question("How many unused days of leave may be carried over?"))
        library.close()
    assert done.data["model"] | {"adapter": None, "quantization": None} == done.data["model"]
    assert (done.data["model"]["id"], done.data["model"]["device"]) == ("org/model", "server")
    assert done.data["usage"] == {"prompt_tokens": 321, "completion_tokens": 12}
    assert done.data["sentences"][0]["support"] == "supported"
    (asked,) = played.chats()
    assert LEAVE in asked.body["messages"][1]["content"]


def test_a_server_that_breaks_off_is_told_to_who_asked(tmp_path: Path) -> None:
    with playing([Reply(sse(said("Five")))], v1__models=listed(VLLM)) as played:
        library = fake_library(tmp_path, llm_url=played.url, llm_model="org/model")
        add_text(library, "handbook.txt", LEAVE)
        read_all(library)
        with pytest.raises(ModelError, match="broke the answer off"):
            list(library.ask(Question("How many unused days of leave may be carried over?")))
        library.close()


def test_a_library_whose_server_is_not_there_searches_and_loads_later(tmp_path: Path) -> None:
    with playing(v1__models=value({"error": {"message": "Loading model"}}, 503)) as played:
        library = Library(fake_settings(tmp_path, llm_url=played.url, llm_model="org/model"))
        with pytest.raises(Busy, match="Loading model"):
            library.load()
        assert "Loading model" in library.readiness()["llm"]
        assert library.readiness()["indexes"] == "ready"
        assert library.search("leave") == []
        played.replies["/v1/models"] = [listed(VLLM)]
        library.load()
        assert library.ready
        library.close()
