"""Memory: what a model takes, and what this machine has."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rag.memory import total_memory
from rag.models import footprint, quantized
from rag.models.catalogue import catalogue, entry_of
from rag.models.catalogue.records import LLM
from rag.models.catalogue.shapes import shapes
from rag.models.fit import needed
from rag.models.footprint import GPU, RAM, Machine, count_words, needed_bytes, needs, this_machine
from rag.models.shape import shape_of


@pytest.fixture(autouse=True)
def _asked_anew() -> None:
    footprint._gpus.cache_clear()


def test_weights_at_each_precision() -> None:
    model = entry_of("Qwen/Qwen3-8B")
    assert model is not None
    assert needed_bytes(model, "bfloat16") == pytest.approx(2 * model.parameters)


@pytest.mark.parametrize("there", [None, object()])
def test_what_fits_can_be_loaded_and_leaves_a_margin(
    there: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantized, "find_spec", lambda _: there)
    model = entry_of("Qwen/Qwen3-8B")
    assert model is not None

    def fits(size: float, kind: str) -> list[str]:
        found = needs(model, Machine(int(size), kind))
        return [need.precision for need in found if need.fits]

    packed = ["int8", "int4"] if there else []
    half = needed_bytes(model, "bfloat16")
    whole = needed_bytes(model, "float32")
    assert fits(half, GPU) == packed
    assert fits(1.2 * half + 300_000_001, GPU) == ["bfloat16", *packed]
    # on a processor 8 bits are packed after all was loaded
    assert fits(1.2 * half + 300_000_001, RAM) == ["bfloat16", *packed[1:]]
    assert fits(whole + 300_000_001, RAM) == ["bfloat16", *packed[1:]]
    assert fits(1.2 * whole + 300_000_001, RAM)[:2] == ["float32", "bfloat16"]
    assert fits(1.5 * whole, RAM) == ["float32", "bfloat16", "int8", *packed[1:]]


@pytest.mark.parametrize("kind", [GPU, RAM])
def test_the_weights_are_those_that_the_exact_figure_has(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # all entries with a configuration, as `models fit` tells of them
    monkeypatch.setattr("rag.models.device.pick_precision", lambda *_: torch.float32)
    monkeypatch.setattr("rag.models.fit.shape_of", lambda config: shapes()[config["id"]])
    place = "cpu" if kind == RAM else "cuda"
    models = [model for model in catalogue() if model.task == LLM and model.config]
    assert set(shapes()) == {model.id for model in models}
    for model in models:
        for need in needs(model, Machine(0, kind)):
            exact = needed({"id": model.id}, need.precision, 1664, 8, place)
            assert need.bytes == exact.weights


@pytest.mark.parametrize("name", ["openai/gpt-oss-20b", "mistralai/Mixtral-8x7B-Instruct-v0.1"])
def test_the_experts_of_a_mixture_are_not_packed(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantized, "find_spec", lambda _: object())
    model = entry_of(name)
    assert model is not None
    assert shapes()[name] == shape_of(model.config)
    int4 = needs(model, Machine(48 * 10**9, GPU))[-1]
    assert int4.precision == "int4"
    assert int4.bytes > 1.8 * model.parameters
    assert not int4.fits


@pytest.mark.slow
def test_the_kept_sizes_are_those_of_the_configurations() -> None:
    for name, shape in shapes().items():
        model = entry_of(name)
        assert model is not None
        assert shape == shape_of(model.config), name


def test_the_quick_figure_is_near_the_exact_one() -> None:
    for name in ("HuggingFaceTB/SmolLM2-1.7B-Instruct", "Qwen/Qwen3-8B"):
        model = entry_of(name)
        assert model is not None
        exact = needed(model.config, "bfloat16", 1664, 1, "cuda").peak
        assert 0.9 < footprint._peak(model, "bfloat16", Machine(0, GPU)) / exact < 1.3


def test_counts_as_people_say_them() -> None:
    counts = (22_713_216, 999_600_000, 8_190_735_360, 178_557_000_000)
    assert [count_words(one) for one in counts] == ["23 M", "1.0 B", "8.2 B", "179 B"]


def nvidia(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver's program that says so."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")


def test_the_first_gpu_or_the_one_that_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvidia(tmp_path, 'case "$1" in *memory.total*) printf "81559\\n24576\\n";; esac', monkeypatch)
    assert this_machine("auto") == Machine(81559 * 2**20, GPU)
    assert this_machine("cuda") == Machine(81559 * 2**20, GPU)
    assert this_machine("cuda:1") == Machine(24576 * 2**20, GPU)
    assert this_machine("cpu") == Machine(total_memory(), RAM)
    assert this_machine("cuda:7").kind == RAM


@pytest.mark.parametrize("script", ["echo no driver >&2; exit 9", "echo '[N/A]'"])
def test_a_driver_that_does_not_answer_is_no_gpu(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvidia(tmp_path, script, monkeypatch)
    assert this_machine("auto") == Machine(total_memory(), RAM)


def test_total_memory_is_the_least_that_is_allowed(tmp_path: Path) -> None:
    proc, groups = tmp_path / "proc", tmp_path / "groups"
    (proc / "self").mkdir(parents=True)
    (groups / "a/b").mkdir(parents=True)
    assert total_memory(proc, groups) == 4 * 2**30
    (proc / "meminfo").write_text("MemTotal: 2000 kB\nMemAvailable: 10 kB\n")
    (proc / "self/cgroup").write_text("0::/a/b\n")
    assert total_memory(proc, groups) == 2000 * 1024
    (groups / "a/b/memory.max").write_text("max\n")
    (groups / "a/memory.max").write_text("1500000\n")
    assert total_memory(proc, groups) == 1_500_000
