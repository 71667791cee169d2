"""Linear layers that read the same are one product: the same numbers, and nothing held twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from rag.models.batch import products as products_of
from rag.models.batch.products import joined_products
from rag.models.batch.recorder import probe
from rag.models.batch.steps import Attention, Steps
from rag.models.batch.ways import Change, changed, in_force
from rag.models.int8 import to_int8
from rag.models.sharing import on_same_tensors
from tests.rag.models.tiny_models import make_tiny


def ready(model: Any) -> Steps:
    steps = Steps(model, Attention("flat", None))
    steps.shelf.reserve(3, 64)
    return steps


def products(work: Callable[[], object]) -> list[int]:
    """How many outputs each product of a work has."""
    own, sizes = functional.linear, list[int]()

    def counted(given: torch.Tensor, weight: torch.Tensor, *bias: Any) -> torch.Tensor:
        sizes.append(weight.shape[0])
        return own(given, weight, *bias)

    with changed([Change(functional, "linear", counted)]):
        work()
    return sizes


def places(*layers: nn.Linear) -> set[int]:
    return {layer.weight.untyped_storage().data_ptr() for layer in layers}


# queries 32 wide, keys and values 16; the two halves of what follows 48
@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("llama", [32, 16, 16, 32, 48, 48, 32], [64, 32, 96, 32]),
        ("qwen3", [32, 16, 16, 32, 48, 48, 32], [64, 32, 96, 32]),
        # attention and what follows read the same; with biases
        ("phi", [32, 16, 16, 32, 48, 32], [112, 32, 32]),
    ],
)
@torch.inference_mode()
def test_layers_that_read_the_same_are_one_product(
    name: str, before: list[int], after: list[int]
) -> None:
    model = make_tiny(name)
    steps = ready(model)
    for row, length in enumerate((9, 4, 30)):
        steps.read(row, list(range(3, 3 + length)), 0)
    given = [5, 6, 7], [9, 4, 30]
    right = steps.write(*given)
    assert products(lambda: steps.write(*given)) == [*before, *before, 97]
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    way = joined_products(model, probe(ready(model)))
    assert way
    with in_force([way]):
        assert products(lambda: steps.write(*given)) == [*after, *after, 97]
        found = steps.write(*given)
    torch.testing.assert_close(found, right, rtol=1e-4, atol=1e-5)
    assert products(lambda: steps.write(*given)) == [*before, *before, 97]
    torch.testing.assert_close(steps.write(*given), right, rtol=1e-4, atol=1e-5)
    for key, value in model.state_dict().items():
        torch.testing.assert_close(value, kept[key], rtol=0, atol=0)
    layer = model.model.layers[0].self_attn
    assert len(places(layer.q_proj, layer.k_proj, layer.v_proj)) == 1
    own = layer.q_proj.weight.untyped_storage().nbytes()
    assert own == sum(size * 32 * 4 for size in after[:1])


@torch.inference_mode()
def test_nothing_is_moved_that_another_model_has_too() -> None:
    """Its recorded steps name the place of its weights."""
    model = make_tiny("llama")
    other = on_same_tensors(model)
    layer = model.model.layers[0].self_attn
    before = places(layer.q_proj, layer.k_proj)
    assert joined_products(other, probe(ready(other))) is None
    assert places(layer.q_proj, layer.k_proj) == before
    assert joined_products(model, probe(ready(model)))


@torch.inference_mode()
def test_a_model_made_of_one_with_joined_layers_is_the_same() -> None:
    model = make_tiny("llama")
    right = model(torch.tensor([[3, 4, 5]])).logits
    way = joined_products(model, probe(ready(model)))
    assert way
    torch.testing.assert_close(on_same_tensors(model)(torch.tensor([[3, 4, 5]])).logits, right)


@torch.inference_mode()
def test_layers_in_8_bits_keep_their_own() -> None:
    model = make_tiny("llama")
    to_int8(model)
    steps = ready(model)
    way = joined_products(model, probe(steps))
    kinds = {type(module).__name__ for module in model.modules()}
    assert "Int8Linear" in kinds
    assert way is None


@torch.inference_mode()
def test_a_layer_that_is_called_alone_computes_itself() -> None:
    model = make_tiny("llama")
    way = joined_products(model, probe(ready(model)))
    assert way
    layer = model.model.layers[0].self_attn.v_proj
    given = torch.ones((1, 1, 32))
    right = layer(given)
    with in_force([way]):
        torch.testing.assert_close(layer(given), right)


class Forked(nn.Module):
    """Layers that read the same: the first of them `calls` times, the last one with a bias."""

    def __init__(self, calls: int, bias: bool) -> None:
        super().__init__()
        self.calls = calls
        self.first, self.last = nn.Linear(4, 3, bias=False), nn.Linear(4, 3, bias=bias)

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        called = [self.first(given) for _ in range(self.calls)]
        found: torch.Tensor = sum(called) + self.last(given)
        return found


@pytest.mark.parametrize(("calls", "bias"), [(2, False), (1, True)])
@torch.inference_mode()
def test_layers_that_are_called_again_or_have_another_bias_keep_their_own(
    calls: int, bias: bool
) -> None:
    with torch.inference_mode(False):
        model, plain = Forked(calls, bias), Forked(1, False)
    assert joined_products(plain, lambda: plain(torch.ones(1, 4)))
    assert joined_products(model, lambda: model(torch.ones(1, 4))) is None


@torch.inference_mode()
def test_a_weight_of_two_layers_is_not_held_twice() -> None:
    model = make_tiny("llama")
    first, second = (layer.self_attn for layer in model.model.layers)
    second.k_proj.weight = first.k_proj.weight
    kept = first.k_proj.weight.data_ptr()
    assert joined_products(model, probe(ready(model)))
    assert first.k_proj.weight.data_ptr() == second.k_proj.weight.data_ptr() == kept


@torch.inference_mode()
def test_layers_for_which_there_is_no_memory_keep_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuses(_: object) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    model = make_tiny("llama")
    monkeypatch.setattr(products_of, "_beside", refuses)
    assert joined_products(model, probe(ready(model))) is None
