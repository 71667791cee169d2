"""Models asked one after another: the same passages, one in memory, nothing lost by a stop."""

from __future__ import annotations

import gc
import shutil
import threading
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from rag.catalog.collections import change_parameters, create_collection
from rag.catalog.documents import list_documents, remove
from rag.catalog.schema import answers
from rag.comparing import holding
from rag.comparing.holding import Held, alone
from rag.comparing.job import begin, do
from rag.comparing.plan import Plan, make_plan
from rag.comparing.run import Step, Stopped
from rag.comparing.store import open_ledger
from rag.errors import ModelError
from rag.evaluation.questions import Item
from rag.generation import Generator, load_generator
from rag.library import Library
from rag.llm_room import Need
from rag.records import Question
from rag.settings import Settings
from rag.testing import fake_library
from tests.rag.comparing.scripted import (
    DECLINING,
    FACTS,
    GOOD,
    Loader,
    make_library,
    questions,
)
from tests.rag.tuning.tiny import make_model


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Without what takes seconds, and is tested where it is made."""
    monkeypatch.setattr("rag.evaluation.intervals._ROUNDS", 50)
    if "one_thread" not in request.fixturenames:  # there are no models to be freed
        monkeypatch.setattr("rag.models.room.give_back", lambda: None)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    make_library(home).close()
    return home


@pytest.fixture(scope="module")
def shared(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    home = tmp_path_factory.mktemp("shared") / "home"
    shutil.copytree(made, home)
    library = fake_library(home, llm_model="none")
    yield library
    library.close()


@pytest.fixture
def library(shared: Library) -> Iterator[Library]:
    """A library that a test compares with, and does not change."""
    yield shared
    shutil.rmtree(shared.settings.home / "comparisons", ignore_errors=True)


@pytest.fixture
def own_library(tmp_path: Path, made: Path) -> Iterator[Library]:
    """A library that a test may change."""
    shutil.copytree(made, tmp_path / "home")
    library = fake_library(tmp_path / "home", llm_model="none")
    yield library
    library.close()


def compare(
    library: Library,
    load: Any,
    models: tuple[str, ...] = ("one", "two", "none"),
    stop: threading.Event | None = None,
    tell: Any = None,
    again: bool = False,
    most: int = 12,
) -> Mapping[str, Any]:
    plan = make_plan(library.settings, library.catalog, models, questions(most), "q.jsonl")
    overview = begin(library, plan, again)
    hold = alone(load)
    return do(library, plan, overview, hold, tell or (lambda _: None), stop or threading.Event())


def timeless(result: Mapping[str, Any]) -> Mapping[str, Any]:
    """A result without what differs between two runs of the same."""
    times = ("first_token", "total")
    models = [
        {
            **{name: model[name] for name in ("name", "calibration", "calibration_error")},
            "measures": {k: v for k, v in model["measures"].items() if k not in times},
            "tokens": (model["prompt_tokens"], model["completion_tokens"]),
        }
        for model in result["models"]
    ]
    different = [one for one in result["differences"] if one["measure"] not in times]
    plain = [{k: v for k, v in one.items() if k not in ("adjusted", "told")} for one in different]
    return {"models": models, "differences": plain, "asked": result["asked"]}


def test_a_real_difference_is_told_and_one_after_another_is_in_memory(library: Library) -> None:
    loader = Loader({"one": GOOD, "two": DECLINING})
    steps: list[Step] = []
    result = compare(library, loader, ("one", "two"), tell=steps.append)
    assert loader.log == ["load one", "close one", "load two", "close two"]
    first, second = result["models"]
    assert first["measures"]["right"]["mean"] == 1.0
    assert second["measures"]["answerable_declined"]["mean"] == 1.0
    told = {one["measure"]: one["told"] for one in result["differences"]}
    assert (told["right"], told["answerable_declined"]) == ("worse", "worse")
    assert (steps[-1].done, steps[-1].total) == (24, 24)
    assert {step.stage for step in steps} == {"searching", "loading", "answering"}
    assert any(step.seconds_left for step in steps)


def test_every_model_is_given_the_same_passages(library: Library) -> None:
    loader = Loader({"one": GOOD, "two": DECLINING})
    compare(library, loader, ("one", "two"))
    assert loader.prompts["one"] == loader.prompts["two"]
    assert len(loader.prompts["one"]) == 1 + len(FACTS)  # a first question to each


def test_two_that_answer_alike_are_not_told_apart(library: Library) -> None:
    result = compare(library, Loader({"one": GOOD, "two": GOOD}), ("one", "two"))
    quality = [
        one for one in result["differences"] if one["measure"] not in ("first_token", "total")
    ]
    assert {one["told"] for one in quality} == {"the same"}
    assert {one["adjusted"] for one in quality} == {1.0}


def test_nothing_of_it_is_recorded_or_kept_of_documents(library: Library) -> None:
    compare(library, Loader({"one": GOOD, "two": DECLINING}))
    with library.catalog.read() as connection:
        assert connection.execute(select(func.count()).select_from(answers)).scalar() == 0
    kept = "".join(p.read_text() for p in (library.settings.home / "comparisons").rglob("*.json*"))
    assert "leaves at" not in kept
    assert "When does the ferry Auk leave?" in kept


def test_after_a_stop_it_goes_on_with_the_same_result(library: Library, tmp_path: Path) -> None:
    whole = compare(library, Loader({"one": GOOD, "two": DECLINING}))
    loader = Loader({"one": GOOD, "two": DECLINING})
    stop = threading.Event()

    def tell(step: Step) -> None:
        if step.stage == "answering" and step.done == 5:
            stop.set()

    with pytest.raises(Stopped):
        compare(library, loader, stop=stop, tell=tell, again=True)
    assert loader.log == ["load one", "close one"]
    plan = make_plan(
        library.settings, library.catalog, ("one", "two", "none"), questions(), "q.jsonl"
    )
    assert len(open_ledger(library.settings, plan.id).rows) == 5
    resumed = compare(library, loader)
    assert timeless(resumed) == timeless(whole)
    # 5 answers and 7, each after a first question
    assert len(loader.prompts["one"]) == 1 + 7
    before = len(loader.log)
    assert timeless(compare(library, loader)) == timeless(whole)
    assert len(loader.log) == before  # all is there: nothing is loaded


def test_an_answer_that_a_stop_cuts_off_is_not_kept(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = threading.Event()
    loader = Loader({"one": GOOD, "two": GOOD})
    plan = make_plan(library.settings, library.catalog, ("one", "two"), questions(2), "q.jsonl")
    overview = begin(library, plan)
    real = library.answerer.answer_again

    def cut(*arguments: Any) -> Any:
        stop.set()
        return real(*arguments)

    monkeypatch.setattr(library.answerer, "answer_again", cut)
    with pytest.raises(Stopped):
        do(library, plan, overview, alone(loader), lambda _: None, stop)
    assert open_ledger(library.settings, plan.id).rows == {}


def test_one_that_cannot_be_loaded_is_named_and_the_others_go_on(library: Library) -> None:
    loader = Loader({"one": GOOD, "two": GOOD})

    def load(settings: Settings) -> Generator | None:
        if settings.llm_model == "two":
            raise ModelError("The model two needs 99 GB of RAM.")
        return loader(settings)

    result = compare(library, load)
    assert [model["name"] for model in result["models"]] == ["one", "none"]
    (skipped,) = result["skipped"]
    assert skipped == {"name": "two", "reason": "The model two needs 99 GB of RAM."}


def test_answers_that_were_timed_beside_others_are_counted(library: Library) -> None:
    plan = make_plan(library.settings, library.catalog, ("one", "none"), questions(2), "q.jsonl")
    overview, stop = begin(library, plan), threading.Event()

    def tell(step: Step) -> None:
        if step.model == "none":
            stop.set()

    with pytest.raises(Stopped):
        do(library, plan, overview, alone(Loader({"one": GOOD})), tell, stop)
    hold = holding.beside(library, Loader({}))
    assert do(library, plan, overview, hold, lambda _: None, threading.Event())["beside"] == 2


def test_where_none_can_be_asked_it_is_said(library: Library) -> None:
    def load(settings: Settings) -> Generator | None:
        raise ModelError(f"No room for {settings.llm_model}.")

    with pytest.raises(ModelError, match=r"No room for one.*No room for two"):
        compare(library, load, ("one", "two"))


def test_what_is_removed_meanwhile_is_given_to_no_model_any_more(own_library: Library) -> None:
    loader = Loader({"one": GOOD, "two": GOOD})
    (document,) = list_documents(own_library.catalog)

    def tell(step: Step) -> None:
        if step.model == "two" and step.stage == "loading":
            remove(own_library.catalog, document.id)

    with pytest.raises(ModelError, match="Nothing could be compared"):
        compare(own_library, loader, ("one", "two"), tell=tell)
    assert len(loader.prompts["two"]) == 1  # the first question, of a passage that was made up


def test_other_passages_mean_that_all_are_asked_anew(own_library: Library) -> None:
    from tests.ingest.reading import add_text, read_all

    loader = Loader({"one": GOOD, "two": GOOD})
    compare(own_library, loader, ("one", "two"), most=1)
    add_text(
        own_library, "more.txt", "The ferry Auk leaves at 06:00 on Sundays, says the ferry Auk."
    )
    read_all(own_library)
    compare(own_library, loader, ("one", "two"), most=1)
    assert loader.log == ["load one", "close one", "load two", "close two"] * 2


def test_a_question_of_a_collection_is_answered_from_it_alone(own_library: Library) -> None:
    from tests.ingest.reading import add_text, read_all

    create_collection(own_library.catalog, "north")
    add_text(own_library, "north.txt", "The ferry Auk leaves at 06:00.", "north")
    read_all(own_library)
    change_parameters(own_library.catalog, "north", {"max_new_tokens": 77})
    first, second = questions(2)
    north = replace(first, collection="north", answers=("06:00",), evidence=())
    loader, stop = Loader({"one": GOOD}), threading.Event()

    def plan_of(*items: Item, given: tuple[str, ...] | None = ("default",)) -> Plan:
        return make_plan(
            own_library.settings, own_library.catalog, ("one", "none"), items, "q.jsonl", given
        )

    plan = plan_of(north, second)
    used: list[tuple[tuple[str, ...] | None, Any]] = []
    real = own_library.answerer.answer_again

    def noted(question: Question, *rest: Any) -> Any:
        used.append((question.collections, question.parameters.get("max_new_tokens")))
        return real(question, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(own_library.answerer, "answer_again", noted)
        result = do(
            own_library, plan, begin(own_library, plan), alone(loader), lambda _: None, stop
        )
    _, of_north, of_second = loader.prompts["one"]
    assert "06:00" in of_north
    assert "07:40" not in of_north
    assert "06:00" not in of_second
    usual = own_library.settings.llm_max_new_tokens
    assert used == [(("north",), 77), (("default",), usual)] * 2
    assert list(result["collections"]) == ["north", "default"]
    quotes = next(model for model in result["models"] if model["name"] == "none")
    assert quotes["measures"]["answer_holds_gold"]["mean"] == 1.0
    every = plan_of(north, second, given=None)
    again = do(own_library, every, begin(own_library, every), alone(loader), lambda _: None, stop)
    assert again["collections"] is None


def test_questions_about_the_library_are_left_out_for_all(library: Library) -> None:
    from rag.evaluation.questions import parse_questions

    items = [
        *questions(1),
        *parse_questions(
            '{"question": "How many documents are there?", "answers": ["1"]}', Path("q")
        ),
    ]
    plan = make_plan(library.settings, library.catalog, ("one", "none"), items, "q.jsonl")
    hold = alone(Loader({"one": GOOD}))
    result = do(library, plan, begin(library, plan), hold, lambda _: None, threading.Event())
    assert result["questions"] == 1
    (left,) = result["left_out"]
    assert left["name"] == "How many documents are there?"
    assert "from the catalog" in left["reason"]


@pytest.mark.usefixtures("one_thread")
def test_real_models_are_freed_before_the_next_is_loaded(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = library.settings.models_path
    for number, name in enumerate(("tiny", "org--other")):
        make_model(models / name, seed=number)
    held: list[Any] = []

    def load(settings: Settings) -> Generator | None:
        gc.collect()
        assert [model() for model in held] == [None] * len(held)
        made = load_generator(settings)
        if made is not None:
            held.append(weakref.ref(made._llm._model))  # type: ignore[attr-defined]
        return made

    # a model of random weights may say what it likes at first
    monkeypatch.setattr(holding, "smoke_test", lambda _: "")
    result = compare(library, load, ("tiny", "org/other", "none"), most=2)
    assert [model["name"] for model in result["models"]] == ["tiny", "org/other", "none"]
    assert len(held) == 2
    gc.collect()
    assert held[1]() is None
    tiny = result["models"][0]
    assert (tiny["device"], tiny["licence"]) == ("cpu", "unknown")
    assert tiny["memory_estimate"] > 0
    assert "questions at once" in tiny["estimate_for"]
    assert tiny["commercial"] == "unknown"


@pytest.mark.usefixtures("one_thread")
def test_a_model_that_does_not_fit_is_not_loaded(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_model(library.settings.models_path / "tiny")
    monkeypatch.setattr("rag.models.hardware.free_memory", lambda: 1000)
    result = compare(library, load_generator, ("tiny", "none"), most=1)
    assert [model["name"] for model in result["models"]] == ["none"]
    (skipped,) = result["skipped"]
    assert skipped["name"] == "tiny"
    assert "0 MB are free" in skipped["reason"]


def test_the_memory_of_a_model_is_the_most_of_its_answers(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = iter([5, 9, 7])

    class Counted:
        how = "high-water"

        def __init__(self, _: str) -> None:
            pass

        def bytes(self) -> int:
            return next(sizes)

    monkeypatch.setattr(holding, "Peak", Counted)
    result = compare(library, Loader({"one": GOOD}), ("one", "none"), most=1)
    assert [model["memory"] for model in result["models"]] == [5, 9]
    assert "kernel" in result["models"][0]["memory_how"]


def test_idle_models_that_questions_chose_make_room(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf, loader = library.other_llms, Loader({"one": GOOD, "two": GOOD})
    monkeypatch.setattr("rag.llm_shelf.load_generator", loader)
    monkeypatch.setattr("rag.llm_shelf.model_need", lambda _: Need(0, "cpu"))
    with shelf.use("two", threading.Event()) as chosen:
        assert chosen is not None
    # one fits where two is not
    monkeypatch.setattr("rag.models.room.needed_bytes", lambda *_: 10)
    monkeypatch.setattr("rag.models.hardware.free_bytes", lambda _: 0 if shelf.loaded else 10)
    plan = make_plan(library.settings, library.catalog, ("one", "none"), questions(1), "q.jsonl")
    entry = plan.entries[0]
    with pytest.raises(ModelError, match="does not fit beside"):
        holding.refuse_too_large(library, entry)
    holding.refuse_too_large(library, entry, 10)
    with holding.beside(library, loader)(entry, threading.Event()):
        assert loader.log == ["load two", "close two", "load one"]
        assert shelf.busy == ("one",)
    with shelf.use("two", threading.Event()), pytest.raises(ModelError, match="does not fit"):
        # what answers is not freed
        holding.beside(library, loader)(entry, threading.Event()).__enter__()
    shelf.free_unused()


def test_a_model_in_memory_is_used_as_it_is(library: Library) -> None:
    loader = Loader({"one": GOOD})
    plan = make_plan(library.settings, library.catalog, ("one", "none"), questions(1), "q.jsonl")
    entry = plan.entries[0]
    library.current_llm.put(loader(entry.settings))
    hold = holding.beside(library, loader)
    with hold(entry, threading.Event()) as held, held.using() as generator:
        assert isinstance(held, Held)
        assert held.peak is None
        assert generator is not None
        assert generator.info.id == "one"
    library.current_llm.put(None)
    with pytest.raises(ModelError, match="took the place of one"), held.using():
        pass
    assert loader.log == ["load one"]
