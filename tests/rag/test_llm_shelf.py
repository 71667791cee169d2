"""The LLMs beside the one in use: loaded once, while there is room, and freed."""

from __future__ import annotations

import gc
import shutil
import threading
import time
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rag import llm_shelf
from rag.current_llm import CurrentLLM
from rag.errors import Busy, ModelError, NotFound, UsageError
from rag.generation import Generator, load_generator
from rag.llm_room import model_need
from rag.llm_shelf import LLMShelf
from rag.model_pick import find_pick, named_by
from rag.models.adapter import read_record, write_record
from rag.models.room import give_back
from rag.settings import Settings
from tests.rag.tuning.tiny import make_adapter, make_model

pytestmark = pytest.mark.usefixtures("one_thread")

PROMPT = "The ferry leaves at"
MANY = {"max_new_tokens": 12, "min_new_tokens": 12}


class Keeper:
    """A library without documents."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.current_llm = CurrentLLM()
        self.current_llm.put(load_generator(settings))
        self.other_llms = LLMShelf(self)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("models")
    for seed, name in enumerate(("tiny", "org--other", "third", "fourth")):
        make_model(base / name, seed=seed)
    for seed, name in enumerate(("x", "y"), 7):
        make_adapter(base / name, base / "tiny", seed)
    return base


@pytest.fixture
def settings(tmp_path: Path, made: Path) -> Settings:
    return Settings(
        home=tmp_path,
        models=made,
        llm_model="tiny",
        llm_device="cpu",
        llm_precision="float32",
        llm_max_prompt_tokens=64,
        llm_max_new_tokens=16,
        llm_concurrency=2,
    )


@pytest.fixture
def keeper(settings: Settings) -> Iterator[Keeper]:
    keeper = Keeper(settings)
    yield keeper
    keeper.other_llms.close()


def write(keeper: Keeper, name: str = "", stop: threading.Event | None = None) -> str:
    stop = stop or threading.Event()
    with keeper.other_llms.use(name, stop) as generator:
        assert generator is not None
        return written(generator)


def written(generator: Generator) -> str:
    with generator.generate(PROMPT, MANY, threading.Event()) as stream:
        return "".join(delta.text for delta in stream)


def alone(settings: Settings, model: str, adapter: str = "") -> str:
    generator = load_generator(replace(settings, llm_model=model, llm_adapter=adapter))
    assert generator is not None
    text = written(generator)
    generator.close()
    return text


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("other", "org/other"),
        ("org/other", "org/other"),
        ("org--other", "org/other"),
        ("tiny", "tiny"),
        ("tiny+x", "tiny+x"),
        (" third ", "third"),
        ("none", "none"),
    ],
)
def test_a_model_has_one_name_however_it_is_given(keeper: Keeper, text: str, name: str) -> None:
    assert keeper.other_llms.resolve(text) == name


@pytest.mark.parametrize(
    ("text", "kind", "told"),
    [
        ("thirt", NotFound, "no model “thirt” in the models folder. Did you mean third"),
        ("../third", NotFound, "no model"),
        ("rag.testing:FakeLLM", NotFound, "no model"),
        ("tiny+z", NotFound, "no adapter “z”.*There are x, y"),
        ("third@0123", NotFound, "revision unknown, not “0123”"),
        ("+x", NotFound, "no model “”"),
    ],
)
def test_what_is_not_here_cannot_be_chosen(
    keeper: Keeper, text: str, kind: type[Exception], told: str
) -> None:
    with pytest.raises(kind, match=told):
        keeper.other_llms.resolve(text)


@pytest.mark.parametrize("given", ["other", "org--other", "org/other"])
def test_what_the_settings_name_has_its_whole_name_before_it_is_loaded(
    settings: Settings, given: str
) -> None:
    assert named_by(replace(settings, llm_model=given)).id == "org/other"
    served = replace(settings, llm_model=given, llm_url="http://127.0.0.1:1")
    assert named_by(served).id == given


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"base": "third"}, "adapter odd was made for third, not for tiny. Choose tiny without"),
        ({"usable": "no"}, "adapter odd may not be used: .* its base, tiny"),
    ],
    ids=["another base", "not usable"],
)
def test_an_adapter_that_cannot_be_put_on_it_is_not_chosen(
    settings: Settings, tmp_path: Path, made: Path, change: dict[str, Any], told: str
) -> None:
    shutil.copytree(made, tmp_path / "own")
    shutil.copytree(made / "x", tmp_path / "own" / "odd")
    record = read_record(made / "x")
    assert record is not None
    write_record(tmp_path / "own" / "odd", replace(record, **change))
    settings = replace(settings, models=tmp_path / "own")
    assert find_pick(settings, "tiny+x").name == "tiny+x"
    with pytest.raises(UsageError, match=told):
        find_pick(settings, "tiny+odd")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"llm_others": 0}, r"all are answered by tiny here \(llm.others is 0\)"),
        ({"limits_models": ("third", "tiny+x")}, r"operator allows third, tiny\+x"),
        ({"llm_url": "http://127.0.0.1:1"}, "runs on the server at llm.url, as tiny"),
    ],
)
def test_the_operator_says_what_may_be_chosen(
    keeper: Keeper, change: dict[str, Any], told: str
) -> None:
    keeper.settings = replace(keeper.settings, **change)
    with pytest.raises(UsageError, match=told):
        keeper.other_llms.resolve("other")
    assert keeper.other_llms.resolve("tiny") == "tiny"
    if "limits_models" in change:
        assert keeper.other_llms.resolve("tiny+x") == "tiny+x"


def test_each_writes_what_it_writes_alone(keeper: Keeper, settings: Settings) -> None:
    names = {"": "tiny", "tiny": "tiny", "org/other": "org--other"}
    texts = {name: write(keeper, name) for name in names}
    assert texts == {name: alone(settings, folder) for name, folder in names.items()}
    assert texts["tiny"] != texts["org/other"]
    assert keeper.other_llms.loaded == ("org/other",)
    with keeper.other_llms.use("none", threading.Event()) as generator:
        assert generator is None


def test_quotes_wait_for_no_llm(keeper: Keeper, settings: Settings) -> None:
    keeper.current_llm.put(None)
    keeper.current_llm.take_away()  # an LLM is being loaded
    given: list[Generator | None] = []

    def ask() -> None:
        with keeper.other_llms.use("none", threading.Event()) as generator:
            given.append(generator)

    asking = threading.Thread(target=ask)
    asking.start()
    asking.join(5)
    waited = asking.is_alive()
    keeper.current_llm.put(None)
    asking.join(10)
    assert given == [None]
    assert not waited


def test_adapters_at_once_write_what_each_writes_alone(keeper: Keeper, settings: Settings) -> None:
    names = ["tiny", "tiny+x", "tiny+y"] * 2
    texts: dict[int, str] = {}
    threads = [
        threading.Thread(target=lambda n=n: texts.setdefault(n, write(keeper, names[n])))
        for n in range(len(names))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    right = [alone(settings, "tiny", name.partition("+")[2]) for name in names]
    assert [texts[n] for n in range(len(names))] == right
    assert len(set(right)) == 3
    with keeper.other_llms.use("tiny+x", threading.Event()) as generator:
        assert generator is not None
        assert generator.info.id == "tiny"
        assert (generator.info.adapter or "").startswith("x@")


@pytest.mark.parametrize("base", ["tiny", "third"])
def test_adapters_have_their_bases_weights(keeper: Keeper, settings: Settings, base: str) -> None:
    """The one of the LLM in use, or one that is loaded once for all of its adapters."""
    if base != "tiny":
        keeper.current_llm.put(load_generator(replace(settings, llm_model=base)))
    for name in ("tiny+x", "tiny+y", "tiny"):
        write(keeper, name)
    seen: dict[int, int] = {}
    more: list[int] = []
    for name in ("tiny", "tiny+x", "tiny+y"):
        with keeper.other_llms.use(name, threading.Event()) as generator:
            assert generator is not None
            model: Any = generator.llm
            tensors = {
                one.untyped_storage().data_ptr(): one.untyped_storage().nbytes()
                for one in (*model._model.parameters(), *model._model.buffers())
            }
        more.append(sum(size for place, size in tensors.items() if place not in seen))
        seen |= tensors
    assert more[0] > 0
    assert 0 < more[1] < 0.1 * more[0]
    assert 0 < more[2] < 0.1 * more[0]
    assert keeper.other_llms.loaded == (
        ("tiny+x", "tiny+y") if base == "tiny" else ("tiny", "tiny+x", "tiny+y")
    )


def test_who_asks_for_the_same_model_at_once_has_it_loaded_once(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    go_on = threading.Event()

    def slow(settings: Settings) -> Generator | None:
        loaded.append(settings.llm_model)
        assert keeper.other_llms.busy == ("third",)
        assert go_on.wait(30)
        return load_generator(settings)

    monkeypatch.setattr(llm_shelf, "load_generator", slow)
    texts: list[str] = []
    stop = threading.Event()
    threads = [
        threading.Thread(target=lambda: texts.append(write(keeper, "third"))) for _ in range(3)
    ]
    given_up = threading.Thread(target=lambda: _nothing(keeper, "third", stop))
    for thread in [*threads, given_up]:
        thread.start()
    assert keeper.other_llms.must_load("third")
    stop.set()
    given_up.join(10)
    assert not given_up.is_alive()  # who stops does not wait until it is loaded
    go_on.set()
    for thread in threads:
        thread.join(60)
    assert len(set(texts)) == 1
    assert len(texts) == 3
    assert loaded == ["third"]
    assert not keeper.other_llms.must_load("third")
    assert keeper.other_llms.busy == ()


def test_what_came_into_use_meanwhile_is_not_loaded_again(
    keeper: Keeper, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llm_shelf, "load_generator", lambda _: pytest.fail("it was loaded"))
    texts: list[str] = []
    asking = threading.Thread(target=lambda: texts.append(write(keeper, "third")))
    with keeper.current_llm.loads(lambda: False):
        asking.start()
        until_loading(keeper)
        keeper.current_llm.put(load_generator(replace(settings, llm_model="third")))
    asking.join(60)
    assert texts == [write(keeper)]
    assert keeper.other_llms.loaded == ()


def test_what_nobody_waits_for_any_more_is_not_loaded(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llm_shelf, "load_generator", lambda _: pytest.fail("it was loaded"))
    stop = threading.Event()
    given_up = threading.Thread(target=lambda: _nothing(keeper, "third", stop))
    with keeper.current_llm.loads(lambda: False):
        given_up.start()
        load = until_loading(keeper)
        # whether it is wanted is asked again when it has its turn
        unwanted = keeper.other_llms._unwanted
        monkeypatch.setattr(keeper.other_llms, "_unwanted", lambda _: False)
        stop.set()
        given_up.join(10)
        monkeypatch.setattr(keeper.other_llms, "_unwanted", unwanted)
    thread = keeper.other_llms._thread
    assert thread is not None
    thread.join(30)
    assert (load.ended, load.wanted, keeper.other_llms.loaded) == (True, 0, ())
    monkeypatch.setattr(llm_shelf, "load_generator", load_generator)
    assert write(keeper, "third")


def until_loading(keeper: Keeper) -> Any:
    deadline = time.monotonic() + 30
    while (load := keeper.other_llms._load) is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return load


def _nothing(keeper: Keeper, name: str, stop: threading.Event) -> None:
    with keeper.other_llms.use(name, stop) as generator:
        assert generator is None


def test_the_one_used_longest_ago_makes_room(keeper: Keeper) -> None:
    keeper.settings = replace(keeper.settings, llm_others=2)
    for name in ("org/other", "third", "org/other", "tiny+x", "fourth"):
        write(keeper, name)
    # adapters of what is in use do not count
    assert keeper.other_llms.loaded == ("org/other", "tiny+x", "fourth")


def model_of(keeper: Keeper, name: str) -> weakref.ref[Any]:
    with keeper.other_llms.use(name, threading.Event()) as generator:
        assert generator is not None
        model: Any = generator.llm
        return weakref.ref(model._model)


def test_one_makes_room_for_the_next_unless_it_is_in_use(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llm_shelf, "WAIT_SECONDS", 0.3)
    held = model_of(keeper, "org/other")
    with (
        keeper.other_llms.use("org/other", threading.Event()),
        pytest.raises(Busy, match="third is not loaded: what would have to make room"),
    ):
        write(keeper, "third")
    assert keeper.other_llms.loaded == ("org/other",)
    write(keeper, "third")
    assert keeper.other_llms.loaded == ("third",)
    give_back()
    assert held() is None


def test_what_does_not_fit_is_refused_before_it_is_loaded(
    keeper: Keeper, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(keeper, "org/other")
    need = model_need(replace(settings, llm_model="third")).bytes
    monkeypatch.setattr("rag.llm_groups.free_bytes", lambda _: -need)
    monkeypatch.setattr(llm_shelf, "load_generator", lambda _: pytest.fail("it was loaded"))
    told = r"third needs about .* on cpu beside the LLM in use.* use third --adapter none$"
    with pytest.raises(ModelError, match=told):
        write(keeper, "third")
    assert keeper.other_llms.loaded == ("org/other",)  # not freed in vain
    free = iter([1, need, need])
    monkeypatch.setattr("rag.llm_groups.free_bytes", lambda _: next(free))
    monkeypatch.setattr(llm_shelf, "load_generator", load_generator)
    write(keeper, "third")
    assert keeper.other_llms.loaded == ("third",)


def test_an_adapter_does_not_wait_for_its_own_base_to_make_room(
    keeper: Keeper, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper.current_llm.put(load_generator(replace(settings, llm_model="third")))
    write(keeper, "tiny")
    monkeypatch.setattr("rag.llm_groups.free_bytes", lambda _: 1)
    with pytest.raises(ModelError, match=r"tiny\+x needs about .* .* tiny --adapter x$"):
        write(keeper, "tiny+x")
    assert keeper.other_llms.loaded == ("tiny",)


def test_a_model_that_does_not_load_is_told_and_may_be_tried_again(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: Settings) -> Generator:
        raise ModelError("its files are damaged")

    monkeypatch.setattr(llm_shelf, "load_generator", fails)
    with pytest.raises(ModelError, match="its files are damaged"):
        write(keeper, "third")
    monkeypatch.setattr(llm_shelf, "load_generator", lambda _: 1 / 0)
    with pytest.raises(ModelError, match=r"third could not be loaded; see logs/server\.log"):
        write(keeper, "third")
    monkeypatch.setattr(llm_shelf, "load_generator", load_generator)
    assert write(keeper, "third")


@pytest.mark.parametrize("text", ["CUDA out of memory.", "another failure"])
def test_a_model_that_failed_is_freed_at_once(
    keeper: Keeper, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: list[weakref.ref[Any]] = []

    def short(model: Any, *_: Any) -> None:
        failed.append(weakref.ref(model))
        raise RuntimeError(text)

    monkeypatch.setattr("rag.models.engine.Writer", short)
    gc.disable()
    try:
        with pytest.raises(ModelError):
            write(keeper, "third")
        assert failed[0]() is None
    finally:
        gc.enable()


def test_what_is_retired_is_freed_when_its_last_answer_has_left(keeper: Keeper) -> None:
    shelf = keeper.other_llms
    held = model_of(keeper, "third")
    with shelf.use("third", threading.Event()) as generator:
        assert generator is not None
        shelf.retire()
        assert (shelf.loaded, shelf.busy) == ((), ("third",))
        assert not shelf.wait_until_left(0, threading.Event())
        assert written(generator)
        del generator
    assert shelf.wait_until_left(10, threading.Event())
    assert shelf.busy == ()
    give_back()
    assert held() is None


def test_who_begins_a_load_waits_no_longer_than_others(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llm_shelf, "WAIT_SECONDS", 0.3)
    with (
        keeper.current_llm.loads(lambda: False),
        pytest.raises(Busy, match="Another model is being loaded"),
    ):
        write(keeper, "third")


def test_closing_frees_all_and_gives_nothing_out(keeper: Keeper) -> None:
    held = model_of(keeper, "tiny+x")
    keeper.other_llms.close()
    give_back()
    assert held() is None
    with pytest.raises(Busy, match="is stopping"):
        write(keeper, "third")
    # the base is in use by the library itself
    assert write(keeper)


def test_closing_waits_for_what_is_being_loaded(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()

    def slow(settings: Settings) -> Generator | None:
        begun.set()
        time.sleep(0.3)
        return load_generator(settings)

    monkeypatch.setattr(llm_shelf, "load_generator", slow)
    problems: list[BaseException] = []

    def ask() -> None:
        try:
            write(keeper, "third")
        except Busy as error:
            problems.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    assert begun.wait(10)
    keeper.other_llms.close()
    asking.join(10)
    assert len(problems) == 1
    assert keeper.other_llms.loaded == ()
