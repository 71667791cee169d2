"""Models here beside those of the catalogue, chosen, and the sheet of one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rag.errors import ModelError, NotFound
from rag.model_pick import named_by
from rag.models import listing, quantized, sheet
from rag.models.adapter import CONFIG, RECORD, WEIGHTS, read_record, write_record
from rag.models.folder import MANIFEST, Manifest, fingerprint, write_manifest
from rag.models.footprint import RAM, Machine
from rag.models.listing import Choice, Listing, choose
from rag.settings import Settings

QWEN = "Qwen/Qwen3-8B"
MACHINE = Machine(20_000_000_000, RAM)

Chosen = Callable[..., Listing]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A folder with a fetched model, a starter, one that nobody knows, and an adapter."""
    monkeypatch.setattr(quantized, "find_spec", lambda _: object())
    for module in (listing, sheet):
        monkeypatch.setattr(module, "this_machine", lambda device: MACHINE)
    for name in ("Qwen--Qwen3-8B", "all-MiniLM-L6-v2", "own"):
        (tmp_path / "models" / name).mkdir(parents=True)
        (tmp_path / "models" / name / "config.json").write_text("{}")
    (tmp_path / "models/all-MiniLM-L6-v2/modules.json").write_text("[]")
    tune = tmp_path / "models" / "tune"
    tune.mkdir()
    record = {
        "base": QWEN,
        "base_revision": "r",
        "base_weights": "w",
        "usable": "better",
        "prompt_version": "1",
        "files": {CONFIG: "0", WEIGHTS: "1"},
    }
    (tune / RECORD).write_text(json.dumps(record))
    (tune / WEIGHTS).write_text("weights")
    return Settings(home=tmp_path, llm_model=f"{QWEN}@main")


@pytest.fixture
def chosen(settings: Settings) -> Chosen:
    def listed(**choice: object) -> Listing:
        def fail(error: ModelError) -> None:
            raise error

        return choose(settings, Choice(**choice), fail)  # type: ignore[arg-type]

    return listed


def test_what_is_here_is_marked_in_the_catalogue(chosen: Chosen) -> None:
    found = chosen()
    here = {one.name: one for one in found.models}
    assert list(here) == [QWEN, "all-MiniLM-L6-v2", "own", "tune"]
    assert here[QWEN].in_use
    assert here[QWEN].catalogue == here["tune"].catalogue == QWEN
    assert here["own"].catalogue is here["own"].fits is None
    assert here["tune"].task == "adapter"
    marked = {entry.id: entry.in_use for entry in found.catalogue if entry.here}
    assert marked == {QWEN: True, "sentence-transformers/all-MiniLM-L6-v2": True}
    assert found.machine == MACHINE


def test_the_adapter_that_comes_with_cloister_is_told_by_recorded_weights(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    base, shipped = settings.models_path / "Qwen--Qwen3-8B", tmp_path / "shipped"
    shutil.move(settings.models_path / "tune", shipped / "tune")
    monkeypatch.setattr("rag.models.adapter.SHIPPED", shipped)
    monkeypatch.setattr("rag.models.adapter.hash_files", lambda _: pytest.fail("it was hashed"))
    own = replace(settings, llm_model=QWEN, llm_adapter="auto")

    def told() -> tuple[list[str], str | None]:
        used = [one.name for one in choose(own, Choice(), pytest.fail).models if one.in_use]
        return used, named_by(own).adapter

    without = [QWEN, "all-MiniLM-L6-v2"], None
    assert told() == without  # nothing is recorded
    for weights, expected in (("w", without), ("v", ([*without[0], "tune"], "tune"))):
        files = {"model.safetensors": weights}
        write_manifest(base, Manifest(QWEN, "llm", "r", "apache-2.0", "", 0, files))
        record = read_record(shipped / "tune")
        assert record is not None
        recorded = fingerprint({"model.safetensors": "v"})
        write_record(shipped / "tune", replace(record, base_weights=recorded))
        assert told() == expected


def test_the_name_of_a_servers_model_marks_none_here(settings: Settings) -> None:
    served = replace(settings, llm_url="http://127.0.0.1:1")
    used = [one.name for one in choose(served, Choice(), pytest.fail).models if one.in_use]
    assert used == ["all-MiniLM-L6-v2"]


def test_all_of_them_are_listed_those_that_write_first(chosen: Chosen) -> None:
    tasks = [entry.task for entry in chosen().catalogue]
    assert len(tasks) > 90
    assert tasks == sorted(tasks, reverse=True)


def test_commercial_leaves_out_what_may_not_be_sold(chosen: Chosen) -> None:
    found = chosen(commercial=True)
    assert {entry.commercial for entry in found.catalogue} == {"yes", "conditions"}
    assert "huggyllama/llama-7b" not in {entry.id for entry in found.catalogue}
    assert [one.name for one in found.models] == [QWEN, "all-MiniLM-L6-v2", "tune"]


def test_what_fits_is_by_the_best_precision(chosen: Chosen) -> None:
    fits = {entry.id: entry.fits for entry in chosen(fits=True).catalogue}
    assert fits[QWEN] == ("bfloat16", "int4")
    assert fits["Qwen/Qwen3-14B"] == ("int4",)
    assert "Qwen/Qwen2.5-72B-Instruct" not in fits


def test_a_language_a_family_and_a_task(chosen: Chosen) -> None:
    polish = {entry.id for entry in chosen(language="pl").catalogue}
    assert {QWEN, "intfloat/multilingual-e5-small"} <= polish
    assert "bigscience/bloomz-560m" not in polish
    assert {entry.family for entry in chosen(family="qwen").catalogue} == {
        "Qwen2.5",
        "Qwen3",
        "Qwen3 Embedding",
    }
    assert {entry.task for entry in chosen(task="embedder").catalogue} == {"embedder"}
    assert [one.name for one in chosen(task="adapter").models] == ["tune"]
    assert chosen(family="no such family") == Listing((), (), MACHINE)


def test_all_that_is_asked_for_must_hold(chosen: Chosen) -> None:
    found = chosen(commercial=True, fits=True, language="pl", family="Qwen3", task="llm", here=True)
    assert [entry.id for entry in found.catalogue] == [QWEN]
    assert [one.name for one in found.models] == [QWEN]


def test_damaged_records_are_told_and_left_out(settings: Settings) -> None:
    (settings.models_path / "own" / MANIFEST).write_text("{")
    told: list[str] = []
    found = choose(settings, Choice(), lambda error: told.append(str(error)))
    assert "own" not in [one.name for one in found.models]
    assert len(told) == 1
    assert "damaged" in told[0]


class TestSheet:
    @pytest.mark.parametrize("name", [QWEN, "qwen3-8b", f"{QWEN}@main"])
    def test_it_is_found(self, settings: Settings, name: str) -> None:
        found = sheet.sheet(settings, name)
        assert (found.model.id, found.weights.key, found.in_use) == (QWEN, "Apache-2.0", True)
        assert [one.name for one in found.here] == [QWEN, "tune"]
        assert [need.fits for need in found.needs] == [False, True, False, True]

    def test_data_has_its_own_licences(self, settings: Settings) -> None:
        found = sheet.sheet_json(sheet.sheet(settings, "dolly-v2-3b"))
        assert found["licences"]["weights"]["key"] == "MIT"
        assert [one["key"] for one in found["licences"]["data"]] == ["CC-BY-SA-3.0"]
        assert found["note"] == "This is not legal advice."
        assert found["openness"]["training_data"] == "open"
        assert json.loads(json.dumps(found)) == found

    def test_an_unknown_one_names_the_nearest(self, settings: Settings) -> None:
        with pytest.raises(NotFound, match="Did you mean Qwen/Qwen3-8B"):
            sheet.sheet(settings, "Qwen/Qwen3-8")
        with pytest.raises(NotFound) as raised:
            sheet.sheet(settings, "zzzzzzzzz")
        assert "Did you mean" not in str(raised.value)

    def test_one_that_only_is_here_is_said_to_be(self, settings: Settings) -> None:
        with pytest.raises(NotFound, match="own is here"):
            sheet.sheet(settings, "own")
