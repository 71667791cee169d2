"""`cloister models finetune`, from rows to an adapter that answers and is named."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from safetensors.torch import load_file, save_file

from rag.catalog.answers import read_answer
from rag.cli import main
from rag.commands.ask import _show
from rag.errors import ModelError, UsageError
from rag.generation import load_generator
from rag.model_change import chosen
from rag.models.adapter import (
    CONFIG,
    RECORD,
    WEIGHTS,
    find_adapter,
    hash_adapter,
    list_adapters,
    read_record,
    write_record,
)
from rag.models.footprint import Machine
from rag.models.hardware import Memory
from rag.models.listing import models_here
from rag.models.removing import remove
from rag.prompting import build_prompt
from rag.records import Question
from rag.settings import Settings
from rag.testing import fake_library
from rag.tuning.encoding import _passage
from rag.tuning.examples import Source
from rag.tuning.training import Training
from tests.rag.tuning.tiny import FACTS, PASSAGES, make_model, rows, write_rows

QUICK = ("--rank", "4", "--epochs", "1", "--held-out", "4")
THOROUGH = ("--epochs", "20", "--learning-rate", "2e-2", "--batch", "4", "--held-out", "4")


def finetune(home: Path, *options: str) -> Result:
    words = ["--home", str(home), "models", "finetune", "tiny", "--data", str(home / "x.jsonl")]
    return CliRunner().invoke(main, [*words, *options])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Result]]:
    """A home with a base and its adapter, which learned four answers from one document of two."""
    monkeypatch = pytest.MonkeyPatch()
    # those of a base that learned nothing are as long as they may be
    monkeypatch.setattr("rag.tuning.scoring.MOST_NEW_TOKENS", 24)
    home = tmp_path_factory.mktemp("home")
    make_model(home / "models" / "tiny")
    make_model(home / "models" / "other", seed=1)
    write_rows(home / "x.jsonl", [row for name in "ab" for row in rows(name)])
    yield home, finetune(home, *THOROUGH, "--licence", "written for this test", "--json")
    monkeypatch.undo()


@pytest.fixture
def home(trained: tuple[Path, Result], tmp_path: Path) -> Path:
    """A copy of it, to be spoiled."""
    return Path(shutil.copytree(trained[0], tmp_path / "home"))


def settings(home: Path, **changes: Any) -> Settings:
    return Settings(home=home, llm_model="tiny", llm_device="cpu", **changes)


def answers(given: Settings) -> list[str]:
    generator = load_generator(given)
    passages = [_passage(n, Source(**p)) for n, p in enumerate(PASSAGES, 1)]
    texts = []
    for question in FACTS:
        prompt = build_prompt(generator, question, passages).text
        with generator.generate(prompt, {"max_new_tokens": 40}, threading.Event()) as stream:
            texts.append("".join(delta.text for delta in stream))
    return texts


def test_it_learns_and_says_how_well(trained: tuple[Path, Result]) -> None:
    home, result = trained
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["finished"], told["usable"], told["adapter"]) == (True, "better", "tiny-adapter")
    base, tuned = told["scores"]["base"], told["scores"]["tuned"]
    assert base["loss"] > 5 > 0.5 > tuned["loss"]
    assert (base["exact"], tuned["exact"]) == (0.0, 1.0)
    assert (tuned["cited_right"], tuned["declined_unanswerable"]) == (1.0, 1.0)
    folder = home / "models" / "tiny-adapter"
    names = {"README.md", "adapter_config.json", "adapter_model.safetensors"}
    assert {p.name for p in folder.iterdir()} == names | {"cloister-adapter.json", "training.json"}
    card = (folder / "README.md").read_text("utf-8")
    assert "written for this test" in card
    assert "cloister models finetune tiny --data x.jsonl" in card
    assert str(home) not in card + (folder / "adapter_config.json").read_text("utf-8")
    assert "was decided by the loss on this part too" in card
    gained = told["scores"]["gain"]
    assert (gained["of"], gained["questions"]) == ("quality", 4)
    assert gained["mean"] == pytest.approx(tuned["quality"] - base["quality"], abs=1e-3)
    # four differences of one sign are an eighth of all ways of signs
    assert gained["p"] == 0.125
    assert "that may be chance" in card
    assert json.loads((folder / "training.json").read_text())["looks"][0]["step"] == 0
    assert "scoring with the adapter: 4 of 4" in result.stderr
    listed = CliRunner().invoke(main, ["--home", str(home), "models", "list"]).stdout
    assert "for tiny" in listed


def test_the_llm_answers_with_it_and_names_it(trained: tuple[Path, Result]) -> None:
    home, _ = trained
    assert answers(settings(home, llm_adapter="tiny-adapter")) == list(FACTS.values())
    assert answers(settings(home)) != list(FACTS.values())
    generator = load_generator(settings(home, llm_adapter=str(home / "models" / "tiny-adapter")))
    adapter = list_adapters(home / "models", pytest.fail)[0]
    assert generator.info.adapter == f"tiny-adapter@{adapter.revision}"
    assert len(adapter.revision) == 12
    assert load_generator(settings(home)).info.adapter is None


def test_each_answer_names_it(trained: tuple[Path, Result], tmp_path: Path) -> None:
    given = {"models": trained[0] / "models", "llm_model": "tiny", "llm_adapter": "tiny-adapter"}
    library = fake_library(tmp_path, **given)
    (*_, done) = library.ask(Question("At what time does the ferry leave?"))
    recorded = read_answer(library.catalog, done.data["id"])
    library.close()
    assert done.data["model"]["adapter"].startswith("tiny-adapter@")
    assert recorded["model"] == done.data["model"]


def test_the_same_command_finds_it_done_and_another_is_refused(
    trained: tuple[Path, Result],
) -> None:
    home, first = trained
    again = finetune(home, *THOROUGH, "--json")
    assert json.loads(again.stdout)["scores"] == json.loads(first.stdout)["scores"]
    other = finetune(home, *THOROUGH, "--seed", "9")
    assert other.exit_code == 2
    assert "made with other data or options" in other.stderr
    foreign = finetune(home, "--out", str(home / "models" / "other"))
    assert foreign.exit_code == 2
    assert "is no part of an adapter" in foreign.stderr
    assert not (home / "models" / "other" / "README.md").exists()


def test_an_adapter_of_another_base_is_refused(trained: tuple[Path, Result]) -> None:
    home, _ = trained
    given = replace(settings(home, llm_adapter="tiny-adapter"), llm_model="other")
    with pytest.raises(ModelError, match=r"was made for tiny .*, not for the weights of other"):
        load_generator(given)
    with pytest.raises(ModelError, match="is no model folder"):
        load_generator(replace(given, llm_model="rag.testing:FakeLLM"))
    with pytest.raises(ModelError, match="not in the models folder"):
        load_generator(settings(home, llm_adapter="nowhere"))
    with pytest.raises(ModelError, match="is no adapter's folder"):
        load_generator(settings(home, llm_adapter="other"))


def test_one_that_comes_with_cloister_is_taken_for_its_model_only(
    trained: tuple[Path, Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, _ = trained
    shutil.copytree(home / "models" / "tiny-adapter", tmp_path / "shipped" / "cited")
    monkeypatch.setattr("rag.models.adapter.SHIPPED", tmp_path / "shipped")
    info = load_generator(settings(home)).info
    assert (info.adapter or "").startswith("cited@")
    assert load_generator(settings(home, llm_adapter="")).info.adapter is None
    assert load_generator(settings(home, llm_adapter="cited")).info.adapter == info.adapter
    other = replace(settings(home), llm_model="other")
    assert load_generator(other).info.adapter is None
    with pytest.raises(ModelError, match="was made for tiny"):
        load_generator(replace(other, llm_adapter="cited"))
    assert load_generator(replace(other, llm_model="none")) is None
    assert chosen(settings(home), "tiny", "cited").llm_adapter == "cited"
    listed = {
        one.name: one for one in models_here(settings(home), Machine(1, "memory"), pytest.fail)
    }
    # no checksums of tiny are recorded, and to list it hashes nothing
    assert (listed["cited"].in_use, listed["tiny-adapter"].in_use) == (False, False)
    with pytest.raises(UsageError, match="is part of Cloister"):
        remove(settings(home), "cited", {})


def test_what_was_changed_or_is_of_another_kind_is_refused(home: Path) -> None:
    folder = home / "models" / "tiny-adapter"
    config = folder / "adapter_config.json"
    before = config.read_text("utf-8")
    config.write_text(before.replace('"lora_alpha": 32', '"lora_alpha": 64'), "utf-8")
    with pytest.raises(ModelError, match=r"adapter_config\.json .* was changed"):
        find_adapter(home / "models", "tiny-adapter")
    config.write_text(before, "utf-8")
    weights = folder / "adapter_model.safetensors"
    weights.rename(folder / "adapter_model.bin")
    with pytest.raises(ModelError, match=r"lacks its file adapter_model\.safetensors"):
        find_adapter(home / "models", "tiny-adapter")
    (folder / "cloister-adapter.json").write_text("{}")
    with pytest.raises(ModelError, match="is damaged"):
        find_adapter(home / "models", "tiny-adapter")


def test_one_that_is_no_better_may_not_be_used_unless_it_is_forced(home: Path) -> None:
    out = home / "models" / "weak"
    options = (*QUICK, "--learning-rate", "1e-9", "--out", str(out))
    result = finetune(home, *options)
    assert result.exit_code == 0, result.output
    assert "not better than its base" in result.stdout
    assert "decided by the loss on this part too" in result.stdout
    assert "quality: " in result.stdout
    assert "so it is not used" in (out / "README.md").read_text("utf-8")
    with pytest.raises(ModelError, match="may not be used"):
        load_generator(settings(home, llm_adapter="weak"))
    forced = finetune(home, *options, "--force", "--json")
    assert json.loads(forced.stdout)["usable"] == "forced"
    assert "was forced by a person" in (out / "README.md").read_text("utf-8")
    assert load_generator(settings(home, llm_adapter="weak")).info.adapter
    record = read_record(out)
    assert record is not None
    write_record(out, replace(record, usable="perhaps"))
    with pytest.raises(ModelError, match="may not be used"):
        load_generator(settings(home, llm_adapter="weak"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_keeps_what_was_done(
    home: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    step = Training._step

    def interrupted(self: Training, *given: Any) -> bool:
        if self.done == 1:
            os.kill(os.getpid(), number)
        return step(self, *given)

    out = home / "models" / "cut"
    options = (*QUICK, "--batch", "2", "--out", str(out))
    with monkeypatch.context() as patched:
        patched.setattr(Training, "_step", interrupted)
        before = signal.getsignal(number)
        result = finetune(home, *options, "--json")
        assert signal.getsignal(number) is before
    assert result.exit_code == 130
    assert (json.loads(result.stdout)["finished"], json.loads(result.stdout)["step"]) == (False, 1)
    assert "Give the same command to go on" in result.stderr
    assert result.stderr.count("Stopping; what was done is kept") == 1
    with pytest.raises(ModelError, match="is no adapter's folder"):
        find_adapter(home / "models", "cut")
    if number == signal.SIGINT:
        return  # as with the other
    again = finetune(home, *options, "--json")
    assert "going on after step 1 of 2" in again.stderr
    assert json.loads(again.stdout)["finished"]
    assert not (out / "checkpoint.pt").exists()


def test_minutes_end_a_training_that_goes_on_later(home: Path) -> None:
    options = (*QUICK, "--out", str(home / "models" / "short"))
    result = finetune(home, *options, "--minutes", "0.00001")
    assert result.exit_code == 0
    assert "Stopped after step 0 of 1" in result.stderr
    assert (home / "models" / "short" / "checkpoint.pt").is_file()


def test_what_a_kill_left_undone_is_done_by_the_next_run(home: Path) -> None:
    folder = home / "models" / "tiny-adapter"
    card = (folder / "README.md").read_text("utf-8")
    (folder / "README.md").write_text("half a card")
    (folder / "checkpoint.pt").write_bytes(b"left")
    (folder / "training.json.part").write_bytes(b"left")
    assert finetune(home, *THOROUGH).exit_code == 0
    assert (folder / "README.md").read_text("utf-8") == card
    assert not (folder / "checkpoint.pt").exists()
    (folder / "training.json").write_text("{")
    result = finetune(home, *THOROUGH)
    assert result.exit_code == 1
    assert "training.json of the adapter tiny-adapter is missing or damaged" in result.stderr
    assert "delete the adapter's folder and make it again" in result.stderr


def test_a_full_disk_is_told_and_mended_by_the_same_command(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = home / "models" / "full"
    out.mkdir()
    (out / "training.json.part").symlink_to("/dev/full")
    result = finetune(home, *QUICK, "--out", str(out))
    assert result.exit_code == 1
    assert "training.json cannot be written: No space left on device" in result.stderr
    assert read_record(out) is None
    assert not list(out.glob("*.part"))
    assert finetune(home, *QUICK, "--out", str(out)).exit_code == 0
    assert read_record(out)


@pytest.mark.parametrize(
    "options",
    [
        ("--seed", "-1"),
        ("--seed", str(2**63)),
        ("--learning-rate", "nan"),
        ("--learning-rate", "1.5"),
        ("--minutes", "nan"),
        ("--minutes", "inf"),
        ("--max-tokens", "5"),
    ],
)
def test_a_refused_run_leaves_no_folder(home: Path, options: tuple[str, ...]) -> None:
    result = finetune(home, *QUICK, "--out", str(home / "models" / "no"), *options)
    assert result.exit_code == 2
    assert options[0] in result.stderr
    assert not (home / "models" / "no").exists()


def test_an_error_within_is_not_taken_for_another_process(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blocked(*given: Any) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    out = home / "models" / "held"
    with monkeypatch.context() as patched:
        patched.setattr("rag.tuning.finetune.split", blocked)
        assert "Another process" not in finetune(home, *QUICK, "--out", str(out)).stderr
    out.mkdir()
    descriptor = os.open(out, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    result = finetune(home, *QUICK, "--out", str(out))
    os.close(descriptor)
    assert result.exit_code == 75
    assert "Another process is making the adapter" in result.stderr


@pytest.mark.parametrize(
    "damage", [{"files": 5}, {"scores": []}, {"base": None}, {"files": {CONFIG: 5, WEIGHTS: "b"}}]
)
def test_a_damaged_adapter_is_named_and_the_others_are_listed(
    home: Path, damage: dict[str, Any]
) -> None:
    spoiled = Path(shutil.copytree(home / "models" / "tiny-adapter", home / "models" / "spoiled"))
    record = json.loads((spoiled / RECORD).read_text("utf-8"))
    (spoiled / RECORD).write_text(json.dumps(record | damage))
    result = CliRunner().invoke(main, ["--home", str(home), "models", "list", "--json"])
    assert result.exit_code == 0
    assert "The cloister-adapter.json of the adapter spoiled is damaged" in result.stderr
    names = [row["name"] for row in json.loads(result.stdout)["models"]]
    assert sorted(names) == ["other", "tiny", "tiny-adapter"]


def test_weights_that_are_missing_are_no_random_numbers(home: Path) -> None:
    folder = home / "models" / "tiny-adapter"
    tensors = load_file(folder / WEIGHTS)
    gone = min(tensors)
    save_file({k: v for k, v in tensors.items() if k != gone}, folder / WEIGHTS)
    record = read_record(folder)
    assert record is not None
    write_record(folder, replace(record, files=hash_adapter(folder)))
    with pytest.raises(ModelError, match=r"adapter_model\.safetensors lacks .*lora_A"):
        load_generator(settings(home, llm_adapter="tiny-adapter"))


def test_the_terminal_names_the_adapter_as_the_pages_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer: dict[str, Any] = dict.fromkeys(("sentences", "citations"), ())
    answer |= {"abstained": False, "timings_ms": {"total": 1000.0}, "confidence": 0.5}
    _show(answer | {"model": {"id": "tiny", "adapter": "mine@123"}})
    _show(answer | {"model": {"id": "tiny", "adapter": None}})
    first, second = capsys.readouterr().out.splitlines()
    assert "tiny, adapter mine@123, 1.0 s" in first
    assert "tiny, 1.0 s" in second


def test_a_base_that_does_not_fit_is_refused_before_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_model(tmp_path / "models" / "tiny")
    write_rows(tmp_path / "x.jsonl", [row for name in "ab" for row in rows(name)])
    monkeypatch.setattr("rag.tuning.fitting.memory_for", lambda _: Memory("cpu", "RAM", 1_000_000))
    monkeypatch.setattr("rag.tuning.network.Network", lambda *_: pytest.fail("it was loaded"))
    result = finetune(tmp_path, *QUICK)
    assert result.exit_code != 0
    assert "The model tiny needs" in result.stderr
    assert "of RAM to be trained, in float32, and 1 MB are free" in result.stderr
