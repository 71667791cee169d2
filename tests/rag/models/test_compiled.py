"""Compiled layers are the same as a model's own, or are not used."""

from __future__ import annotations

import gc
import random
import shutil
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters
from torch._inductor import async_compile

from rag.models.batch import quickened as quickening
from rag.models.batch.compiled import compiled_layers, end_workers
from rag.models.batch.grouped import grouped
from rag.models.batch.products import joined_products
from rag.models.batch.quickened import quickened
from rag.models.batch.recorder import Choice, probe
from rag.models.batch.steps import Steps
from rag.models.batch.trial import find_attention
from rag.models.batch.ways import Way, in_force
from tests.rag.models.tiny_models import CONFIGS, SIZES, VOCABULARY, make_tiny

_LENGTHS = [40, 7, 63]
Call = Callable[..., Any]


def ready(name: str) -> Steps:
    model = make_tiny(name)
    attention = find_attention(model)
    assert attention
    steps = Steps(model, attention)
    steps.shelf.reserve(3, 300)
    for row, length in enumerate(_LENGTHS):
        steps.read(row, random.Random(row).choices(range(VOCABULARY), k=length), 0)
    return steps


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers are traced, and what was traced is run as it is: no C compiler is needed."""
    own = torch.compile
    monkeypatch.setattr(torch, "compile", lambda run, **given: own(run, backend="eager", **given))


def layers_of(steps: Steps) -> Way | None:
    return compiled_layers(steps.model, steps.shelf, lambda: steps.write([1], [_LENGTHS[0]]))


# torch traces BLOOM's own function by an object that it deprecates itself
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("name", CONFIGS)
@torch.inference_mode()
def test_traced_layers_write_the_same(name: str) -> None:
    steps = ready(name)
    given = [1, 2, 3], _LENGTHS
    right, alone = steps.write(*given), steps.write([1], [200])
    own = {module: vars(module).get("layer_idx") for module in steps.model.modules()}
    way = layers_of(steps)
    assert way
    with in_force([way]):
        found = steps.write(*given)
        torch.testing.assert_close(steps.write([1], [200]), alone, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found, right, rtol=1e-4, atol=1e-4)
    assert not any("forward" in vars(module) for module in steps.model.modules())
    assert own == {module: vars(module).get("layer_idx") for module in steps.model.modules()}


@pytest.mark.usefixtures("uncompiled")
@torch.inference_mode()
def test_all_layers_rows_columns_and_shelves_share_two_compilations(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With products and attention in force, and more layers than may be compiled each."""
    monkeypatch.setitem(SIZES, "num_hidden_layers", 12)
    steps = ready("llama")
    beside = [joined_products(steps.model, probe(steps)), grouped(steps.model, probe(steps))]
    ways = [way for way in beside if way]
    counters.clear()
    with in_force(ways):
        way = layers_of(steps)
    assert way
    assert len(ways) == 2
    assert counters["stats"]["unique_graphs"] == 1
    with in_force([*ways, way]):
        for shape in ((3, 300), (2, 450), (4, 333)):
            steps.shelf.reserve(*shape)
            for rows in range(shape[0], 0, -1):
                for length in (10, 100, 250):
                    steps.write([1] * rows, [length] * rows)
    assert counters["stats"]["unique_graphs"] == 2


@torch.inference_mode()
def test_layers_that_are_not_the_same_when_compiled_are_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def wrong(run: Call, **_: Any) -> Call:
        return lambda *given: run(*given) * 1.01

    steps = ready("llama")
    monkeypatch.setattr(torch, "compile", lambda run, **_: run)
    assert layers_of(steps)
    monkeypatch.setattr(torch, "compile", wrong)
    assert layers_of(steps) is None


@torch.inference_mode()
def test_a_machine_that_cannot_compile_has_the_other_ways(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(run: Call, **_: Any) -> Call:
        def call(*_: Any) -> Any:
            raise RuntimeError("Failed to find C compiler")

        return call

    steps, tried = ready("llama"), list[str]()
    monkeypatch.setattr(torch, "compile", fails)
    monkeypatch.setattr(Choice, "best", lambda self, ways: (list(ways), 1.0))
    monkeypatch.setattr(Choice, "betters", lambda self, ways, least: True)
    made = quickened(steps, lambda run: (lambda: None, run()))
    assert made.ways == ["norms", "rotary", "products", "attention"]
    monkeypatch.setattr(torch, "compile", lambda run, **_: run)
    made = quickened(steps, lambda run: (lambda: None, run()))
    assert made.ways == ["norms", "rotary", "products", "attention", "compiled"]
    monkeypatch.setattr(quickening, "compiled_layers", lambda *_: tried.append("compiled"))
    quickened(steps, lambda run: (lambda: None, run()), compiles=False)
    # nor where a step takes so little that nobody sees what it saves
    monkeypatch.setattr(Choice, "best", lambda self, ways: (list(ways), 0.002))
    quickened(steps, lambda run: (lambda: None, run()))
    assert not tried


@pytest.mark.usefixtures("uncompiled")
@torch.inference_mode()
def test_prompts_and_what_another_cache_holds_are_read_by_a_models_own_layers() -> None:
    steps = ready("llama")
    right, ids = steps.read(1, [4, 5, 6], 7), torch.tensor([[4, 5, 6]])
    alone = steps.model(ids, use_cache=False).logits
    way = layers_of(steps)
    assert way
    counters.clear()
    with in_force([way]):
        torch.testing.assert_close(steps.read(1, [4, 5, 6], 7), right)
        torch.testing.assert_close(steps.model(ids, use_cache=False).logits, alone)
    assert counters["stats"]["unique_graphs"] == 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch uses what it deprecates
@pytest.mark.skipif(not shutil.which("g++"), reason="there is no C++ compiler")
@pytest.mark.parametrize("name", ["llama", "gemma3", "gpt_oss", "bloom"])
@torch.inference_mode()
def test_compiled_layers_write_the_same(name: str) -> None:
    steps = ready(name)
    given = [1, 2, 3], _LENGTHS
    right = steps.write(*given)
    way = layers_of(steps)
    assert way
    with in_force([way]):
        found = steps.write(*given)
    torch.testing.assert_close(found, right, rtol=1e-4, atol=1e-4)
    end_workers()
    assert not async_compile._pool_set  # no process is left that waits for more


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch uses what it deprecates
@pytest.mark.skipif(not shutil.which("g++"), reason="there is no C++ compiler")
def test_a_model_that_was_compiled_can_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quickening, "_WORTH", 0.0)
    monkeypatch.setattr(Choice, "betters", lambda self, ways, least: True)
    with torch.inference_mode():
        steps = ready("llama")
        recorder = quickened(steps, lambda run: (lambda: None, run()))
        with in_force([way for ways in recorder._tried for way in ways]):
            steps.write([1, 2, 3], _LENGTHS)
    assert "compiled" in recorder.ways
    kept = [weakref.ref(steps.model), *map(weakref.ref, steps.model.parameters())]
    kept.append(weakref.ref(steps.shelf.layers[0]))
    del steps, recorder
    gc.collect()
    assert not any(one() is not None for one in kept)
