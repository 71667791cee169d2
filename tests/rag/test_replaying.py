"""A recorded answer made again: the same text, or what differs."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import select, update

from rag import replaying
from rag.catalog import schema
from rag.catalog.answers import read_answer
from rag.catalog.schema import answers
from rag.cli import main
from rag.commands.replay import replay as command
from rag.errors import Busy, NotFound, UsageError
from rag.generation import Generator, load_generator
from rag.library import Library
from rag.records import ModelInfo, Question
from rag.replaying import replay
from rag.settings import Settings
from rag.testing import FakeLLM, fake_library, fake_settings
from tests.ingest.reading import add_text, read_all
from tests.rag.tuning.tiny import make_model

pytestmark = pytest.mark.usefixtures("one_thread")

LEAVE = "Up to five unused days of leave may be carried over until 31 March."
TEXT = f"Welcome to us all.\n\n{LEAVE}\n\nTea is in the kitchen."
ASKED = Question("How many unused days of leave may be carried over?")
REPLY = "You may carry over up to five unused days of leave until 31 March [1]."


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("models")
    make_model(base / "tiny")
    make_model(base / "other", seed=1)
    return base


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    FakeLLM.replies, FakeLLM.pause = [], 0.0
    library = fake_library(tmp_path)
    add_text(library, "handbook.txt", TEXT)
    read_all(library)
    yield library
    library.close()


@pytest.fixture
def tiny(tmp_path: Path, made: Path) -> Iterator[Library]:
    shutil.copytree(made, tmp_path / "models")
    library = fake_library(tmp_path, llm_model="tiny", llm_max_new_tokens=12)
    add_text(library, "handbook.txt", TEXT)
    read_all(library)
    yield library
    library.close()


def ask(library: Library, question: Question = ASKED) -> dict[str, Any]:
    answer: dict[str, Any] = dict(list(library.ask(question))[-1].data)
    return answer


def change_record(library: Library, answer_id: str, change: Any) -> None:
    with library.catalog.write() as connection:
        found = select(answers.c.record).where(answers.c.id == answer_id)
        record = json.loads(connection.execute(found).scalar_one())
        change(record)
        row = update(answers).where(answers.c.id == answer_id)
        connection.execute(row.values(record=json.dumps(record)))


def whats(found: replaying.Replay) -> set[str]:
    return {one.what for one in found.differences}


def test_the_same_model_and_passages_give_the_same_text(tiny: Library) -> None:
    answer = ask(tiny)
    made_with = answer["made_with"]
    assert len(made_with["draft_sha256"]) == len(made_with["prompt_sha256"]) == 64
    assert made_with["prompt_passages"] == [0]
    # more documents weigh words otherwise and would be found; the recorded passages count
    add_text(tiny, "more.txt", "Up to nine unused days of leave may be carried over in Oslo.")
    read_all(tiny)
    found = replay(tiny, answer["id"])
    assert (found.same, found.text, found.differences, found.diff) == (
        True, answer["text"], (), (),
    )  # fmt: skip
    with tiny.catalog.read() as connection:
        assert len(connection.execute(select(answers.c.id)).all()) == 1  # nothing was recorded


def test_an_answer_by_quotes_and_a_declined_one(library: Library, tmp_path: Path) -> None:
    FakeLLM.replies = ["The documents do not say."]
    declined = ask(library)
    assert declined["abstained"]
    FakeLLM.replies = ["The documents do not say."]
    assert replay(library, declined["id"]).same
    library.use_model("none")
    assert library.model_change.wait(20)
    quoted = ask(library)
    found = replay(library, quoted["id"])
    assert found.same
    assert found.text == f"{LEAVE} [1]"


def test_another_text_is_shown_as_a_difference(library: Library) -> None:
    FakeLLM.replies = [REPLY]
    answer = ask(library)
    FakeLLM.replies = ["Up to five unused days of leave may be carried over until 31 March [1]."]
    found = replay(library, answer["id"])
    assert not found.same
    assert found.recorded_text == answer["text"]
    assert found.text == f"{LEAVE} [1]"
    assert [line[0] for line in found.diff] == ["-", "+"]
    assert whats(found) == {"text", "what the LLM wrote"}


def test_the_recorded_model_is_loaded_for_it_where_another_one_answers(
    tiny: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = ask(tiny)
    tiny.use_model("other")
    assert tiny.model_change.wait(60)
    assert tiny.current_llm.info.id == "other"
    busy: list[Sequence[str]] = []

    def load(settings: Settings) -> Generator | None:
        busy.append(tiny.other_llms.busy)
        return load_generator(settings)

    with monkeypatch.context() as watched:
        watched.setattr(replaying, "load_generator", load)
        found = replay(tiny, answer["id"])
    assert (found.same, found.differences) == (True, ())
    assert (busy, tiny.other_llms.busy) == ([("tiny",)], ())
    assert tiny.current_llm.info.id == "other"
    with (
        tiny.current_llm.loads(lambda: True),
        pytest.raises(Busy, match="Another model is being loaded"),
    ):
        replay(tiny, answer["id"])
    monkeypatch.setattr("rag.models.hardware.free_bytes", lambda _: 0)
    found = replay(tiny, answer["id"])
    assert (found.same, found.text) == (False, None)
    assert "cloister models use tiny --adapter none" in found.differences[-1].now


def test_a_model_that_is_not_here_any_more(tiny: Library) -> None:
    answer = ask(tiny)
    tiny.use_model("other")
    assert tiny.model_change.wait(60)
    shutil.rmtree(tiny.settings.models_path / "tiny")
    found = replay(tiny, answer["id"])
    assert (found.same, found.text, whats(found)) == (False, None, {"model"})
    assert "There is no model “tiny”" in found.differences[0].now


def test_another_revision_of_the_model_is_told(tiny: Library, made: Path) -> None:
    answer = ask(tiny)
    shutil.rmtree(tiny.settings.models_path / "tiny")
    shutil.copytree(made / "other", tiny.settings.models_path / "tiny")
    tiny.use_model("tiny")
    assert tiny.model_change.wait(60)
    found = replay(tiny, answer["id"])
    assert {"revision", "what the LLM wrote"} <= whats(found)
    (revision,) = [one for one in found.differences if one.what == "revision"]
    assert revision.recorded == answer["model"]["revision"] != revision.now


def test_what_was_sampled_is_drawn_by_its_seed_again(tiny: Library) -> None:
    warm = ask(tiny, Question(ASKED.text, parameters={"temperature": 2.0}))
    assert warm["parameters"]["seed"] is not None
    found = replay(tiny, warm["id"])
    assert (found.same, found.differences) == (True, ())
    change_record(tiny, warm["id"], lambda record: record["model"].update(device="server"))
    assert {"temperature", "device"} <= whats(replay(tiny, warm["id"]))
    change_record(tiny, warm["id"], lambda record: record["model"].update(device="cpu"))
    change_record(tiny, warm["id"], lambda record: record["parameters"].pop("seed"))
    found = replay(tiny, warm["id"])
    assert {"temperature", "what the LLM wrote"} <= whats(found)


def test_the_model_in_use_is_loaded_in_the_recorded_precision(
    tiny: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = ask(tiny)
    before = answer["model"]["precision"]
    other = "bfloat16" if before == "float32" else "float32"
    tiny.settings = replace(tiny.settings, llm_precision=other)
    tiny.use_model("tiny")
    assert tiny.model_change.wait(60)
    assert tiny.current_llm.info.precision == other
    found = replay(tiny, answer["id"])
    assert (found.same, found.differences) == (True, ())
    record = read_answer(tiny.catalog, answer["id"])
    assert replaying.settings_for(tiny.settings, record).llm_precision == before
    # where it does not fit so, it is made by what is there, and that is told
    monkeypatch.setattr("rag.models.hardware.free_bytes", lambda _: 0)
    found = replay(tiny, answer["id"])
    assert found.text is not None
    assert "precision" in whats(found)


def test_weights_that_are_quantized_now_are_another_precision() -> None:
    plain = ModelInfo("m", "", "cpu", precision="bfloat16")
    small = ModelInfo("m", "", "cpu", quantization="int8", precision="bfloat16")
    assert replaying._other_precision(plain, small)
    assert not replaying._other_precision(ModelInfo("m", "", "cpu"), small)


def test_a_local_answer_where_a_server_answers_now(tiny: Library) -> None:
    answer = ask(tiny)
    tiny.use_model("other")
    assert tiny.model_change.wait(60)
    tiny.settings = replace(tiny.settings, llm_url="http://127.0.0.1:1")
    found = replay(tiny, answer["id"])
    assert (found.same, found.text, whats(found)) == (False, None, {"model"})
    assert "server at llm.url" in found.differences[0].now
    quoted = {"model": {"id": "none", "revision": "", "device": "none"}}
    assert replaying.settings_for(tiny.settings, quoted).llm_model == "none"


def test_what_differs_of_prompt_and_judges_is_told(
    tiny: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = ask(tiny)
    monkeypatch.setattr(replaying, "PROMPT_VERSION", "other")

    def older(record: Any) -> None:
        record["made_with"] |= {"cloister": "0.0.1", "reader": "abc", "prompt_tokens": 7}
        record["model"]["precision"] = "float8"

    change_record(tiny, answer["id"], older)
    found = replay(tiny, answer["id"])
    assert found.same
    assert whats(found) == {"prompt version", "cloister", "reader", "prompt tokens", "precision"}


def test_passages_that_are_gone_or_changed_are_told(tiny: Library) -> None:
    answer = ask(tiny)
    with tiny.catalog.write() as connection:
        text = TEXT.replace("five", "nine")
        connection.execute(update(schema.pages).values(text=text))
    found = replay(tiny, answer["id"])
    assert not found.same
    assert found.differences[0].what == "passage 1"
    assert found.differences[0].now == "changed"
    with tiny.catalog.write() as connection:
        connection.execute(update(schema.pages).values(number=7))
    assert replay(tiny, answer["id"]).differences[0].now == "gone"


def test_what_older_versions_recorded_is_read(tiny: Library) -> None:
    answer = ask(tiny)

    def older(record: Any) -> None:
        del record["made_with"], record["model"]["precision"], record["model"]["quantization"]
        del record["model"]["adapter"]
        for passage in record["passages"]:
            del passage["twins"], passage["dated"]

    change_record(tiny, answer["id"], older)
    assert "made_with" not in read_answer(tiny.catalog, answer["id"])
    found = replay(tiny, answer["id"])
    assert (found.same, found.differences) == (True, ())


def test_what_cannot_be_replayed(library: Library) -> None:
    with pytest.raises(NotFound):
        replay(library, "ans_0000")
    counted = ask(library, Question("How many documents are there?"))
    assert counted["answered_from"] == "catalog"
    with pytest.raises(UsageError, match="from the catalog"):
        replay(library, counted["id"])
    FakeLLM.replies = [REPLY]
    answer = ask(library)
    stop = threading.Event()
    stop.set()
    with pytest.raises(Busy, match="stopped"):
        replay(library, answer["id"], stop)


def test_the_command(tiny: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = ask(tiny)
    home = tiny.settings.home
    tiny.close()
    settings = fake_settings(home, llm_model="other", llm_max_new_tokens=12)
    monkeypatch.setattr("rag.settings.load_settings", lambda *_: settings)
    monkeypatch.setitem(main.commands, "replay", command)
    run = CliRunner().invoke
    done = run(main, ["replay", answer["id"], "--json"])
    assert done.exit_code == 0, done.stderr
    (line,) = done.stdout.splitlines()
    found = json.loads(line)
    # by the answer's own model, whatever the setting is now
    assert (found["same"], found["differences"]) == (True, [])
    assert run(main, ["replay", answer["id"]]).stdout == "The same text.\n"
    shutil.rmtree(home / "models" / "tiny")
    gone = run(main, ["replay", answer["id"]])
    assert gone.exit_code == 1
    assert "It could not be made again." in gone.stdout
    assert "model: was tiny@" in gone.stdout
    missing = run(main, ["replay", "ans_absent", "--json"])
    assert (missing.exit_code, json.loads(missing.stdout)["error"]["code"]) == (2, "not-found")
