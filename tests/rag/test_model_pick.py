"""Which model answers: the question's, its collection's, the one in use."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rag.catalog.collections import change_model, create_collection
from rag.commands.ask import ask as ask_command
from rag.commands.collections import collections
from rag.errors import NotFound, UsageError
from rag.library import Library
from rag.llm_room import adapter_need
from rag.llm_shelf import settings_for
from rag.model_choices import model_choices
from rag.model_pick import find_pick
from rag.models.room import needed_bytes
from rag.records import Question
from rag.replaying import replay
from rag.testing import FakeLLM, fake_library
from tests.ingest.reading import add_text, read_all
from tests.rag.tuning.tiny import make_adapter, make_model

pytestmark = pytest.mark.usefixtures("one_thread")

LEAVE = "Up to five unused days of leave may be carried over until 31 March."
TEXT = "How many unused days of leave may be carried over?"
FAKE = "rag.testing:FakeLLM"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """A library with a stand-in in use, and two models in its models folder."""
    home = tmp_path_factory.mktemp("home")
    FakeLLM.replies, FakeLLM.pause = [], 0.0
    for seed, name in enumerate(("tiny", "org--other")):
        make_model(home / "models" / name, seed=seed)
    make_adapter(home / "models" / "x", home / "models" / "tiny", seed=7)
    library = fake_library(home, llm_device="cpu", llm_max_new_tokens=8)
    add_text(library, "handbook.txt", f"Welcome to us all.\n\n{LEAVE}\n\nTea is in the kitchen.")
    create_collection(library.catalog, "empty")
    read_all(library)
    yield library
    library.close()


@pytest.fixture
def library(kept: Library) -> Iterator[Library]:
    settings = kept.settings
    yield kept
    kept.settings = settings
    change_model(kept.catalog, "default", "")


def asked(library: Library, model: str = "", collections: tuple[str, ...] | None = None) -> Any:
    return list(library.ask(Question(TEXT, collections, model=model)))[-1].data


def test_a_model_that_has_to_be_loaded_is_told_after_the_best_quote(library: Library) -> None:
    library.other_llms.free_unused()
    events = list(library.ask(Question(TEXT, model="other")))
    assert [event.name for event in events[:3]] == ["sources", "evidence", "loading"]
    assert events[2].data == {"model": "org/other"}
    model = events[-1].data["model"]
    assert (model["id"], model["adapter"]) == ("org/other", None)
    again = [event.name for event in library.ask(Question(TEXT, model="org/other"))]
    assert "loading" not in again
    assert asked(library)["model"]["id"] == FAKE
    found = replay(library, events[-1].data["id"])
    assert (found.same, found.differences) == (True, ())


def test_the_question_comes_before_the_collection_and_that_before_what_is_in_use(
    library: Library,
) -> None:
    change_model(library.catalog, "default", "tiny")
    assert asked(library, collections=("default",))["model"]["id"] == "tiny"
    assert asked(library, "none", ("default",))["model"]["id"] == "none"
    assert asked(library, FAKE, ("default",))["model"]["id"] == FAKE
    # of several collections, none decides
    assert asked(library, collections=("default", "empty"))["model"]["id"] == FAKE
    assert asked(library)["model"]["id"] == FAKE


def test_an_answer_by_an_adapter_beside_the_weights_is_made_again_so(library: Library) -> None:
    answer = asked(library, "tiny+x")
    model = answer["model"]
    assert (model["id"], model["adapter"][:2], model["merged"]) == ("tiny", "x@", False)
    assert library.other_llms.loaded == ("tiny", "tiny+x")
    library.other_llms.free_unused()
    found = replay(library, answer["id"])
    assert (found.same, found.differences) == (True, ())
    library.other_llms.free_unused()
    library.settings = replace(library.settings, llm_others=0)
    found = replay(library, answer["id"])
    assert [(one.what, one.now) for one in found.differences][:1] == [("merged", "True")]


def test_quotes_alone_need_no_model(library: Library) -> None:
    events = list(library.ask(Question(TEXT, model="none")))
    assert {event.name for event in events} == {"sources", "sentence", "done"}
    assert events[-1].data["sentences"][0]["support"] == "quoted"
    assert events[-1].data["model"]["id"] == "none"


def test_what_cannot_be_chosen_is_told_before_anything_is_looked_for(library: Library) -> None:
    with pytest.raises(NotFound, match="no model “othr”"):
        library.ask(Question(TEXT, model="othr"))
    change_model(library.catalog, "default", "gone")
    with pytest.raises(NotFound, match="collection default is to be answered by gone, which"):
        library.ask(Question(TEXT, ("default",)))
    # no model is needed to tell what is in it
    events = list(library.ask(Question("Which documents are in the library?", ("default",))))
    assert events[-1].data["model"]["id"] == "none"
    assert "handbook.txt" in json.dumps(events[-1].data)
    library.settings = replace(library.settings, llm_others=0)
    with pytest.raises(UsageError, match=r"llm\.others is 0"):
        library.ask(Question(TEXT, model="tiny"))


def test_an_answer_without_the_llm_names_the_one_that_was_chosen(library: Library) -> None:
    library.other_llms.free_unused()
    answer = asked(library, "org/other", ("empty",))
    assert answer["abstained"]
    assert answer["model"]["id"] == "org/other"
    assert library.other_llms.loaded == ()


def test_what_may_be_chosen_is_listed(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    library.other_llms.free_unused()
    asked(library, "tiny")
    rows = {one.name: one for one in model_choices(library)}
    assert list(rows) == [FAKE, "org/other", "tiny", "tiny+x", "none"]
    assert [one.name for one in rows.values() if one.in_use] == [FAKE]
    assert [one.name for one in rows.values() if one.loaded] == [FAKE, "tiny", "none"]
    assert rows["tiny"].bytes > 100_000
    assert rows["org/other"].licence == "unknown"
    assert not any(one.problem for one in rows.values())
    monkeypatch.setattr("rag.model_choices.free_bytes", lambda _: -(10**12))
    rows = {one.name: one for one in model_choices(library)}
    assert "does not fit: needs" in rows["org/other"].problem
    assert not rows["tiny"].problem  # it is loaded
    library.settings = replace(library.settings, limits_models=("other",))
    assert [one.name for one in model_choices(library)] == [FAKE, "org/other"]
    library.settings = replace(library.settings, llm_others=0)
    assert [one.name for one in model_choices(library)] == [FAKE]


def test_what_an_adapter_needs_is_told_as_it_is_compared_when_it_is_loaded(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Base and adapter where the base is not here; else the adapter beside it, which stays."""
    library.other_llms.free_unused()
    own = library.settings
    models = own.models_path
    base = needed_bytes(models / "tiny", own, "cpu")
    pick = find_pick(own, "tiny+x")
    more = adapter_need(settings_for(own, pick), pick).bytes
    assert min(base, more) > 0

    def problem(free: int, **changes: Any) -> str:
        library.settings = replace(own, **changes)
        monkeypatch.setattr("rag.model_choices.free_bytes", lambda _: free)
        rows = {one.name: one.problem for one in model_choices(library)}
        return rows["tiny+x"]

    assert "does not fit" in problem(base + more - 1)
    assert not problem(base + more)
    asked(library, "tiny")
    assert library.other_llms.loaded == ("tiny",)
    assert "does not fit" in problem(more - 1)  # tiny's own bytes are not freed for it
    assert not problem(more)
    # packed weights are loaded once more, with the adapter beside them
    whole = replace(own, llm_precision="int8", llm_adapter="x")
    packed = needed_bytes(models / "tiny", whole, "cpu")
    held = library.other_llms.freeable()
    assert "does not fit" in problem(packed - held - 1, llm_precision="int8")
    assert not problem(packed - held, llm_precision="int8")


def test_a_change_of_the_llm_in_use_frees_the_others(library: Library) -> None:
    asked(library, "tiny")
    assert library.other_llms.loaded == library.model_change.state.others == ("tiny",)
    library.use_model("org/other")
    assert library.model_change.wait(60)
    assert library.model_change.state.last is not None
    assert library.model_change.state.last.ok
    assert library.other_llms.loaded == ()
    assert asked(library, "org/other")["model"]["id"] == "org/other"
    assert asked(library, "tiny")["model"]["id"] == "tiny"
    library.use_model("none")
    assert library.model_change.wait(60)
    assert asked(library)["model"]["id"] == "none"
    assert asked(library, "tiny")["model"]["id"] == "tiny"


def test_the_commands_choose(library: Library, tmp_path: Path) -> None:
    settings = replace(library.settings, home=tmp_path, models=library.settings.models_path)

    def run(command: Any, *arguments: str) -> Any:
        return CliRunner().invoke(command, arguments, obj=settings)

    done = run(collections, "set", "default", "--model", "other", "--json")
    assert json.loads(done.stdout)["model"] == "org/other"
    assert "model org/other" in run(collections, "list").stdout
    done = run(collections, "set", "default", "--model", "othr")
    assert "Did you mean org/other?" in str(done.exception)
    assert "default" in run(collections, "set", "default", "--unset", "model").stdout
    assert "model org/other" not in run(collections, "list").stdout


def test_ask_loads_the_model_that_is_chosen_and_no_other(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(library.settings.models_path, tmp_path / "models")
    own = fake_library(tmp_path, llm_device="cpu", llm_max_new_tokens=8)
    add_text(own, "handbook.txt", f"Welcome to us all.\n\n{LEAVE}")
    read_all(own)
    settings = own.settings
    own.close()
    monkeypatch.setattr("rag.testing.FakeLLM.__init__", lambda self: pytest.fail("it was loaded"))
    done = CliRunner().invoke(ask_command, [TEXT, "--model", "other", "--json"], obj=settings)
    assert done.exit_code == 0, done.exception
    assert json.loads(done.stdout)["model"]["id"] == "org/other"
    done = CliRunner().invoke(ask_command, [TEXT, "--model", "othr"], obj=settings)
    assert "Did you mean org/other?" in str(done.exception)
