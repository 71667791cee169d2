"""The LLM changed while answers are under way, and back where the new one fails."""

from __future__ import annotations

import gc
import shutil
import threading
import time
import tomllib
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from rag import model_change
from rag.current_llm import Seat
from rag.errors import Busy, ModelError, NotFound, UsageError
from rag.generation import Generator
from rag.library import Library
from rag.model_change import chosen, use_here
from rag.models.room import needed_bytes
from rag.models.smoke import smoke_test
from rag.records import ModelInfo, Question
from rag.settings import Settings
from rag.testing import FakeLLM, fake_library, fake_settings
from tests.ingest.reading import add_text, read_all
from tests.rag.tuning.tiny import make_model

pytestmark = pytest.mark.usefixtures("one_thread")

LEAVE = "Up to five unused days of leave may be carried over until 31 March."
ASKED = Question(
    "How many unused days of leave may be carried over?", parameters={"max_new_tokens": 8}
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("models")
    make_model(base / "tiny")
    make_model(base / "org--other", seed=1)
    return base


@pytest.fixture
def library(tmp_path: Path, made: Path) -> Iterator[Library]:
    FakeLLM.replies, FakeLLM.pause = [], 0.0
    shutil.copytree(made, tmp_path / "models")
    library = fake_library(tmp_path)
    add_text(library, "handbook.txt", f"Welcome to us all.\n\n{LEAVE}\n\nTea is in the kitchen.")
    read_all(library)
    yield library
    library.close()


def ask(library: Library) -> dict[str, Any]:
    answer: dict[str, Any] = dict(list(library.ask(ASKED))[-1].data)
    return answer


def change(library: Library, model: str, adapter: str = "auto") -> Any:
    library.use_model(model, adapter)
    assert library.model_change.wait(60)
    return library.model_change.state.last


def setting(library: Library) -> Any:
    path = library.settings.home / "cloister.toml"
    return tomllib.loads(path.read_text())["llm"]["model"] if path.exists() else None


def test_new_answers_are_by_the_new_model_and_it_lasts(library: Library) -> None:
    (library.settings.home / "cloister.toml").write_text("# ours\n[llm]\nqueue = 3 # few\n")
    assert ask(library)["model"]["id"] == "rag.testing:FakeLLM"
    last = change(library, "tiny")
    assert (last.ok, last.problem, last.notes) == (True, None, ())
    answer = ask(library)
    model = answer["model"]
    assert (model["id"], model["adapter"], model["device"]) == ("tiny", None, "cpu")
    assert model["precision"] in ("float32", "bfloat16")
    assert len(model["revision"]) == 12
    assert answer["prompt_version"]
    assert answer["made_with"]["prompt_sha256"]
    assert library.model_change.state.active == ModelInfo(**model)
    assert library.settings.llm_model == "tiny"
    text = (library.settings.home / "cloister.toml").read_text()
    assert text == '# ours\n[llm]\nmodel = "tiny"\nqueue = 3 # few\n'
    assert library.ready


def test_running_answers_finish_with_the_old_model_whose_memory_is_freed(
    library: Library,
) -> None:
    assert change(library, "tiny").ok
    seat = library.current_llm.seat
    assert seat is not None
    assert seat.generator is not None
    held = weakref.ref(seat.generator._llm._model)
    del seat
    with library.current_llm.use(threading.Event()) as old:
        assert old is not None
        library.use_model("org/other")
        deadline = time.monotonic() + 60
        while library.current_llm.info.id != "org/other":
            assert time.monotonic() < deadline
            time.sleep(0.01)
        # the old one goes on for who has it, and new answers are by the new one
        assert old.info.id == "tiny"
        assert smoke_test(old)
        assert ask(library)["model"]["id"] == "org/other"
        changing = library.model_change.state.changing
        assert changing is not None
        assert changing.stage == "switching"
        assert library.model_change.state.busy == ("tiny",)
        # questions may have other models loaded meanwhile
        with library.current_llm.loads(lambda: time.monotonic() > deadline):
            pass
        with pytest.raises(Busy, match="being changed to org/other"):
            library.use_model("tiny")
        del old
    assert library.model_change.wait(60)
    assert library.model_change.state.busy == ()
    gc.collect()
    assert held() is None


@pytest.mark.parametrize("beside", [True, False])
def test_a_model_that_does_not_load_leaves_the_one_before(
    beside: bool, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not beside:
        no_room_for_both(monkeypatch)
    assert change(library, "tiny").ok
    bad = library.settings.models_path / "org--other" / "tokenizer.json"
    bad.write_text("{}")
    last = change(library, "org/other")
    assert not last.ok
    assert "cannot be loaded" in last.problem
    assert ask(library)["model"]["id"] == "tiny"
    assert (setting(library), library.settings.llm_model, library.ready) == ("tiny", "tiny", True)


def test_a_model_that_failed_is_freed_before_the_one_before_comes_back(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert change(library, "tiny").ok
    no_room_for_both(monkeypatch)
    failed: list[weakref.ref[Any]] = []

    def short(model: Any, *_: Any) -> None:
        failed.append(weakref.ref(model))
        raise RuntimeError("CUDA out of memory.")

    real = model_change.load_generator
    alive: list[bool] = []

    def load(settings: Settings) -> Generator | None:
        if settings.llm_model == "tiny":
            alive.append(failed[0]() is not None)
            monkeypatch.undo()
        return real(settings)

    monkeypatch.setattr("rag.models.engine.Writer", short)
    monkeypatch.setattr(model_change, "load_generator", load)
    last = change(library, "org/other")
    assert "There is memory for the weights of the LLM org--other, but not" in last.problem
    assert alive == [False]
    assert ask(library)["model"]["id"] == "tiny"


@pytest.mark.parametrize("beside", [True, False])
def test_a_model_that_writes_nothing_is_not_used(
    beside: bool, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert change(library, "tiny").ok
    if not beside:
        no_room_for_both(monkeypatch)
    make_silent(library.settings.models_path / "org--other")
    last = change(library, "org/other")
    assert "wrote no text" in last.problem
    assert ask(library)["model"]["id"] == "tiny"
    assert setting(library) == "tiny"


def no_room_for_both(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory for one of the tiny models, where none is loaded."""
    real = model_change.ModelChange._fits_beside
    monkeypatch.setattr(
        model_change.ModelChange, "_fits_beside", lambda self, new: real(self, new) and False
    )


def make_silent(folder: Path) -> None:
    """Have a model end its answer at once."""
    from transformers import LlamaForCausalLM

    model = LlamaForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()  # every token as likely: the first one is special
    model.save_pretrained(folder)


def test_where_memory_is_short_answers_wait_for_the_new_model(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert change(library, "tiny").ok
    needed = needed_bytes(library.settings.models_path / "tiny", library.settings, "cpu")
    monkeypatch.setattr(model_change, "free_bytes", lambda _: needed // 2)
    loading, go_on = threading.Event(), threading.Event()
    real = model_change.load_generator

    def slow(settings: Settings) -> Generator | None:
        assert library.current_llm.seat is None
        loading.set()
        assert go_on.wait(30)
        return real(settings)

    monkeypatch.setattr(model_change, "load_generator", slow)
    library.use_model("org/other")
    assert loading.wait(30)
    assert library.readiness()["llm"] == "loading"
    assert library.model_change.state.active is None
    events = library.ask(ASKED)
    assert [next(events).name, next(events).name] == ["sources", "evidence"]
    answers: list[Any] = []
    waiting = threading.Thread(target=lambda: answers.extend(events))
    waiting.start()
    time.sleep(0.2)
    assert answers == []
    go_on.set()
    waiting.join(60)
    assert answers[-1].data["model"]["id"] == "org/other"
    assert library.model_change.wait(60)
    assert library.ready


def test_what_never_fits_is_refused_before_anything_is_unloaded(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert change(library, "tiny").ok
    monkeypatch.setattr(model_change, "_needed", lambda s: (10**12, "cpu"))
    monkeypatch.setattr(model_change, "free_bytes", lambda _: -(10**12))
    last = change(library, "org/other")
    assert "needs about 1000.0 GB on cpu" in last.problem
    assert ask(library)["model"]["id"] == "tiny"


def test_answers_that_do_not_end_keep_the_model(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert change(library, "tiny").ok
    no_room_for_both(monkeypatch)
    monkeypatch.setattr(model_change, "DRAIN_SECONDS", 0.1)
    with library.current_llm.use(threading.Event()):
        last = change(library, "org/other")
    assert "did not end" in last.problem
    assert ask(library)["model"]["id"] == "tiny"
    assert library.ready


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ModelError("It is broken."), "It is broken."),
        (RuntimeError("CUDA out of memory"), "it failed; see logs/server.log"),
    ],
)
def test_where_the_old_one_does_not_come_back_either_it_is_said_and_can_be_mended(
    error: Exception, told: str, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert change(library, "tiny").ok
    no_room_for_both(monkeypatch)

    def broken(_: Settings) -> None:
        raise error

    real = model_change.load_generator
    monkeypatch.setattr(model_change, "load_generator", broken)
    last = change(library, "org/other")
    assert "Neither the new LLM could be used nor tiny be loaded again" in last.problem
    assert library.readiness()["llm"] == told
    monkeypatch.setattr(model_change, "load_generator", real)
    assert change(library, "org/other").ok
    assert ask(library)["model"]["id"] == "org/other"
    assert library.ready


def test_an_llm_that_cannot_be_put_away_is_loaded_again(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert change(library, "tiny").ok
    no_room_for_both(monkeypatch)
    real = model_change._empty

    def fail(seat: Seat) -> None:
        real(seat)
        raise RuntimeError("CUDA error")

    monkeypatch.setattr(model_change, "_empty", fail)
    assert not change(library, "org/other").ok
    assert ask(library)["model"]["id"] == "tiny"
    assert library.ready


def test_closing_waits_for_a_change_which_loads_nothing_more(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert change(library, "tiny").ok
    no_room_for_both(monkeypatch)
    loading, loaded = threading.Event(), []
    real = model_change.load_generator

    def slow(settings: Settings) -> Generator | None:
        loaded.append(settings.llm_model)
        loading.set()
        assert library.model_change._stopping.wait(30)
        return real(settings)

    monkeypatch.setattr(model_change, "load_generator", slow)
    library.use_model("org/other")
    assert loading.wait(30)
    thread = library.model_change._thread
    assert thread is not None
    assert not thread.daemon
    library.close()
    assert not thread.is_alive()
    assert loaded == ["org/other"]
    with pytest.raises(Busy, match="stopping"):
        library.model_change.begin("tiny")


def test_a_library_whose_llm_did_not_load_gets_one(tmp_path: Path, made: Path) -> None:
    shutil.copytree(made, tmp_path / "models")
    library = Library(fake_settings(tmp_path, llm_model="absent"))
    with pytest.raises(ModelError):
        library.load()
    assert not library.ready
    assert change(library, "tiny").ok
    assert library.ready
    assert list(library.ask(ASKED))[-1].name == "done"
    library.close()


def test_none_is_quotes(library: Library) -> None:
    assert change(library, "none").ok
    assert ask(library)["model"]["id"] == "none"
    assert change(library, "tiny").ok


@pytest.mark.parametrize(
    ("model", "adapter", "error"),
    [
        ("absent", "", NotFound),
        ("../tiny", "", NotFound),
        ("/etc", "", NotFound),
        ("rag.testing:FakeLLM", "", NotFound),
        ("tiny", "../x", NotFound),
        ("tiny", "absent", NotFound),
        ("none", "x", UsageError),
        ("", "", NotFound),
        (".", "", NotFound),
    ],
)
def test_only_what_is_in_the_models_folder_can_be_used_by_name(
    model: str, adapter: str, error: type[Exception], library: Library
) -> None:
    with pytest.raises(error):
        library.use_model(model, adapter)
    assert library.model_change.state.changing is None


def test_a_name_without_its_organisation_is_written_whole(library: Library) -> None:
    last = change(library, "other")
    assert (last.model, last.problem) == ("other", None)
    assert setting(library) == library.settings.llm_model == "org/other"
    with pytest.raises(ModelError, match="not 0123"):
        chosen(library.settings, "other@0123", "")
    (library.settings.models_path / "tiny").rename(library.settings.models_path / "more--other")
    with pytest.raises(NotFound):
        chosen(library.settings, "other", "")
    with pytest.raises(NotFound, match="named apart: cloister models use tiny --adapter x"):
        chosen(library.settings, "tiny+x", "auto")


def test_an_embedder_is_no_llm(library: Library, models_path: Path) -> None:
    (library.settings.models_path / "all-MiniLM-L6-v2").symlink_to(models_path / "all-MiniLM-L6-v2")
    with pytest.raises(UsageError, match="is an embedder"):
        library.use_model("all-MiniLM-L6-v2")


def test_a_setting_that_cannot_be_changed_is_told_before(library: Library) -> None:
    (library.settings.home / "cloister.toml").write_text('llm = { model = "x" }\n')
    with pytest.raises(UsageError, match="by hand"):
        library.use_model("tiny")


def test_a_setting_that_will_not_last_is_told(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOISTER_LLM_MODEL", "another")
    last = change(library, "tiny")
    assert last.ok
    assert "CLOISTER_LLM_MODEL is set and stands above" in last.notes[0]


def test_without_a_server_it_is_checked_and_written(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages: list[str] = []
    info, notes = use_here(library.settings, "tiny", "", stages.append)
    assert info is not None
    assert (info.id, notes, stages) == ("tiny", (), ["loading", "testing"])
    assert setting(library) == "tiny"
    make_silent(library.settings.models_path / "org--other")
    with pytest.raises(ModelError, match="wrote no text"):
        use_here(library.settings, "org/other", "", stages.append)
    monkeypatch.setattr(model_change, "free_bytes", lambda _: 0)
    with pytest.raises(ModelError, match="GB are free"):
        use_here(library.settings, "tiny", "", stages.append)
    assert setting(library) == "tiny"


def test_a_model_that_is_too_slow_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeLLM, "pause", 0.05)
    monkeypatch.setattr(FakeLLM, "replies", ["word " * 20])
    slow = Generator(FakeLLM(), ModelInfo("slow", "", "cpu"), len, Settings())
    with pytest.raises(ModelError, match="slow did not finish a short answer within 0 seconds"):
        smoke_test(slow, seconds=0.1)
    monkeypatch.setattr(FakeLLM, "replies", ["…"])
    with pytest.raises(ModelError, match="wrote no text"):
        smoke_test(slow)


def test_the_memory_of_another_precision_is_that_of_its_numbers(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "m")
    half, full = (
        needed_bytes(folder, fake_settings(tmp_path, llm_precision=precision), "cpu")
        for precision in ("bfloat16", "float32")
    )
    assert 0 < half < full
    assert needed_bytes(folder, fake_settings(tmp_path, llm_check_fit=False), "cpu") == 0
    (folder / "config.json").write_text("{")
    with pytest.raises(ModelError, match=r"config\.json"):
        needed_bytes(folder, fake_settings(tmp_path), "cpu")


def test_the_model_of_a_server_is_not_changed_here(tmp_path: Path) -> None:
    make_model(tmp_path / "models" / "tiny")
    settings = fake_settings(tmp_path, llm_url="http://127.0.0.1:1")
    with pytest.raises(UsageError, match=r"server at llm\.url"):
        chosen(settings, "tiny", "")
    # `use` could not take it back
    with pytest.raises(UsageError, match=r"Set llm\.model to none in cloister\.toml"):
        chosen(settings, "none", "")


def test_to_answer_without_an_adapter_is_written_and_to_leave_it_open_is_not(
    library: Library,
) -> None:
    path = library.settings.home / "cloister.toml"
    assert change(library, "tiny", "none").ok
    assert tomllib.loads(path.read_text())["llm"] == {"model": "tiny", "adapter": "none"}
    assert change(library, "tiny", "").ok
    assert library.settings.llm_adapter == "none"
    assert change(library, "tiny").ok
    assert tomllib.loads(path.read_text())["llm"] == {"model": "tiny"}
